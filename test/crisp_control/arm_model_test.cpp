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

TEST(ArmModel, RotorInertiaAddsToTheDiagonalAndToNothingElse) {
  const Chain chain = make_chain(7);
  std::vector<std::string> backwards = chain.names();
  std::reverse(backwards.begin(), backwards.end());
  const std::vector<double> armature{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7};
  std::mt19937 rng(7);
  const JointVector q = random_joints(7, 2.0, rng), dq = random_joints(7, 1.0, rng);
  for (const auto& names : {chain.names(), backwards}) {
    ArmModel bare(chain.urdf(), names, "tool"), geared(chain.urdf(), names, "tool", armature);
    const ArmTerms expected = bare.update(q, dq), terms = geared.update(q, dq);
    JointMatrix mass = expected.mass_matrix;
    for (int i = 0; i < 7; ++i) mass(i, i) += armature[i];
    EXPECT_LT((terms.mass_matrix - mass).norm(), 1e-14);
    EXPECT_EQ(terms.coriolis, expected.coriolis);
    EXPECT_EQ(terms.coriolis_T_dq, expected.coriolis_T_dq);
    EXPECT_EQ(terms.gravity, expected.gravity);
  }
}

TEST(ArmModel, ToolAccelerationBiasIsTheDerivativeOfTheJacobian) {
  everywhere([](const Chain&, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const Vector3 bias = model.update(q, dq).tool_acceleration_bias;
    const Vector3 after = model.update(q + kStep * dq, dq).J_base_ee.topRows<3>() * dq;
    const Vector3 before = model.update(q - kStep * dq, dq).J_base_ee.topRows<3>() * dq;
    EXPECT_LT((bias - (after - before) / (2.0 * kStep)).norm(), 1e-7);
  });
}

TEST(ArmModel, APayloadIsAMassThatHangsOnTheTool) {
  std::mt19937 rng(8);
  everywhere([&](const Chain&, ArmModel& model, const JointVector& q, const JointVector& dq) {
    const ArmTerms bare = model.update(q, dq);
    const double mass = 1.7;
    const Vector3 com = 0.1 * Vector3(random_joints(3, 1.0, rng));
    model.set_payload(5.0, -com);
    model.set_payload(mass, com);  // replaces what was set before
    const ArmTerms held = model.update(q, dq);
    // A point c beside the tool moves with v + w x r, so its Jacobian is J_v - [r]x J_w.
    const Vector3 r = bare.T_base_ee.orientation * com;
    Eigen::Matrix<double, 3, Eigen::Dynamic> J = bare.J_base_ee.topRows<3>();
    for (int i = 0; i < model.n(); ++i) J.col(i) += Vector3(bare.J_base_ee.col(i).tail<3>()).cross(r);
    const JointVector weight = J.transpose() * Vector3(0, 0, 9.81 * mass);
    const JointMatrix inertia = mass * J.transpose() * J;
    EXPECT_LT((held.gravity - bare.gravity - weight).norm(), 1e-10);
    EXPECT_LT((held.mass_matrix - bare.mass_matrix - inertia).norm(), 1e-10);
    model.set_payload(0.0, com);
    EXPECT_EQ(model.update(q, dq).gravity, bare.gravity);
  });
}

TEST(ArmModel, CopiesKeepThePayload) {
  ArmModel first = fr3();
  first.set_payload(2.0, {0, 0, 0.1});
  ArmModel second(first);
  const JointVector zero = JointVector::Zero(7);
  EXPECT_EQ(second.update(fr3_home(), zero).gravity, first.update(fr3_home(), zero).gravity);
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
