// From a fresh reference to holding to damping, and back.
#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

class ReferenceModesTest : public testing::Test {
 protected:
  ReferenceModesTest()
      : plant(fr3(), fr3_home()), params(unlimited<CartesianImpedanceParams>(plant.model())), home(plant.tool()) {}
  CartesianImpedance make(double hold_after, double damp_after) {
    params.gate.hold_after = hold_after;
    params.gate.damp_after = damp_after;
    CartesianImpedance controller(plant.model(), params);
    controller.reset(plant.state);
    return controller;
  }
  void ask_beside(double x) {
    Pose goal = home;
    goal.position.x() += x;
    ask(references, goal, plant.state.time);
  }
  JointVector tick(CartesianImpedance& controller) {
    const JointVector tau = controller.update(plant.state, references, kDt);
    plant.step(tau, kDt);
    return tau;
  }

  Plant plant;
  CartesianImpedanceParams params;
  Pose home;
  References references;
};

TEST_F(ReferenceModesTest, HoldsThenDampsAtTheConfiguredTimes) {
  CartesianImpedance controller = make(0.2, 0.6);
  ask_beside(0.1);
  double first_hold = 0.0, first_damp = 0.0;
  for (int i = 0; i < 1000; ++i) {
    const double now = plant.state.time;
    const ArmTerms terms = plant.terms();
    const JointVector dq = plant.state.dq, tau = tick(controller);
    if (controller.status().mode == ReferenceMode::kHold && first_hold == 0.0) first_hold = now;
    if (controller.status().mode == ReferenceMode::kDamp) {
      if (first_damp == 0.0) first_damp = now;
      EXPECT_LT((tau - (terms.gravity + terms.coriolis - params.damping_only * dq)).norm(), 1e-9);
    }
  }
  EXPECT_NEAR(first_hold, 0.2, 1.5 * kDt);
  EXPECT_NEAR(first_damp, 0.6, 1.5 * kDt);
}

TEST_F(ReferenceModesTest, ARelayThatRepeatsADeadPolicysMessageChangesNothing) {
  CartesianImpedance controller = make(0.2, 0.6);
  ask_beside(0.1);
  double first_damp = 0.0;
  for (int i = 0; i < 1000; ++i) {
    renew(references.pose, 0.0);  // a fresh message with the old decision's stamp
    tick(controller);
    EXPECT_NEAR(controller.status().reference_age, plant.state.time - kDt, 1e-9);
    if (controller.status().mode == ReferenceMode::kDamp && first_damp == 0.0) first_damp = plant.state.time;
  }
  EXPECT_NEAR(first_damp, 0.6, 2.5 * kDt);
}

TEST_F(ReferenceModesTest, HoldingMeansWhereTheArmIsAndNotWhereItWasSent) {
  CartesianImpedance controller = make(0.1, 10.0);
  ask_beside(0.2);
  Vector3 at_hold = Vector3::Zero();
  for (int i = 0; i < 3000; ++i) {
    tick(controller);
    if (controller.status().mode == ReferenceMode::kHold && at_hold.isZero()) at_hold = controller.tracked().position;
  }
  const Vector3 rest = plant.tool().position;
  EXPECT_LT((rest - at_hold).norm(), 2e-3);
  EXPECT_GT((rest - home.position).norm(), 0.03);
  EXPECT_GT((rest - home.position - Vector3(0.2, 0, 0)).norm(), 0.03);
}

TEST_F(ReferenceModesTest, AfterDampingItStartsFromWhereTheArmIs) {
  CartesianImpedance controller = make(0.1, 0.2);
  ask_beside(0.0);
  tick(controller);
  plant.state.time = 1.0;
  tick(controller);
  ASSERT_EQ(controller.status().mode, ReferenceMode::kDamp);
  plant.state.q[3] += 0.3;  // somebody pushed it
  plant.state.dq.setZero();
  tick(controller);
  const JointVector gravity = plant.terms().gravity;
  ask(references, plant.tool(), plant.state.time);
  const JointVector tau = controller.update(plant.state, references, kDt);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
  EXPECT_LT(tool_wrench(plant, tau - gravity).norm(), 0.05) << "no pull back to the old place";
}

TEST_F(ReferenceModesTest, AnEmptyHandedArmHoldsForever) {
  CartesianImpedance controller = make(0.1, 0.2);
  for (int i = 0; i < 1000; ++i) tick(controller);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kHold) << "nobody has died yet";
  EXPECT_LT((plant.tool().position - home.position).norm(), 1e-6);
}

TEST_F(ReferenceModesTest, AChunkIsTrustedUntilItsEnd) {
  CartesianImpedance controller = make(0.1, 0.4);
  references.chunk.size = 2;
  references.chunk.poses[0] = {home, 0.0};
  references.chunk.poses[1] = {home, 0.5};
  renew(references.chunk, 0.0);
  double first_hold = 0.0, first_damp = 0.0;
  for (int i = 0; i < 1500; ++i) {
    tick(controller);
    const ReferenceMode mode = controller.status().mode;
    if (mode == ReferenceMode::kHold && first_hold == 0.0) first_hold = plant.state.time;
    if (mode == ReferenceMode::kDamp && first_damp == 0.0) first_damp = plant.state.time;
  }
  EXPECT_NEAR(first_hold, 0.6, 2.5 * kDt);
  EXPECT_NEAR(first_damp, 0.9, 2.5 * kDt);
}

TEST_F(ReferenceModesTest, AChunkIsNotBelievedBeyondItsHorizon) {
  params.gate.chunk_horizon = 0.3;
  CartesianImpedance controller = make(0.1, 0.4);
  references.chunk.size = 2;
  references.chunk.poses[0] = {home, 0.0};
  references.chunk.poses[1] = {home, 1e6};
  renew(references.chunk, 0.0);
  double first_hold = 0.0;
  for (int i = 0; i < 1000; ++i) {
    tick(controller);
    if (controller.status().mode == ReferenceMode::kHold && first_hold == 0.0) first_hold = plant.state.time;
  }
  EXPECT_NEAR(first_hold, 0.4, 2.5 * kDt);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kDamp);
}

}  // namespace
}  // namespace crisp_control::test
