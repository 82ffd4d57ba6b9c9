// The law, and how it starts, follows, holds and gives up.
#include "crisp_control/cartesian_impedance.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>

#include "arms.hpp"

namespace crisp_control::test {
namespace {

constexpr double kDt = 1e-3;

/// The FR3 at rest, weightless to the torque limiter: limits that never act unless a test sets them.
class CartesianImpedanceTest : public testing::Test {
 protected:
  CartesianImpedanceTest() : plant(fr3(), fr3_home(), fr3_armature()), params(plant.model()) {
    params.torque_limit.setConstant(1e6);
    params.torque_rate_limit.setConstant(1e9);
    plant.state.tau = plant.model().update(plant.state.q, plant.state.dq).gravity;
    home = plant.model().terms().T_base_ee;
  }
  CartesianImpedance make() {
    CartesianImpedance controller(plant.model(), params);
    controller.reset(plant.state);
    return controller;
  }
  /// Controls the plant for `seconds`; the reference is decided anew on every tick.
  void run(CartesianImpedance& controller, const Pose& goal, double seconds) {
    for (int i = 0; i < static_cast<int>(seconds / kDt); ++i) {
      plant.step(controller.update(plant.state, {goal, plant.state.time, ++sequence}, kDt), kDt);
    }
  }
  /// Wrench at the tool that explains torques (base axes).
  Vector6 tool_wrench(const JointVector& tau) {
    const Jacobian& J = plant.model().update(plant.state.q, plant.state.dq).J_base_ee;
    const Matrix6 gram = J * J.transpose();
    return gram.ldlt().solve(J * tau);
  }

  Plant plant;
  CartesianImpedanceParams params;
  Pose home;
  std::uint64_t sequence = 0;
};

TEST_F(CartesianImpedanceTest, HoldsItsOwnWeightAndNothingElseAtRest) {
  CartesianImpedance controller = make();
  const JointVector gravity = plant.state.tau;
  for (int i = 0; i < 100; ++i) {
    EXPECT_LT((controller.update(plant.state, {}, kDt) - gravity).norm(), 1e-10);
    plant.state.time += kDt;
  }
  EXPECT_EQ(controller.status().mode, ReferenceMode::kHold);
}

TEST_F(CartesianImpedanceTest, LeavesGravityToTheFirmwareIfTold) {
  params.gravity_compensation = false;
  plant.state.tau.setZero();
  CartesianImpedance controller = make();
  EXPECT_LT(controller.update(plant.state, {}, kDt).norm(), 1e-10);
}

TEST_F(CartesianImpedanceTest, DampsTheToolAndCompensatesCoriolisAndFrictionWhileMoving) {
  params.nullspace_stiffness = 0.0;
  params.friction.setConstant(0.5);
  CartesianImpedance controller = make();
  std::mt19937 rng(11);
  plant.state.dq = random_joints(7, 0.5, rng);
  const ArmTerms terms = plant.model().update(plant.state.q, plant.state.dq);
  const Vector6 damping = 2.0 * params.damping_ratio.cwiseProduct(params.stiffness.cwiseSqrt());
  JointVector expected = terms.gravity + terms.coriolis;
  expected -= terms.J_base_ee.transpose() * damping.cwiseProduct(terms.J_base_ee * plant.state.dq);
  expected += 0.5 * (plant.state.dq / params.friction_velocity).array().tanh().matrix();
  EXPECT_LT((controller.update(plant.state, {}, kDt) - expected).norm(), 1e-9);
}

TEST_F(CartesianImpedanceTest, ActivationStartsFromTheMeasuredTorque) {
  params.torque_rate_limit.setConstant(1000.0);
  for (const double scale : {0.0, 0.5, 1.0, 1.5}) {
    const JointVector gravity = plant.model().update(plant.state.q, plant.state.dq).gravity;
    plant.state.tau = scale * gravity;
    CartesianImpedance controller = make();
    JointVector last = plant.state.tau;
    for (int i = 0; i < 200; ++i) {
      const JointVector tau = controller.update(plant.state, {}, kDt);
      EXPECT_LT((tau - last).cwiseAbs().maxCoeff(), 1.0 + 1e-9);
      last = tau;
    }
    EXPECT_LT((last - gravity).norm(), 1e-9) << "measured torque " << scale << " times the weight";
  }
}

TEST_F(CartesianImpedanceTest, DoesNotSagOnActivation) {
  params.torque_rate_limit.setConstant(1000.0);
  CartesianImpedance controller = make();
  run(controller, home, 0.5);
  EXPECT_LT((plant.model().update(plant.state.q, plant.state.dq).T_base_ee.position - home.position).norm(), 1e-6);
}

TEST_F(CartesianImpedanceTest, ReachesAReferenceAndRestsThere) {
  params.stiffness << 1500, 1500, 1500, 100, 100, 100;
  CartesianImpedance controller = make();
  Pose goal = home;
  goal.position += Vector3(0.08, -0.06, 0.05);
  goal.orientation = about({0.2, 0.5, 0.8}, 0.4) * home.orientation;
  run(controller, goal, 3.0);
  const Pose reached = plant.model().update(plant.state.q, plant.state.dq).T_base_ee;
  EXPECT_LT((reached.position - goal.position).norm(), 2e-4);
  EXPECT_LT(angle_between(reached.orientation, goal.orientation), 2e-3);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
  EXPECT_LT(plant.state.dq.norm(), 0.01);
}

TEST_F(CartesianImpedanceTest, AForceMovesTheToolByForceOverStiffness) {
  CartesianImpedance controller = make();
  const Vector6 push = (Vector6() << 12.0, -6.0, 9.0, 0.0, 0.0, 0.0).finished();
  for (int i = 0; i < 4000; ++i) {
    plant.tau_external = plant.model().update(plant.state.q, plant.state.dq).J_base_ee.transpose() * push;
    plant.step(controller.update(plant.state, {}, kDt), kDt);
  }
  const Pose pushed = plant.model().update(plant.state.q, plant.state.dq).T_base_ee;
  const Vector3 expected = push.head<3>().cwiseQuotient(params.stiffness.head<3>());
  EXPECT_LT((pushed.position - home.position - expected).norm(), 2e-4);
}

TEST_F(CartesianImpedanceTest, TheErrorClipCapsTheForce) {
  params.gate.max_jump_linear = 10.0;
  CartesianImpedance controller = make();
  Pose far = home;
  far.position += Vector3(2.0, -1.0, 0.02);
  const JointVector gravity = plant.state.tau;
  const Vector6 cap = params.stiffness.cwiseProduct(params.error_clip);
  for (int i = 0; i < 1000; ++i) {  // the arm is held still, the reference runs away
    const JointVector tau = controller.update(plant.state, {far, plant.state.time, ++sequence}, kDt);
    EXPECT_TRUE((tool_wrench(tau - gravity).cwiseAbs().array() <= cap.array() + 1e-6).all());
    plant.state.time += kDt;
  }
  const Vector6 force = tool_wrench(controller.update(plant.state, {}, kDt) - gravity);
  EXPECT_NEAR(force[0], cap[0], 1e-3);
  EXPECT_NEAR(force[1], -cap[1], 1e-3);
  EXPECT_NEAR(force[2], 0.02 * params.stiffness[2], 0.02);
  EXPECT_GT(controller.status().error_clipped, 500u);
}

TEST_F(CartesianImpedanceTest, TheNullspaceTorqueDoesNoWorkAtTheTool) {
  std::mt19937 rng(12);
  for (int i = 0; i < 20; ++i) {
    CartesianImpedance controller = make();
    controller.set_posture(plant.state.q + random_joints(7, 0.5, rng));
    const JointVector tau = controller.update(plant.state, {}, kDt) - plant.state.tau;
    EXPECT_GT(tau.norm(), 0.01);
    EXPECT_LT(tool_wrench(tau).norm(), 1e-4) << "N, at the most from the damping of the pseudo-inverse";
  }
}

TEST_F(CartesianImpedanceTest, TheNullspaceTaskMovesTheElbowAndNotTheTool) {
  params.stiffness << 1500, 1500, 1500, 100, 100, 100;
  CartesianImpedance controller = make();
  JointVector posture = plant.state.q;
  posture[0] += 0.3;
  controller.set_posture(posture);
  run(controller, home, 2.0);
  EXPECT_GT((plant.state.q - fr3_home()).norm(), 0.05);
  EXPECT_LT((plant.model().update(plant.state.q, plant.state.dq).T_base_ee.position - home.position).norm(), 1e-3);
}

TEST_F(CartesianImpedanceTest, ContinuousJointsTakeTheShortWayToThePosture) {
  const Chain chain = make_chain(7, "continuous");
  ArmModel model = chain.model();
  CartesianImpedanceParams all_free(model);
  CartesianImpedance near(model, all_free), far(model, all_free);
  std::mt19937 rng(13);
  ArmState state{random_joints(7, 1.0, rng), JointVector::Zero(7), JointVector::Zero(7), 0.0};
  near.reset(state);
  far.reset(state);
  const JointVector posture = state.q + random_joints(7, 0.3, rng);
  near.set_posture(posture);
  far.set_posture((posture.array() + 2.0 * M_PI).matrix());
  EXPECT_LT((near.update(state, {}, kDt) - far.update(state, {}, kDt)).norm(), 1e-9);
}

TEST_F(CartesianImpedanceTest, HoldsThenDampsAtTheConfiguredTimes) {
  params.gate.hold_after = 0.2;
  params.gate.damp_after = 0.6;
  CartesianImpedance controller = make();
  Pose goal = home;
  goal.position.x() += 0.1;
  const PoseReference last{goal, 0.0, 1};
  double first_hold = 0.0, first_damp = 0.0;
  for (int i = 0; i < 1000; ++i) {
    const double now = plant.state.time;
    const JointVector tau = controller.update(plant.state, last, kDt);
    if (controller.status().mode == ReferenceMode::kHold && first_hold == 0.0) first_hold = now;
    if (controller.status().mode == ReferenceMode::kDamp) {
      if (first_damp == 0.0) first_damp = now;
      const ArmTerms& terms = plant.model().update(plant.state.q, plant.state.dq);
      const JointVector expected = terms.gravity + terms.coriolis - params.damping_only * plant.state.dq;
      EXPECT_LT((tau - expected).norm(), 1e-9);
    }
    plant.step(tau, kDt);
  }
  EXPECT_NEAR(first_hold, 0.2, 1.5 * kDt);
  EXPECT_NEAR(first_damp, 0.6, 1.5 * kDt);
}

TEST_F(CartesianImpedanceTest, HoldingMeansWhereTheArmIsAndNotWhereItWasSent) {
  params.gate.hold_after = 0.1;
  params.gate.damp_after = 10.0;
  CartesianImpedance controller = make();
  Pose goal = home;
  goal.position.x() += 0.2;
  const PoseReference last{goal, 0.0, 1};
  Vector3 at_hold = Vector3::Zero();
  for (int i = 0; i < 3000; ++i) {
    plant.step(controller.update(plant.state, last, kDt), kDt);
    if (controller.status().mode == ReferenceMode::kHold && at_hold.isZero()) {
      at_hold = controller.interpolator().pose().position;
    }
  }
  const Vector3 rest = plant.model().update(plant.state.q, plant.state.dq).T_base_ee.position;
  EXPECT_LT((rest - at_hold).norm(), 2e-3);
  EXPECT_GT((rest - goal.position).norm(), 0.03);
}

TEST_F(CartesianImpedanceTest, AfterDampingItStartsFromWhereTheArmIs) {
  params.gate.hold_after = 0.1;
  params.gate.damp_after = 0.2;
  CartesianImpedance controller = make();
  controller.update(plant.state, {home, 0.0, 1}, kDt);
  plant.state.time = 1.0;
  controller.update(plant.state, {}, kDt);
  ASSERT_EQ(controller.status().mode, ReferenceMode::kDamp);
  plant.state.q[3] += 0.3;  // somebody pushed it
  controller.update(plant.state, {}, kDt);
  const ArmTerms terms = plant.model().update(plant.state.q, plant.state.dq);
  plant.state.time += kDt;
  const JointVector tau = controller.update(plant.state, {terms.T_base_ee, plant.state.time, 2}, kDt);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
  EXPECT_LT(tool_wrench(tau - terms.gravity).norm(), 1e-4) << "no pull back to the old place";
}

TEST_F(CartesianImpedanceTest, WorksWithFiveToEightJoints) {
  for (const Chain& chain : all_chains()) {
    ArmModel model = chain.model();
    SCOPED_TRACE(std::to_string(model.n()) + " joints, the first is " + chain.joints[0].type);
    std::mt19937 rng(14);
    const JointVector q = random_joints(model.n(), 0.8, rng);
    Plant arm(model, q, JointVector::Constant(model.n(), 0.1));
    arm.state.tau = model.update(q, arm.state.dq).gravity;
    CartesianImpedanceParams defaults(model);
    defaults.torque_limit.setConstant(1e4);
    CartesianImpedance controller(model, defaults);
    controller.reset(arm.state);
    for (int i = 0; i < 1000; ++i) arm.step(controller.update(arm.state, {}, kDt), kDt);
    EXPECT_LT((arm.state.q - q).norm(), 1e-3);
  }
}

}  // namespace
}  // namespace crisp_control::test
