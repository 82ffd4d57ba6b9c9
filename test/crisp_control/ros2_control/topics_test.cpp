// What a plug-in makes of messages, parameters and mistakes.
#include "rig.hpp"

namespace steadyhand::test {

using geometry_msgs::msg::PoseStamped;
using geometry_msgs::msg::WrenchStamped;
using sensor_msgs::msg::JointState;

namespace {

PoseStamped here(Rig& rig, const std::string& frame = "base") {
  const auto pose = rig.model.update(rig.state().q, rig.state().dq).T_base_ee;
  const auto& p = pose.position;
  const auto& q = pose.orientation;
  return {{rig.stamp(), frame}, {{p.x(), p.y(), p.z()}, {q.x(), q.y(), q.z(), q.w()}}};
}

JointState joints(Rig& rig, std::vector<std::string> names) {
  JointState message;
  message.header.stamp = rig.stamp();
  message.position.assign(names.size(), 0.0);
  message.name = std::move(names);
  return message;
}

/// The counters that changed.
std::map<std::string, std::string> refused(Rig& rig) {
  std::map<std::string, std::string> found;
  for (const auto& [name, value] : rig.status()) {
    if (name.starts_with("refused_") && value != "0") found[name] = value;
  }
  return found;
}

using Counted = std::map<std::string, std::string>;

}  // namespace

TEST(Topics, FramesFixedToTheBaseAreKnown) {
  Rig rig("CartesianController");
  rig.start();
  for (const auto* frame : {"", "base", "fr3_link0"}) {
    rig.publish("target_pose", here(rig, frame));
    rig.tick(1);
  }
  EXPECT_EQ(rig.status().at("accepted"), "3");
  EXPECT_EQ(refused(rig), Counted{});
}

TEST(Topics, OtherFramesAreRefusedCountedAndNamed) {
  Rig rig("CartesianController");
  rig.start();
  rig.publish("target_pose", here(rig, "fr3_link5"));
  EXPECT_NE(rig.said().find("target_pose refused: the frame 'fr3_link5' is not fixed to the base"), std::string::npos)
      << rig.said();
  for (int i = 0; i < 5; ++i) rig.publish("target_pose", here(rig, "camera"));
  EXPECT_EQ(rig.node->get_logger().lines->size(), 1u) << "one line a second";
  EXPECT_EQ(refused(rig), (Counted{{"refused_frame", "6"}}));
}

TEST(Topics, StampsMustBeGivenAndAreCompared) {
  Rig rig("CartesianController");
  rig.start();
  auto message = here(rig);
  message.header.stamp = {};
  rig.publish("target_pose", message);
  rig.tick(1);
  message.header.stamp = rig.stamp(1.0);
  rig.publish("target_pose", message);
  rig.tick(1);
  message.header.stamp = rig.stamp(-0.7);
  rig.publish("target_pose", message);
  rig.tick(1);
  EXPECT_EQ(refused(rig),
            (Counted{{"refused_stamp", "1"}, {"refused_from_the_future", "1"}, {"refused_expired", "1"}}));
}

TEST(Topics, JointNamesAreChecked) {
  Rig rig("JointController");
  rig.start();
  auto names = crisp_control::test::fr3_joints();
  names.back() = "elbow";
  rig.publish("target_joint", joints(rig, names));
  EXPECT_NE(rig.said().find("no joint 'elbow'; the arm has: fr3_joint1, fr3_joint2"), std::string::npos) << rig.said();
  names.pop_back();
  rig.publish("target_joint", joints(rig, names));
  names = crisp_control::test::fr3_joints();
  names.push_back(names.front());
  rig.publish("target_joint", joints(rig, names));
  names.pop_back();
  auto message = joints(rig, names);
  message.position.pop_back();
  rig.publish("target_joint", message);
  EXPECT_EQ(refused(rig), (Counted{{"refused_joint_unknown", "1"},
                                   {"refused_joint_missing", "1"},
                                   {"refused_joint_repeated", "1"},
                                   {"refused_joint_values", "1"}}));
}

TEST(Topics, OnlyOnePublisherIsBelieved) {
  for (const bool guarded : {true, false}) {
    Rig rig("CartesianController", {{"single_publisher", guarded}});
    rig.start();
    auto other = rclcpp::create_publisher<PoseStamped>(*rig.node, "target_pose", rclcpp::QoS(1));
    rig.publish("target_pose", here(rig));
    EXPECT_EQ(rig.status().at("accepted"), guarded ? "0" : "1");
    EXPECT_EQ(refused(rig).count("refused_several_publishers"), guarded ? 1u : 0u);
    other.reset();
    rig.publish("target_pose", here(rig));
    EXPECT_EQ(rig.status().at("accepted"), guarded ? "1" : "2");
  }
}

TEST(Topics, AChunkIsFollowed) {
  Rig rig("CartesianController");
  rig.start();
  nav_msgs::msg::Path path;
  path.header = {rig.stamp(), "base"};
  for (int i = 0; i < 10; ++i) {
    path.poses.push_back(here(rig));
    path.poses.back().header = {rig.stamp(0.1 * i), ""};
  }
  rig.publish("target_path", path);
  rig.tick(1);
  path.poses.resize(65, path.poses[0]);
  rig.publish("target_path", path);
  EXPECT_EQ(rig.status().at("accepted"), "1");
  EXPECT_EQ(refused(rig), (Counted{{"refused_path_length", "1"}}));
}

TEST(Topics, AWrenchIsTurnedIntoTheBaseAndPassesOn) {
  Rig rig("CartesianController");
  rig.start();
  WrenchStamped message;
  message.header = {rig.stamp(), "fr3_link0"};
  message.wrench.force.z = 5.0;
  rig.publish("target_wrench", message);
  const JointVector before = (rig.tick(1), rig.commanded());
  rig.tick(200);
  const crisp_control::Jacobian J = rig.model.update(rig.state().q, rig.state().dq).J_base_ee;
  const JointVector change = rig.commanded() - before;
  EXPECT_GT(change.dot(J.row(2).transpose()) / J.row(2).squaredNorm(), 3.0);
}

TEST(Topics, StiffnessNeedsSixNumbers) {
  Rig rig("CartesianController", {{"variable_stiffness.enabled", true}});
  rig.start();
  rig.publish("target_stiffness", std_msgs::msg::Float64MultiArray{{400, 400, 400, 30, 30, 30}});
  rig.publish("target_stiffness", std_msgs::msg::Float64MultiArray{{1.0}});
  EXPECT_EQ(rig.status().at("accepted"), "1");
  EXPECT_EQ(refused(rig), (Counted{{"refused_stiffness_size", "1"}}));
}

TEST(Topics, ASensorAwayFromTheToolIsMovedThere) {
  // A force at the hand's flange presses on the tool with a torque too: only then do tool and sensor agree.
  const crisp_control::Pose sensor = crisp_control::test::fr3().tool_link("fr3_hand");
  const Eigen::Vector3d force = sensor.orientation.conjugate() * Eigen::Vector3d(0.0, 20.0, 0.0);
  const Eigen::Vector3d torque = -(sensor.orientation.conjugate() * sensor.position).cross(force);
  Rig at_tool("CartesianAdmittanceController"),
      at_hand("CartesianAdmittanceController", {{"ft_sensor.frame", std::string("fr3_hand")}});
  at_tool.start();
  at_hand.start();
  for (int i = 0; i < 200; ++i) {
    WrenchStamped tool{{at_tool.stamp(), ""}, {{0.0, 20.0, 0.0}, {}}};
    WrenchStamped hand{{at_hand.stamp(), ""},
                       {{force.x(), force.y(), force.z()}, {torque.x(), torque.y(), torque.z()}}};
    at_tool.publish("ft_sensor_wrench", tool);
    at_hand.publish("ft_sensor_wrench", hand);
    at_tool.tick(1);
    at_hand.tick(1);
  }
  EXPECT_LT((at_tool.commanded() - at_hand.commanded()).norm(), 1e-9);
  Rig without("CartesianAdmittanceController");
  without.start().tick(200);
  EXPECT_GT((at_tool.commanded() - without.commanded()).norm(), 0.5);
}

TEST(Topics, ASensorThatFallsSilentCountsNoMore) {
  Rig silent("CartesianAdmittanceController"), speaking("CartesianAdmittanceController"),
      without("CartesianAdmittanceController");
  for (auto* rig : {&silent, &speaking, &without}) rig->start();
  for (int i = 0; i < 600; ++i) {
    for (auto* rig : {&silent, &speaking, &without}) {
      const WrenchStamped message{{rig->stamp(), ""}, {{0.0, 20.0, 0.0}, {}}};
      if (rig == &speaking || (rig == &silent && i < 100)) rig->publish("ft_sensor_wrench", message);
      rig->tick(1);
    }
  }
  const double still = (silent.commanded() - without.commanded()).norm();
  EXPECT_LT(still, 0.5 * (speaking.commanded() - without.commanded()).norm());
}

TEST(Parameters, ReachTheLoopOrAreRefusedInTheCoresWords) {
  Rig rig("JointController", {{"friction", std::vector<double>(7, 0.0)}});
  rig.start().tick(50);
  const JointVector before = rig.commanded();
  rig.states[7]->value = 0.1;  // rad/s: now friction matters
  rig.tick(400);
  const JointVector moving = rig.commanded();
  const auto refusal = rig.node->set_parameters_atomically({{"damp_after", 0.1}});
  EXPECT_FALSE(refusal.successful);
  EXPECT_EQ(refusal.reason, "controller parameter 'damp_after' is 0.1; it must be >= hold_after");
  // What was refused is forgotten: the next one is judged without it.
  EXPECT_TRUE(rig.node->set_parameters_atomically({{"friction_compensation", 1.0}}).successful);
  EXPECT_TRUE(rig.node->set_parameters_atomically({{"friction", std::vector<double>(7, 3.0)}}).successful);
  rig.tick(50);
  EXPECT_GT(std::abs(rig.commanded()[0] - moving[0]), 2.0);
  EXPECT_FALSE(rig.node->set_parameters_atomically({{"joints", std::vector<std::string>{"a"}}}).successful);
  EXPECT_EQ(before.size(), 7);
}

TEST(Parameters, MistakesOfTheStartAreOneLine) {
  const auto line = [](const Values& values) {
    Rig rig("CartesianController", values);
    EXPECT_EQ(rig.configure(), CallbackReturn::FAILURE);
    EXPECT_EQ(rig.said().find('\n'), std::string::npos);
    return rig.said();
  };
  const std::string unknown = line({{"joints", std::vector<std::string>{"a1", "a2", "a3", "a4", "a5", "a6"}}});
  EXPECT_NE(unknown.find("a1"), std::string::npos);
  EXPECT_NE(unknown.find("fr3_joint7"), std::string::npos) << "lists what there is: " << unknown;
  EXPECT_NE(line({{"joints", std::vector<std::string>{}}}).find("'joints' is empty"), std::string::npos);
  EXPECT_NE(line({{"end_effector_frame", std::string("hook")}}).find("hook"), std::string::npos);
  EXPECT_NE(line({{"base_frame", std::string("fr3_link1")}}).find("fr3_link1"), std::string::npos);
  EXPECT_NE(line({{"smoothing_time", -1.0}}).find("'smoothing_time' is -1"), std::string::npos);
  EXPECT_NE(line({{"torque_limit", std::vector<double>{1.0}}}).find("'torque_limit'"), std::string::npos);
  EXPECT_NE(line({{"use_tf", true}}).find("tf2_ros"), std::string::npos);
}

TEST(StateBroadcaster, ReportsPoseTwistAndWhatTheWorldDoes) {
  Rig rig("StateBroadcaster");
  ASSERT_EQ(rig.configure(), CallbackReturn::SUCCESS);
  const auto pose = rig.last<PoseStamped>("current_pose");
  const auto twist = rig.last<geometry_msgs::msg::TwistStamped>("current_twist");
  const auto wrench = rig.last<WrenchStamped>("external_wrench");
  const auto torques = rig.last<JointState>("external_torques");
  rig.activate();
  const crisp_control::ArmTerms terms = rig.model.update(rig.state().q, rig.state().dq);
  crisp_control::Vector6 push;
  push << 4.0, -3.0, 7.0, 0.5, -0.2, 0.1;
  // The arm stands although the motors carry less than its weight: the world carries the rest.
  const JointVector external = terms.J_base_ee.transpose() * push;
  rig.set_efforts(terms.gravity - external);
  rig.tick(400);
  rig.node->fire_timers();
  EXPECT_EQ(pose->header.frame_id, "base");
  EXPECT_NEAR(pose->header.stamp.sec + 1e-9 * pose->header.stamp.nanosec, rig.now(), 1e-6);
  EXPECT_NEAR(pose->pose.position.x, terms.T_base_ee.position.x(), 1e-12);
  EXPECT_NEAR(twist->twist.linear.z, 0.0, 1e-12);
  EXPECT_NEAR(wrench->wrench.force.x, 4.0, 1e-2);
  EXPECT_NEAR(wrench->wrench.force.z, 7.0, 1e-2);
  EXPECT_NEAR(wrench->wrench.torque.y, -0.2, 1e-2);
  ASSERT_EQ(torques->effort.size(), 7u);
  for (int i = 0; i < 7; ++i) EXPECT_NEAR(torques->effort[i], external[i], 1e-2) << i;
  rig.states[0]->value = NAN;
  rig.tick(99);
  rig.tick();  // 0.1 s, give or take a rounding
  EXPECT_EQ(rig.tick(), return_type::ERROR);
}

}  // namespace steadyhand::test
