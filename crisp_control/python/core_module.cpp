// steadyhand.crisp_control._core: the controller core for Python (tests, tools, the numpy oracle).
#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>

#include "crisp_control/cartesian_impedance.hpp"
#include "crisp_control/momentum_observer.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace crisp_control;

namespace {

using Vector4 = Eigen::Vector4d;

Pose make_pose(const Vector3& position, const Vector4& quaternion_xyzw) {
  return {position, Eigen::Quaterniond(quaternion_xyzw)};  // Eigen's coefficient order is x y z w
}

std::pair<Vector3, Vector4> split_pose(const Pose& pose) { return {pose.position, pose.orientation.coeffs()}; }

JointVector joints_of(const ArmModel& model, const Eigen::VectorXd& value, const char* name) {
  if (value.size() != model.n()) {
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(value.size()) + " values, the arm has " +
                                std::to_string(model.n()) + " joints");
  }
  return value;
}

const ArmTerms& terms_at(ArmModel& model, const Eigen::VectorXd& q, const Eigen::VectorXd& dq) {
  return model.update(joints_of(model, q, "q"), joints_of(model, dq, "dq"));
}

ArmState make_state(const ArmModel& model, const Eigen::VectorXd& q, const Eigen::VectorXd& dq,
                    const Eigen::VectorXd& tau, double time) {
  return {joints_of(model, q, "q"), joints_of(model, dq, "dq"), joints_of(model, tau, "tau"), time};
}

template <auto Member>
auto get_vector(const CartesianImpedanceParams& params) {
  return Eigen::VectorXd(params.*Member);
}

template <auto Member>
void set_vector(CartesianImpedanceParams& params, const Eigen::VectorXd& value) {
  if (value.size() > kMaxJoints) throw std::invalid_argument("at most " + std::to_string(kMaxJoints) + " joints");
  params.*Member = value;
}

void bind_model(nb::module_& m) {
  nb::class_<ArmModel>(m, "ArmModel", "Kinematics and dynamics of a serial arm with 5 to 8 joints, from its URDF.")
      .def(nb::init<const std::string&, const std::vector<std::string>&, const std::string&>(), "urdf_xml"_a,
           "joints"_a, "tool_frame"_a)
      .def_prop_ro("n", &ArmModel::n)
      .def_prop_ro("joints", &ArmModel::joints)
      .def_prop_ro("q_lower", [](const ArmModel& s) { return Eigen::VectorXd(s.q_lower()); })
      .def_prop_ro("q_upper", [](const ArmModel& s) { return Eigen::VectorXd(s.q_upper()); })
      .def_prop_ro("dq_limit", [](const ArmModel& s) { return Eigen::VectorXd(s.dq_limit()); })
      .def_prop_ro("tau_limit", [](const ArmModel& s) { return Eigen::VectorXd(s.tau_limit()); })
      .def(
          "placement",
          [](ArmModel& s, const Eigen::VectorXd& q) {
            return split_pose(terms_at(s, q, Eigen::VectorXd::Zero(s.n())).T_base_ee);
          },
          "q"_a, "Tool position (m) and orientation (quaternion xyzw) in the base frame.")
      .def(
          "jacobian",
          [](ArmModel& s, const Eigen::VectorXd& q) {
            return Eigen::MatrixXd(terms_at(s, q, Eigen::VectorXd::Zero(s.n())).J_base_ee);
          },
          "q"_a, "Jacobian (6, n) at the tool, base axes, linear part first.")
      .def(
          "gravity",
          [](ArmModel& s, const Eigen::VectorXd& q) {
            return Eigen::VectorXd(terms_at(s, q, Eigen::VectorXd::Zero(s.n())).gravity);
          },
          "q"_a, "Gravity torque (n,), Nm.")
      .def(
          "nonlinear_effects",
          [](ArmModel& s, const Eigen::VectorXd& q, const Eigen::VectorXd& dq) {
            const ArmTerms& t = terms_at(s, q, dq);
            return Eigen::VectorXd(t.coriolis + t.gravity);
          },
          "q"_a, "dq"_a, "C(q, dq) dq + g(q), (n,), Nm.")
      .def(
          "mass_matrix",
          [](ArmModel& s, const Eigen::VectorXd& q) {
            return Eigen::MatrixXd(terms_at(s, q, Eigen::VectorXd::Zero(s.n())).mass_matrix);
          },
          "q"_a, "Joint-space inertia (n, n), kg m^2.");
}

void bind_params(nb::module_& m) {
  using P = CartesianImpedanceParams;
  nb::class_<P>(m, "CartesianImpedanceParams", "Parameters of CartesianImpedance; units in cartesian_impedance.hpp.")
      .def(nb::init<const ArmModel&>(), "model"_a)
      .def_rw("stiffness", &P::stiffness)
      .def_rw("damping_ratio", &P::damping_ratio)
      .def_rw("error_clip", &P::error_clip)
      .def_rw("smoothing_time", &P::smoothing_time)
      .def_rw("nullspace_stiffness", &P::nullspace_stiffness)
      .def_rw("nullspace_damping_ratio", &P::nullspace_damping_ratio)
      .def_rw("nullspace_torque_limit", &P::nullspace_torque_limit)
      .def_rw("damping_only", &P::damping_only)
      .def_rw("gravity_compensation", &P::gravity_compensation)
      .def_rw("coriolis_compensation", &P::coriolis_compensation)
      .def_rw("friction_velocity", &P::friction_velocity)
      .def_prop_rw("friction", &get_vector<&P::friction>, &set_vector<&P::friction>)
      .def_prop_rw("torque_limit", &get_vector<&P::torque_limit>, &set_vector<&P::torque_limit>)
      .def_prop_rw("torque_rate_limit", &get_vector<&P::torque_rate_limit>, &set_vector<&P::torque_rate_limit>)
      .def_prop_rw(
          "hold_after", [](const P& s) { return s.gate.hold_after; }, [](P& s, double v) { s.gate.hold_after = v; })
      .def_prop_rw(
          "damp_after", [](const P& s) { return s.gate.damp_after; }, [](P& s, double v) { s.gate.damp_after = v; })
      .def_prop_rw(
          "future_tolerance", [](const P& s) { return s.gate.future_tolerance; },
          [](P& s, double v) { s.gate.future_tolerance = v; })
      .def_prop_rw(
          "max_jump_linear", [](const P& s) { return s.gate.max_jump_linear; },
          [](P& s, double v) { s.gate.max_jump_linear = v; })
      .def_prop_rw(
          "max_jump_angular", [](const P& s) { return s.gate.max_jump_angular; },
          [](P& s, double v) { s.gate.max_jump_angular = v; })
      .def("validate", &P::validate, "joints"_a, "Raises ValueError naming the first parameter out of range.");
}

void bind_status(nb::module_& m) {
  nb::enum_<ReferenceMode>(m, "ReferenceMode")
      .value("TRACK", ReferenceMode::kTrack)
      .value("HOLD", ReferenceMode::kHold)
      .value("DAMP", ReferenceMode::kDamp);
  nb::class_<ControllerStatus>(m, "ControllerStatus")
      .def_ro("mode", &ControllerStatus::mode)
      .def_ro("reference_age", &ControllerStatus::reference_age, "Seconds since the accepted reference was decided.")
      .def_prop_ro(
          "counters",
          [](const ControllerStatus& s) {
            return std::map<std::string, std::uint64_t>{
                {"ticks", s.ticks},
                {"error_clipped", s.error_clipped},
                {"bad_state", s.bad_state},
                {"accepted", s.reference.accepted},
                {"refused_not_finite", s.reference.not_finite},
                {"refused_not_unit_quaternion", s.reference.not_unit_quaternion},
                {"refused_jump", s.reference.jump},
                {"refused_from_the_future", s.reference.from_the_future},
                {"refused_older_than_last", s.reference.older_than_last},
                {"refused_expired", s.reference.expired},
                {"torque_clamped", s.torque.clamped},
                {"torque_rate_limited", s.torque.rate_limited},
                {"torque_not_finite", s.torque.not_finite},
            };
          },
          "What safety did since reset, by name.");
}

void bind_controller(nb::module_& m) {
  nb::class_<CartesianImpedance>(m, "CartesianImpedance", "tau = J^T (K e - D J dq) + nullspace + C dq + g, limited.")
      .def(nb::init<const ArmModel&, const CartesianImpedanceParams&>(), "model"_a, "params"_a)
      .def(
          "reset",
          [](CartesianImpedance& s, const Eigen::VectorXd& q, const Eigen::VectorXd& dq, const Eigen::VectorXd& tau,
             double time) { s.reset(make_state(s.model(), q, dq, tau, time)); },
          "q"_a, "dq"_a, "tau"_a, "time"_a = 0.0)
      .def(
          "update",
          [](CartesianImpedance& s, const Eigen::VectorXd& q, const Eigen::VectorXd& dq, const Eigen::VectorXd& tau,
             double time, const Vector3& position, const Vector4& quaternion_xyzw, double stamp, std::uint64_t sequence,
             double dt) {
            const PoseReference reference{make_pose(position, quaternion_xyzw), stamp, sequence};
            return Eigen::VectorXd(s.update(make_state(s.model(), q, dq, tau, time), reference, dt));
          },
          "q"_a, "dq"_a, "tau"_a, "time"_a, "position"_a, "quaternion_xyzw"_a, "stamp"_a, "sequence"_a, "dt"_a,
          "One tick; returns joint torques (n,), Nm. A reference counts as new when its sequence number changes.")
      .def(
          "set_posture",
          [](CartesianImpedance& s, const Eigen::VectorXd& q) { s.set_posture(joints_of(s.model(), q, "posture")); },
          "q"_a)
      .def_prop_ro("reference", [](const CartesianImpedance& s) { return split_pose(s.interpolator().pose()); })
      .def_prop_ro("status", [](const CartesianImpedance& s) { return s.status(); });
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "Steadyhand's controller core: the same functions run in ros2_control, in the twin and here.";
  m.attr("MAX_JOINTS") = kMaxJoints;
  bind_model(m);
  bind_params(m);
  bind_status(m);
  bind_controller(m);
}
