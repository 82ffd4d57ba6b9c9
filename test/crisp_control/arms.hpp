// Arms to test with: made-up chains whose geometry the test knows, the FR3, and a plant to control.
#pragma once

#include <Eigen/Cholesky>
#include <random>
#include <string>
#include <vector>

#include "crisp_control/arm_model.hpp"

namespace crisp_control::test {

struct ChainJoint {
  std::string name, type;  ///< type: revolute, continuous or prismatic
  Vector3 xyz, rpy, axis;  ///< of the joint in its parent link, m and rad
  double mass;             ///< of the link that the joint moves, kg
  Vector3 centre;          ///< of that mass in the link, m
};

/// A serial chain with a fixed link "tool" at its end.
struct Chain {
  std::vector<ChainJoint> joints;
  Vector3 tool_xyz, tool_rpy;

  std::string urdf() const;
  std::vector<std::string> names() const;
  /// armature: rotor inertia of every joint, kg m^2.
  ArmModel model(double armature = 0.0) const {
    return ArmModel(urdf(), names(), "tool", std::vector<double>(joints.size(), armature));
  }
};

/// Where a chain's joints and tool are, by multiplying transforms.
struct ChainPose {
  std::vector<Vector3> origins, axes, centres;  ///< in the base, m; axes are unit vectors
  Eigen::Isometry3d T_base_tool;
};

Chain make_chain(int joints, const std::string& type = "revolute");
/// Chains of 5, 6, 7 and 8 joints, and one of 7 with continuous joints and a prismatic one among them.
std::vector<Chain> all_chains();
ChainPose place(const Chain& chain, const JointVector& q);

std::string fr3_urdf();
std::vector<std::string> fr3_joints();
/// Rotor inertia of the FR3 as config/robots/fr3.yaml has it, kg m^2.
std::vector<double> fr3_armature();
ArmModel fr3();
/// A posture of the FR3 away from limits and singularities.
JointVector fr3_home();

JointVector random_joints(int n, double scale, std::mt19937& rng);
Vector6 random_wrench(double scale, std::mt19937& rng);
Eigen::Quaterniond about(const Vector3& axis, double angle);
double angle_between(const Eigen::Quaterniond& a, const Eigen::Quaterniond& b);

/// The rigid-body dynamics of an arm, integrated with small semi-implicit Euler steps.
class Plant {
 public:
  /// At rest, the motors carrying the arm's weight.
  Plant(const ArmModel& model, const JointVector& q) : friction(JointVector::Zero(q.size())), model_(model) {
    tau_external = JointVector::Zero(q.size());
    state.q = q;
    state.dq = JointVector::Zero(q.size());
    state.tau = terms().gravity;
  }
  void step(const JointVector& tau, double dt, int substeps = 4) {
    const double h = dt / substeps;
    for (int i = 0; i < substeps; ++i) {
      const ArmTerms& t = terms();
      const JointVector drag = friction.array() * state.dq.array() / (state.dq.array().square() + 1e-4).sqrt();
      const JointVector ddq = t.mass_matrix.ldlt().solve(tau + tau_external - drag - t.coriolis - t.gravity);
      state.dq += h * ddq;
      state.q += h * state.dq;
    }
    state.tau = tau;
    state.time += dt;
  }
  /// Somebody pushes at the tool, base axes, N and Nm: to be called again when the arm has moved.
  void push(const Vector6& wrench) { tau_external = terms().J_base_ee.transpose() * wrench; }
  ArmModel& model() { return model_; }
  /// Of the present state.
  const ArmTerms& terms() { return model_.update(state.q, state.dq); }
  const Pose& tool() { return terms().T_base_ee; }

  ArmState state;
  JointVector tau_external;  ///< Nm
  JointVector friction;      ///< Nm, Coulomb, smooth below 0.01 rad/s

 private:
  ArmModel model_;
};

}  // namespace crisp_control::test
