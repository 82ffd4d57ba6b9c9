#include "crisp_control/interpolator.hpp"

#include <algorithm>
#include <cmath>

namespace crisp_control {

ThirdOrderStep::ThirdOrderStep(double dt, double smoothing_time) noexcept
    : dt_(dt), lambda_(3.0 / smoothing_time), decay_(std::exp(-lambda_ * dt)) {}

void TargetRamp::start(double stamp, double smoothing_time) noexcept {
  duration_ = std::min(stamp - last_stamp_, smoothing_time);
  elapsed_ = 0.0;
  last_stamp_ = stamp;
}

double TargetRamp::step(double dt) noexcept {
  elapsed_ += dt;
  return elapsed_ < duration_ ? elapsed_ / duration_ : 1.0;
}

void PoseInterpolator::reset(const Pose& pose) noexcept {
  pose_ = from_ = to_ = pose;
  part_ = 1.0;
  ramp_.reset();
  velocity_.setZero();
  acceleration_.setZero();
}

Pose PoseInterpolator::walked() const noexcept {
  if (part_ == 1.0) return to_;
  return {from_.position + part_ * (to_.position - from_.position), from_.orientation.slerp(part_, to_.orientation)};
}

void PoseInterpolator::set_reference(const Pose& reference, double stamp, double smoothing_time) noexcept {
  from_ = walked();
  to_ = reference;
  part_ = 0.0;
  ramp_.start(stamp, smoothing_time);
}

void PoseInterpolator::set_target(const Pose& target) noexcept {
  to_ = target;
  part_ = 1.0;
  ramp_.reset();
}

void PoseInterpolator::step(double dt, double smoothing_time) noexcept {
  part_ = ramp_.step(dt);
  const Pose target = walked();
  Vector6 error;
  error.head<3>() = pose_.position - target.position;
  error.tail<3>() = log3(pose_.orientation * target.orientation.conjugate());
  ThirdOrderStep(dt, ramp_.filter_time(smoothing_time)).apply(error, velocity_, acceleration_);
  pose_.position = target.position + error.head<3>();
  pose_.orientation = (exp3(error.tail<3>()) * target.orientation).normalized();
}

void JointInterpolator::reset(const JointVector& q) noexcept {
  q_ = from_ = to_ = q;
  part_ = 1.0;
  ramp_.reset();
  velocity_.setZero(q.size());
  acceleration_.setZero(q.size());
}

void JointInterpolator::set_reference(const JointVector& reference, double stamp, double smoothing_time) noexcept {
  from_ = walked();
  to_ = reference;
  part_ = 0.0;
  ramp_.start(stamp, smoothing_time);
}

void JointInterpolator::stop_here() noexcept {
  to_ = q_;
  part_ = 1.0;
  ramp_.reset();
}

void JointInterpolator::step(double dt, double smoothing_time) noexcept {
  part_ = ramp_.step(dt);
  const JointVector target = walked();
  JointVector error = q_ - target;
  ThirdOrderStep(dt, ramp_.filter_time(smoothing_time)).apply(error, velocity_, acceleration_);
  q_ = target + error;
}

}  // namespace crisp_control
