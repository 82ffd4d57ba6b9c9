// Identities of the arm's kinematics and dynamics, with transforms multiplied by hand.
#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>

#include "arms.hpp"

namespace crisp_control::test {
namespace {

constexpr double kStep = 1e-6;  // of finite differences; central, so their error is about 1e-9

/// Calls check(chain, model, q, dq) at random states of every made-up chain.
template <typename Check>
void everywhere(Check check) {
  std::mt19937 rng(2);
  for (const Chain& chain : all_chains()) {
    ArmModel model = chain.model();
    SCOPED_TRACE(std::to_string(model.n()) + " joints, the first is " + chain.joints[0].type);
    for (int i = 0; i < 20; ++i) {
      check(chain, model, random_joints(model.n(), 3.0, rng), random_joints(model.n(), 2.0, rng));
    }
  }
}

TEST(ArmModel, PlacementIsTheProductOfTheTransforms) {
  everywhere([](const Chain& chain, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const Pose& pose = model.update(q, dq).T_base_ee;
    const Eigen::Isometry3d expected = place(chain, q).T_base_tool;
    EXPECT_LT((pose.position - expected.translation()).norm(), 1e-12);
    EXPECT_LT((pose.orientation.toRotationMatrix() - expected.linear()).norm(), 1e-12);
    EXPECT_NEAR(pose.orientation.norm(), 1.0, 1e-12);
  });
}

TEST(ArmModel, JacobianTransposeCarriesAToolWrenchToTheJoints) {
  // A force f at the tool point and a moment m turn joint i with its axis times ((p - o_i) x f + m), all in base axes.
  std::mt19937 rng(3);
  everywhere([&](const Chain& chain, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const Vector6 wrench = random_wrench(50.0, rng);
    const Vector3 f = wrench.head<3>(), m = wrench.tail<3>();
    const JointVector tau = model.update(q, dq).J_base_ee.transpose() * wrench;
    const ChainPose pose = place(chain, q);
    for (int i = 0; i < model.n(); ++i) {
      const Vector3 arm = pose.T_base_tool.translation() - pose.origins[i];
      const bool slides = chain.joints[i].type == "prismatic";
      EXPECT_NEAR(tau[i], pose.axes[i].dot(slides ? f : arm.cross(f) + m), 1e-10);
    }
  });
}

TEST(ArmModel, PowerAtTheJointsIsPowerAtTheTool) {
  std::mt19937 rng(4);
  everywhere([&](const Chain&, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const Vector6 wrench = random_wrench(50.0, rng);
    const Jacobian& J = model.update(q, dq).J_base_ee;
    const JointVector tau = J.transpose() * wrench;
    EXPECT_NEAR(tau.dot(dq), wrench.dot(J * dq), 1e-10);
  });
}

TEST(ArmModel, JacobianIsTheDerivativeOfThePlacementInBaseAxes) {
  everywhere([](const Chain& chain, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const Jacobian J = model.update(q, dq).J_base_ee;
    for (int i = 0; i < model.n(); ++i) {
      const JointVector step = kStep * JointVector::Unit(model.n(), i);
      const Eigen::Isometry3d after = place(chain, q + step).T_base_tool, before = place(chain, q - step).T_base_tool;
      const Vector3 linear = (after.translation() - before.translation()) / (2.0 * kStep);
      const Eigen::Quaterniond turn(after.linear() * before.linear().transpose());
      EXPECT_LT((J.col(i).head<3>() - linear).norm(), 1e-8);
      EXPECT_LT((J.col(i).tail<3>() - log3(turn) / (2.0 * kStep)).norm(), 1e-8);
    }
  });
}

TEST(ArmModel, GravityIsTheDerivativeOfThePotentialEnergy) {
  const auto energy = [](const Chain& chain, const JointVector& q) {
    const ChainPose pose = place(chain, q);
    double total = 0.0;
    for (std::size_t i = 0; i < chain.joints.size(); ++i) total += 9.81 * chain.joints[i].mass * pose.centres[i].z();
    return total;
  };
  everywhere([&](const Chain& chain, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const JointVector gravity = model.update(q, dq).gravity;
    for (int i = 0; i < model.n(); ++i) {
      const JointVector step = kStep * JointVector::Unit(model.n(), i);
      const double slope = (energy(chain, q + step) - energy(chain, q - step)) / (2.0 * kStep);
      EXPECT_NEAR(gravity[i], slope, 1e-6);
    }
  });
}

TEST(ArmModel, MassMatrixIsSymmetricAndPositiveDefinite) {
  everywhere([](const Chain&, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const JointMatrix mass = model.update(q, dq).mass_matrix;
    EXPECT_TRUE(mass == mass.transpose());
    EXPECT_GT(Eigen::SelfAdjointEigenSolver<JointMatrix>(mass).eigenvalues().minCoeff(), 1e-4);
  });
}

TEST(ArmModel, MassMatrixChangesByTheCoriolisTerms) {
  // dM/dt = C + C^T: what makes the momentum observer see external torque only.
  everywhere([](const Chain&, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const ArmTerms terms = model.update(q, dq);
    const JointMatrix after = model.update(q + kStep * dq, dq).mass_matrix;
    const JointMatrix before = model.update(q - kStep * dq, dq).mass_matrix;
    const JointVector change = (after - before) / (2.0 * kStep) * dq;
    EXPECT_LT((change - terms.coriolis - terms.coriolis_T_dq).norm(), 1e-6);
  });
}

TEST(ArmModel, ContinuousJointsAreOrdinaryAngles) {
  const Chain turning = make_chain(6, "continuous"), limited = make_chain(6);
  ArmModel a = turning.model(), b = limited.model();
  std::mt19937 rng(5);
  for (int i = 0; i < 20; ++i) {
    const JointVector q = random_joints(6, 2.0, rng), dq = random_joints(6, 1.0, rng);
    const JointVector turned = (q.array() + 2.0 * M_PI).matrix();
    const ArmTerms expected = b.update(q, dq);
    for (const JointVector& same : {q, turned}) {
      const ArmTerms& terms = a.update(same, dq);
      EXPECT_LT((terms.T_base_ee.position - expected.T_base_ee.position).norm(), 1e-12);
      EXPECT_LT((terms.J_base_ee - expected.J_base_ee).norm(), 1e-12);
      EXPECT_LT((terms.gravity - expected.gravity).norm(), 1e-11);
      EXPECT_LT((terms.mass_matrix - expected.mass_matrix).norm(), 1e-11);
    }
  }
}

TEST(ArmModel, JointsComeInTheOrderTheyWereAskedFor) {
  const Chain chain = make_chain(7);
  std::vector<std::string> backwards = chain.names();
  std::reverse(backwards.begin(), backwards.end());
  ArmModel forward = chain.model(), reversed(chain.urdf(), backwards, "tool");
  std::mt19937 rng(6);
  const JointVector q = random_joints(7, 2.0, rng), dq = random_joints(7, 1.0, rng);
  const ArmTerms expected = forward.update(q, dq);
  const ArmTerms& terms = reversed.update(q.reverse(), dq.reverse());
  EXPECT_EQ(reversed.joints(), backwards);
  EXPECT_LT((terms.T_base_ee.position - expected.T_base_ee.position).norm(), 1e-14);
  EXPECT_LT((terms.J_base_ee.rowwise().reverse() - expected.J_base_ee).norm(), 1e-14);
  EXPECT_LT((terms.gravity.reverse() - expected.gravity).norm(), 1e-13);
  EXPECT_LT((terms.coriolis.reverse() - expected.coriolis).norm(), 1e-13);
  EXPECT_LT((terms.mass_matrix.reverse() - expected.mass_matrix).norm(), 1e-13);
}

TEST(ArmModel, CopiesDoNotShareTheirWorkSpace) {
  ArmModel first = fr3();
  ArmModel second(first);
  const JointVector zero = JointVector::Zero(7);
  const Vector3 before = first.update(fr3_home(), zero).T_base_ee.position;
  second.update(zero, zero);
  EXPECT_EQ(first.terms().T_base_ee.position, before);
  EXPECT_EQ(second.update(fr3_home(), zero).T_base_ee.position, before);
}

}  // namespace
}  // namespace crisp_control::test
