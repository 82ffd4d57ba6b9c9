#include "crisp_control/torque_limiter.hpp"

namespace crisp_control {

void TorqueLimiter::reset(const JointVector& tau_measured) noexcept {
  last_ = tau_measured;
  counters_ = {};
}

void TorqueLimiter::apply(JointVector& tau, const JointVector& limit, const JointVector& rate, double dt) noexcept {
  if (!tau.allFinite()) {
    ++counters_.not_finite;
    tau = last_;
  }
  bool clamped = false;
  bool limited = false;
  for (Eigen::Index i = 0; i < tau.size(); ++i) {
    const double within = std::clamp(tau[i], -limit[i], limit[i]);
    const double step = std::clamp(within - last_[i], -rate[i] * dt, rate[i] * dt);
    clamped = clamped || within != tau[i];
    limited = limited || step != within - last_[i];
    tau[i] = std::clamp(last_[i] + step, -limit[i], limit[i]);  // a measured torque may start outside
  }
  counters_.clamped += clamped;
  counters_.rate_limited += limited;
  last_ = tau;
}

}  // namespace crisp_control
