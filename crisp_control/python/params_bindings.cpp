// Parameters as flat attributes, so that a YAML file sets them by name.
#include <array>
#include <string_view>

#include "bindings.hpp"
#include "crisp_control/cartesian_admittance.hpp"
#include "crisp_control/gravity_compensation.hpp"
#include "crisp_control/joint_impedance.hpp"
#include "crisp_control/torque_feedback.hpp"

namespace crisp_control::python {

using namespace nb::literals;

namespace {

/// Attribute for one number per joint, which nanobind's Eigen casters do not know.
template <auto Member, typename Class>
void def_joints(Class& cls, const char* name) {
  using P = typename Class::Type;
  cls.def_prop_rw(
      name, [](const P& s) { return Eigen::VectorXd(s.*Member); },
      [](P& s, const Eigen::VectorXd& value) { s.*Member = some_joints(value); });
}

/// Attribute `name` that is a member of the struct `Part` within the parameters.
template <auto Part, auto Member, typename Class>
void def_part(Class& cls, const char* name) {
  using P = typename Class::Type;
  using Value = std::remove_reference_t<decltype((std::declval<P&>().*Part).*Member)>;
  cls.def_prop_rw(
      name, [](const P& s) { return (s.*Part).*Member; }, [](P& s, const Value& value) { (s.*Part).*Member = value; });
}

/// Attribute that is one of a few words; names in the order of the enum's values.
template <auto Member, typename Class, std::size_t N>
void def_choice(Class& cls, const char* name, const std::array<const char*, N>& names) {
  using P = typename Class::Type;
  using Choice = std::remove_reference_t<decltype(std::declval<P&>().*Member)>;
  cls.def_prop_rw(
      name, [names](const P& s) { return std::string(names[static_cast<std::size_t>(s.*Member)]); },
      [names, name](P& s, std::string_view value) {
        std::string known;
        for (std::size_t i = 0; i < N; ++i) {
          if (value == names[i]) {
            s.*Member = static_cast<Choice>(i);
            return;
          }
          known += (i ? ", " : "") + std::string(names[i]);
        }
        throw std::invalid_argument("controller parameter '" + std::string(name) + "' is '" + std::string(value) +
                                    "'; it must be one of: " + known);
      });
}

void bind_shared(nb::module_& m) {
  using P = ControllerParams;
  nb::class_<P> cls(m, "ControllerParams", "Parameters that every controller has; units in controller.hpp.");
  cls.def_rw("gravity_compensation", &P::gravity_compensation)
      .def_rw("coriolis_compensation", &P::coriolis_compensation)
      .def_rw("friction_velocity", &P::friction_velocity)
      .def_rw("friction_compensation", &P::friction_compensation)
      .def_rw("damping_only", &P::damping_only)
      .def_rw("smoothing_time", &P::smoothing_time)
      .def_rw("observer_time_constant", &P::observer_time_constant)
      .def_rw("payload_mass", &P::payload_mass)
      .def_rw("payload_com", &P::payload_com)
      .def("validate", &P::validate, "model"_a, "Raises ValueError naming the first parameter out of range.");
  def_joints<&P::friction>(cls, "friction");
  def_joints<&P::viscous_friction>(cls, "viscous_friction");
  def_joints<&P::torque_limit>(cls, "torque_limit");
  def_joints<&P::torque_rate_limit>(cls, "torque_rate_limit");
  def_part<&P::gate, &GateParams::hold_after>(cls, "hold_after");
  def_part<&P::gate, &GateParams::damp_after>(cls, "damp_after");
  def_part<&P::gate, &GateParams::future_tolerance>(cls, "future_tolerance");
  def_part<&P::gate, &GateParams::chunk_horizon>(cls, "chunk_horizon");
  def_part<&P::gate, &GateParams::max_jump_linear>(cls, "max_jump_linear");
  def_part<&P::gate, &GateParams::max_jump_angular>(cls, "max_jump_angular");
  def_part<&P::barrier, &BarrierParams::joint_margin>(cls, "joint_margin");
  def_part<&P::barrier, &BarrierParams::velocity_fraction>(cls, "velocity_fraction");
  def_part<&P::barrier, &BarrierParams::rate>(cls, "barrier_rate");
  def_part<&P::barrier, &BarrierParams::workspace_margin>(cls, "workspace_margin");
  def_part<&P::barrier, &BarrierParams::workspace_lower>(cls, "workspace_lower");
  def_part<&P::barrier, &BarrierParams::workspace_upper>(cls, "workspace_upper");
  cls.def_prop_rw(
      "workspace_planes", [](const P& s) { return Eigen::MatrixXd(s.barrier.workspace_planes); },
      [](P& s, const Eigen::MatrixXd& rows) {
        if (rows.cols() != 4 || rows.rows() > HalfSpaces::MaxRowsAtCompileTime) {
          throw std::invalid_argument("workspace_planes: at most 8 rows [nx ny nz d]");
        }
        s.barrier.workspace_planes = rows;
      });
  def_part<&P::tank, &TankParams::initial>(cls, "tank_initial");
  def_part<&P::tank, &TankParams::minimum>(cls, "tank_minimum");
  def_part<&P::tank, &TankParams::maximum>(cls, "tank_maximum");
  def_part<&P::tank, &TankParams::refill_power>(cls, "tank_refill_power");
  def_part<&P::reflex, &ReflexParams::force>(cls, "reflex_force");
  def_part<&P::reflex, &ReflexParams::torque>(cls, "reflex_torque");
  def_part<&P::reflex, &ReflexParams::softening>(cls, "reflex_softening");
  def_part<&P::reflex, &ReflexParams::recover_after>(cls, "reflex_recover_after");
}

template <typename P, typename Base>
nb::class_<P, Base> params_class(nb::module_& m, const char* name, const char* doc) {
  nb::class_<P, Base> cls(m, name, doc);
  cls.def(nb::init<const ArmModel&>(), "model"_a).def("validate", &P::validate, "model"_a);
  return cls;
}

}  // namespace

void bind_params(nb::module_& m) {
  bind_shared(m);
  using Cartesian = CartesianImpedanceParams;
  auto cartesian = params_class<Cartesian, ControllerParams>(
      m, "CartesianImpedanceParams", "Of CartesianImpedance; units in cartesian_impedance.hpp.");
  cartesian.def_rw("stiffness", &Cartesian::stiffness)
      .def_rw("damping_ratio", &Cartesian::damping_ratio)
      .def_rw("error_clip", &Cartesian::error_clip)
      .def_rw("stiffness_maximum", &Cartesian::stiffness_maximum)
      .def_rw("wrench_maximum", &Cartesian::wrench_maximum)
      .def_rw("tool_axes", &Cartesian::tool_axes)
      .def_rw("operational_space", &Cartesian::operational_space)
      .def_rw("nullspace_stiffness", &Cartesian::nullspace_stiffness)
      .def_rw("nullspace_damping_ratio", &Cartesian::nullspace_damping_ratio)
      .def_rw("nullspace_torque_limit", &Cartesian::nullspace_torque_limit);
  def_choice<&Cartesian::nullspace>(cartesian, "nullspace", std::array{"none", "kinematic", "dynamic"});

  using Admittance = CartesianAdmittanceParams;
  auto admittance = params_class<Admittance, Cartesian>(m, "CartesianAdmittanceParams",
                                                        "Of CartesianAdmittance; units in cartesian_admittance.hpp.");
  admittance.def_rw("admittance_mass", &Admittance::admittance_mass)
      .def_rw("admittance_damping", &Admittance::admittance_damping)
      .def_rw("admittance_stiffness", &Admittance::admittance_stiffness)
      .def_rw("admittance_limit", &Admittance::admittance_limit)
      .def_rw("deadband_force", &Admittance::deadband_force)
      .def_rw("deadband_torque", &Admittance::deadband_torque);

  using Joint = JointImpedanceParams;
  auto joint = params_class<Joint, ControllerParams>(m, "JointImpedanceParams",
                                                     "Of JointImpedance; units in joint_impedance.hpp.");
  def_joints<&Joint::stiffness>(joint, "stiffness");
  def_joints<&Joint::damping_ratio>(joint, "damping_ratio");
  def_joints<&Joint::error_clip>(joint, "error_clip");

  using Gravity = GravityCompensationParams;
  auto gravity = params_class<Gravity, ControllerParams>(m, "GravityCompensationParams",
                                                         "Of GravityCompensation; units in gravity_compensation.hpp.");
  def_joints<&Gravity::damping>(gravity, "damping");
  def_choice<&Gravity::guide>(gravity, "guide", std::array{"free", "plane", "axis", "point"});
  gravity.def_rw("guide_direction", &Gravity::guide_direction)
      .def_rw("hold_orientation", &Gravity::hold_orientation)
      .def_rw("guide_stiffness", &Gravity::guide_stiffness)
      .def_rw("guide_rotational_stiffness", &Gravity::guide_rotational_stiffness)
      .def_rw("guide_damping_ratio", &Gravity::guide_damping_ratio)
      .def_rw("guide_force_limit", &Gravity::guide_force_limit)
      .def_rw("guide_torque_limit", &Gravity::guide_torque_limit);

  using Feedback = TorqueFeedbackParams;
  auto feedback = params_class<Feedback, ControllerParams>(m, "TorqueFeedbackParams",
                                                           "Of TorqueFeedback; units in torque_feedback.hpp.");
  feedback.def_rw("feedback_gain", &Feedback::feedback_gain).def_rw("feedback_deadband", &Feedback::feedback_deadband);
  def_joints<&Feedback::feedback_limit>(feedback, "feedback_limit");
  def_joints<&Feedback::damping>(feedback, "damping");
}

}  // namespace crisp_control::python
