// The tool that gives way: against the exact response of a mass on a spring.
#include "crisp_control/cartesian_admittance.hpp"

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

/// A controller that is fed wrenches of a sensor while the arm is held still.
class CartesianAdmittanceTest : public testing::Test {
 protected:
  CartesianAdmittanceTest() : plant(fr3(), fr3_home()), params(unlimited<CartesianAdmittanceParams>(plant.model())) {
    params.deadband_force = params.deadband_torque = 0.0;
    params.admittance_limit.setConstant(10.0);
  }
  CartesianAdmittance make() {
    plant.state.has_wrench = true;
    CartesianAdmittance controller(plant.model(), params);
    controller.reset(plant.state);
    return controller;
  }
  /// `wrench` in base axes; a sensor speaks in those of the tool.
  void press(CartesianAdmittance& controller, const Vector6& wrench, double seconds, double dt = kDt) {
    const Eigen::Matrix3d R = plant.tool().orientation.toRotationMatrix();
    plant.state.wrench << R.transpose() * wrench.head<3>(), R.transpose() * wrench.tail<3>();
    for (int i = 0; i < static_cast<int>(std::lround(seconds / dt)); ++i) {
      controller.update(plant.state, {}, dt);
      plant.state.time += dt;
    }
  }

  Plant plant;
  CartesianAdmittanceParams params;
  const Vector6 push = (Vector6() << 10, -8, 6, 0.5, -0.4, 0.3).finished();
};

/// x(t) of M x'' + D x' + K x = F from rest.
double step_response(double M, double D, double K, double F, double t) {
  const double w = std::sqrt(K / M), zeta = D / (2.0 * std::sqrt(K * M));
  if (std::abs(zeta - 1.0) < 1e-9) return F / K * (1.0 - std::exp(-w * t) * (1.0 + w * t));
  if (zeta < 1.0) {
    const double wd = w * std::sqrt(1.0 - zeta * zeta);
    return F / K * (1.0 - std::exp(-zeta * w * t) * (std::cos(wd * t) + zeta * w / wd * std::sin(wd * t)));
  }
  const double root = std::sqrt(zeta * zeta - 1.0), a = w * (zeta - root), b = w * (zeta + root);
  return F / K * (1.0 - (b * std::exp(-a * t) - a * std::exp(-b * t)) / (b - a));
}

TEST_F(CartesianAdmittanceTest, YieldsByForceOverStiffness) {
  CartesianAdmittance controller = make();
  press(controller, push, 5.0);
  EXPECT_LT((controller.displacement() - push.cwiseQuotient(params.admittance_stiffness)).norm(), 1e-6);
  press(controller, Vector6::Zero(), 5.0);
  EXPECT_LT(controller.displacement().norm(), 1e-6);
}

TEST_F(CartesianAdmittanceTest, IsTheStepResponseOfAMassOnASpring) {
  params.admittance_mass << 4, 2, 1, 0.2, 0.1, 0.4;
  params.admittance_damping << 80, 10, 28.284271247461902, 4, 0.5, 4;  // over-, under- and critically damped
  params.admittance_stiffness << 200, 300, 200, 10, 10, 10;
  double error[2] = {};
  for (int fine = 0; fine < 2; ++fine) {
    CartesianAdmittance controller = make();
    const double dt = fine ? 2.5e-4 : 1e-3;
    for (int i = 1; i <= 50; ++i) {
      press(controller, push, 0.02, dt);
      for (int k = 0; k < 6; ++k) {
        const double expected = step_response(params.admittance_mass[k], params.admittance_damping[k],
                                              params.admittance_stiffness[k], push[k], 0.02 * i);
        const double scale = std::abs(push[k]) / params.admittance_stiffness[k];
        error[fine] = std::max(error[fine], std::abs(controller.displacement()[k] - expected) / scale);
      }
    }
  }
  EXPECT_LT(error[0], 0.02);
  EXPECT_LT(error[1], 0.3 * error[0]) << "first order in the tick";
}

TEST_F(CartesianAdmittanceTest, AxesAreDecoupled) {
  for (int i = 0; i < 6; ++i) {
    CartesianAdmittance controller = make();
    press(controller, push[i] * Vector6::Unit(i), 1.0);
    Vector6 others = controller.displacement();
    EXPECT_GT(std::abs(others[i]), 1e-3);
    others[i] = 0.0;
    EXPECT_LT(others.norm(), 1e-12);
  }
}

TEST_F(CartesianAdmittanceTest, TheAttractorIsTheReferenceMovedByTheDisplacement) {
  CartesianAdmittance controller = make();
  const Pose home = plant.tool();
  press(controller, push, 0.5);
  const Vector6 d = controller.displacement();
  EXPECT_LT((controller.tracked().position - home.position - d.head<3>()).norm(), 1e-12);
  const Vector3 turned = log3(controller.tracked().orientation * home.orientation.conjugate());
  EXPECT_LT((turned - d.tail<3>()).norm(), 1e-9);
}

TEST_F(CartesianAdmittanceTest, StandsStillAtItsEndStopsAndLeavesThemAtOnce) {
  params.admittance_limit << 0.02, 0.02, 0.02, 0.05, 0.05, 0.05;
  CartesianAdmittance controller = make();
  press(controller, 10.0 * push, 3.0);
  const Vector6 side = push.cwiseSign();
  EXPECT_EQ(controller.displacement(), params.admittance_limit.cwiseProduct(side));
  press(controller, -push, kDt);
  EXPECT_TRUE((controller.displacement().cwiseAbs().array() < params.admittance_limit.array()).all());
}

TEST_F(CartesianAdmittanceTest, WhatIsWithinTheDeadBandCountsAsNothing) {
  params.deadband_force = 3.0;
  params.deadband_torque = 0.2;
  CartesianAdmittance controller = make();
  press(controller, (Vector6() << 2, 2, 0.9, 0.1, 0.1, 0.1).finished(), 1.0);
  EXPECT_EQ(controller.displacement().norm(), 0.0);
  press(controller, (Vector6() << 0, 3.0, 4.0, 0, 0, 0.5).finished(), 5.0);
  // 5 N less 3 N along [0 0.6 0.8], 0.5 Nm less 0.2 Nm: the band is taken off, so nothing jumps at its edge.
  const Vector6 felt = (Vector6() << 0, 1.2, 1.6, 0, 0, 0.3).finished();
  EXPECT_LT((controller.displacement() - felt.cwiseQuotient(params.admittance_stiffness)).norm(), 1e-6);
}

TEST_F(CartesianAdmittanceTest, WithoutStiffnessItDriftsAtForceOverDamping) {
  params.admittance_stiffness.setZero();
  CartesianAdmittance controller = make();
  press(controller, push, 3.0);
  const Vector6 before = controller.displacement();
  press(controller, push, 1.0);
  EXPECT_LT((controller.displacement() - before - push.cwiseQuotient(params.admittance_damping)).norm(), 1e-6);
  press(controller, Vector6::Zero(), 3.0);
  const Vector6 rest = controller.displacement();
  press(controller, Vector6::Zero(), 1.0);
  EXPECT_LT((controller.displacement() - rest).norm(), 1e-9) << "and stays where it was left";
}

TEST_F(CartesianAdmittanceTest, IsStableForAnyMassAndTick) {
  for (const double mass : {1e-6, 1e-3, 1.0, 1e3}) {
    for (const double dt : {1e-4, 1e-3, 1e-2}) {
      params.admittance_mass.setConstant(mass);
      params.admittance_damping.setConstant(1e-3);
      CartesianAdmittance controller = make();
      const Vector6 most = 2.0 * push.cwiseAbs().cwiseQuotient(params.admittance_stiffness);
      for (int i = 0; i < 200; ++i) {
        press(controller, push, dt, dt);
        EXPECT_TRUE((controller.displacement().cwiseAbs().array() <= 1.001 * most.array()).all());
      }
    }
  }
}

TEST_F(CartesianAdmittanceTest, AnArmWithoutASensorYieldsToWhatItsJointsFeel) {
  params.admittance_stiffness << 200, 200, 200, 10, 10, 10;
  params.stiffness << 2500, 2500, 2500, 120, 120, 120;
  CartesianAdmittance controller(plant.model(), params);
  controller.reset(plant.state);
  const Vector3 home = plant.tool().position;
  const Vector6 force = (Vector6() << 12, -6, 9, 0, 0, 0).finished();
  References nothing;
  run(controller, plant, 6.0, nothing, [&](References&) { plant.push(force); });
  // The inner loop gives way too.
  const Vector3 expected = force.head<3>() / 200.0 + force.head<3>() / 2500.0;
  EXPECT_LT((plant.tool().position - home - expected).norm(), 0.02 * expected.norm());
}

}  // namespace
}  // namespace crisp_control::test
