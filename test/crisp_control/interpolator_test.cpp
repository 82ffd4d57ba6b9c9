#include "crisp_control/interpolator.hpp"

#include <gtest/gtest.h>

#include "arms.hpp"

namespace crisp_control::test {
namespace {

constexpr double kSmoothing = 0.1;  // s
constexpr double kLambda = 3.0 / kSmoothing;

Pose pose_at(const Vector3& position, const Eigen::Quaterniond& orientation = Eigen::Quaterniond::Identity()) {
  return {position, orientation};
}

PoseInterpolator resting(const Pose& pose, const Pose& target) {
  PoseInterpolator interpolator;
  interpolator.reset(pose);
  interpolator.set_target(target);
  return interpolator;
}

/// Acceleration by a probing step on a copy.
Vector6 acceleration(PoseInterpolator interpolator) {
  constexpr double kProbe = 1e-7;
  const Vector6 before = interpolator.velocity();
  interpolator.step(kProbe, kSmoothing);
  return (interpolator.velocity() - before) / kProbe;
}

TEST(Interpolator, FollowsTheCriticallyDampedThirdOrderResponse) {
  const Vector3 goal(0.3, -0.2, 0.1), axis(0.4, -0.5, 0.7);
  PoseInterpolator moving = resting({}, pose_at(goal, about(axis, 0.9)));
  for (int i = 1; i <= 500; ++i) {
    moving.step(1e-3, kSmoothing);
    const double x = kLambda * 1e-3 * i;
    const double done = 1.0 - std::exp(-x) * (1.0 + x + 0.5 * x * x);
    EXPECT_LT((moving.pose().position - done * goal).norm(), 1e-12);
    EXPECT_LT(angle_between(moving.pose().orientation, about(axis, 0.9 * done)), 1e-7);
  }
  EXPECT_LT((moving.pose().position - goal).norm(), 1e-4);
}

TEST(Interpolator, DoesNotDependOnTheStepLength) {
  const Pose goal = pose_at({0.2, 0.1, -0.3}, about({1, 2, 3}, 1.4));
  PoseInterpolator coarse = resting({}, goal), fine = coarse, finest = coarse;
  for (int i = 0; i < 8; ++i) {
    coarse.step(0.02, kSmoothing);
    for (int k = 0; k < 20; ++k) fine.step(0.001, kSmoothing);
    for (int k = 0; k < 400; ++k) finest.step(0.00005, kSmoothing);
    for (const PoseInterpolator& other : {fine, finest}) {
      EXPECT_LT((coarse.pose().position - other.pose().position).norm(), 1e-12);
      EXPECT_LT((coarse.velocity() - other.velocity()).norm(), 1e-10);
      EXPECT_LT(angle_between(coarse.pose().orientation, other.pose().orientation), 1e-7);
    }
  }
}

TEST(Interpolator, ANewTargetMakesNothingJump) {
  std::mt19937 rng(8);
  PoseInterpolator moving = resting({}, pose_at({0.1, 0.0, 0.2}, about({1, 0, 1}, 0.5)));
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 13; ++k) moving.step(1e-3, kSmoothing);
    const Pose before = moving.pose();
    const Vector6 velocity = moving.velocity(), accelerating = acceleration(moving);
    const Vector6 jump = random_wrench(0.3, rng);
    moving.set_target(pose_at(before.position + jump.head<3>(), exp3(jump.tail<3>()) * before.orientation));
    EXPECT_EQ(moving.pose().position, before.position);
    EXPECT_EQ(moving.velocity(), velocity);
    // The jerk, at most about lambda^3 times the distance, acts for one probing step: 27000 * 0.5 * 1e-7.
    EXPECT_LT((acceleration(moving) - accelerating).norm(), 0.01);
  }
}

TEST(Interpolator, TheJerkIsBounded) {
  const double distance = 0.2;
  PoseInterpolator moving = resting({}, pose_at({distance, 0, 0}));
  double last = 0.0;
  for (int i = 0; i < 400; ++i) {
    const double now = acceleration(moving)[0];
    EXPECT_LT(std::abs(now - last), 1.01 * kLambda * kLambda * kLambda * distance * 1e-3);
    last = now;
    moving.step(1e-3, kSmoothing);
  }
}

TEST(Interpolator, LagsBehindARampByTheSmoothingTime) {
  const Vector3 speed(0.2, -0.1, 0.05);
  const Vector3 turning(0.1, 0.5, -0.3);
  PoseInterpolator moving = resting({}, {});
  double time = 0.0;
  for (int i = 0; i < 3000; ++i, time += 1e-4) {
    moving.set_target(pose_at(speed * time, exp3(turning * time)));
    moving.step(1e-4, kSmoothing);
  }
  const double behind = time - kSmoothing;
  EXPECT_LT((moving.pose().position - speed * behind).norm(), 2e-4 * speed.norm() + 1e-5);
  EXPECT_LT(angle_between(moving.pose().orientation, exp3(turning * behind)), 2e-4 + 1e-4);
  EXPECT_LT((moving.velocity().head<3>() - speed).norm(), 1e-2 * speed.norm());
  EXPECT_LT((moving.velocity().tail<3>() - turning).norm(), 1e-2 * turning.norm());
}

TEST(Interpolator, TakesTheShorterWayWhateverTheSignOfTheQuaternion) {
  const Eigen::Quaterniond goal = about({0, 0, 1}, 0.8);
  PoseInterpolator one = resting({}, pose_at({0, 0, 0}, goal));
  PoseInterpolator other = resting({}, pose_at({0, 0, 0}, Eigen::Quaterniond(-goal.coeffs())));
  for (int i = 0; i < 600; ++i) {
    one.step(1e-3, kSmoothing);
    other.step(1e-3, kSmoothing);
    EXPECT_LT(angle_between(one.pose().orientation, other.pose().orientation), 1e-7);
    EXPECT_LT(angle_between(one.pose().orientation, Eigen::Quaterniond::Identity()), 0.81);
  }
  EXPECT_LT(angle_between(one.pose().orientation, goal), 1e-4);
}

TEST(Interpolator, TurnsThroughPiWithoutTurningBack) {
  const Vector3 axis(0.3, -0.2, 0.9);
  PoseInterpolator moving = resting({}, {});
  double angle = 0.0, furthest_step = 0.0;
  while (angle < 4.0 * M_PI) {
    angle += 0.1;  // 1 rad/s at 10 Hz
    moving.set_target(pose_at({0, 0, 0}, about(axis, angle)));
    for (int k = 0; k < 100; ++k) {
      const Eigen::Quaterniond before = moving.pose().orientation;
      moving.step(1e-3, kSmoothing);
      furthest_step = std::max(furthest_step, angle_between(before, moving.pose().orientation));
    }
    EXPECT_GT(moving.velocity().tail<3>().dot(axis), 0.0) << "at " << angle << " rad";
    EXPECT_LT(angle_between(moving.pose().orientation, about(axis, angle)), 0.12) << "at " << angle << " rad";
  }
  EXPECT_LT(furthest_step, 2e-3);
}

TEST(Interpolator, ReachesATargetHalfATurnAway) {
  const Eigen::Quaterniond goal = about({0, 1, 0}, M_PI);
  PoseInterpolator moving = resting({}, pose_at({0, 0, 0}, goal));
  for (int i = 0; i < 1500; ++i) moving.step(1e-3, kSmoothing);
  EXPECT_LT(angle_between(moving.pose().orientation, goal), 1e-6);
  EXPECT_NEAR(moving.pose().orientation.norm(), 1.0, 1e-12);
}

TEST(Interpolator, StopsCloseToWhereItWasTold) {
  PoseInterpolator moving = resting({}, pose_at({0.2, 0, 0}));
  for (int i = 0; i < 80; ++i) moving.step(1e-3, kSmoothing);
  const Vector3 told = moving.pose().position;
  const double speed = moving.velocity()[0];
  ASSERT_GT(speed, 0.5);
  moving.stop_here();
  double furthest = 0.0;
  for (int i = 0; i < 1000; ++i) {
    moving.step(1e-3, kSmoothing);
    furthest = std::max(furthest, (moving.pose().position - told).norm());
  }
  EXPECT_LT((moving.pose().position - told).norm(), 1e-6);
  EXPECT_LT(furthest, speed * kSmoothing);
}

/// What the filter makes of a walk that takes `walk` seconds: its step response, averaged over the walk.
double walked(double t, double walk, double lambda) {
  const auto integral = [lambda](double s) {  // of 1 - exp(-x) (1 + x + x^2 / 2), x = lambda s
    const double x = lambda * std::max(s, 0.0);
    return (x - 3.0 + std::exp(-x) * (3.0 + 2.0 * x + 0.5 * x * x)) / lambda;
  };
  return (integral(t) - integral(t - walk)) / walk;
}

TEST(Interpolator, WalksToAReferenceAndFiltersTheWalk) {
  std::mt19937 rng(2);
  const JointVector start = random_joints(7, 1.0, rng), goal = random_joints(7, 1.0, rng);
  const Vector3 axis(0.4, -0.5, 0.7);
  PoseInterpolator pose = resting({}, {});
  JointInterpolator joints;
  joints.reset(start);
  pose.set_reference(pose_at({0.3, -0.2, 0.1}, about(axis, 0.9)), 7.0, kSmoothing);
  joints.set_reference(goal, 7.0, kSmoothing);
  // The first reference walks for smoothing_time, and the filter gets the half that remains of the delay.
  for (int i = 1; i <= 4000; ++i) {
    pose.step(1e-4, kSmoothing);
    joints.step(1e-4, kSmoothing);
    const double done = walked(1e-4 * i, kSmoothing, 2.0 * kLambda);
    EXPECT_LT((pose.pose().position - done * Vector3(0.3, -0.2, 0.1)).norm(), 5e-4);
    EXPECT_LT(angle_between(pose.pose().orientation, about(axis, 0.9 * done)), 1e-3);
    EXPECT_LT((joints.q() - start - done * (goal - start)).norm(), 2e-3);
  }
  EXPECT_LT((joints.q() - goal).norm() + joints.dq().norm(), 1e-3);
}

TEST(Interpolator, SteadyReferencesAreFollowedSteadilyWithTheDelayOfSmoothingTimeAndHalfAPeriod) {
  constexpr double kPeriod = 0.05, kSpeed = 0.2;
  PoseInterpolator moving = resting({}, {});
  for (int i = 0; i < 2000; ++i) {
    if (i % 50 == 0) moving.set_reference(pose_at({kSpeed * 1e-3 * i, 0, 0}), 1e-3 * i, kSmoothing);
    moving.step(1e-3, kSmoothing);
    if (i < 1000) continue;
    EXPECT_NEAR(moving.pose().position.x(), kSpeed * (1e-3 * (i + 1) - kSmoothing - 0.5 * kPeriod), 3e-4);
    EXPECT_NEAR(moving.velocity()[0], kSpeed, 1e-3);
  }
}

TEST(Interpolator, JointsStopCloseToWhereTheyWereTold) {
  JointInterpolator moving;
  moving.reset(JointVector::Zero(7));
  moving.set_reference(JointVector::Ones(7), 1.0, kSmoothing);
  for (int i = 0; i < 80; ++i) moving.step(1e-3, kSmoothing);
  const JointVector told = moving.q();
  moving.stop_here();
  for (int i = 0; i < 1000; ++i) moving.step(1e-3, kSmoothing);
  EXPECT_LT((moving.q() - told).norm(), 1e-6);
}

}  // namespace
}  // namespace crisp_control::test
