// The environment variable SCENE names an exported FR3.
#include "twin_physics.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>

namespace steadyhand {
namespace {

constexpr std::array kHome{0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398};

std::string joint_name(int i) { return "fr3_joint" + std::to_string(i + 1); }

struct TwinPhysicsTest : testing::Test {
  TwinPhysicsTest() {
    for (int i = 0; i < 7; ++i) joints[i] = twin.add_joint(joint_name(i), Drive::kEffort, kHome[i]);
    finger = twin.add_joint("fr3_finger_joint1", Drive::kPosition, 0.04);
  }

  TwinPhysics twin{std::getenv("SCENE")};
  std::array<int, 7> joints{};
  int finger = -1;
};

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing refused";
}

TEST_F(TwinPhysicsTest, WhatTheSceneDoesNotHaveIsRefused) {
  EXPECT_NE(refusal([&] { twin.add_joint("elbow", Drive::kEffort, 0.0); }).find("no joint 'elbow'"), std::string::npos);
  EXPECT_NE(refusal([&] { twin.add_joint("peg", Drive::kNone, 0.0); }).find("turns or slides"), std::string::npos);
  const auto wrong = refusal([&] { twin.add_joint("fr3_joint1", Drive::kPosition, 0.0); });
  EXPECT_NE(wrong.find("no actuator that takes a position"), std::string::npos);
  EXPECT_NE(refusal([] { TwinPhysics("/no/scene.mjb"); }).find("cannot load the scene"), std::string::npos);
  EXPECT_NE(refusal([] { TwinPhysics("/no/scene.xml"); }).find("cannot load the scene"), std::string::npos);
}

TEST_F(TwinPhysicsTest, DoesWhatMujocoDoes) {
  mjModel* model = mj_loadModel(std::getenv("SCENE"), nullptr);
  mjData* data = mj_makeData(model);
  for (int i = 0; i < 7; ++i) {
    data->qpos[model->jnt_qposadr[mj_name2id(model, mjOBJ_JOINT, joint_name(i).c_str())]] = kHome[i];
    data->ctrl[mj_name2id(model, mjOBJ_ACTUATOR, joint_name(i).c_str())] = 3.0 + i;
    twin.command(joints[i], 3.0 + i);
  }
  const int slide = model->jnt_qposadr[mj_name2id(model, mjOBJ_JOINT, "fr3_finger_joint1")];
  data->qpos[slide] = 0.04;
  data->ctrl[mj_name2id(model, mjOBJ_ACTUATOR, "gripper")] = 0.01;
  twin.command(finger, 0.01);
  mj_forward(model, data);
  for (int i = 0; i < 200; ++i) {
    mj_step(model, data);
    ASSERT_TRUE(twin.advance(model->opt.timestep));
  }
  for (int i = 0; i < 7; ++i) {
    const int id = mj_name2id(model, mjOBJ_JOINT, joint_name(i).c_str());
    EXPECT_EQ(twin.state(joints[i]).position, data->qpos[model->jnt_qposadr[id]]);
    EXPECT_EQ(twin.state(joints[i]).velocity, data->qvel[model->jnt_dofadr[id]]);
    EXPECT_EQ(twin.state(joints[i]).effort, 3.0 + i);
  }
  EXPECT_EQ(twin.state(finger).position, data->qpos[slide]);
  EXPECT_LT(twin.state(finger).position, 0.03);
  mj_deleteData(data);
  mj_deleteModel(model);
}

TEST_F(TwinPhysicsTest, TimePassesInWholeSteps) {
  const auto passed = [&](double seconds) {
    twin.reset();
    EXPECT_TRUE(twin.advance(seconds));
    return std::lround(twin.time() / twin.timestep());
  };
  EXPECT_EQ(passed(0.001), 1);
  EXPECT_EQ(passed(0.0013), 1);
  EXPECT_EQ(passed(0.002), 2);
  EXPECT_EQ(passed(0.0), 0);
  EXPECT_EQ(passed(10.0), TwinPhysics::kMaxSteps);
}

TEST_F(TwinPhysicsTest, ItsTimeIsThatOfTheLoop) {
  twin.reset();
  for (int i = 0; i < 40; ++i) twin.advance(0.0025);
  EXPECT_NEAR(twin.time(), 0.1, 1e-9);
  for (int i = 0; i < 20; ++i) twin.advance(i % 2 ? 0.0001 : 0.0019);  // a loop that is late and catches up
  EXPECT_NEAR(twin.time(), 0.12, 1.001e-3);
}

TEST_F(TwinPhysicsTest, ACommandThatIsNoNumberChangesNothing) {
  twin.command(joints[0], 5.0);
  twin.command(joints[0], std::numeric_limits<double>::quiet_NaN());
  twin.command(joints[0], std::numeric_limits<double>::infinity());
  ASSERT_TRUE(twin.advance(0.001));
  EXPECT_EQ(twin.state(joints[0]).effort, 5.0);
}

TEST_F(TwinPhysicsTest, StopsAndStartsAgain) {
  for (int i = 0; i < 50; ++i) twin.advance(0.001);
  EXPECT_GT(std::abs(twin.state(joints[1]).velocity), 0.01);  // it falls
  twin.stop();
  EXPECT_EQ(twin.state(joints[1]).velocity, 0.0);
  twin.reset();
  EXPECT_EQ(twin.state(joints[1]).position, kHome[1]);
  EXPECT_EQ(twin.time(), 0.0);
}

TEST_F(TwinPhysicsTest, SaysWhenItHasDiverged) {
  TwinPhysics lost(std::getenv("SCENE"));
  lost.add_joint("fr3_joint1", Drive::kEffort, 1e12);
  EXPECT_FALSE(lost.advance(0.001));
}

}  // namespace
}  // namespace steadyhand
