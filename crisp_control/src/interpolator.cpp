#include "crisp_control/interpolator.hpp"

namespace crisp_control {

void PoseInterpolator::reset(const Pose& pose) noexcept {
  pose_ = pose;
  target_ = pose;
  velocity_.setZero();
  acceleration_.setZero();
}

void PoseInterpolator::step(double dt, double smoothing_time) noexcept {
  // With e the error to the target, (d/dt + lambda)^3 e = 0 is a cascade of first-order systems
  // y0 = e, y1 = e' + lambda y0, y2 = y1' + lambda y1, each decaying as exp(-lambda t).
  const double lambda = 3.0 / smoothing_time;
  Vector6 error;
  error.head<3>() = pose_.position - target_.position;
  error.tail<3>() = log3(pose_.orientation * target_.orientation.conjugate());
  const Vector6 y1 = velocity_ + lambda * error;
  const Vector6 y2 = acceleration_ + 2.0 * lambda * velocity_ + lambda * lambda * error;

  const double decay = std::exp(-lambda * dt);
  const Vector6 z0 = decay * (error + dt * y1 + 0.5 * dt * dt * y2);
  const Vector6 z1 = decay * (y1 + dt * y2);
  const Vector6 z2 = decay * y2;
  velocity_ = z1 - lambda * z0;
  acceleration_ = z2 - 2.0 * lambda * velocity_ - lambda * lambda * z0;
  pose_.position = target_.position + z0.head<3>();
  pose_.orientation = (exp3(z0.tail<3>()) * target_.orientation).normalized();
}

}  // namespace crisp_control
