#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

/// A gate at time 10 s with the tool at the origin, and a message counter.
class ReferenceGateTest : public testing::Test {
 protected:
  ReferenceGateTest() { gate.reset(now); }
  bool offer(const PoseReference& reference) {
    PoseReference fresh = reference;
    fresh.decision.sequence = ++sequence;
    return gate.accept(fresh, {}, now, params);
  }
  PoseReference good() const { return {{}, {now, 0}}; }
  std::uint64_t refused() const {
    const GateCounters& c = gate.counters();
    return c.not_finite + c.not_unit_quaternion + c.jump + c.from_the_future + c.older_than_last + c.expired;
  }

  GateParams params;
  ReferenceGate gate;
  double now = 10.0;
  std::uint64_t sequence = 0;
};

TEST_F(ReferenceGateTest, AcceptsAGoodReferenceOnce) {
  const PoseReference reference{{}, {now, 7}};
  EXPECT_TRUE(gate.accept(reference, {}, now, params));
  EXPECT_FALSE(gate.accept(reference, {}, now, params));
  EXPECT_EQ(gate.counters().accepted, 1u);
  EXPECT_EQ(refused(), 0u);
}

TEST_F(ReferenceGateTest, SequenceZeroMeansNoReference) {
  EXPECT_FALSE(gate.accept(PoseReference{{}, {now, 0}}, {}, now, params));
  EXPECT_EQ(refused(), 0u);
}

TEST_F(ReferenceGateTest, RefusesWhatIsNotFinite) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    for (int i = 0; i < 3; ++i) {
      PoseReference reference = good();
      reference.T_base_ee.position[i] = bad;
      EXPECT_FALSE(offer(reference));
    }
    for (int i = 0; i < 4; ++i) {
      PoseReference reference = good();
      reference.T_base_ee.orientation.coeffs()[i] = bad;
      EXPECT_FALSE(offer(reference));
    }
    PoseReference reference = good();
    reference.decision.stamp = bad;
    EXPECT_FALSE(offer(reference));
  }
  EXPECT_EQ(gate.counters().not_finite, 24u);
  EXPECT_EQ(refused(), 24u);
}

TEST_F(ReferenceGateTest, RefusesQuaternionsThatAreNotUnit) {
  for (const double scale : {0.0, 0.5, 0.998, 1.002, 2.0, 1e200}) {
    PoseReference reference = good();
    reference.T_base_ee.orientation.coeffs() *= scale;
    EXPECT_FALSE(offer(reference)) << scale;
  }
  EXPECT_EQ(gate.counters().not_unit_quaternion, 6u);
  PoseReference nearly = good();
  nearly.T_base_ee.orientation.coeffs() *= 1.0005;  // float32 on the way
  EXPECT_TRUE(offer(nearly));
}

TEST_F(ReferenceGateTest, RefusesTheFuture) {
  PoseReference reference = good();
  reference.decision.stamp = now + params.future_tolerance + 0.001;
  EXPECT_FALSE(offer(reference));
  EXPECT_EQ(gate.counters().from_the_future, 1u);
  reference.decision.stamp = now + params.future_tolerance - 0.001;
  EXPECT_TRUE(offer(reference));
}

TEST_F(ReferenceGateTest, RefusesWhatIsOlderThanTheLast) {
  PoseReference reference = good();
  EXPECT_TRUE(offer(reference));
  reference.decision.stamp = now - 0.01;
  EXPECT_FALSE(offer(reference));
  EXPECT_EQ(gate.counters().older_than_last, 1u);
}

TEST_F(ReferenceGateTest, RefusesWhatHasExpired) {
  PoseReference reference = good();
  reference.decision.stamp = now - params.hold_after - 0.001;
  EXPECT_FALSE(offer(reference));
  EXPECT_EQ(gate.counters().expired, 1u);
  reference.decision.stamp = now - params.hold_after + 0.001;
  EXPECT_TRUE(offer(reference));
}

TEST_F(ReferenceGateTest, RefusesJumps) {
  PoseReference far = good(), turned = good(), huge = good();
  far.T_base_ee.position.x() = params.max_jump_linear + 0.001;
  turned.T_base_ee.orientation = about({0, 0, 1}, params.max_jump_angular + 0.001);
  huge.T_base_ee.position.setConstant(1e308);
  EXPECT_FALSE(offer(far));
  EXPECT_FALSE(offer(turned));
  EXPECT_FALSE(offer(huge));
  EXPECT_EQ(gate.counters().jump, 3u);
  far.T_base_ee.position.x() = params.max_jump_linear - 0.001;
  turned.T_base_ee.orientation.coeffs() *= -1.0;
  EXPECT_TRUE(offer(far));
}

TEST_F(ReferenceGateTest, RefusesToJumpFromAnUnknownPose) {
  Pose unknown;
  unknown.position.setConstant(kNan);
  EXPECT_FALSE(gate.accept(PoseReference{{}, {now, 1}}, unknown, now, params));
  EXPECT_EQ(gate.counters().jump, 1u);
}

TEST_F(ReferenceGateTest, AgesFromTrackToHoldToDamp) {
  EXPECT_EQ(gate.mode(now, params), ReferenceMode::kHold);
  EXPECT_EQ(gate.mode(now + 100.0, params), ReferenceMode::kHold) << "nobody has died yet";
  EXPECT_TRUE(offer(good()));
  EXPECT_EQ(gate.mode(now, params), ReferenceMode::kTrack);
  EXPECT_EQ(gate.mode(now + params.hold_after - 1e-6, params), ReferenceMode::kTrack);
  EXPECT_EQ(gate.mode(now + params.hold_after + 1e-6, params), ReferenceMode::kHold);
  EXPECT_EQ(gate.mode(now + params.damp_after - 1e-6, params), ReferenceMode::kHold);
  EXPECT_EQ(gate.mode(now + params.damp_after + 1e-6, params), ReferenceMode::kDamp);
}

TEST_F(ReferenceGateTest, ARelayThatRepeatsAnOldStampDoesNotKeepADeadPolicyAlive) {
  const PoseReference decided = good();
  EXPECT_TRUE(offer(decided));
  for (int tick = 0; tick < 3000; ++tick) {
    now += 1e-3;
    EXPECT_FALSE(offer(decided));
    EXPECT_NEAR(gate.age(now), now - decided.decision.stamp, 1e-9);
  }
  EXPECT_EQ(gate.mode(now, params), ReferenceMode::kDamp);
  EXPECT_EQ(gate.counters().older_than_last, 3000u);
}

TEST_F(ReferenceGateTest, AFreshDecisionBringsItBack) {
  EXPECT_TRUE(offer(good()));
  now += 10.0;
  EXPECT_EQ(gate.mode(now, params), ReferenceMode::kDamp);
  EXPECT_TRUE(offer(good()));
  EXPECT_EQ(gate.mode(now, params), ReferenceMode::kTrack);
}

TEST_F(ReferenceGateTest, ResetForgetsEverything) {
  EXPECT_TRUE(offer(good()));
  now = 0.0;  // a clock that starts again
  gate.reset(now);
  EXPECT_EQ(gate.counters().accepted, 0u);
  EXPECT_EQ(gate.mode(now, params), ReferenceMode::kHold);
  EXPECT_TRUE(gate.accept(PoseReference{{}, {now, sequence}}, {}, now, params));
}

}  // namespace
}  // namespace crisp_control::test
