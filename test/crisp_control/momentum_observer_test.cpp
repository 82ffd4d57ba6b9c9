#include "crisp_control/momentum_observer.hpp"

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

constexpr double kTimeConstant = 0.02;  // s

/// An FR3 that moves under a controller, watched by an observer of its own.
class MomentumObserverTest : public testing::Test {
 protected:
  MomentumObserverTest() : plant(fr3(), fr3_home()), controller(plant.model(), params(plant.model())) {
    controller.reset(plant.state);
    observer.reset(7);
  }
  static CartesianImpedanceParams params(const ArmModel& model) {
    auto params = unlimited<CartesianImpedanceParams>(model);
    params.gate.hold_after = params.gate.damp_after = 100.0;
    return params;
  }
  JointVector observe(double seconds) {
    for (int i = 0; i < static_cast<int>(std::lround(seconds / kDt)); ++i) {
      const JointVector tau = controller.update(plant.state, references, kDt);
      observer.estimate(plant.terms(), plant.state.dq, kTimeConstant);
      observer.predict(plant.terms(), tau - believed_friction(), kDt);
      plant.step(tau, kDt);
    }
    return observer.tau_external();
  }
  JointVector believed_friction() const {
    return plant.friction.array() * plant.state.dq.array() / (plant.state.dq.array().square() + 1e-4).sqrt();
  }

  Plant plant;
  CartesianImpedance controller;
  MomentumObserver observer;
  References references;
};

TEST_F(MomentumObserverTest, SeesNothingWhereNothingPushes) {
  Pose goal = plant.tool();
  goal.position += Vector3(0.1, 0.15, -0.1);
  ask(references, goal, 0.0);
  double most = 0.0;
  for (int i = 0; i < 100; ++i) most = std::max(most, observe(0.01).cwiseAbs().maxCoeff());
  EXPECT_GT(plant.state.dq.norm() + (plant.state.q - fr3_home()).norm(), 0.1) << "the arm was to move";
  EXPECT_LT(most, 0.15) << "only the error of integrating at 1 kHz";
}

TEST_F(MomentumObserverTest, FrictionThatItKnowsIsNotTakenForAPush) {
  plant.friction.setConstant(0.8);
  Pose goal = plant.tool();
  goal.position += Vector3(0.1, 0.15, -0.1);
  ask(references, goal, 0.0);
  double most = 0.0;
  for (int i = 0; i < 100; ++i) most = std::max(most, observe(0.01).cwiseAbs().maxCoeff());
  EXPECT_LT(most, 0.3) << "of 0.8 Nm";
}

TEST_F(MomentumObserverTest, ConvergesToAConstantTorqueWithItsTimeConstant) {
  std::mt19937 rng(9);
  plant.tau_external = random_joints(7, 5.0, rng);
  observe(kDt);  // the first call only starts it
  const JointVector early = observe(kTimeConstant);
  EXPECT_LT((early - (1.0 - std::exp(-1.0)) * plant.tau_external).norm(), 0.05 * plant.tau_external.norm());
  const JointVector late = observe(10.0 * kTimeConstant);
  EXPECT_LT((late - plant.tau_external).norm(), 0.02 * plant.tau_external.norm());
}

TEST_F(MomentumObserverTest, ResetForgets) {
  plant.tau_external.setConstant(3.0);
  observe(0.2);
  ASSERT_GT(observer.tau_external().norm(), 1.0);
  observer.reset(7);
  EXPECT_EQ(observer.tau_external().norm(), 0.0);
  plant.tau_external.setZero();
  EXPECT_LT(observe(kDt).norm(), 1e-9);
}

/// What the controller makes of it, and of a force/torque sensor.
class WrenchEstimateTest : public testing::Test {
 protected:
  WrenchEstimateTest() : plant(fr3(), fr3_home()), params(unlimited<CartesianImpedanceParams>(plant.model())) {}
  Vector6 weight_on_sensor() {
    const Eigen::Matrix3d R = plant.tool().orientation.toRotationMatrix();
    const Vector3 force = R.transpose() * Vector3(0, 0, -9.81 * params.payload_mass);
    Vector6 wrench;
    wrench << force, params.payload_com.cross(force);
    return wrench;
  }
  Plant plant;
  CartesianImpedanceParams params;
};

TEST_F(WrenchEstimateTest, ComesFromTheJointsWhereThereIsNoSensor) {
  CartesianImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  const Vector6 push = (Vector6() << 10, -5, 8, 0.5, -1.0, 0.3).finished();
  References nothing;
  run(controller, plant, 3.0, nothing, [&](References&) { plant.push(push); });
  EXPECT_LT((controller.wrench() - push).norm(), 0.02 * push.norm());
  EXPECT_LT((controller.tau_external() - plant.terms().J_base_ee.transpose() * push).norm(), 0.1);
}

TEST_F(WrenchEstimateTest, ASensorThatOnlyFeelsItsPayloadFeelsNothing) {
  params.payload_mass = 1.3;
  params.payload_com = {0.02, -0.03, 0.08};
  CartesianImpedance controller(plant.model(), params);
  std::mt19937 rng(3);
  for (int i = 0; i < 10; ++i) {
    plant.state.q = fr3_home() + random_joints(7, 1.0, rng);
    plant.state.dq.setZero();
    plant.state.wrench = weight_on_sensor();
    plant.state.has_wrench = true;
    controller.reset(plant.state);
    controller.update(plant.state, {}, kDt);
    EXPECT_LT(controller.wrench().norm(), 1e-9);
  }
}

TEST_F(WrenchEstimateTest, ASensorsWrenchIsTurnedIntoTheBasesAxes) {
  params.payload_mass = 0.7;
  params.payload_com = {0.0, 0.01, 0.05};
  CartesianImpedance controller(plant.model(), params);
  const Vector6 push = (Vector6() << 3, -7, 5, 0.4, -0.2, 0.9).finished();
  const Eigen::Matrix3d R = plant.tool().orientation.toRotationMatrix();
  plant.state.wrench = weight_on_sensor();
  plant.state.wrench.head<3>() += R.transpose() * push.head<3>();
  plant.state.wrench.tail<3>() += R.transpose() * push.tail<3>();
  plant.state.has_wrench = true;
  controller.reset(plant.state);
  controller.update(plant.state, {}, kDt);
  EXPECT_LT((controller.wrench() - push).norm(), 1e-9);
}

TEST_F(WrenchEstimateTest, AHeldPayloadNeitherSagsNorPushes) {
  params.payload_mass = 2.0;
  params.payload_com = {0.0, 0.02, 0.06};
  plant.model().set_payload(params.payload_mass, params.payload_com);
  plant.state.tau = plant.terms().gravity;
  const Vector3 before = plant.tool().position;
  CartesianImpedance controller(fr3(), params);
  controller.reset(plant.state);
  run(controller, plant, 1.0);
  EXPECT_LT((plant.tool().position - before).norm(), 1e-6);
  EXPECT_LT(controller.wrench().norm(), 1e-3);
  params.payload_mass = 0.0;
  controller.set_params(params);
  run(controller, plant, 2.0);
  EXPECT_NEAR(plant.tool().position.z() - before.z(), -2.0 * 9.81 / params.stiffness[2], 2e-3) << "untold, it sags";
}

}  // namespace
}  // namespace crisp_control::test
