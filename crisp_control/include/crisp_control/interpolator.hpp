// Time-based motion between references.
#pragma once

#include <algorithm>
#include <limits>

#include "crisp_control/types.hpp"

namespace crisp_control {

/// One step of the critically damped third-order system (d/dt + lambda)^3 error = 0, lambda = 3 / smoothing_time.
///
/// smoothing_time is its group delay in seconds. The step is the exact solution for a constant target, so it holds for
/// any tick length. Jerk is bounded by lambda^3 times the distance to the target; a new target never makes position,
/// velocity or acceleration jump. Sums of products with the error, velocity and acceleration: the same numbers serve
/// every coordinate.
class ThirdOrderStep {
 public:
  ThirdOrderStep(double dt, double smoothing_time) noexcept;
  template <typename Vector>
  void apply(Vector& error, Vector& velocity, Vector& acceleration) const noexcept {
    // A cascade of first-order systems y0 = e, y1 = e' + lambda y0, y2 = y1' + lambda y1, each decaying alike.
    const Vector y1 = velocity + lambda_ * error;
    const Vector y2 = acceleration + (2.0 * lambda_) * velocity + (lambda_ * lambda_) * error;
    error = decay_ * (error + dt_ * y1 + (0.5 * dt_ * dt_) * y2);
    const Vector z1 = decay_ * (y1 + dt_ * y2);
    velocity = z1 - lambda_ * error;
    acceleration = decay_ * y2 - (2.0 * lambda_) * velocity - (lambda_ * lambda_) * error;
  }

 private:
  double dt_, lambda_, decay_;
};

/// The point at `part` (0 .. 1) of the straight line between two.
inline Pose between(const Pose& from, const Pose& to, double part) noexcept {
  return {from.position + part * (to.position - from.position), from.orientation.slerp(part, to.orientation)};
}
inline JointVector between(const JointVector& from, const JointVector& to, double part) noexcept {
  return from + part * (to - from);
}

/// Walks from one target to the next in a straight line, so that the filter sees a path and not steps.
///
/// References that come every T seconds, walked through in T, are delayed by T / 2 more; the filter gets what is left
/// of smoothing_time.
template <typename Value>
class TargetWalk {
 public:
  /// Stands at `value`.
  void reset(const Value& value) noexcept {
    from_ = to_ = value;
    part_ = 1.0;
    duration_ = elapsed_ = 0.0;
    last_stamp_ = -std::numeric_limits<double>::infinity();
  }
  /// A new target was decided at `stamp` (s): walks there in the time since the one before, smoothing_time at most.
  void start(const Value& target, double stamp, double smoothing_time) noexcept {
    from_ = here();
    to_ = target;
    part_ = elapsed_ = 0.0;
    duration_ = std::min(stamp - last_stamp_, smoothing_time);
    last_stamp_ = stamp;
  }
  /// Where the next tick finds it.
  Value step(double dt) noexcept {
    elapsed_ += dt;
    part_ = elapsed_ < duration_ ? elapsed_ / duration_ : 1.0;
    return here();
  }
  /// What remains of smoothing_time for the filter: half of it at least, also where it became shorter on the way.
  double filter_time(double smoothing_time) const noexcept {
    return smoothing_time - 0.5 * std::min(duration_, smoothing_time);
  }

 private:
  Value here() const noexcept { return part_ == 1.0 ? to_ : between(from_, to_, part_); }

  Value from_, to_;
  double part_ = 1.0;  // of the way between them
  double duration_ = 0.0, elapsed_ = 0.0;
  double last_stamp_ = -std::numeric_limits<double>::infinity();
};

/// Moves a pose towards its target. The orientation is filtered in the rotation vector of its error, in base axes.
class PoseInterpolator {
 public:
  /// Rests at `pose`.
  void reset(const Pose& pose) noexcept;
  /// A reference that was decided at `stamp`, s.
  void set_reference(const Pose& reference, double stamp, double smoothing_time) noexcept {
    walk_.start(reference, stamp, smoothing_time);
  }
  /// A target that moves by itself, as a sampled path does.
  void set_target(const Pose& target) noexcept { walk_.reset(target); }
  /// Makes the present position the target: the motion comes to rest smoothly, close to where it is.
  void stop_here() noexcept { set_target(pose_); }
  void step(double dt, double smoothing_time) noexcept;

  const Pose& pose() const noexcept { return pose_; }
  /// Linear and angular velocity of the interpolated pose, m/s and rad/s.
  const Vector6& velocity() const noexcept { return velocity_; }

 private:
  Pose pose_;
  TargetWalk<Pose> walk_;
  Vector6 velocity_ = Vector6::Zero();
  Vector6 acceleration_ = Vector6::Zero();
};

/// Moves joint positions towards their target, each joint on its own.
class JointInterpolator {
 public:
  /// Rests at `q`.
  void reset(const JointVector& q) noexcept;
  void set_reference(const JointVector& reference, double stamp, double smoothing_time) noexcept {
    walk_.start(reference, stamp, smoothing_time);
  }
  void stop_here() noexcept { walk_.reset(q_); }
  void step(double dt, double smoothing_time) noexcept;

  const JointVector& q() const noexcept { return q_; }
  const JointVector& dq() const noexcept { return velocity_; }

 private:
  JointVector q_, velocity_, acceleration_;
  TargetWalk<JointVector> walk_;
};

}  // namespace crisp_control
