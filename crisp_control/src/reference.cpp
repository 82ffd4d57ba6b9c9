#include "crisp_control/reference.hpp"

#include <cmath>

namespace crisp_control {

void ReferenceGate::reset(double now) noexcept {
  last_stamp_ = now;
  last_sequence_ = 0;
  any_accepted_ = false;
  counters_ = {};
}

bool ReferenceGate::accept(const PoseReference& reference, const Pose& tracked, double now,
                           const GateParams& params) noexcept {
  if (reference.sequence == 0 || reference.sequence == last_sequence_) return false;
  last_sequence_ = reference.sequence;  // judged once, whatever comes out
  const auto refuse = [](std::uint64_t& counter) {
    ++counter;
    return false;
  };
  const Pose& pose = reference.T_base_ee;
  if (!pose.position.allFinite() || !pose.orientation.coeffs().allFinite() || !std::isfinite(reference.stamp)) {
    return refuse(counters_.not_finite);
  }
  if (std::abs(pose.orientation.norm() - 1.0) > 1e-3) return refuse(counters_.not_unit_quaternion);
  if (reference.stamp > now + params.future_tolerance) return refuse(counters_.from_the_future);
  if (any_accepted_ && reference.stamp <= last_stamp_) return refuse(counters_.older_than_last);
  if (now - reference.stamp > params.hold_after) return refuse(counters_.expired);
  const double linear = (pose.position - tracked.position).norm();
  const double angular = log3(pose.orientation * tracked.orientation.conjugate()).norm();
  // Negated, so that a tracked pose that is no number refuses too.
  if (!(linear <= params.max_jump_linear && angular <= params.max_jump_angular)) return refuse(counters_.jump);
  last_stamp_ = reference.stamp;
  any_accepted_ = true;
  ++counters_.accepted;
  return true;
}

ReferenceMode ReferenceGate::mode(double now, const GateParams& params) const noexcept {
  // Before the first reference the arm simply holds the pose it was activated in: nobody has died yet.
  if (!any_accepted_) return ReferenceMode::kHold;
  if (age(now) > params.damp_after) return ReferenceMode::kDamp;
  return age(now) > params.hold_after ? ReferenceMode::kHold : ReferenceMode::kTrack;
}

}  // namespace crisp_control
