#include "crisp_control/reference.hpp"

#include <algorithm>
#include <cmath>

namespace crisp_control {

namespace {

using Counter = std::uint64_t GateCounters::*;
constexpr Counter kFine = nullptr;

Counter check_pose(const Pose& pose) noexcept {
  if (!pose.position.allFinite() || !pose.orientation.coeffs().allFinite()) return &GateCounters::not_finite;
  if (std::abs(pose.orientation.norm() - 1.0) > 1e-3) return &GateCounters::not_unit_quaternion;
  return kFine;
}

Counter check_jump(const Pose& from, const Pose& to, const GateParams& params) noexcept {
  const double linear = (to.position - from.position).norm();
  const double angular = log3(to.orientation * from.orientation.conjugate()).norm();
  // Negated, so that a tracked pose that is no number refuses too.
  return !(linear <= params.max_jump_linear && angular <= params.max_jump_angular) ? &GateCounters::jump : kFine;
}

Counter check_chunk(const PoseChunk& chunk, const Pose& tracked, double now, const GateParams& params) noexcept {
  for (int i = 0; i < chunk.size; ++i) {
    const TimedPose& pose = chunk.poses[i];
    if (!std::isfinite(pose.time)) return &GateCounters::not_finite;
    if (const Counter refusal = check_pose(pose.T_base_ee)) return refusal;
    if (i == 0) continue;
    const TimedPose& before = chunk.poses[i - 1];
    if (!(pose.time > before.time)) return &GateCounters::not_increasing;
    if (const Counter refusal = check_jump(before.T_base_ee, pose.T_base_ee, params)) return refusal;
  }
  return check_jump(tracked, chunk.at(now), params);
}

}  // namespace

Pose PoseChunk::at(double time) const noexcept {
  const auto after = std::upper_bound(poses.begin(), poses.begin() + size, time,
                                      [](double t, const TimedPose& pose) { return t < pose.time; });
  if (after == poses.begin()) return poses.front().T_base_ee;
  const TimedPose& from = *(after - 1);
  if (after == poses.begin() + size) return from.T_base_ee;
  const double part = (time - from.time) / (after->time - from.time);
  return {from.T_base_ee.position + part * (after->T_base_ee.position - from.T_base_ee.position),
          from.T_base_ee.orientation.slerp(part, after->T_base_ee.orientation)};
}

void ReferenceGate::reset(double now) noexcept {
  channels_.fill({now, now, false});
  last_sequence_ = {};
  counters_ = {};
}

template <typename Refusal>
bool ReferenceGate::judge(Kind kind, Channel channel, const Decision& decision, double valid_until, double now,
                          const GateParams& params, Refusal&& refusal) noexcept {
  if (decision.sequence == 0 || decision.sequence == last_sequence_[kind]) return false;
  last_sequence_[kind] = decision.sequence;  // judged once, whatever comes out
  Last& last = channels_[static_cast<std::size_t>(channel)];
  Counter reason = kFine;
  if (!std::isfinite(decision.stamp)) {
    reason = &GateCounters::not_finite;
  } else if (decision.stamp > now + params.future_tolerance) {
    reason = &GateCounters::from_the_future;
  } else if (last.any && decision.stamp <= last.stamp) {
    reason = &GateCounters::older_than_last;
  } else if (!(reason = refusal()) && !(now - valid_until <= params.hold_after)) {
    reason = &GateCounters::expired;
  }
  if (reason) {
    ++(counters_.*reason);
    return false;
  }
  last = {decision.stamp, valid_until, true};
  ++counters_.accepted;
  return true;
}

bool ReferenceGate::accept(const PoseReference& reference, const Pose& tracked, double now,
                           const GateParams& params) noexcept {
  const Decision& decision = reference.decision;
  return judge(kPose, Channel::kMotion, decision, decision.stamp, now, params, [&] {
    const Counter refusal = check_pose(reference.T_base_ee);
    return refusal ? refusal : check_jump(tracked, reference.T_base_ee, params);
  });
}

bool ReferenceGate::accept(const PoseChunk& reference, const Pose& tracked, double now,
                           const GateParams& params) noexcept {
  const Decision& decision = reference.decision;
  const bool sized = reference.size > 0 && reference.size <= PoseChunk::kCapacity;
  const double end = sized ? reference.poses[reference.size - 1].time : decision.stamp;
  const double valid_until = std::min(end, decision.stamp + params.chunk_horizon);
  return judge(kChunk, Channel::kMotion, decision, valid_until, now, params,
               [&] { return sized ? check_chunk(reference, tracked, now, params) : &GateCounters::wrong_size; });
}

bool ReferenceGate::accept(const JointReference& reference, Channel channel, const JointVector& tracked,
                           const JointVector& q_lower, const JointVector& q_upper, double now,
                           const GateParams& params) noexcept {
  const Decision& decision = reference.decision;
  return judge(kJoint, channel, decision, decision.stamp, now, params, [&]() -> Counter {
    const JointVector& q = reference.q;
    if (q.size() != tracked.size()) return &GateCounters::wrong_size;
    if (!q.allFinite()) return &GateCounters::not_finite;
    if ((q.array() < q_lower.array()).any() || (q.array() > q_upper.array()).any()) return &GateCounters::out_of_range;
    for (Eigen::Index i = 0; i < q.size(); ++i) {
      // A continuous joint goes the short way round.
      const double way = std::isinf(q_upper[i]) ? std::remainder(q[i] - tracked[i], 2.0 * M_PI) : q[i] - tracked[i];
      if (!(std::abs(way) <= params.max_jump_angular)) return &GateCounters::jump;
    }
    return kFine;
  });
}

bool ReferenceGate::accept_torque(const JointReference& reference, int joints, double now,
                                  const GateParams& params) noexcept {
  const Decision& decision = reference.decision;
  return judge(kJoint, Channel::kMotion, decision, decision.stamp, now, params, [&]() -> Counter {
    if (reference.tau.size() != joints) return &GateCounters::wrong_size;
    return reference.tau.allFinite() ? kFine : &GateCounters::not_finite;
  });
}

bool ReferenceGate::accept(const WrenchReference& reference, const Vector6& maximum, double now,
                           const GateParams& params) noexcept {
  const Decision& decision = reference.decision;
  return judge(kWrench, Channel::kWrench, decision, decision.stamp, now, params, [&]() -> Counter {
    if (!reference.wrench.allFinite()) return &GateCounters::not_finite;
    return (reference.wrench.cwiseAbs().array() > maximum.array()).any() ? &GateCounters::out_of_range : kFine;
  });
}

bool ReferenceGate::accept(const StiffnessReference& reference, const Vector6& maximum, double now,
                           const GateParams& params) noexcept {
  const Decision& decision = reference.decision;
  return judge(kStiffness, Channel::kStiffness, decision, decision.stamp, now, params, [&]() -> Counter {
    if (!reference.stiffness.allFinite()) return &GateCounters::not_finite;
    const auto K = reference.stiffness.array();
    return (K < 0.0).any() || (K > maximum.array()).any() ? &GateCounters::out_of_range : kFine;
  });
}

ReferenceMode ReferenceGate::mode(double now, const GateParams& params, Channel channel) const noexcept {
  const Last& last = channels_[static_cast<std::size_t>(channel)];
  // Before the first reference the arm simply holds the pose it was activated in: nobody has died yet.
  if (!last.any) return ReferenceMode::kHold;
  const double overdue = now - last.valid_until;
  if (overdue > params.damp_after) return ReferenceMode::kDamp;
  return overdue > params.hold_after ? ReferenceMode::kHold : ReferenceMode::kTrack;
}

}  // namespace crisp_control
