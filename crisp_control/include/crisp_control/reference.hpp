// What is asked of the arm, and the gate in front of the controller: what it believes, and for how long.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "crisp_control/types.hpp"

namespace crisp_control {

/// Who decided, and when. The stamp is the time of whoever decided, never that of a relay.
struct Decision {
  double stamp = 0.0;          ///< seconds, on the clock of ArmState::time
  std::uint64_t sequence = 0;  ///< 0: nothing decided yet; a new number is a new message
};

/// A requested tool pose.
struct PoseReference {
  Pose T_base_ee;
  Decision decision;
};

struct TimedPose {
  Pose T_base_ee;
  double time = 0.0;  ///< seconds, on the clock of ArmState::time
};

/// A path decided at once, as policies that predict chunks of actions do. Poses in strictly increasing time.
struct PoseChunk {
  static constexpr int kCapacity = 64;
  std::array<TimedPose, kCapacity> poses;
  int size = 0;
  Decision decision;

  /// The pose at `time`: linear between waypoints, the first before them, the last after them.
  Pose at(double time) const noexcept;
};

/// Requested joint positions, or torques to feed back, in the order of the model's joints.
struct JointReference {
  JointVector q;    ///< rad; empty: not given
  JointVector tau;  ///< Nm; empty: not given
  Decision decision;
};

/// A wrench to add at the tool, base axes, N and Nm. Gone once it is older than hold_after.
struct WrenchReference {
  Vector6 wrench = Vector6::Zero();
  Decision decision;
};

/// Stiffness to change to, N/m and Nm/rad. Stays until the next one; the damping follows it.
struct StiffnessReference {
  Vector6 stiffness = Vector6::Zero();
  Decision decision;
};

/// All that can be asked of a controller; each takes what it understands.
struct References {
  PoseReference pose;
  PoseChunk chunk;
  JointReference joint;
  WrenchReference wrench;
  StiffnessReference stiffness;
};

/// How far a reference is still trusted.
enum class ReferenceMode : std::uint8_t {
  kTrack = 0,   ///< fresh
  kHold = 1,    ///< stale, or none yet: hold where you are
  kDamp = 2,    ///< given up: only damping
  kReflex = 3,  ///< a contact was too hard: frozen and soft
};

struct GateParams {
  double hold_after = 0.5;        ///< s; older than this: hold where you are
  double damp_after = 2.0;        ///< s; older than this: give up stiffness, damp
  double future_tolerance = 0.1;  ///< s; a stamp further ahead than this is refused
  double chunk_horizon = 2.0;     ///< s; how far after its decision a chunk is still believed
  double max_jump_linear = 0.3;   ///< m between a reference and the pose tracked now
  double max_jump_angular = 1.0;  ///< rad, also between joint positions
};

/// References refused since reset, by reason.
struct GateCounters {
  std::uint64_t accepted = 0;
  std::uint64_t not_finite = 0;
  std::uint64_t not_unit_quaternion = 0;
  std::uint64_t wrong_size = 0;
  std::uint64_t out_of_range = 0;
  std::uint64_t not_increasing = 0;
  std::uint64_t jump = 0;
  std::uint64_t from_the_future = 0;
  std::uint64_t older_than_last = 0;
  std::uint64_t expired = 0;
};

/// What a message steers. Each channel has an age of its own; poses and chunks share one.
enum class Channel : std::uint8_t { kMotion = 0, kPosture, kWrench, kStiffness };

/// Decides for each message whether it is new and sane, and how old the last accepted decision of its channel is.
///
/// A message that repeats an old stamp, however fresh its arrival, does not renew the age: a dead policy behind a relay
/// ages all the same.
class ReferenceGate {
 public:
  void reset(double now) noexcept;
  /// True if the message is new and accepted: the caller takes it as target.
  bool accept(const PoseReference& reference, const Pose& tracked, double now, const GateParams& params) noexcept;
  bool accept(const PoseChunk& reference, const Pose& tracked, double now, const GateParams& params) noexcept;
  /// Joint positions; `tracked` tells their number, limits in rad.
  bool accept(const JointReference& reference, Channel channel, const JointVector& tracked, const JointVector& q_lower,
              const JointVector& q_upper, double now, const GateParams& params) noexcept;
  /// Joint torques of `joints` joints.
  bool accept_torque(const JointReference& reference, int joints, double now, const GateParams& params) noexcept;
  /// maximum: N and Nm, per axis.
  bool accept(const WrenchReference& reference, const Vector6& maximum, double now, const GateParams& params) noexcept;
  /// maximum: N/m and Nm/rad, per axis.
  bool accept(const StiffnessReference& reference, const Vector6& maximum, double now,
              const GateParams& params) noexcept;

  ReferenceMode mode(double now, const GateParams& params, Channel channel = Channel::kMotion) const noexcept;
  /// s since the last accepted motion was decided; inf if there was none.
  double age(double now) const noexcept {
    return channels_[0].any ? now - channels_[0].stamp : std::numeric_limits<double>::infinity();
  }
  const GateCounters& counters() const noexcept { return counters_; }

 private:
  enum Kind : std::uint8_t { kPose = 0, kChunk, kJoint, kWrench, kStiffness, kKinds };
  struct Last {
    double stamp = 0.0;
    double valid_until = 0.0;  // s; the age that decides the mode counts from here
    bool any = false;
  };
  /// `refusal` tells the counter of what is wrong with the content, or null; called only for new messages in time.
  template <typename Refusal>
  bool judge(Kind kind, Channel channel, const Decision& decision, double valid_until, double now,
             const GateParams& params, Refusal&& refusal) noexcept;

  std::array<Last, 4> channels_{};
  std::array<std::uint64_t, kKinds> last_sequence_{};
  GateCounters counters_;
};

}  // namespace crisp_control
