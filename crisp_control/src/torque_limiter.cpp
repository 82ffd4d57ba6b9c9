#include "crisp_control/torque_limiter.hpp"

#include <algorithm>

namespace crisp_control {

void TorqueLimiter::reset(const JointVector& tau_measured) noexcept {
  last_ = tau_measured;
  counters_ = {};
}

void TorqueLimiter::preview(JointVector& tau, const JointVector& limit, const JointVector& rate, double dt) noexcept {
  if (!tau.allFinite()) {
    cuts_.not_finite = true;
    tau = last_;
  }
  for (Eigen::Index i = 0; i < tau.size(); ++i) {
    const double within = std::clamp(tau[i], -limit[i], limit[i]);
    const double step = std::clamp(within - last_[i], -rate[i] * dt, rate[i] * dt);
    cuts_.clamped = cuts_.clamped || within != tau[i];
    cuts_.rate_limited = cuts_.rate_limited || step != within - last_[i];
    tau[i] = std::clamp(last_[i] + step, -limit[i], limit[i]);  // a measured torque may start outside
  }
}

void TorqueLimiter::apply(JointVector& tau, const JointVector& limit, const JointVector& rate, double dt) noexcept {
  preview(tau, limit, rate, dt);
  last_ = tau;
  counters_.clamped += cuts_.clamped;
  counters_.rate_limited += cuts_.rate_limited;
  counters_.not_finite += cuts_.not_finite;
  cuts_ = {};
}

}  // namespace crisp_control
