// Chunks of timed poses: what they say in between, how one follows another, and that they are tracked without a lag.
#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

PoseChunk chunk_of(const std::vector<TimedPose>& poses) {
  PoseChunk chunk;
  chunk.size = static_cast<int>(poses.size());
  std::copy(poses.begin(), poses.end(), chunk.poses.begin());
  return chunk;
}

TEST(PoseChunk, IsLinearInPositionAndAngleBetweenWaypoints) {
  const Vector3 a(0.1, 0.2, 0.3), b(0.3, -0.1, 0.4), axis(0.2, -0.4, 0.5);
  const Eigen::Quaterniond from = about({1, 1, 0}, 0.7);
  for (const double sign : {1.0, -1.0}) {
    const Eigen::Quaterniond to(sign * (about(axis, 1.2) * from).coeffs());
    const PoseChunk chunk = chunk_of({{{a, from}, 2.0}, {{b, to}, 2.5}});
    for (int i = 0; i <= 10; ++i) {
      const double part = 0.1 * i;
      const Pose pose = chunk.at(2.0 + 0.5 * part);
      EXPECT_LT((pose.position - (a + part * (b - a))).norm(), 1e-12);
      EXPECT_LT(angle_between(pose.orientation, about(axis, 1.2 * part) * from), 1e-7);
    }
  }
}

TEST(PoseChunk, StaysAtItsEnds) {
  const Pose first{{1, 0, 0}, about({0, 0, 1}, 0.3)}, last{{2, 0, 0}, about({0, 0, 1}, 0.6)};
  const PoseChunk chunk = chunk_of({{first, 1.0}, {{{5, 0, 0}}, 2.0}, {last, 3.0}});
  for (const double before : {-kInfinity, -1e9, 0.999}) EXPECT_EQ(chunk.at(before).position, first.position);
  for (const double after : {3.0, 3.001, 1e9, kInfinity}) EXPECT_EQ(chunk.at(after).position, last.position);
  EXPECT_EQ(chunk.at(2.0).position.x(), 5.0);
}

TEST(PoseChunk, OneWaypointIsAPose) {
  const PoseChunk chunk = chunk_of({{{{1, 2, 3}}, 4.0}});
  for (const double time : {0.0, 4.0, 9.0}) EXPECT_EQ(chunk.at(time).position, Vector3(1, 2, 3));
}

TEST(PoseChunk, PassesThroughEveryWaypointOfAFullOne) {
  std::mt19937 rng(4);
  std::vector<TimedPose> poses;
  for (int i = 0; i < PoseChunk::kCapacity; ++i) poses.push_back({{random_joints(3, 1.0, rng)}, 0.01 * i * i});
  const PoseChunk chunk = chunk_of(poses);
  for (const TimedPose& pose : poses) EXPECT_EQ(chunk.at(pose.time).position, pose.T_base_ee.position);
}

/// The reference of a controller whose arm is simply where the reference is: the chain is not the subject here.
class ChunkTrackingTest : public testing::Test {
 protected:
  ChunkTrackingTest() : plant(fr3(), fr3_home()), controller(plant.model(), params(plant.model())) {
    controller.reset(plant.state);
    home = controller.tracked();
  }
  static CartesianImpedanceParams params(const ArmModel& model) {
    auto params = unlimited<CartesianImpedanceParams>(model);
    params.smoothing_time = 0.1;
    return params;
  }
  void tick() {
    controller.update(plant.state, references, kDt);
    plant.state.time += kDt;
  }
  Pose along(double time) const {
    return {home.position + time * velocity, about(spin, time * spin.norm()) * home.orientation};
  }
  /// Waypoints every 50 ms of the steady motion, from `begin`.
  void send(double begin, int size = 20) {
    references.chunk.size = size;
    for (int i = 0; i < size; ++i) references.chunk.poses[i] = {along(begin + 0.05 * i), begin + 0.05 * i};
    renew(references.chunk, plant.state.time);
  }

  Plant plant;
  CartesianImpedance controller;
  Pose home;
  References references;
  Vector3 velocity{0.1, -0.05, 0.08}, spin{0.1, 0.2, -0.3};
};

TEST_F(ChunkTrackingTest, ASteadyMotionIsTrackedWithoutALag) {
  for (int i = 0; i < 3000; ++i) {
    if (i % 200 == 0) send(0.001 * i);
    tick();
    if (i < 1000) continue;
    const Pose expected = along(plant.state.time);
    EXPECT_LT((controller.tracked().position - expected.position).norm(), 2e-4) << "a tick at 0.14 m/s";
    EXPECT_LT(angle_between(controller.tracked().orientation, expected.orientation), 6e-4);
    EXPECT_LT((controller.interpolator().velocity().head<3>() - velocity).norm(), 1e-3);
  }
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
}

TEST_F(ChunkTrackingTest, JoiningChunksThatDisagreeMakesNeitherVelocityNorAccelerationJump) {
  Vector6 velocity_before = Vector6::Zero(), acceleration_before = Vector6::Zero();
  double most_acceleration = 0.0, most_jerk = 0.0;
  std::mt19937 rng(5);
  for (int i = 0; i < 4000; ++i) {
    if (i % 300 == 0) {  // every chunk contradicts the one before, by up to 4 cm and 0.2 m/s
      velocity = random_joints(3, 0.2, rng);
      home.position = controller.tracked().position - 0.001 * i * velocity + 0.04 * Vector3(random_joints(3, 1.0, rng));
      home.orientation = about(spin, -0.001 * i * spin.norm()) * controller.tracked().orientation;
      send(0.001 * i);
    }
    tick();
    const Vector6 now = controller.interpolator().velocity(), acceleration = (now - velocity_before) / kDt;
    if (i > 1) {
      most_acceleration = std::max(most_acceleration, acceleration.head<3>().norm());
      most_jerk = std::max(most_jerk, (acceleration - acceleration_before).head<3>().norm() / kDt);
    }
    velocity_before = now;
    acceleration_before = acceleration;
  }
  // Jerk is at most lambda^3 times the distance to the target: 30^3 /s^3 times some 8 cm plus what was under way.
  EXPECT_LT(most_jerk, 27e3 * 0.2);
  EXPECT_LT(most_acceleration, 40.0);
  EXPECT_GT(most_jerk, 100.0) << "the chunks were to disagree";
  EXPECT_EQ(controller.status().reference.jump, 0u);
}

TEST_F(ChunkTrackingTest, ChunksThatAgreeCannotBeToldFromOneLongChunk) {
  CartesianImpedance other = controller;
  References whole;
  whole.chunk.size = 60;
  for (int i = 0; i < 60; ++i) whole.chunk.poses[i] = {along(0.05 * i), 0.05 * i};
  renew(whole.chunk, 0.0);
  for (int i = 0; i < 1500; ++i) {
    if (i % 150 == 0) send(0.05 * std::floor(0.02 * i));
    other.update(plant.state, whole, kDt);
    tick();
    EXPECT_LT((controller.tracked().position - other.tracked().position).norm(), 1e-9);
  }
}

TEST_F(ChunkTrackingTest, ItComesToRestAtTheLastWaypoint) {
  send(0.0, 5);
  for (int i = 0; i < 650; ++i) tick();
  EXPECT_LT((controller.tracked().position - along(0.2).position).norm(), 1e-5);
  EXPECT_LT(controller.interpolator().velocity().norm(), 1e-3);
}

TEST_F(ChunkTrackingTest, ASinglePoseTakesOver) {
  send(0.0);
  for (int i = 0; i < 200; ++i) tick();
  Pose goal = home;
  goal.position.z() += 0.05;
  for (int i = 0; i < 1000; ++i) {
    if (i % 100 == 0) ask(references, goal, plant.state.time);
    tick();
  }
  EXPECT_LT((controller.tracked().position - goal.position).norm(), 1e-5);
}

TEST_F(ChunkTrackingTest, ARefusedChunkLeavesTheOneBefore) {
  send(0.0);
  tick();
  references.chunk.poses[3].time = references.chunk.poses[2].time;
  renew(references.chunk, plant.state.time);
  for (int i = 0; i < 500; ++i) tick();
  EXPECT_EQ(controller.status().reference.not_increasing, 1u);
  EXPECT_LT((controller.tracked().position - along(plant.state.time).position).norm(), 1e-3);
}

}  // namespace
}  // namespace crisp_control::test
