#include "crisp_control/joint_impedance.hpp"

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

class JointImpedanceTest : public testing::Test {
 protected:
  JointImpedanceTest() : plant(fr3(), fr3_home()), params(unlimited<JointImpedanceParams>(plant.model())) {
    params.stiffness << 400, 350, 300, 250, 150, 100, 50;
    params.damping_ratio << 1.0, 0.9, 0.8, 0.7, 1.1, 1.2, 1.3;
  }
  JointImpedance make() {
    JointImpedance controller(plant.model(), params);
    controller.reset(plant.state);
    return controller;
  }
  JointVector law(JointImpedance& controller) {
    const JointVector tau = controller.update(plant.state, references, kDt);
    return tau - plant.terms().coriolis - plant.terms().gravity;
  }
  void send(const JointVector& q) {
    references.joint.q = q;
    renew(references.joint, plant.state.time);
  }

  Plant plant;
  JointImpedanceParams params;
  References references;
  std::mt19937 rng{8};
};

TEST_F(JointImpedanceTest, IsASpringAndADamperPerJoint) {
  for (int i = 0; i < 20; ++i) {
    plant.state.q = fr3_home();
    JointImpedance controller = make();
    const JointVector error = random_joints(7, 0.25, rng);
    plant.state.q -= error;
    plant.state.dq = random_joints(7, 0.5, rng);
    JointVector expected = params.stiffness.cwiseProduct(error);
    expected -= 2.0 * params.damping_ratio.cwiseProduct(params.stiffness.cwiseSqrt()).cwiseProduct(plant.state.dq);
    EXPECT_LT((law(controller) - expected).norm(), 1e-9);
  }
}

TEST_F(JointImpedanceTest, TheErrorClipCapsTheTorque) {
  JointImpedance controller = make();
  plant.state.q -= JointVector::Constant(7, 0.6);
  EXPECT_LT((law(controller) - params.stiffness.cwiseProduct(params.error_clip)).norm(), 1e-9);
  EXPECT_EQ(controller.status().error_clipped, 1u);
}

TEST_F(JointImpedanceTest, ReachesItsTargetAndRestsThere) {
  JointImpedance controller = make();
  const JointVector goal = fr3_home() + random_joints(7, 0.5, rng);
  run(controller, plant, 3.0, references, [&](References&) { send(goal); });
  EXPECT_LT((plant.state.q - goal).norm(), 1e-4);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
}

TEST_F(JointImpedanceTest, WhatIsOutOfRangeIsRefusedAndNothingMoves) {
  JointImpedance controller = make();
  JointVector beyond = fr3_home();
  beyond[3] = plant.model().q_upper()[3] + 0.01;
  send(beyond);
  EXPECT_LT(law(controller).norm(), 1e-9);
  send(fr3_home() + JointVector::Constant(7, params.gate.max_jump_angular + 0.01));
  EXPECT_LT(law(controller).norm(), 1e-9);
  send(fr3_home().head(6));
  for (int i = 0; i < 100; ++i) EXPECT_LT(law(controller).norm(), 1e-9);
  const GateCounters& counters = controller.status().reference;
  EXPECT_EQ(counters.out_of_range, 1u);
  EXPECT_EQ(counters.jump, 1u);
  EXPECT_EQ(counters.wrong_size, 1u);
  EXPECT_EQ(controller.attractor(), fr3_home());
}

TEST_F(JointImpedanceTest, ContinuousJointsTakeTheShortWayRound) {
  const ArmModel model = make_chain(7, "continuous").model(0.1);
  const JointVector begin = JointVector::Constant(7, 3.0);
  for (const double turns : {0.0, 1.0, -3.0}) {
    Plant arm(model, begin);
    JointImpedance controller(model, unlimited<JointImpedanceParams>(model));
    controller.reset(arm.state);
    JointVector goal = begin;
    goal[2] = -3.0 + turns * 2.0 * M_PI;  // 0.28 rad further on
    run(controller, arm, 3.0, references, [&](References& r) {
      r.joint.q = goal;
      renew(r.joint, arm.state.time);
    });
    EXPECT_NEAR(arm.state.q[2], 2.0 * M_PI - 3.0, 1e-3);
    EXPECT_NEAR(controller.attractor()[2], 2.0 * M_PI - 3.0, 1e-6);
  }
}

TEST_F(JointImpedanceTest, AnEncoderThatWrapsAroundChangesNothing) {
  const ArmModel model = make_chain(7, "continuous").model(0.1);
  const auto free = unlimited<JointImpedanceParams>(model);
  Plant arm(model, JointVector::Constant(7, 3.0));
  JointImpedance plain(model, free), wrapped(model, free);
  plain.reset(arm.state);
  wrapped.reset(arm.state);
  for (int i = 0; i < 1000; ++i) {
    ArmState state = arm.state;
    state.q = (arm.state.q.array() + 0.3 * std::sin(0.01 * i)).matrix();
    state.dq.setConstant(3.0 * std::cos(0.01 * i));
    ArmState turned = state;
    turned.q = state.q.unaryExpr([](double q) { return std::remainder(q, 2.0 * M_PI); });
    EXPECT_LT((plain.update(state, {}, kDt) - wrapped.update(turned, {}, kDt)).norm(), 1e-7);
    EXPECT_NEAR(plain.status().tank_energy, wrapped.status().tank_energy, 1e-6);
    arm.state.time += kDt;
  }
}

TEST_F(JointImpedanceTest, HoldsWhereItIsWhenTheReferencesStop) {
  params.gate.hold_after = 0.1;
  params.gate.damp_after = 50.0;
  JointImpedance controller = make();
  const JointVector goal = fr3_home() + JointVector::Constant(7, 0.5);
  send(goal);
  run(controller, plant, 0.12, references, [](References&) {});
  ASSERT_EQ(controller.status().mode, ReferenceMode::kHold);
  const JointVector at_hold = controller.attractor();
  run(controller, plant, 3.0);
  EXPECT_LT((plant.state.q - at_hold).cwiseAbs().maxCoeff(), 0.12) << "rad on which the motion comes to rest";
  EXPECT_GT((plant.state.q - goal).norm(), 0.2);
}

}  // namespace
}  // namespace crisp_control::test
