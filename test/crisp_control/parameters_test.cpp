#include <gtest/gtest.h>

#include <functional>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

template <typename Params>
struct Mistake {
  std::string name;
  std::function<void(Params&)> make;
};

/// Every mistake is refused in one line that names it, by the parameters and by the controller.
template <typename C, typename Params>
void expect_refused(const std::vector<Mistake<Params>>& mistakes) {
  const ArmModel model = fr3();
  for (const auto& mistake : mistakes) {
    Params params(model);
    mistake.make(params);
    try {
      params.validate(model);
      ADD_FAILURE() << "accepted a bad " << mistake.name;
    } catch (const std::invalid_argument& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("'" + mistake.name + "' is "), std::string::npos) << mistake.name << ": " << text;
      EXPECT_NE(text.find("must be "), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
    EXPECT_THROW(C(model, params), std::invalid_argument) << mistake.name;
  }
}

using P = ControllerParams;

const std::vector<Mistake<P>> kShared{
    {"friction", [](P& p) { p.friction[0] = -0.1; }},
    {"friction", [](P& p) { p.friction.setZero(6); }},
    {"friction", [](P& p) { p.friction[6] = kNan; }},
    {"viscous_friction", [](P& p) { p.viscous_friction[3] = -0.1; }},
    {"viscous_friction", [](P& p) { p.viscous_friction.setZero(0); }},
    {"friction_velocity", [](P& p) { p.friction_velocity = 0.0; }},
    {"friction_compensation", [](P& p) { p.friction_compensation = 1.01; }},
    {"friction_compensation", [](P& p) { p.friction_compensation = kNan; }},
    {"damping_only", [](P& p) { p.damping_only = -2.0; }},
    {"smoothing_time", [](P& p) { p.smoothing_time = 0.0; }},
    {"smoothing_time", [](P& p) { p.smoothing_time = kNan; }},
    {"observer_time_constant", [](P& p) { p.observer_time_constant = -0.02; }},
    {"payload_mass", [](P& p) { p.payload_mass = -1.0; }},
    {"payload_com", [](P& p) { p.payload_com[1] = kNan; }},
    {"hold_after", [](P& p) { p.gate.hold_after = 0.0; }},
    {"damp_after", [](P& p) { p.gate.damp_after = 0.1; }},
    {"future_tolerance", [](P& p) { p.gate.future_tolerance = -0.1; }},
    {"chunk_horizon", [](P& p) { p.gate.chunk_horizon = 0.0; }},
    {"max_jump_linear", [](P& p) { p.gate.max_jump_linear = 0.0; }},
    {"max_jump_angular", [](P& p) { p.gate.max_jump_angular = kNan; }},
    {"joint_margin", [](P& p) { p.barrier.joint_margin = -0.1; }},
    {"joint_margin", [](P& p) { p.barrier.joint_margin = 3.0; }},
    {"velocity_fraction", [](P& p) { p.barrier.velocity_fraction = 0.0; }},
    {"velocity_fraction", [](P& p) { p.barrier.velocity_fraction = 1.1; }},
    {"barrier_rate", [](P& p) { p.barrier.rate = kInfinity; }},
    {"workspace_margin", [](P& p) { p.barrier.workspace_margin = -0.01; }},
    {"workspace_lower", [](P& p) { p.barrier.workspace_lower[0] = kNan; }},
    {"workspace_upper", [](P& p) { p.barrier.workspace_upper[0] = kNan; }},
    {"workspace_upper", [](P& p) { p.barrier.workspace_lower[2] = p.barrier.workspace_upper[2] = 0.5; }},
    {"workspace_planes", [](P& p) { p.barrier.workspace_planes = HalfSpaces::Constant(1, 4, 1.0); }},
    {"workspace_planes", [](P& p) { p.barrier.workspace_planes = HalfSpaces::Constant(2, 4, kNan); }},
    {"tank_minimum", [](P& p) { p.tank.minimum = -0.1; }},
    {"tank_maximum", [](P& p) { p.tank.maximum = 0.05; }},
    {"tank_initial", [](P& p) { p.tank.initial = 5.0; }},
    {"tank_refill_power", [](P& p) { p.tank.refill_power = kInfinity; }},
    {"reflex_force", [](P& p) { p.reflex.force = 0.0; }},
    {"reflex_torque", [](P& p) { p.reflex.torque = kNan; }},
    {"reflex_softening", [](P& p) { p.reflex.softening = 1.5; }},
    {"reflex_recover_after", [](P& p) { p.reflex.recover_after = -1.0; }},
    {"torque_limit", [](P& p) { p.torque_limit[2] = 0.0; }},
    {"torque_limit", [](P& p) { p.torque_limit.setOnes(8); }},
    {"torque_rate_limit", [](P& p) { p.torque_rate_limit[6] = -5.0; }},
};

/// The mistakes that every controller's parameters can have, and those of its own.
template <typename Params>
std::vector<Mistake<Params>> with_shared(std::vector<Mistake<Params>> own) {
  for (const auto& mistake : kShared) own.push_back({mistake.name, mistake.make});
  return own;
}

TEST(Parameters, OfCartesianImpedance) {
  using Own = CartesianImpedanceParams;
  expect_refused<CartesianImpedance>(with_shared<Own>({
      {"stiffness", [](Own& p) { p.stiffness[3] = -1.0; }},
      {"stiffness", [](Own& p) { p.stiffness[0] = kNan; }},
      {"stiffness", [](Own& p) { p.stiffness[0] = 1.1 * p.stiffness_maximum[0]; }},
      {"stiffness_maximum", [](Own& p) { p.stiffness_maximum[0] = kInfinity; }},
      {"wrench_maximum", [](Own& p) { p.wrench_maximum[2] = -1.0; }},
      {"damping_ratio", [](Own& p) { p.damping_ratio[5] = -0.1; }},
      {"error_clip", [](Own& p) { p.error_clip[1] = 0.0; }},
      {"nullspace_stiffness", [](Own& p) { p.nullspace_stiffness = -1.0; }},
      {"nullspace_damping_ratio", [](Own& p) { p.nullspace_damping_ratio = -1.0; }},  // CRISP's old default
      {"nullspace_torque_limit", [](Own& p) { p.nullspace_torque_limit = 0.0; }},
  }));
}

TEST(Parameters, OfCartesianAdmittance) {
  using Own = CartesianAdmittanceParams;
  expect_refused<CartesianAdmittance>(with_shared<Own>({
      {"stiffness", [](Own& p) { p.stiffness[3] = -1.0; }},
      {"admittance_mass", [](Own& p) { p.admittance_mass[0] = 0.0; }},
      {"admittance_damping", [](Own& p) { p.admittance_damping[1] = -1.0; }},
      {"admittance_stiffness", [](Own& p) { p.admittance_stiffness[2] = kNan; }},
      {"admittance_limit", [](Own& p) { p.admittance_limit[3] = 0.0; }},
      {"deadband_force", [](Own& p) { p.deadband_force = -1.0; }},
      {"deadband_torque", [](Own& p) { p.deadband_torque = kInfinity; }},
  }));
}

TEST(Parameters, OfJointImpedance) {
  using Own = JointImpedanceParams;
  expect_refused<JointImpedance>(with_shared<Own>({
      {"stiffness", [](Own& p) { p.stiffness[3] = -1.0; }},
      {"stiffness", [](Own& p) { p.stiffness.setOnes(6); }},
      {"damping_ratio", [](Own& p) { p.damping_ratio[5] = -0.1; }},
      {"error_clip", [](Own& p) { p.error_clip[1] = 0.0; }},
  }));
}

TEST(Parameters, OfGravityCompensation) {
  using Own = GravityCompensationParams;
  expect_refused<GravityCompensation>(with_shared<Own>({
      {"damping", [](Own& p) { p.damping[0] = -0.5; }},
      {"guide_direction", [](Own& p) { p.guide_direction *= 1.1; }},
      {"guide_direction", [](Own& p) { p.guide_direction[0] = kNan; }},
      {"guide_stiffness", [](Own& p) { p.guide_stiffness = -1.0; }},
      {"guide_rotational_stiffness", [](Own& p) { p.guide_rotational_stiffness = kNan; }},
      {"guide_damping_ratio", [](Own& p) { p.guide_damping_ratio = -1.0; }},
      {"guide_force_limit", [](Own& p) { p.guide_force_limit = 0.0; }},
      {"guide_torque_limit", [](Own& p) { p.guide_torque_limit = 0.0; }},
  }));
}

TEST(Parameters, OfTorqueFeedback) {
  using Own = TorqueFeedbackParams;
  expect_refused<TorqueFeedback>(with_shared<Own>({
      {"feedback_gain", [](Own& p) { p.feedback_gain = 1.5; }},
      {"feedback_limit", [](Own& p) { p.feedback_limit[0] = 0.0; }},
      {"feedback_deadband", [](Own& p) { p.feedback_deadband = -0.1; }},
      {"damping", [](Own& p) { p.damping.setOnes(3); }},
  }));
}

template <typename Params>
void expect_defaults_valid() {
  EXPECT_NO_THROW(Params(fr3()).validate(fr3()));
  for (const Chain& chain : all_chains()) {
    const ArmModel model = chain.model();
    EXPECT_NO_THROW(Params(model).validate(model));
  }
}

TEST(Parameters, TheDefaultsAreValidForEveryArm) {
  expect_defaults_valid<CartesianImpedanceParams>();
  expect_defaults_valid<CartesianAdmittanceParams>();
  expect_defaults_valid<JointImpedanceParams>();
  expect_defaults_valid<GravityCompensationParams>();
  expect_defaults_valid<TorqueFeedbackParams>();
}

TEST(Parameters, TheMessageSaysWhatWasGiven) {
  CartesianImpedanceParams params(fr3());
  params.stiffness[3] = -12.5;
  try {
    params.validate(fr3());
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("-12.5"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace crisp_control::test
