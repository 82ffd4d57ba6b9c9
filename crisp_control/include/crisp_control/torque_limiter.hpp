// The last element of the chain: what leaves the controller is finite, within limits, and never jumps.
#pragma once

#include <cstdint>

#include "crisp_control/types.hpp"

namespace crisp_control {

struct TorqueLimiterCounters {
  std::uint64_t clamped = 0;       ///< ticks on which a torque limit was active
  std::uint64_t rate_limited = 0;  ///< ticks on which the rate limit was active
  std::uint64_t not_finite = 0;    ///< ticks on which the law gave no number and the last torque was kept
};

/// What the torques may be on one tick, Nm.
struct TorqueRange {
  JointVector lower, upper;
};

/// Clamps torque and torque rate. Starts from the measured torque, so that activation is a ramp and not a step.
class TorqueLimiter {
 public:
  void reset(const JointVector& tau_measured) noexcept;
  /// tau: wanted torques (Nm), limited in place. limit: Nm per joint; rate: Nm/s per joint; dt: s.
  void apply(JointVector& tau, const JointVector& limit, const JointVector& rate, double dt) noexcept;
  /// The same without taking it as applied: for what comes between the law and apply(), which counts both.
  void preview(JointVector& tau, const JointVector& limit, const JointVector& rate, double dt) noexcept;
  /// What apply() would let through.
  TorqueRange range(const JointVector& limit, const JointVector& rate, double dt) const noexcept {
    return {(last_ - dt * rate).cwiseMax(-limit).cwiseMin(limit), (last_ + dt * rate).cwiseMin(limit).cwiseMax(-limit)};
  }
  const TorqueLimiterCounters& counters() const noexcept { return counters_; }

 private:
  struct Cuts {
    bool clamped = false, rate_limited = false, not_finite = false;
  };

  JointVector last_;
  Cuts cuts_;  // of this tick
  TorqueLimiterCounters counters_;
};

}  // namespace crisp_control
