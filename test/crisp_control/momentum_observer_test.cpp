#include "crisp_control/momentum_observer.hpp"

#include <gtest/gtest.h>

#include "arms.hpp"
#include "crisp_control/cartesian_impedance.hpp"

namespace crisp_control::test {
namespace {

constexpr double kDt = 1e-3;

/// Runs a controlled FR3 for `seconds` and returns the observer's estimate of the external joint torque.
JointVector observe(Plant& plant, CartesianImpedance& controller, MomentumObserver& observer, double seconds,
                    const PoseReference& reference = {}) {
  for (int i = 0; i < static_cast<int>(seconds / kDt); ++i) {
    const JointVector tau = controller.update(plant.state, reference, kDt);
    observer.update(controller.terms(), plant.state.dq, tau, kDt);
    plant.step(tau, kDt);
  }
  return observer.tau_external();
}

class MomentumObserverTest : public testing::Test {
 protected:
  MomentumObserverTest()
      : plant(fr3(), fr3_home(), JointVector::Zero(7)), controller(plant.model(), params()), observer(7) {
    plant.state.tau = plant.model().update(plant.state.q, plant.state.dq).gravity;
    controller.reset(plant.state);
  }
  CartesianImpedanceParams params() {
    CartesianImpedanceParams params(plant.model());
    // Without rotor inertia the wrist weighs next to nothing: soft enough for one thousand ticks a second.
    params.stiffness << 200, 200, 200, 2, 2, 2;
    params.nullspace_stiffness = 1.0;
    params.gate.hold_after = params.gate.damp_after = 100.0;
    return params;
  }
  Plant plant;
  CartesianImpedance controller;
  MomentumObserver observer;
};

TEST_F(MomentumObserverTest, SeesNothingWhereNothingPushes) {
  PoseReference reference{plant.model().terms().T_base_ee, 0.0, 1};
  reference.T_base_ee.position += Vector3(0.1, 0.15, -0.1);
  double most = 0.0;
  for (int i = 0; i < 100; ++i) {
    most = std::max(most, observe(plant, controller, observer, 0.01, reference).cwiseAbs().maxCoeff());
  }
  EXPECT_GT(plant.state.dq.norm() + (plant.state.q - fr3_home()).norm(), 0.1) << "the arm was to move";
  EXPECT_LT(most, 0.15) << "only the error of integrating at 1 kHz";
}

TEST_F(MomentumObserverTest, ConvergesToAConstantTorqueWithItsTimeConstant) {
  std::mt19937 rng(9);
  plant.tau_external = random_joints(7, 5.0, rng);
  observe(plant, controller, observer, kDt);  // the first call only starts it
  const JointVector early = observe(plant, controller, observer, observer.time_constant);
  EXPECT_LT((early - (1.0 - std::exp(-1.0)) * plant.tau_external).norm(), 0.05 * plant.tau_external.norm());
  const JointVector late = observe(plant, controller, observer, 10.0 * observer.time_constant);
  EXPECT_LT((late - plant.tau_external).norm(), 0.02 * plant.tau_external.norm());
}

TEST_F(MomentumObserverTest, ResetForgets) {
  plant.tau_external.setConstant(3.0);
  observe(plant, controller, observer, 0.2);
  ASSERT_GT(observer.tau_external().norm(), 1.0);
  observer.reset();
  EXPECT_EQ(observer.tau_external().norm(), 0.0);
  plant.tau_external.setZero();
  EXPECT_LT(observe(plant, controller, observer, kDt).norm(), 1e-9);
}

TEST(WrenchFromJointTorque, InvertsTheJacobianTranspose) {
  std::mt19937 rng(10);
  ArmModel model = fr3();
  const Jacobian J = model.update(fr3_home(), JointVector::Zero(7)).J_base_ee;
  for (int i = 0; i < 20; ++i) {
    const Vector6 wrench = random_wrench(30.0, rng);
    EXPECT_LT((wrench_from_joint_torque(J, J.transpose() * wrench) - wrench).norm(), 1e-3);
  }
}

}  // namespace
}  // namespace crisp_control::test
