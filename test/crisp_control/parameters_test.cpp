#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "arms.hpp"
#include "crisp_control/cartesian_impedance.hpp"

namespace crisp_control::test {
namespace {

using Params = CartesianImpedanceParams;

struct Mistake {
  std::string name;
  std::function<void(Params&)> make;
};

const double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<Mistake> mistakes() {
  return {
      {"stiffness", [](Params& p) { p.stiffness[3] = -1.0; }},
      {"stiffness", [](Params& p) { p.stiffness[0] = kNan; }},
      {"damping_ratio", [](Params& p) { p.damping_ratio[5] = -0.1; }},
      {"error_clip", [](Params& p) { p.error_clip[1] = 0.0; }},
      {"smoothing_time", [](Params& p) { p.smoothing_time = 0.0; }},
      {"smoothing_time", [](Params& p) { p.smoothing_time = kNan; }},
      {"nullspace_stiffness", [](Params& p) { p.nullspace_stiffness = -1.0; }},
      {"nullspace_damping_ratio", [](Params& p) { p.nullspace_damping_ratio = -1.0; }},  // CRISP's old default
      {"nullspace_torque_limit", [](Params& p) { p.nullspace_torque_limit = 0.0; }},
      {"damping_only", [](Params& p) { p.damping_only = -2.0; }},
      {"hold_after", [](Params& p) { p.gate.hold_after = 0.0; }},
      {"damp_after", [](Params& p) { p.gate.damp_after = 0.1; }},
      {"future_tolerance", [](Params& p) { p.gate.future_tolerance = -0.1; }},
      {"max_jump_linear", [](Params& p) { p.gate.max_jump_linear = 0.0; }},
      {"max_jump_angular", [](Params& p) { p.gate.max_jump_angular = kNan; }},
      {"friction", [](Params& p) { p.friction[0] = -0.1; }},
      {"friction", [](Params& p) { p.friction.setZero(6); }},
      {"friction_velocity", [](Params& p) { p.friction_velocity = 0.0; }},
      {"torque_limit", [](Params& p) { p.torque_limit[2] = 0.0; }},
      {"torque_limit", [](Params& p) { p.torque_limit.setOnes(8); }},
      {"torque_rate_limit", [](Params& p) { p.torque_rate_limit[6] = -5.0; }},
  };
}

TEST(Parameters, TheDefaultsAreValidForEveryArm) {
  EXPECT_NO_THROW(Params(fr3()).validate(7));
  for (const Chain& chain : all_chains()) {
    const ArmModel model = chain.model();
    EXPECT_NO_THROW(Params(model).validate(model.n()));
  }
}

TEST(Parameters, AMistakeIsRefusedInOneLineThatNamesIt) {
  const ArmModel model = fr3();
  for (const Mistake& mistake : mistakes()) {
    Params params(model);
    mistake.make(params);
    try {
      params.validate(model.n());
      ADD_FAILURE() << "accepted a bad " << mistake.name;
    } catch (const std::invalid_argument& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("'" + mistake.name + "'"), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
    EXPECT_THROW(CartesianImpedance(model, params), std::invalid_argument) << mistake.name;
  }
}

TEST(Parameters, TheMessageSaysWhatWasGiven) {
  Params params(fr3());
  params.stiffness[3] = -12.5;
  try {
    params.validate(7);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("-12.5"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace crisp_control::test
