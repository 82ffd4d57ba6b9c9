// The task-space dynamics: M ddq + C dq + g = tau and dv = J ddq + dJ/dt dq, with terms that other tests prove.
#include <gtest/gtest.h>

#include <Eigen/LU>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

class TaskSpaceTest : public testing::Test {
 protected:
  TaskSpaceTest() : plant(fr3(), fr3_home()), params(unlimited<CartesianImpedanceParams>(plant.model())) {
    params.error_clip.setConstant(10.0);
    params.stiffness_maximum.setConstant(1e4);
    params.nullspace_stiffness = 0.0;
  }
  /// Calls check(controller) at random states near home, after a reset at home.
  template <typename Check>
  void everywhere(Check&& check) {
    for (int i = 0; i < 20; ++i) {
      plant.state.q = fr3_home();
      plant.state.dq.setZero();
      home = plant.tool();
      CartesianImpedance controller(plant.model(), params);
      controller.reset(plant.state);
      plant.state.q += random_joints(7, 0.1, rng);
      plant.state.dq = random_joints(7, 0.5, rng);
      check(controller);
    }
  }
  JointVector law(CartesianImpedance& controller) {
    const JointVector tau = controller.update(plant.state, {}, kDt);
    return tau - plant.terms().coriolis - plant.terms().gravity;
  }
  /// J M^-1 tau: how the tool accelerates under joint torques, without the velocity products.
  Vector6 acceleration(const JointVector& tau) {
    const ArmTerms& terms = plant.terms();
    return terms.J_base_ee * terms.mass_matrix.ldlt().solve(tau);
  }

  Plant plant;
  CartesianImpedanceParams params;
  Pose home;
  std::mt19937 rng{6};
};

TEST_F(TaskSpaceTest, OperationalSpaceMakesTheToolAUnitMassOnASpring) {
  params.operational_space = true;
  params.stiffness << 100, 200, 300, 150, 250, 350;  // 1/s^2
  params.damping_ratio << 1.0, 0.9, 0.8, 0.7, 1.1, 1.2;
  everywhere([&](CartesianImpedance& controller) {
    const Vector6 e = pose_error(plant.tool(), home), v = plant.terms().J_base_ee * plant.state.dq;
    const Vector6 damping = 2.0 * params.damping_ratio.cwiseProduct(params.stiffness.cwiseSqrt());
    const Vector6 expected = params.stiffness.cwiseProduct(e) - damping.cwiseProduct(v);
    const Vector6 actual = acceleration(law(controller));
    EXPECT_LT((actual - expected).norm(), 1e-4 * expected.norm());
  });
}

TEST_F(TaskSpaceTest, OperationalSpaceGainsMayActAlongTheToolsAxes) {
  params.operational_space = params.tool_axes = true;
  params.stiffness << 100, 200, 300, 150, 250, 350;
  everywhere([&](CartesianImpedance& controller) {
    const Eigen::Matrix3d R = plant.tool().orientation.toRotationMatrix();
    const Vector6 e = pose_error(plant.tool(), home), v = plant.terms().J_base_ee * plant.state.dq;
    Vector6 expected;
    for (int part = 0; part < 6; part += 3) {
      const Vector3 K = params.stiffness.segment<3>(part), D = 2.0 * K.cwiseSqrt();
      expected.segment<3>(part) = R * (K.asDiagonal() * R.transpose() * e.segment<3>(part) -
                                       D.asDiagonal() * R.transpose() * v.segment<3>(part));
    }
    EXPECT_LT((acceleration(law(controller)) - expected).norm(), 1e-4 * expected.norm());
  });
}

TEST_F(TaskSpaceTest, TheToolsInertiaIsSymmetric) {
  // Reciprocity: the wrench for an acceleration along i, felt along j, is that for j felt along i.
  params.operational_space = true;
  params.damping_ratio.setZero();
  plant.state.q = fr3_home() + random_joints(7, 0.2, rng);
  Matrix6 inertia;
  for (int i = 0; i < 6; ++i) {
    params.stiffness = 100.0 * Vector6::Unit(i);
    plant.state.dq.setZero();
    CartesianImpedance controller(plant.model(), params);
    controller.reset(plant.state);
    const Pose here = plant.tool();
    Pose beside = here;
    if (i < 3) beside.position[i] += 0.01;
    if (i >= 3) beside.orientation = about(Vector3::Unit(i - 3), 0.01) * here.orientation;
    References references;
    ask(references, beside, 0.0);
    JointVector tau;
    for (int k = 0; k < 1000; ++k) tau = controller.update(plant.state, references, kDt);
    inertia.col(i) = tool_wrench(plant, tau - plant.terms().gravity);
  }
  EXPECT_LT((inertia - inertia.transpose()).norm(), 1e-6 * inertia.norm());
  const ArmTerms& terms = plant.terms();
  const Matrix6 mobility = terms.J_base_ee * terms.mass_matrix.ldlt().solve(JointMatrix(terms.J_base_ee.transpose()));
  EXPECT_LT((inertia * mobility - Matrix6::Identity()).norm(), 1e-3);
}

TEST_F(TaskSpaceTest, TheDecoupledToolFollowsTheResponseOfAUnitMass) {
  params.operational_space = true;
  params.stiffness.setConstant(100.0);
  home = plant.tool();
  CartesianImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  plant.state.q += random_joints(7, 0.03, rng);
  const Vector3 start = plant.tool().position - home.position;
  ASSERT_GT(start.norm(), 0.005);
  for (int i = 1; i <= 500; ++i) {
    plant.step(controller.update(plant.state, {}, kDt), kDt);
    const double x = 10.0 * kDt * i;  // critically damped at 10 rad/s
    EXPECT_LT((plant.tool().position - home.position - std::exp(-x) * (1.0 + x) * start).norm(), 0.02 * start.norm());
  }
}

TEST_F(TaskSpaceTest, TheKinematicNullspaceExertsNoStaticForceAtTheTool) {
  params.nullspace = Nullspace::kKinematic;
  params.nullspace_stiffness = 10.0;
  params.stiffness.setZero();
  everywhere([&](CartesianImpedance& controller) {
    controller.set_posture(plant.state.q + random_joints(7, 0.5, rng));
    const JointVector tau = law(controller);
    EXPECT_GT(tau.norm(), 0.01);
    EXPECT_LT(tool_wrench(plant, tau).norm(), 1e-3) << "N, at the most from the damping of the pseudo-inverse";
  });
}

TEST_F(TaskSpaceTest, TheDynamicNullspaceDoesNotAccelerateTheTool) {
  params.nullspace = Nullspace::kDynamic;
  params.nullspace_stiffness = 10.0;
  params.stiffness.setZero();
  everywhere([&](CartesianImpedance& controller) {
    const JointVector posture = plant.state.q + random_joints(7, 0.5, rng);
    controller.set_posture(posture);
    const JointVector tau = law(controller);
    const JointVector plain = (10.0 * (posture - plant.state.q) - 2.0 * std::sqrt(10.0) * plant.state.dq)
                                  .cwiseMax(-params.nullspace_torque_limit)
                                  .cwiseMin(params.nullspace_torque_limit);
    EXPECT_GT(tau.norm(), 0.01);
    EXPECT_LT(acceleration(tau).norm(), 1e-3 * acceleration(plain).norm());
  });
}

TEST_F(TaskSpaceTest, WithoutANullspaceThePostureIsAPlainJointSpring) {
  params.nullspace = Nullspace::kNone;
  params.nullspace_stiffness = 4.0;
  params.nullspace_damping_ratio = 0.5;
  params.nullspace_torque_limit = 1.5;
  params.stiffness.setZero();
  everywhere([&](CartesianImpedance& controller) {
    const JointVector posture = plant.state.q + random_joints(7, 0.5, rng);
    controller.set_posture(posture);
    const JointVector expected = (4.0 * (posture - plant.state.q) - 2.0 * plant.state.dq).cwiseMax(-1.5).cwiseMin(1.5);
    EXPECT_LT((law(controller) - expected).norm(), 1e-9);
  });
}

TEST_F(TaskSpaceTest, ThePostureTaskMovesTheElbowAndNotTheTool) {
  params.stiffness << 1500, 1500, 1500, 100, 100, 100;
  params.nullspace_stiffness = 10.0;
  for (const Nullspace kind : {Nullspace::kKinematic, Nullspace::kDynamic}) {
    params.nullspace = kind;
    plant.state.q = fr3_home();
    plant.state.dq.setZero();
    home = plant.tool();
    CartesianImpedance controller(plant.model(), params);
    controller.reset(plant.state);
    JointVector posture = plant.state.q;
    posture[0] += 0.3;
    controller.set_posture(posture);
    run(controller, plant, 2.0);
    EXPECT_GT((plant.state.q - fr3_home()).norm(), 0.05);
    EXPECT_LT((plant.tool().position - home.position).norm(), 2e-3);
  }
}

TEST_F(TaskSpaceTest, APostureMayBeStreamed) {
  params.nullspace = Nullspace::kNone;
  params.nullspace_stiffness = 4.0;
  params.stiffness.setZero();
  plant.state.q = fr3_home();
  CartesianImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  References references;
  references.joint.q = fr3_home() + 0.2 * JointVector::Ones(7);
  renew(references.joint, 0.0);
  const JointVector tau = controller.update(plant.state, references, kDt) - plant.terms().gravity;
  EXPECT_LT((tau - 0.8 * JointVector::Ones(7)).norm(), 1e-9);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kHold) << "a posture is no motion of the tool";
}

TEST_F(TaskSpaceTest, ContinuousJointsTakeTheShortWayToThePosture) {
  ArmModel model = make_chain(7, "continuous").model(0.1);
  const auto free = unlimited<CartesianImpedanceParams>(model);
  CartesianImpedance near(model, free), far(model, free);
  Plant arm(model, random_joints(7, 1.0, rng));
  near.reset(arm.state);
  far.reset(arm.state);
  const JointVector posture = arm.state.q + random_joints(7, 0.3, rng);
  near.set_posture(posture);
  far.set_posture((posture.array() + 2.0 * M_PI).matrix());
  EXPECT_LT((near.update(arm.state, {}, kDt) - far.update(arm.state, {}, kDt)).norm(), 1e-9);
}

}  // namespace
}  // namespace crisp_control::test
