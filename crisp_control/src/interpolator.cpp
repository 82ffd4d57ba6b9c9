#include "crisp_control/interpolator.hpp"

#include <cmath>

namespace crisp_control {

ThirdOrderStep::ThirdOrderStep(double dt, double smoothing_time) noexcept
    : dt_(dt), lambda_(3.0 / smoothing_time), decay_(std::exp(-lambda_ * dt)) {}

void PoseInterpolator::reset(const Pose& pose) noexcept {
  pose_ = pose;
  walk_.reset(pose);
  velocity_.setZero();
  acceleration_.setZero();
}

void PoseInterpolator::step(double dt, double smoothing_time) noexcept {
  const Pose target = walk_.step(dt);
  Vector6 error;
  error.head<3>() = pose_.position - target.position;
  error.tail<3>() = log3(pose_.orientation * target.orientation.conjugate());
  ThirdOrderStep(dt, walk_.filter_time(smoothing_time)).apply(error, velocity_, acceleration_);
  pose_.position = target.position + error.head<3>();
  pose_.orientation = (exp3(error.tail<3>()) * target.orientation).normalized();
}

void JointInterpolator::reset(const JointVector& q) noexcept {
  q_ = q;
  walk_.reset(q);
  velocity_.setZero(q.size());
  acceleration_.setZero(q.size());
}

void JointInterpolator::step(double dt, double smoothing_time) noexcept {
  const JointVector target = walk_.step(dt);
  JointVector error = q_ - target;
  ThirdOrderStep(dt, walk_.filter_time(smoothing_time)).apply(error, velocity_, acceleration_);
  q_ = target + error;
}

}  // namespace crisp_control
