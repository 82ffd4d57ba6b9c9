// ArmModel against Pinocchio's other algorithms on the unreduced model. The only test that includes Pinocchio, which
// takes long to compile.
#include <gtest/gtest.h>

#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/kinematics.hpp>
#include <pinocchio/algorithm/rnea.hpp>
#include <pinocchio/multibody.hpp>
#include <pinocchio/parsers/urdf.hpp>

#include "arms.hpp"

namespace crisp_control::test {
namespace {

/// The whole robot, fingers included and at zero; joints are looked up by name.
class Oracle {
 public:
  Oracle(const std::string& urdf, const std::vector<std::string>& joints, const std::string& tool) {
    pinocchio::urdf::buildModelFromXML(urdf, model_);
    data_ = pinocchio::Data(model_);
    tool_ = model_.getFrameId(tool);
    for (const auto& name : joints) joints_.push_back(model_.getJointId(name));
  }
  JointVector rnea(const JointVector& q, const JointVector& dq, const JointVector& ddq) {
    const Eigen::VectorXd tau = pinocchio::rnea(model_, data_, positions(q), velocities(dq), velocities(ddq));
    return JointVector::NullaryExpr(q.size(), [&](Eigen::Index i) { return tau[model_.idx_vs[joints_[i]]]; });
  }
  pinocchio::SE3 placement(const JointVector& q) {
    pinocchio::framesForwardKinematics(model_, data_, positions(q));
    return data_.oMf[tool_];
  }
  Vector6 tool_velocity(const JointVector& q, const JointVector& dq) {
    pinocchio::forwardKinematics(model_, data_, positions(q), velocities(dq));
    return pinocchio::getFrameVelocity(model_, data_, tool_, pinocchio::LOCAL_WORLD_ALIGNED).toVector();
  }
  /// What the tool's origin accelerates with when the joints do not.
  Vector3 tool_acceleration(const JointVector& q, const JointVector& dq) {
    pinocchio::forwardKinematics(model_, data_, positions(q), velocities(dq), Eigen::VectorXd::Zero(model_.nv));
    const auto frame = pinocchio::LOCAL_WORLD_ALIGNED;
    return pinocchio::getFrameClassicalAcceleration(model_, data_, tool_, frame).linear();
  }
  JointVector coriolis_transpose(const JointVector& q, const JointVector& dq) {
    const Eigen::VectorXd v = velocities(dq);
    const Eigen::VectorXd full = pinocchio::computeCoriolisMatrix(model_, data_, positions(q), v).transpose() * v;
    return JointVector::NullaryExpr(q.size(), [&](Eigen::Index i) { return full[model_.idx_vs[joints_[i]]]; });
  }
  pinocchio::SE3 between(const JointVector& q, const std::string& from, const std::string& to) {
    pinocchio::framesForwardKinematics(model_, data_, positions(q));
    return data_.oMf[model_.getFrameId(from)].actInv(data_.oMf[model_.getFrameId(to)]);
  }

 private:
  Eigen::VectorXd positions(const JointVector& q) const {
    Eigen::VectorXd full = pinocchio::neutral(model_);
    for (std::size_t i = 0; i < joints_.size(); ++i) {
      const int at = model_.idx_qs[joints_[i]];
      if (model_.nqs[joints_[i]] == 2) {
        full.segment<2>(at) << std::cos(q[i]), std::sin(q[i]);
      } else {
        full[at] = q[i];
      }
    }
    return full;
  }
  Eigen::VectorXd velocities(const JointVector& dq) const {
    Eigen::VectorXd full = Eigen::VectorXd::Zero(model_.nv);
    for (std::size_t i = 0; i < joints_.size(); ++i) full[model_.idx_vs[joints_[i]]] = dq[i];
    return full;
  }

  pinocchio::Model model_;
  pinocchio::Data data_;
  pinocchio::FrameIndex tool_ = 0;
  std::vector<pinocchio::JointIndex> joints_;
};

struct Robot {
  std::string urdf;
  std::vector<std::string> joints;
  std::string tool;
};

std::vector<Robot> robots() {
  std::vector<Robot> all{{fr3_urdf(), fr3_joints(), "fr3_hand_tcp"}};
  for (const Chain& chain : all_chains()) all.push_back({chain.urdf(), chain.names(), "tool"});
  return all;
}

/// Calls check(model, oracle, q, dq) at random states of every robot.
template <typename Check>
void everywhere(Check check) {
  std::mt19937 rng(1);
  for (const Robot& robot : robots()) {
    ArmModel model(robot.urdf, robot.joints, robot.tool);
    Oracle oracle(robot.urdf, robot.joints, robot.tool);
    SCOPED_TRACE(robot.joints[0] + " and " + std::to_string(model.n() - 1) + " more joints");
    for (int i = 0; i < 20; ++i) {
      check(model, oracle, random_joints(model.n(), 3.0, rng), random_joints(model.n(), 2.0, rng));
    }
  }
}

TEST(ArmModelOracle, GravityIsRneaAtRest) {
  everywhere([](ArmModel& model, Oracle& oracle, const JointVector& q, const JointVector& dq) {
    const JointVector zero = JointVector::Zero(model.n());
    EXPECT_LT((model.update(q, dq).gravity - oracle.rnea(q, zero, zero)).cwiseAbs().maxCoeff(), 1e-10);
  });
}

TEST(ArmModelOracle, GravityPlusCoriolisIsRneaWithoutAcceleration) {
  everywhere([](ArmModel& model, Oracle& oracle, const JointVector& q, const JointVector& dq) {
    const ArmTerms& terms = model.update(q, dq);
    const JointVector expected = oracle.rnea(q, dq, JointVector::Zero(model.n()));
    EXPECT_LT((terms.coriolis + terms.gravity - expected).cwiseAbs().maxCoeff(), 1e-10);
  });
}

TEST(ArmModelOracle, MassMatrixIsWhatAccelerationAddsToRnea) {
  everywhere([](ArmModel& model, Oracle& oracle, const JointVector& q, const JointVector& dq) {
    const JointMatrix mass = model.update(q, dq).mass_matrix;
    const JointVector rest = oracle.rnea(q, dq, JointVector::Zero(model.n()));
    for (int i = 0; i < model.n(); ++i) {
      const JointVector unit = JointVector::Unit(model.n(), i);
      EXPECT_LT((oracle.rnea(q, dq, unit) - rest - mass.col(i)).cwiseAbs().maxCoeff(), 1e-10);
    }
  });
}

TEST(ArmModelOracle, PlacementAndToolVelocity) {
  everywhere([](ArmModel& model, Oracle& oracle, const JointVector& q, const JointVector& dq) {
    const ArmTerms& terms = model.update(q, dq);
    const pinocchio::SE3 expected = oracle.placement(q);
    EXPECT_LT((terms.T_base_ee.position - expected.translation()).norm(), 1e-12);
    EXPECT_LT((terms.T_base_ee.orientation.toRotationMatrix() - expected.rotation()).norm(), 1e-12);
    EXPECT_LT((terms.J_base_ee * dq - oracle.tool_velocity(q, dq)).norm(), 1e-11);
  });
}

TEST(ArmModelOracle, ToolAccelerationWithoutJointAcceleration) {
  everywhere([](ArmModel& model, Oracle& oracle, const JointVector& q, const JointVector& dq) {
    EXPECT_LT((model.update(q, dq).tool_acceleration_bias - oracle.tool_acceleration(q, dq)).norm(), 1e-10);
  });
}

TEST(ArmModelOracle, CoriolisTransposeTimesVelocity) {
  everywhere([](ArmModel& model, Oracle& oracle, const JointVector& q, const JointVector& dq) {
    EXPECT_LT((model.update(q, dq).coriolis_T_dq - oracle.coriolis_transpose(q, dq)).norm(), 1e-10);
  });
}

TEST(ArmModelOracle, FramesThatStandStillAndFramesOfTheTool) {
  const ArmModel model = fr3();
  Oracle oracle(fr3_urdf(), fr3_joints(), "fr3_hand_tcp");
  const auto expect_equal = [](const Pose& pose, const pinocchio::SE3& expected) {
    EXPECT_LT((pose.position - expected.translation()).norm(), 1e-12);
    EXPECT_LT((pose.orientation.toRotationMatrix() - expected.rotation()).norm(), 1e-12);
  };
  const JointVector zero = JointVector::Zero(7);
  expect_equal(model.static_frame("fr3_link0"), oracle.between(zero, "base", "fr3_link0"));
  for (const std::string link : {"fr3_hand", "fr3_link8", "fr3_hand_tcp", "fr3_leftfinger"}) {
    expect_equal(model.tool_link(link), oracle.between(fr3_home(), "fr3_hand_tcp", link));
  }
}

}  // namespace
}  // namespace crisp_control::test
