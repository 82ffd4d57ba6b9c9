#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/unique_ptr.h>

#include <map>

#include "bindings.hpp"
#include "crisp_control/cartesian_admittance.hpp"
#include "crisp_control/gravity_compensation.hpp"
#include "crisp_control/joint_impedance.hpp"
#include "crisp_control/status_counters.hpp"
#include "crisp_control/torque_feedback.hpp"

namespace crisp_control::python {

using namespace nb::literals;

namespace {

ArmState make_state(const ArmModel& model, const Eigen::VectorXd& q, const Eigen::VectorXd& dq,
                    const Eigen::VectorXd& tau, double time) {
  return {joints_of(model, q, "q"), joints_of(model, dq, "dq"), joints_of(model, tau, "tau"), time};
}

void renew(Decision& decision, double stamp) { decision = {stamp, decision.sequence + 1}; }

void set_chunk(References& references, const Eigen::VectorXd& times, const Eigen::MatrixXd& positions,
               const Eigen::MatrixXd& quaternions_xyzw, double stamp) {
  const Eigen::Index size = times.size();
  if (size < 1 || size > PoseChunk::kCapacity || positions.rows() != size || positions.cols() != 3 ||
      quaternions_xyzw.rows() != size || quaternions_xyzw.cols() != 4) {
    throw std::invalid_argument("a chunk has 1 to " + std::to_string(PoseChunk::kCapacity) +
                                " times, as many positions (k, 3) and quaternions xyzw (k, 4)");
  }
  PoseChunk& chunk = references.chunk;
  chunk.size = static_cast<int>(size);
  for (Eigen::Index i = 0; i < size; ++i) {
    chunk.poses[i] = {make_pose(positions.row(i), quaternions_xyzw.row(i)), times[i]};
  }
  renew(chunk.decision, stamp);
}

std::map<std::string, std::uint64_t> counters(const ControllerStatus& status) {
  const auto named = named_counters(status);
  return {named.begin(), named.end()};
}

template <typename C, typename P, typename Base>
nb::class_<C, Base> controller_class(nb::module_& m, const char* name, const char* doc) {
  nb::class_<C, Base> cls(m, name, doc);
  cls.def(nb::init<const ArmModel&, const P&>(), "model"_a, "params"_a)
      .def(
          "set_params",
          [](C& s, const P& params) {
            params.validate(s.model());
            s.set_params(params);
          },
          "params"_a, "Changes parameters while running.")
      .def_prop_ro("params", [](const C& s) { return s.params(); });
  return cls;
}

void bind_status(nb::module_& m) {
  nb::enum_<ReferenceMode>(m, "ReferenceMode")
      .value("TRACK", ReferenceMode::kTrack)
      .value("HOLD", ReferenceMode::kHold)
      .value("DAMP", ReferenceMode::kDamp)
      .value("REFLEX", ReferenceMode::kReflex);
  nb::class_<ControllerStatus>(m, "ControllerStatus")
      .def_ro("mode", &ControllerStatus::mode)
      .def_ro("reference_age", &ControllerStatus::reference_age, "Seconds since the accepted reference was decided.")
      .def_ro("tank_energy", &ControllerStatus::tank_energy, "J")
      .def_prop_ro("counters", &counters, "What safety did since reset, by name.");
}

void bind_base(nb::module_& m) {
  nb::class_<Controller>(m, "Controller", "The chain every controller shares: estimate, law, compensation, safety.")
      .def(
          "reset",
          [](Controller& s, const Eigen::VectorXd& q, const Eigen::VectorXd& dq, const Eigen::VectorXd& tau,
             double time) { s.reset(make_state(s.model(), q, dq, tau, time)); },
          "q"_a, "dq"_a, "tau"_a, "time"_a = 0.0)
      .def(
          "update",
          [](Controller& s, const Eigen::VectorXd& q, const Eigen::VectorXd& dq, const Eigen::VectorXd& tau,
             double time, const References& references, double dt, const nb::object& wrench) {
            ArmState state = make_state(s.model(), q, dq, tau, time);
            state.has_wrench = !wrench.is_none();
            if (state.has_wrench) state.wrench = nb::cast<Vector6>(wrench);
            return Eigen::VectorXd(s.update(state, references, dt));
          },
          "q"_a, "dq"_a, "tau"_a, "time"_a, "references"_a, "dt"_a, "wrench"_a = nb::none(),
          "One tick; returns joint torques (n,), Nm. wrench: (6,) of a force/torque sensor, tool axes, N and Nm.")
      .def_prop_ro("model", &Controller::model, nb::rv_policy::reference_internal)
      .def_prop_ro(
          "tracked", [](const Controller& s) { return split_pose(s.tracked()); },
          "Pose the controller steers to now: position, quaternion xyzw.")
      .def_prop_ro(
          "tau_external", [](const Controller& s) { return Eigen::VectorXd(s.tau_external()); },
          "External joint torque (n,), Nm.")
      .def_prop_ro(
          "wrench", [](const Controller& s) { return s.wrench(); },
          "Wrench of the world on the tool (6,), base axes, N and Nm.")
      .def_prop_ro("status", [](const Controller& s) { return s.status(); });
}

}  // namespace

void bind_references(nb::module_& m) {
  nb::class_<References>(m, "References",
                         "What is asked of a controller. Every set_* is a new message; stamp: when it was decided, s.")
      .def(nb::init<>())
      .def(
          "set_pose",
          [](References& s, const Vector3& position, const Vector4& quaternion_xyzw, double stamp) {
            s.pose.T_base_ee = make_pose(position, quaternion_xyzw);
            renew(s.pose.decision, stamp);
          },
          "position"_a, "quaternion_xyzw"_a, "stamp"_a)
      .def("set_chunk", &set_chunk, "times"_a, "positions"_a, "quaternions_xyzw"_a, "stamp"_a,
           "A path of timed poses: times (k,) on the clock of the state, s.")
      .def(
          "set_joint",
          [](References& s, const Eigen::VectorXd& q, double stamp) {
            s.joint.q = some_joints(q);
            renew(s.joint.decision, stamp);
          },
          "q"_a, "stamp"_a)
      .def(
          "set_torque",
          [](References& s, const Eigen::VectorXd& tau, double stamp) {
            s.joint.tau = some_joints(tau);
            renew(s.joint.decision, stamp);
          },
          "tau"_a, "stamp"_a)
      .def(
          "set_wrench",
          [](References& s, const Vector6& wrench, double stamp) {
            s.wrench.wrench = wrench;
            renew(s.wrench.decision, stamp);
          },
          "wrench"_a, "stamp"_a)
      .def(
          "set_stiffness",
          [](References& s, const Vector6& stiffness, double stamp) {
            s.stiffness.stiffness = stiffness;
            renew(s.stiffness.decision, stamp);
          },
          "stiffness"_a, "stamp"_a);
}

void bind_controllers(nb::module_& m) {
  bind_status(m);
  bind_base(m);
  controller_class<CartesianImpedance, CartesianImpedanceParams, Controller>(
      m, "CartesianImpedance", "tau = J^T (K e - D J dq) + nullspace; or operational space control.")
      .def(
          "set_posture",
          [](CartesianImpedance& s, const Eigen::VectorXd& q) { s.set_posture(joints_of(s.model(), q, "posture")); },
          "q"_a)
      .def_prop_ro("reference", [](const CartesianImpedance& s) { return split_pose(s.interpolator().pose()); })
      .def_prop_ro(
          "stiffness", [](const CartesianImpedance& s) { return s.spring().stiffness(); },
          "Stiffness in force now (6,), N/m and Nm/rad.")
      .def_prop_ro("spring_energy", [](const CartesianImpedance& s) { return s.spring().potential(); }, "J");
  controller_class<CartesianAdmittance, CartesianAdmittanceParams, CartesianImpedance>(
      m, "CartesianAdmittance", "The reference gives way to the measured wrench; an impedance tracks it.")
      .def_prop_ro("displacement", [](const CartesianAdmittance& s) { return s.displacement(); });
  controller_class<JointImpedance, JointImpedanceParams, Controller>(m, "JointImpedance", "tau = K (q_ref - q) - D dq.")
      .def_prop_ro("attractor", [](const JointImpedance& s) { return Eigen::VectorXd(s.attractor()); });
  controller_class<GravityCompensation, GravityCompensationParams, Controller>(
      m, "GravityCompensation", "Hand guiding: weightless, with an optional plane, axis or point.");
  controller_class<TorqueFeedback, TorqueFeedbackParams, Controller>(
      m, "TorqueFeedback", "A leader arm feels the follower's external torques.");
}

}  // namespace crisp_control::python
