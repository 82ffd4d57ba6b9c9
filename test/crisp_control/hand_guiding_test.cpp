// Gravity compensation with its guides, and torque feedback.
#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

class GravityCompensationTest : public testing::Test {
 protected:
  GravityCompensationTest()
      : plant(fr3(), fr3_home()), params(unlimited<GravityCompensationParams>(plant.model())), home(plant.tool()) {
    params.guide_force_limit = 1e3;
    params.guide_torque_limit = 1e3;
    params.damping.setConstant(0.05);
  }
  /// Where the tool is after somebody has pushed for `seconds`.
  Pose after(const Vector6& wrench, double seconds) {
    GravityCompensation controller(plant.model(), params);
    controller.reset(plant.state);
    References nothing;
    run(controller, plant, seconds, nothing, [&](References&) { plant.push(wrench); });
    EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
    return plant.tool();
  }
  static Vector6 force(const Vector3& newton) { return (Vector6() << newton, 0, 0, 0).finished(); }

  Plant plant;
  GravityCompensationParams params;
  Pose home;
};

TEST_F(GravityCompensationTest, IsWeightlessAndDamped) {
  GravityCompensation controller(plant.model(), params);
  controller.reset(plant.state);
  std::mt19937 rng(2);
  for (int i = 0; i < 20; ++i) {
    plant.state.q = fr3_home() + random_joints(7, 0.3, rng);
    plant.state.dq = random_joints(7, 0.5, rng);
    const ArmTerms& terms = plant.terms();
    const JointVector expected = terms.gravity + terms.coriolis - params.damping.cwiseProduct(plant.state.dq);
    EXPECT_LT((controller.update(plant.state, {}, kDt) - expected).norm(), 1e-9);
  }
}

TEST_F(GravityCompensationTest, StaysWhereItIsLeft) {
  params.damping.setConstant(10.0);
  after(force({30, 10, 20}), 0.5);
  const Vector3 left = after(Vector6::Zero(), 3.0).position;
  EXPECT_GT((left - home.position).norm(), 0.02);
  EXPECT_LT((after(Vector6::Zero(), 2.0).position - left).norm(), 1e-3);
}

TEST_F(GravityCompensationTest, InAPlaneItLeavesThePlaneByForceOverStiffness) {
  params.guide = Guide::kPlane;
  params.guide_direction = Vector3(0.6, 0.0, 0.8);
  const Vector3 along(0.0, 1.0, 0.0);
  const Vector3 moved = after(force(2.0 * along + 20.0 * params.guide_direction), 0.8).position - home.position;
  EXPECT_NEAR(moved.dot(params.guide_direction), 20.0 / params.guide_stiffness, 2e-3);
  EXPECT_GT(moved.dot(along), 0.03) << "in the plane it is free";
}

TEST_F(GravityCompensationTest, OnAnAxisItOnlyMovesAlongIt) {
  params.guide = Guide::kAxis;
  params.guide_direction = Vector3::UnitY();
  const Vector3 moved = after(force({10, 2, -10}), 0.8).position - home.position;
  EXPECT_NEAR(moved.x(), 0.01, 2e-3);
  EXPECT_NEAR(moved.z(), -0.01, 2e-3);
  EXPECT_GT(moved.y(), 0.03);
}

TEST_F(GravityCompensationTest, OnAPointItOnlyTurns) {
  params.guide = Guide::kPoint;
  params.damping.setConstant(0.5);
  const Pose turned = after((Vector6() << 5, 5, 5, 1.0, 0, 0).finished(), 0.5);
  EXPECT_LT((turned.position - home.position - Vector3::Constant(0.005)).norm(), 3e-3);
  EXPECT_GT(angle_between(turned.orientation, home.orientation), 0.1);
}

TEST_F(GravityCompensationTest, AHeldOrientationGivesWayByTorqueOverStiffness) {
  params.hold_orientation = true;
  const Vector3 torque(0.0, 0.0, 2.0);
  const Vector3 angle =
      log3(after((Vector6() << 0, 0, 0, torque).finished(), 1.0).orientation * home.orientation.conjugate());
  EXPECT_LT((angle - torque / params.guide_rotational_stiffness).norm(), 4e-3);
  EXPECT_GT((after(force({0, 3, 0}), 1.0).position - home.position).norm(), 0.03) << "the place is free";
}

TEST_F(GravityCompensationTest, ItsForceAndTorqueAreCapped) {
  params.guide = Guide::kPoint;
  params.hold_orientation = true;
  params.guide_force_limit = 30.0;
  params.guide_torque_limit = 5.0;
  params.damping.setZero();
  GravityCompensation controller(plant.model(), params);
  controller.reset(plant.state);
  plant.state.q += JointVector::Constant(7, 0.3);
  const Pose away = plant.tool();
  const Vector6 wrench = tool_wrench(plant, controller.update(plant.state, {}, kDt) - plant.terms().gravity);
  const Vector3 back = (home.position - away.position).normalized();
  EXPECT_LT((wrench.head<3>() - 30.0 * back).norm(), 1e-6);
  EXPECT_NEAR(wrench.tail<3>().norm(), 5.0, 1e-6);
}

TEST_F(GravityCompensationTest, ANewGuideStartsWhereTheToolIs) {
  GravityCompensation controller(plant.model(), params);
  controller.reset(plant.state);
  plant.state.q += JointVector::Constant(7, 0.2);
  controller.update(plant.state, {}, kDt);
  params.guide = Guide::kPoint;
  controller.set_params(params);
  EXPECT_LT((controller.update(plant.state, {}, kDt) - plant.terms().gravity).norm(), 1e-9);
  plant.state.q[0] += 0.02;
  params.guide_stiffness *= 2.0;
  controller.set_params(params);
  EXPECT_GT((controller.update(plant.state, {}, kDt) - plant.terms().gravity).norm(), 1.0) << "new gains keep it";
}

class TorqueFeedbackTest : public testing::Test {
 protected:
  TorqueFeedbackTest() : plant(fr3(), fr3_home()), params(unlimited<TorqueFeedbackParams>(plant.model())) {
    params.feedback_gain = 0.5;
    params.feedback_limit = JointVector::LinSpaced(7, 10.0, 4.0);
  }
  /// What is felt after the follower has reported `tau` for `seconds`; the leader is held still.
  JointVector feel(TorqueFeedback& controller, const JointVector& tau, double seconds) {
    JointVector felt;
    references.joint.tau = tau;
    for (int i = 0; i < static_cast<int>(seconds / kDt); ++i) {
      renew(references.joint, plant.state.time);
      felt = tick(controller);
    }
    return felt;
  }
  JointVector tick(TorqueFeedback& controller) {
    const JointVector tau = controller.update(plant.state, references, kDt);
    plant.state.time += kDt;
    return tau - plant.terms().gravity - plant.terms().coriolis;
  }
  TorqueFeedback make() {
    TorqueFeedback controller(plant.model(), params);
    controller.reset(plant.state);
    return controller;
  }

  Plant plant;
  TorqueFeedbackParams params;
  References references;
  const JointVector small = JointVector::LinSpaced(7, -3.0, 3.0);
};

TEST_F(TorqueFeedbackTest, GivesBackAPartOfWhatTheFollowerFeels) {
  TorqueFeedback controller = make();
  EXPECT_LT((feel(controller, small, 0.5) - 0.5 * small).norm(), 1e-6);
  plant.state.dq.setConstant(0.2);
  EXPECT_LT((feel(controller, small, 0.01) - 0.5 * small + 0.2 * params.damping).norm(), 1e-6);
}

TEST_F(TorqueFeedbackTest, IsLimitedPerJoint) {
  TorqueFeedback controller = make();
  EXPECT_LT((feel(controller, JointVector::Constant(7, -500.0), 0.5) + params.feedback_limit).norm(), 1e-6);
}

TEST_F(TorqueFeedbackTest, WhatIsSmallIsNotFelt) {
  params.feedback_deadband = 2.0;
  TorqueFeedback controller = make();
  EXPECT_LT(feel(controller, JointVector::Constant(7, 0.7), 0.5).norm(), 1e-9);
  EXPECT_GT(feel(controller, JointVector::Constant(7, 0.8), 0.5).norm(), 0.5);
}

TEST_F(TorqueFeedbackTest, ComesInWithItsTimeConstant) {
  params.smoothing_time = 0.05;
  TorqueFeedback controller = make();
  const JointVector felt = feel(controller, small, 0.05);
  EXPECT_LT((felt - (1.0 - std::exp(-1.0)) * 0.5 * small).norm(), 1e-6);
}

TEST_F(TorqueFeedbackTest, FadesOutWhenTheFollowerFallsSilent) {
  TorqueFeedback controller = make();
  feel(controller, small, 0.5);
  JointVector last = feel(controller, small, 0.5);
  const double silent = plant.state.time - kDt;
  for (int i = 0; i < 1000; ++i) {
    const JointVector felt = tick(controller);
    EXPECT_LE(felt.norm(), last.norm() + 1e-9);
    if (plant.state.time - silent < params.gate.hold_after - 2 * kDt) {
      EXPECT_LT((felt - 0.5 * small).norm(), 1e-6);
    }
    last = felt;
  }
  EXPECT_LT(last.norm(), 1e-6);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack) << "a hand holds it: it stays free";
  EXPECT_LT((feel(controller, small, 0.5) - 0.5 * small).norm(), 1e-6) << "and comes back";
}

TEST_F(TorqueFeedbackTest, WhatIsNoNumberOrOfTheWrongSizeIsRefused) {
  TorqueFeedback controller = make();
  JointVector bad = small;
  bad[2] = kNan;
  EXPECT_LT(feel(controller, bad, 0.1).norm(), 1e-9);
  EXPECT_LT(feel(controller, small.head(5), 0.1).norm(), 1e-9);
  EXPECT_EQ(controller.status().reference.not_finite, 100u);
  EXPECT_EQ(controller.status().reference.wrong_size, 100u);
}

}  // namespace
}  // namespace crisp_control::test
