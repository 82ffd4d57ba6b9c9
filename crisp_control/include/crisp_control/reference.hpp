// References and the gate in front of the controller: what it believes, and for how long.
#pragma once

#include <cstdint>

#include "crisp_control/types.hpp"

namespace crisp_control {

/// A requested tool pose. The stamp is the time of whoever decided it, never that of a relay.
struct PoseReference {
  Pose T_base_ee;
  double stamp = 0.0;          ///< seconds, on the clock of ArmState::time
  std::uint64_t sequence = 0;  ///< 0: no reference yet; a new number is a new message
};

/// How far a reference is still trusted.
enum class ReferenceMode : std::uint8_t { kTrack = 0, kHold = 1, kDamp = 2 };

struct GateParams {
  double hold_after = 0.5;        ///< s; older than this: hold where you are
  double damp_after = 2.0;        ///< s; older than this: give up stiffness, damp
  double future_tolerance = 0.1;  ///< s; a stamp further ahead than this is refused
  double max_jump_linear = 0.3;   ///< m between a reference and the pose tracked now
  double max_jump_angular = 1.0;  ///< rad
};

/// References refused since reset, by reason.
struct GateCounters {
  std::uint64_t accepted = 0;
  std::uint64_t not_finite = 0;
  std::uint64_t not_unit_quaternion = 0;
  std::uint64_t jump = 0;
  std::uint64_t from_the_future = 0;
  std::uint64_t older_than_last = 0;
  std::uint64_t expired = 0;
};

/// Decides for each tick whether the reference is new and sane, and how old the last accepted decision is.
///
/// A message that repeats an old stamp, however fresh its arrival, does not renew the age: a dead policy behind a relay
/// ages all the same.
class ReferenceGate {
 public:
  void reset(double now) noexcept;
  /// True if `reference` is new and accepted: the caller takes it as target.
  bool accept(const PoseReference& reference, const Pose& tracked, double now, const GateParams& params) noexcept;
  ReferenceMode mode(double now, const GateParams& params) const noexcept;
  double age(double now) const noexcept { return now - last_stamp_; }
  const GateCounters& counters() const noexcept { return counters_; }

 private:
  double last_stamp_ = 0.0;
  std::uint64_t last_sequence_ = 0;
  bool any_accepted_ = false;
  GateCounters counters_;
};

}  // namespace crisp_control
