// Bounded-size Eigen types: at most kMaxJoints joints, so that nothing in the control loop touches the heap.
#pragma once

#include <Eigen/Core>
#include <Eigen/Geometry>

namespace crisp_control {

inline constexpr int kMaxJoints = 8;

using JointVector = Eigen::Matrix<double, Eigen::Dynamic, 1, Eigen::ColMajor, kMaxJoints, 1>;
using JointMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor, kMaxJoints, kMaxJoints>;
using Jacobian = Eigen::Matrix<double, 6, Eigen::Dynamic, Eigen::ColMajor, 6, kMaxJoints>;
using Vector3 = Eigen::Vector3d;
using Vector6 = Eigen::Matrix<double, 6, 1>;  // linear part first, then angular
using Matrix6 = Eigen::Matrix<double, 6, 6>;

/// Placement of one frame in another: position in metres, unit quaternion.
struct Pose {
  Vector3 position = Vector3::Zero();
  Eigen::Quaterniond orientation = Eigen::Quaterniond::Identity();
};

/// What the hardware measures, at one instant.
struct ArmState {
  JointVector q;                     ///< joint positions, rad
  JointVector dq;                    ///< joint velocities, rad/s
  JointVector tau;                   ///< measured joint torques, Nm
  double time = 0.0;                 ///< seconds, on the clock that stamps the references
  Vector6 wrench = Vector6::Zero();  ///< raw force/torque sensor, at the tool in tool axes, N and Nm
  bool has_wrench = false;           ///< false where there is no such sensor: then the joints tell
};

/// Rotation vector of a rotation (axis times angle in [0, pi], rad).
inline Vector3 log3(const Eigen::Quaterniond& rotation) noexcept {
  const double sign = rotation.w() < 0.0 ? -1.0 : 1.0;  // q and -q are one rotation; take the shorter way
  const Vector3 axis = sign * rotation.vec();
  const double sine = axis.norm();
  if (sine < 1e-12) return 2.0 * axis;
  return axis * (2.0 * std::atan2(sine, sign * rotation.w()) / sine);
}

/// Rotation of a rotation vector: the inverse of log3.
inline Eigen::Quaterniond exp3(const Vector3& vector) noexcept {
  const double angle = vector.norm();
  const double scale = angle < 1e-9 ? 0.5 - angle * angle / 48.0 : std::sin(0.5 * angle) / angle;
  Eigen::Quaterniond rotation;
  rotation.w() = std::cos(0.5 * angle);
  rotation.vec() = scale * vector;
  return rotation.normalized();
}

}  // namespace crisp_control
