#include "crisp_control/torque_limiter.hpp"

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

JointVector all(double value) { return JointVector::Constant(7, value); }

class TorqueLimiterTest : public testing::Test {
 protected:
  JointVector apply(const JointVector& wanted, double dt = kDt) {
    JointVector tau = wanted;
    limiter.apply(tau, all(50.0), all(1000.0), dt);
    return tau;
  }
  TorqueLimiter limiter;
};

TEST_F(TorqueLimiterTest, LeavesWhatIsAllowedAsItIs) {
  limiter.reset(all(0.0));
  EXPECT_EQ(apply(all(0.9)), all(0.9));
  EXPECT_EQ(limiter.counters().clamped + limiter.counters().rate_limited + limiter.counters().not_finite, 0u);
}

TEST_F(TorqueLimiterTest, ClampsToTheLimitOnBothSides) {
  limiter.reset(all(49.5));
  EXPECT_EQ(apply(all(200.0)), all(50.0));
  limiter.reset(all(-49.5));
  EXPECT_EQ(apply(all(-200.0)), all(-50.0));
  EXPECT_EQ(limiter.counters().clamped, 1u);
  limiter.reset(all(0.0));
  EXPECT_EQ(limiter.counters().clamped, 0u);
}

TEST_F(TorqueLimiterTest, RampsFromTheMeasuredTorque) {
  limiter.reset(all(30.0));
  for (int i = 1; i <= 20; ++i) EXPECT_LT((apply(all(9.5)) - all(30.0 - i)).norm(), 1e-12);
  EXPECT_EQ(limiter.counters().rate_limited, 20u);
  EXPECT_EQ(apply(all(9.5)), all(9.5));
}

TEST_F(TorqueLimiterTest, RateIsPerSecondAndNotPerTick) {
  for (const double dt : {1e-4, 1e-3, 1e-2}) {
    limiter.reset(all(0.0));
    EXPECT_LT((apply(all(40.0), dt) - all(1000.0 * dt)).norm(), 1e-12);
  }
}

TEST_F(TorqueLimiterTest, EachJointHasItsOwnLimits) {
  JointVector limit = all(10.0), rate = all(1000.0), tau = all(100.0);
  limit[2] = 0.5;
  rate[3] = 200.0;
  limiter.reset(all(0.0));
  limiter.apply(tau, limit, rate, kDt);
  EXPECT_DOUBLE_EQ(tau[0], 1.0);
  EXPECT_DOUBLE_EQ(tau[2], 0.5);
  EXPECT_DOUBLE_EQ(tau[3], 0.2);
}

TEST_F(TorqueLimiterTest, KeepsTheLastTorqueIfThereIsNoNumber) {
  limiter.reset(all(5.0));
  for (const double bad : {kNan, kInfinity}) {
    JointVector wanted = all(5.5);
    wanted[3] = bad;
    EXPECT_EQ(apply(wanted), all(5.0));
  }
  EXPECT_EQ(limiter.counters().not_finite, 2u);
  EXPECT_EQ(apply(all(5.5)), all(5.5));
}

TEST_F(TorqueLimiterTest, AMeasuredTorqueOutsideTheLimitsComesBackAtOnce) {
  limiter.reset(all(80.0));
  EXPECT_EQ(apply(all(49.9)), all(50.0));
}

TEST_F(TorqueLimiterTest, APreviewLimitsButIsNotTakenAsApplied) {
  limiter.reset(all(0.0));
  for (int i = 0; i < 5; ++i) {
    JointVector tau = all(100.0);
    limiter.preview(tau, all(50.0), all(1000.0), kDt);
    EXPECT_EQ(tau, all(1.0));
  }
  EXPECT_EQ(limiter.counters().clamped + limiter.counters().rate_limited, 0u) << "counted when applied";
  EXPECT_EQ(apply(all(0.5)), all(0.5));
  EXPECT_EQ(limiter.counters().clamped, 1u) << "the preview of the same tick";
  EXPECT_EQ(limiter.counters().rate_limited, 1u);
  EXPECT_EQ(apply(all(0.5)), all(0.5));
  EXPECT_EQ(limiter.counters().clamped, 1u);
}

}  // namespace
}  // namespace crisp_control::test
