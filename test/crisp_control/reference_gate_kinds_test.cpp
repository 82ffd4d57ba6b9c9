// The gate for every kind of message but single poses: what is refused, and which counter tells.
#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

/// Everything the gate may count, by name.
std::vector<std::pair<std::string, std::uint64_t>> counts(const GateCounters& c) {
  return {{"accepted", c.accepted},
          {"not_finite", c.not_finite},
          {"not_unit_quaternion", c.not_unit_quaternion},
          {"wrong_size", c.wrong_size},
          {"out_of_range", c.out_of_range},
          {"not_increasing", c.not_increasing},
          {"jump", c.jump},
          {"from_the_future", c.from_the_future},
          {"older_than_last", c.older_than_last},
          {"expired", c.expired}};
}

/// A gate at time 10 s, the tool at the origin, the joints at zero within +-2 rad; the last joint turns without end.
class ReferenceGateKindsTest : public testing::Test {
 protected:
  ReferenceGateKindsTest() { gate.reset(now); }
  /// Sends a copy as a new message; returns the name of the one counter that moved, empty if none or more than one did.
  template <typename Reference>
  std::string offer(Reference message) {
    message.decision.sequence = ++sequence;
    const auto before = counts(gate.counters());
    const bool accepted = give(message);
    const auto after = counts(gate.counters());
    std::string moved;
    int changes = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (after[i].second == before[i].second) continue;
      moved = after[i].first;
      changes += static_cast<int>(after[i].second - before[i].second);
    }
    EXPECT_EQ(accepted, moved == "accepted");
    return changes == 1 ? moved : "";
  }
  bool give(const PoseChunk& chunk) { return gate.accept(chunk, {}, now, params); }
  bool give(const WrenchReference& wrench) { return gate.accept(wrench, Vector6::Constant(20), now, params); }
  bool give(const StiffnessReference& stiffness) {
    return gate.accept(stiffness, Vector6::Constant(1000), now, params);
  }
  bool give(const JointReference& joint) {
    if (torque) return gate.accept_torque(joint, 7, now, params);
    return gate.accept(joint, Channel::kMotion, JointVector::Zero(7), lower, upper, now, params);
  }
  PoseChunk chunk(int size) const {
    PoseChunk chunk;
    chunk.size = size;
    for (int i = 0; i < std::min(std::max(size, 1), PoseChunk::kCapacity); ++i) chunk.poses[i].time = now + 0.02 * i;
    chunk.decision.stamp = now;
    return chunk;
  }
  JointReference joints(int size = 7) const { return {JointVector::Zero(size), JointVector::Zero(size), {now, 0}}; }
  /// The stamp's faults are the same for all.
  template <typename Reference>
  void expect_stamps_judged(Reference good) {
    Reference message = good;
    for (const double bad : {kNan, kInfinity, -kInfinity}) {
      message.decision.stamp = bad;
      EXPECT_EQ(offer(message), "not_finite");
    }
    message.decision.stamp = now + params.future_tolerance + 0.01;
    EXPECT_EQ(offer(message), "from_the_future");
    EXPECT_EQ(offer(good), "accepted");
    EXPECT_EQ(offer(good), "older_than_last") << "the same decision again";
    message.decision.stamp = now - 0.1;
    EXPECT_EQ(offer(message), "older_than_last");
    gate.reset(now);
    message.decision.stamp = now - params.hold_after - 0.01;
    EXPECT_EQ(offer(message), "expired");
    message = good;
    message.decision.sequence = 0;
    EXPECT_FALSE(give(message));
  }

  GateParams params;
  ReferenceGate gate;
  double now = 10.0;
  std::uint64_t sequence = 0;
  bool torque = false;
  JointVector lower = (JointVector(7) << -2, -2, -2, -2, -2, -2, -kInfinity).finished();
  JointVector upper = -lower;
};

TEST_F(ReferenceGateKindsTest, StampsOfWrenches) { expect_stamps_judged(WrenchReference{Vector6::Zero(), {now, 0}}); }
TEST_F(ReferenceGateKindsTest, StampsOfStiffness) {
  expect_stamps_judged(StiffnessReference{Vector6::Zero(), {now, 0}});
}
TEST_F(ReferenceGateKindsTest, StampsOfJoints) { expect_stamps_judged(joints()); }
TEST_F(ReferenceGateKindsTest, StampsOfTorques) {
  torque = true;
  expect_stamps_judged(joints());
}

TEST_F(ReferenceGateKindsTest, AChunkThatIsOver) {
  PoseChunk past = chunk(2);
  past.poses[0].time = now - 2.0;
  past.poses[1].time = now - params.hold_after - 0.01;
  EXPECT_EQ(offer(past), "expired");
  past.poses[1].time = now - params.hold_after + 0.01;
  EXPECT_EQ(offer(past), "accepted");
}

TEST_F(ReferenceGateKindsTest, AnOldChunkIsGoodWhileItLasts) {
  PoseChunk decided = chunk(2);
  decided.decision.stamp = now - 1.0;
  decided.poses[1].time = now + 0.5;
  EXPECT_EQ(offer(decided), "accepted");
  gate.reset(now);
  decided.decision.stamp = now - params.chunk_horizon - params.hold_after - 0.01;
  EXPECT_EQ(offer(decided), "expired") << "beyond the horizon whatever it says";
}

TEST_F(ReferenceGateKindsTest, ChunksOfNoSize) {
  for (const int size : {0, -1, -1000, std::numeric_limits<int>::min(), 65, std::numeric_limits<int>::max()}) {
    EXPECT_EQ(offer(chunk(size)), "wrong_size") << size;
  }
  EXPECT_EQ(offer(chunk(1)), "accepted");
  now += 1e-3;
  EXPECT_EQ(offer(chunk(PoseChunk::kCapacity)), "accepted");
}

TEST_F(ReferenceGateKindsTest, ChunksWithOneBadPose) {
  for (const int at : {0, 3, 9}) {
    PoseChunk bad = chunk(10);
    bad.poses[at].T_base_ee.position.y() = kNan;
    EXPECT_EQ(offer(bad), "not_finite");
    bad = chunk(10);
    bad.poses[at].time = kInfinity;
    EXPECT_EQ(offer(bad), "not_finite");
    bad = chunk(10);
    bad.poses[at].T_base_ee.orientation.coeffs() *= 1.01;
    EXPECT_EQ(offer(bad), "not_unit_quaternion");
    bad = chunk(10);
    bad.poses[at].T_base_ee.position.x() = params.max_jump_linear + 0.01;
    EXPECT_EQ(offer(bad), "jump");
    bad = chunk(10);
    bad.poses[at].T_base_ee.orientation = about({1, 0, 0}, params.max_jump_angular + 0.01);
    EXPECT_EQ(offer(bad), "jump");
  }
  PoseChunk unused = chunk(9);
  unused.poses[9].time = kNan;
  EXPECT_EQ(offer(unused), "accepted") << "what lies beyond its size does not matter";
}

TEST_F(ReferenceGateKindsTest, ChunksMustIncreaseInTime) {
  PoseChunk bad = chunk(5);
  bad.poses[3].time = bad.poses[2].time;
  EXPECT_EQ(offer(bad), "not_increasing");
  bad.poses[3].time = bad.poses[2].time - 1.0;
  EXPECT_EQ(offer(bad), "not_increasing");
}

TEST_F(ReferenceGateKindsTest, AChunkMayLeadFarButNotFarFromTheToolNow) {
  PoseChunk far = chunk(11);
  for (int i = 0; i < 11; ++i) far.poses[i].T_base_ee.position.x() = 0.25 * i;
  EXPECT_EQ(offer(far), "accepted") << "every step is small";
  now += 0.15;
  far.decision.stamp = now;  // meanwhile it says 1.8 m
  EXPECT_EQ(offer(far), "jump");
}

TEST_F(ReferenceGateKindsTest, PosesAndChunksShareTheirAge) {
  EXPECT_EQ(offer(chunk(3)), "accepted");
  PoseReference pose{{}, {now - 0.01, ++sequence}};
  EXPECT_FALSE(gate.accept(pose, {}, now, params));
  EXPECT_EQ(gate.counters().older_than_last, 1u);
  pose.decision = {now + 0.01, ++sequence};
  EXPECT_TRUE(gate.accept(pose, {}, now, params));
  EXPECT_EQ(offer(chunk(3)), "older_than_last");
}

TEST_F(ReferenceGateKindsTest, ChannelsAgeOnTheirOwn) {
  EXPECT_EQ(offer(WrenchReference{Vector6::Zero(), {now, 0}}), "accepted");
  EXPECT_EQ(offer(chunk(1)), "accepted");
  EXPECT_EQ(gate.mode(now + 0.6, params), ReferenceMode::kHold);
  now += 0.4;
  EXPECT_EQ(offer(WrenchReference{Vector6::Zero(), {now, 0}}), "accepted");
  EXPECT_EQ(gate.mode(now + 0.2, params, Channel::kWrench), ReferenceMode::kTrack);
  EXPECT_EQ(gate.mode(now + 0.2, params), ReferenceMode::kHold);
}

TEST_F(ReferenceGateKindsTest, JointsOfTheWrongNumber) {
  for (const int size : {0, 1, 6, 8}) EXPECT_EQ(offer(joints(size)), "wrong_size");
  torque = true;
  for (const int size : {0, 1, 6, 8}) EXPECT_EQ(offer(joints(size)), "wrong_size");
}

TEST_F(ReferenceGateKindsTest, JointsBeyondTheirRangeOrTooFarAway) {
  for (int i = 0; i < 7; ++i) {
    JointReference bad = joints();
    bad.q[i] = kNan;
    EXPECT_EQ(offer(bad), "not_finite");
    bad.q[i] = i < 6 ? 2.01 : 1.1;
    EXPECT_EQ(offer(bad), i < 6 ? "out_of_range" : "jump");
    bad.q[i] = -params.max_jump_angular - 0.01;
    EXPECT_EQ(offer(bad), "jump");
  }
  JointReference round = joints();
  round.q[6] = 20.0 * M_PI + 0.5;
  EXPECT_EQ(offer(round), "accepted") << "ten turns on, half a radian the short way";
}

TEST_F(ReferenceGateKindsTest, JointsFromAnUnknownPosture) {
  const JointVector unknown = JointVector::Constant(7, kNan);
  EXPECT_FALSE(gate.accept({JointVector::Zero(7), {}, {now, 1}}, Channel::kMotion, unknown, lower, upper, now, params));
  EXPECT_EQ(gate.counters().jump, 1u);
}

TEST_F(ReferenceGateKindsTest, TorquesThatAreNoNumbers) {
  torque = true;
  JointReference bad = joints();
  bad.tau[4] = -kInfinity;
  EXPECT_EQ(offer(bad), "not_finite");
  bad.tau[4] = 1e9;
  EXPECT_EQ(offer(bad), "accepted") << "the controller has its own limit";
}

TEST_F(ReferenceGateKindsTest, WrenchesAndStiffnessOutOfRange) {
  for (int i = 0; i < 6; ++i) {
    WrenchReference wrench{Vector6::Zero(), {now, 0}};
    StiffnessReference stiffness{Vector6::Zero(), {now, 0}};
    for (const double bad : {20.1, -20.1, 1e300}) {
      wrench.wrench[i] = bad;
      EXPECT_EQ(offer(wrench), "out_of_range");
    }
    for (const double bad : {-0.1, 1000.1, -1e300}) {
      stiffness.stiffness[i] = bad;
      EXPECT_EQ(offer(stiffness), "out_of_range");
    }
    wrench.wrench[i] = stiffness.stiffness[i] = kNan;
    EXPECT_EQ(offer(wrench), "not_finite");
    EXPECT_EQ(offer(stiffness), "not_finite");
  }
  EXPECT_EQ(offer(WrenchReference{Vector6::Constant(-20), {now, 0}}), "accepted");
  EXPECT_EQ(offer(StiffnessReference{Vector6::Constant(1000), {now, 0}}), "accepted");
}

}  // namespace
}  // namespace crisp_control::test
