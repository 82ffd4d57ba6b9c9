// Time-based motion between references.
#pragma once

#include "crisp_control/types.hpp"

namespace crisp_control {

/// Moves a pose towards its target with continuous acceleration, whatever the rate at which targets arrive.
///
/// Every coordinate follows the critically damped third-order system (s / lambda + 1)^3 x = x_target with
/// lambda = 3 / smoothing_time, so smoothing_time is its group delay in seconds. The step is the exact solution
/// for a constant target, so it holds for any tick length. Jerk is bounded by lambda^3 times the distance; a new target
/// never makes position, velocity or acceleration jump. The orientation is filtered in the rotation vector of its
/// error to the target, in base axes.
class PoseInterpolator {
 public:
  /// Rests at `pose`.
  void reset(const Pose& pose) noexcept;
  void set_target(const Pose& target) noexcept { target_ = target; }
  /// Makes the present position the target: the motion comes to rest smoothly, close to where it is.
  void stop_here() noexcept { target_ = pose_; }
  void step(double dt, double smoothing_time) noexcept;

  const Pose& pose() const noexcept { return pose_; }
  const Pose& target() const noexcept { return target_; }
  /// Linear and angular velocity of the interpolated pose, m/s and rad/s.
  const Vector6& velocity() const noexcept { return velocity_; }

 private:
  Pose pose_, target_;
  Vector6 velocity_ = Vector6::Zero();
  Vector6 acceleration_ = Vector6::Zero();
};

}  // namespace crisp_control
