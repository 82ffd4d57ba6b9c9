#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"

namespace crisp_control::python {

using namespace nb::literals;

namespace {

const ArmTerms& terms_at(ArmModel& model, const Eigen::VectorXd& q, const Eigen::VectorXd& dq) {
  return model.update(joints_of(model, q, "q"), joints_of(model, dq, "dq"));
}

const ArmTerms& terms_at(ArmModel& model, const Eigen::VectorXd& q) {
  return terms_at(model, q, Eigen::VectorXd::Zero(model.n()));
}

template <auto Limit>
Eigen::VectorXd limit(const ArmModel& model) {
  return (model.*Limit)();
}

}  // namespace

void bind_model(nb::module_& m) {
  using Q = const Eigen::VectorXd&;
  nb::class_<ArmModel>(m, "ArmModel", "Kinematics and dynamics of a serial arm with 5 to 8 joints, from its URDF.")
      .def(nb::init<const std::string&, const std::vector<std::string>&, const std::string&,
                    const std::vector<double>&>(),
           "urdf_xml"_a, "joints"_a, "tool_frame"_a, "armature"_a = std::vector<double>(),
           "armature: rotor inertia as each joint feels it, kg m^2.")
      .def_prop_ro("n", &ArmModel::n)
      .def_prop_ro("joints", &ArmModel::joints)
      .def_prop_ro("q_lower", &limit<&ArmModel::q_lower>)
      .def_prop_ro("q_upper", &limit<&ArmModel::q_upper>)
      .def_prop_ro("dq_limit", &limit<&ArmModel::dq_limit>)
      .def_prop_ro("tau_limit", &limit<&ArmModel::tau_limit>)
      .def_prop_ro("friction", &limit<&ArmModel::friction>, "Coulomb friction of the URDF, Nm.")
      .def_prop_ro("damping", &limit<&ArmModel::damping>, "Viscous friction of the URDF, Nm s/rad.")
      .def("set_payload", &ArmModel::set_payload, "mass"_a, "com"_a,
           "Something held rigidly: kg, and centre of mass in the tool frame (m).")
      .def(
          "static_frame", [](const ArmModel& s, const std::string& link) { return split_pose(s.static_frame(link)); },
          "link"_a, "Placement in the base frame of a link that does not move.")
      .def(
          "tool_link", [](const ArmModel& s, const std::string& link) { return split_pose(s.tool_link(link)); },
          "link"_a, "Placement in the tool frame of a link that moves with the tool.")
      .def(
          "placement", [](ArmModel& s, Q q) { return split_pose(terms_at(s, q).T_base_ee); }, "q"_a,
          "Tool position (m) and orientation (quaternion xyzw) in the base frame.")
      .def(
          "jacobian", [](ArmModel& s, Q q) { return Eigen::MatrixXd(terms_at(s, q).J_base_ee); }, "q"_a,
          "Jacobian (6, n) at the tool, base axes, linear part first.")
      .def(
          "gravity", [](ArmModel& s, Q q) { return Eigen::VectorXd(terms_at(s, q).gravity); }, "q"_a,
          "Gravity torque (n,), Nm.")
      .def(
          "nonlinear_effects",
          [](ArmModel& s, Q q, Q dq) {
            const ArmTerms& t = terms_at(s, q, dq);
            return Eigen::VectorXd(t.coriolis + t.gravity);
          },
          "q"_a, "dq"_a, "C(q, dq) dq + g(q), (n,), Nm.")
      .def(
          "coriolis_transpose_dq",
          [](ArmModel& s, Q q, Q dq) { return Eigen::VectorXd(terms_at(s, q, dq).coriolis_T_dq); }, "q"_a, "dq"_a,
          "C(q, dq)^T dq, (n,), Nm.")
      .def(
          "mass_matrix", [](ArmModel& s, Q q) { return Eigen::MatrixXd(terms_at(s, q).mass_matrix); }, "q"_a,
          "Joint-space inertia (n, n) with rotors, kg m^2.");
}

}  // namespace crisp_control::python
