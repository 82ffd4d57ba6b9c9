// The law: what it pulls with, how it damps, what is fed forward and streamed.
#include "crisp_control/cartesian_impedance.hpp"

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

/// The FR3 at rest, limits that never act unless a test sets them.
class CartesianImpedanceTest : public testing::Test {
 protected:
  CartesianImpedanceTest()
      : plant(fr3(), fr3_home()), params(unlimited<CartesianImpedanceParams>(plant.model())), home(plant.tool()) {}
  CartesianImpedance make() {
    CartesianImpedance controller(plant.model(), params);
    controller.reset(plant.state);
    return controller;
  }
  JointVector update(CartesianImpedance& controller) { return controller.update(plant.state, references, kDt); }
  /// The arm is held still for `seconds` while the references stay what they are.
  JointVector stand(CartesianImpedance& controller, double seconds) {
    JointVector tau;
    for (int i = 0; i < static_cast<int>(seconds / kDt); ++i) {
      plant.state.time += kDt;
      tau = update(controller);
    }
    return tau;
  }
  void follow(CartesianImpedance& controller, const Pose& goal, double seconds) {
    run(controller, plant, seconds, references, [&](References& r) { ask(r, goal, plant.state.time); });
  }

  Plant plant;
  CartesianImpedanceParams params;
  Pose home;
  References references;
  std::mt19937 rng{11};
};

TEST_F(CartesianImpedanceTest, HoldsItsOwnWeightAndNothingElseAtRest) {
  CartesianImpedance controller = make();
  const JointVector gravity = plant.terms().gravity;
  for (int i = 0; i < 100; ++i) {
    EXPECT_LT((update(controller) - gravity).norm(), 1e-10);
    plant.state.time += kDt;
  }
  EXPECT_EQ(controller.status().mode, ReferenceMode::kHold);
}

TEST_F(CartesianImpedanceTest, PullsWithStiffnessTimesError) {
  params.nullspace_stiffness = 0.0;
  for (int i = 0; i < 10; ++i) {
    CartesianImpedance controller = make();
    plant.state.q = fr3_home() + random_joints(7, 0.02, rng);
    const Vector6 expected = params.stiffness.cwiseProduct(pose_error(plant.tool(), home));
    EXPECT_LT((tool_wrench(plant, update(controller) - plant.terms().gravity) - expected).norm(), 1e-8);
    plant.state.q = fr3_home();
  }
}

TEST_F(CartesianImpedanceTest, GainsMayActAlongTheToolsAxes) {
  params.nullspace_stiffness = 0.0;
  params.tool_axes = true;
  params.stiffness << 100, 400, 900, 20, 40, 60;
  params.damping_ratio << 0.5, 1.0, 1.5, 0.7, 0.8, 0.9;
  CartesianImpedance controller = make();
  plant.state.q += random_joints(7, 0.02, rng);
  plant.state.dq = random_joints(7, 0.2, rng);
  const ArmTerms terms = plant.terms();
  const Eigen::Matrix3d R = terms.T_base_ee.orientation.toRotationMatrix();
  const Vector6 e = pose_error(plant.tool(), home), v = terms.J_base_ee * plant.state.dq;
  Vector6 expected;
  for (int part = 0; part < 2; ++part) {
    const Vector3 K = params.stiffness.segment<3>(3 * part), ratio = params.damping_ratio.segment<3>(3 * part);
    const Vector3 D = 2.0 * ratio.cwiseProduct(K.cwiseSqrt());
    expected.segment<3>(3 * part) = R * (K.asDiagonal() * R.transpose() * e.segment<3>(3 * part) -
                                         D.asDiagonal() * R.transpose() * v.segment<3>(3 * part));
  }
  const JointVector law = update(controller) - terms.gravity - terms.coriolis;
  EXPECT_LT((tool_wrench(plant, law) - expected).norm(), 1e-7);
}

TEST_F(CartesianImpedanceTest, DampsTheToolAndCompensatesCoriolisAndFrictionWhileMoving) {
  params.nullspace_stiffness = 0.0;
  params.friction.setConstant(0.5);
  params.friction_compensation = 0.8;
  params.viscous_friction.setConstant(0.3);  // a damping that nature gives is welcome
  CartesianImpedance controller = make();
  plant.state.dq = random_joints(7, 0.5, rng);
  const ArmTerms terms = plant.terms();
  const Vector6 damping = 2.0 * params.damping_ratio.cwiseProduct(params.stiffness.cwiseSqrt());
  JointVector expected = terms.gravity + terms.coriolis;
  expected -= terms.J_base_ee.transpose() * damping.cwiseProduct(terms.J_base_ee * plant.state.dq);
  for (int i = 0; i < 7; ++i) expected[i] += 0.4 * plant.state.dq[i] / std::hypot(plant.state.dq[i], 0.02);
  EXPECT_LT((update(controller) - expected).norm(), 1e-9);
  params.coriolis_compensation = false;
  CartesianImpedance without = make();
  EXPECT_LT((update(without) - (expected - terms.coriolis)).norm(), 1e-9);
}

TEST_F(CartesianImpedanceTest, ReachesAReferenceAndRestsThere) {
  params.stiffness << 1500, 1500, 1500, 100, 100, 100;
  CartesianImpedance controller = make();
  Pose goal = home;
  goal.position += Vector3(0.08, -0.06, 0.05);
  goal.orientation = about({0.2, 0.5, 0.8}, 0.4) * home.orientation;
  follow(controller, goal, 3.0);
  const Pose reached = plant.tool();
  EXPECT_LT((reached.position - goal.position).norm(), 2e-4);
  EXPECT_LT(angle_between(reached.orientation, goal.orientation), 2e-3);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
  EXPECT_LT(plant.state.dq.norm(), 0.01);
}

TEST_F(CartesianImpedanceTest, AForceMovesTheToolByForceOverStiffness) {
  CartesianImpedance controller = make();
  const Vector6 push = (Vector6() << 12.0, -6.0, 9.0, 0.0, 0.0, 0.0).finished();
  run(controller, plant, 4.0, references, [&](References&) { plant.push(push); });
  const Vector3 expected = push.head<3>().cwiseQuotient(params.stiffness.head<3>());
  EXPECT_LT((plant.tool().position - home.position - expected).norm(), 2e-4);
}

TEST_F(CartesianImpedanceTest, TheErrorClipCapsTheForce) {
  params.gate.max_jump_linear = 10.0;
  params.gate.hold_after = params.gate.damp_after = 10.0;
  CartesianImpedance controller = make();
  Pose far = home;
  far.position += Vector3(2.0, -1.0, 0.02);
  const JointVector gravity = plant.state.tau;
  const Vector6 cap = params.stiffness.cwiseProduct(params.error_clip);
  ask(references, far, 0.0);
  for (int i = 0; i < 1000; ++i) {  // the arm is held still, the reference runs away
    const Vector6 wrench = tool_wrench(plant, stand(controller, 1.5 * kDt) - gravity);
    EXPECT_TRUE((wrench.cwiseAbs().array() <= cap.array() + 1e-6).all());
  }
  const Vector6 force = tool_wrench(plant, update(controller) - gravity);
  EXPECT_NEAR(force[0], cap[0], 1e-3);
  EXPECT_NEAR(force[1], -cap[1], 1e-3);
  EXPECT_NEAR(force[2], 0.02 * params.stiffness[2], 0.02);
  EXPECT_GT(controller.status().error_clipped, 500u);
}

TEST_F(CartesianImpedanceTest, StreamedStiffnessTakesItsDampingAlong) {
  params.nullspace_stiffness = 0.0;
  CartesianImpedance controller = make();
  const Vector6 stiffness = (Vector6() << 100, 2000, 900, 10, 20, 90).finished();
  ask(references, stiffness, 0.0);
  const JointVector rest = plant.state.q;
  stand(controller, 3.0);
  EXPECT_LT((controller.spring().stiffness() - stiffness).norm(), 1e-6);
  plant.state.q = rest + random_joints(7, 0.01, rng);
  const Vector6 e = pose_error(plant.tool(), home);
  plant.state.dq = random_joints(7, 0.2, rng);
  const ArmTerms terms = plant.terms();
  const Vector6 v = terms.J_base_ee * plant.state.dq;
  const Vector6 expected = stiffness.cwiseProduct(e) - 2.0 * stiffness.cwiseSqrt().cwiseProduct(v);
  const JointVector law = update(controller) - terms.gravity - terms.coriolis;
  EXPECT_LT((tool_wrench(plant, law) - expected).norm(), 1e-5);
}

TEST_F(CartesianImpedanceTest, StreamedStiffnessComesWithoutAStepAndStays) {
  CartesianImpedance controller = make();
  ask(references, (Vector6() << 2000, 2000, 2000, 100, 100, 100).finished(), 0.0);
  double last = controller.spring().stiffness()[0];
  const double largest = (2000.0 - last) * (1.0 - std::exp(-kDt / params.smoothing_time));
  for (int i = 0; i < 5000; ++i) {
    stand(controller, 1.5 * kDt);
    const double now = controller.spring().stiffness()[0];
    EXPECT_LE(now - last, largest + 1e-9);
    EXPECT_GE(now, last - 1e-9);
    last = now;
  }
  EXPECT_NEAR(last, 2000.0, 1e-6) << "it stays, however old it is";
}

TEST_F(CartesianImpedanceTest, AWrenchIsFedForwardUntilItIsStale) {
  CartesianImpedance controller = make();
  references.wrench.wrench << 10, -5, 3, 1, 2, -1;
  renew(references.wrench, 0.0);
  const JointVector gravity = plant.state.tau;
  JointVector tau = stand(controller, params.gate.hold_after - 2 * kDt);
  EXPECT_LT((tool_wrench(plant, tau - gravity) - references.wrench.wrench).norm(), 0.1);
  tau = stand(controller, 2.0);
  EXPECT_LT((tau - gravity).norm(), 1e-6) << "gone with the one who asked for it";
}

TEST_F(CartesianImpedanceTest, AFeedForwardMovesTheToolByForceOverStiffness) {
  CartesianImpedance controller = make();
  references.wrench.wrench << 9, 0, -6, 0, 0, 0;
  run(controller, plant, 4.0, references, [&](References& r) { renew(r.wrench, plant.state.time); });
  const Vector3 expected = references.wrench.wrench.head<3>().cwiseQuotient(params.stiffness.head<3>());
  EXPECT_LT((plant.tool().position - home.position - expected).norm(), 2e-4);
}

TEST_F(CartesianImpedanceTest, NewGainsTakenWhileRunningMoveNothingAtRest) {
  CartesianImpedance controller = make();
  const JointVector gravity = plant.state.tau;
  CartesianImpedanceParams other = params;
  other.stiffness *= 3.0;
  other.error_clip *= 0.5;
  other.smoothing_time = 0.03;
  other.nullspace = Nullspace::kDynamic;
  for (int i = 0; i < 1000; ++i) {
    controller.set_params(i % 2 ? params : other);
    EXPECT_LT((stand(controller, 1.5 * kDt) - gravity).norm(), 1e-9);
  }
}

TEST_F(CartesianImpedanceTest, WorksWithFiveToEightJoints) {
  for (const Chain& chain : all_chains()) {
    ArmModel model = chain.model(0.1);
    SCOPED_TRACE(std::to_string(model.n()) + " joints, the first is " + chain.joints[0].type);
    const JointVector q = random_joints(model.n(), 0.8, rng);
    Plant arm(model, q);
    CartesianImpedanceParams defaults(model);
    defaults.torque_limit.setConstant(1e4);
    CartesianImpedance controller(model, defaults);
    controller.reset(arm.state);
    run(controller, arm, 1.0);
    EXPECT_LT((arm.state.q - q).norm(), 1e-3);
  }
}

}  // namespace
}  // namespace crisp_control::test
