// What a plug-in does between ros2_control and the core.
#include "../allocations.hpp"
#include "crisp_control/cartesian_admittance.hpp"
#include "crisp_control/gravity_compensation.hpp"
#include "crisp_control/joint_impedance.hpp"
#include "crisp_control/torque_feedback.hpp"
#include "rig.hpp"

namespace steadyhand::test {

using crisp_control::References;
using crisp_control::test::AllocationCount;
using geometry_msgs::msg::PoseStamped;
using sensor_msgs::msg::JointState;

namespace {

constexpr const char* kControllers[] = {"CartesianController", "CartesianAdmittanceController", "JointController",
                                        "GravityCompensationController", "TorqueFeedbackController"};

PoseStamped pose_message(Rig& rig, const Eigen::Vector3d& offset, const std::string& frame = "base") {
  const auto pose = rig.model.update(rig.state().q, rig.state().dq).T_base_ee;
  const Eigen::Vector3d p = pose.position + offset;
  const auto& q = pose.orientation;
  PoseStamped message{{rig.stamp(), frame}, {{p.x(), p.y(), p.z()}, {q.x(), q.y(), q.z(), q.w()}}};
  return message;
}

JointState joint_message(Rig& rig, double offset) {
  JointState message;
  message.header.stamp = rig.stamp();
  const auto names = crisp_control::test::fr3_joints();
  message.name.assign(names.rbegin(), names.rend());  // in another order
  for (int i = rig.model.n() - 1; i >= 0; --i) {
    message.position.push_back(rig.state().q[i] + offset * (i + 1));
    message.effort.push_back(offset * (i + 1));
  }
  return message;
}

double seconds(const builtin_interfaces::msg::Time& stamp) { return stamp.sec + 1e-9 * stamp.nanosec; }

/// The core itself, on the states that the plug-in sees.
template <typename Core, typename Params>
struct Oracle {
  explicit Oracle(Rig& rig) : rig(rig), core(rig.model, Params(rig.model)) { core.reset(rig.state()); }
  const JointVector& tick() { return core.update(rig.state(), references, kDt); }
  Rig& rig;
  Core core;
  References references;
};

}  // namespace

TEST(Plugin, AllLiveThroughTheirStates) {
  for (const auto* name : kControllers) {
    Rig rig(name);
    rig.start().tick(50);
    EXPECT_TRUE(rig.commanded().allFinite()) << name;
    EXPECT_EQ(rig.plugin->on_deactivate({}), CallbackReturn::SUCCESS);
    EXPECT_LT((rig.commanded() - rig.model.update(rig.state().q, rig.state().dq).gravity).norm(), 1e-12) << name;
    EXPECT_EQ(rig.activate(), CallbackReturn::SUCCESS);
    EXPECT_EQ(rig.tick(), return_type::OK);
    EXPECT_EQ(rig.plugin->on_deactivate({}), CallbackReturn::SUCCESS);
    EXPECT_EQ(rig.plugin->on_cleanup({}), CallbackReturn::SUCCESS);
    EXPECT_EQ(rig.plugin->on_configure({}), CallbackReturn::SUCCESS) << name;
  }
}

TEST(Plugin, WithFirmwareGravityNothingIsLeftOnDeactivation) {
  Rig rig("CartesianController", {{"use_gravity_compensation", false}});
  rig.start().tick(20);
  rig.plugin->on_deactivate({});
  EXPECT_EQ(rig.commanded().norm(), 0.0);
}

TEST(Plugin, ClaimsEffortsAndReadsPositionsVelocitiesAndEfforts) {
  Rig rig("JointController");
  ASSERT_EQ(rig.configure(), CallbackReturn::SUCCESS);
  const auto commands = rig.plugin->command_interface_configuration().names;
  const auto states = rig.plugin->state_interface_configuration().names;
  EXPECT_EQ(commands.size(), 7u);
  EXPECT_EQ(commands[6], "fr3_joint7/effort");
  EXPECT_EQ(states.size(), 21u);
  EXPECT_EQ(states[0], "fr3_joint1/position");
  EXPECT_EQ(states[7], "fr3_joint1/velocity");
  EXPECT_EQ(states[20], "fr3_joint7/effort");
}

TEST(Plugin, CartesianTorquesAreThoseOfTheCore) {
  Rig rig("CartesianController");
  rig.start();
  Oracle<crisp_control::CartesianImpedance, crisp_control::CartesianImpedanceParams> oracle(rig);
  const auto message = pose_message(rig, {0.02, -0.01, 0.03});
  rig.publish("target_pose", message);
  const auto& [p, q] = message.pose;
  oracle.references.pose = {{{p.x, p.y, p.z}, {q.w, q.x, q.y, q.z}}, {seconds(message.header.stamp), 1}};
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(rig.tick(), return_type::OK);
    ASSERT_EQ(rig.commanded(), oracle.tick()) << i;
  }
  EXPECT_GT(oracle.core.status().reference.accepted, 0u);
}

TEST(Plugin, JointTorquesAreThoseOfTheCoreWhateverTheOrderOfNames) {
  Rig rig("JointController");
  rig.start();
  Oracle<crisp_control::JointImpedance, crisp_control::JointImpedanceParams> oracle(rig);
  rig.publish("target_joint", joint_message(rig, 0.02));
  oracle.references.joint.q = rig.state().q + 0.02 * JointVector::LinSpaced(7, 1.0, 7.0);
  oracle.references.joint.decision = {seconds(rig.stamp()), 1};
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(rig.tick(), return_type::OK);
    ASSERT_LT((rig.commanded() - oracle.tick()).norm(), 1e-12) << i;
  }
  EXPECT_EQ(rig.status().at("accepted"), "1");
}

TEST(Plugin, TorqueFeedbackTakesEffortsFromItsTopic) {
  Rig rig("TorqueFeedbackController", {{"joint_source_topic", std::string("follower/external_torques")}});
  rig.start();
  Oracle<crisp_control::TorqueFeedback, crisp_control::TorqueFeedbackParams> oracle(rig);
  rig.publish("follower/external_torques", joint_message(rig, 0.3));
  oracle.references.joint.tau = 0.3 * JointVector::LinSpaced(7, 1.0, 7.0);
  oracle.references.joint.decision = {seconds(rig.stamp()), 1};
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(rig.tick(), return_type::OK);
    ASSERT_LT((rig.commanded() - oracle.tick()).norm(), 1e-12) << i;
  }
  EXPECT_EQ(rig.status().at("accepted"), "1");
}

TEST(Plugin, ActivationForgetsWhatWasAskedBefore) {
  Rig rig("CartesianController");
  rig.start().tick(5);
  rig.plugin->on_deactivate({});
  rig.publish("target_pose", pose_message(rig, {0.02, 0.0, 0.0}));
  rig.activate();
  EXPECT_EQ(rig.status().at("accepted"), "0");
}

TEST(Plugin, ChainedReferencesReplaceTopics) {
  Rig rig("CartesianController");
  ASSERT_EQ(rig.configure(), CallbackReturn::SUCCESS);
  ASSERT_EQ(rig.references.size(), 7u);
  EXPECT_EQ(rig.references[6]->get_name(), "arm/qw");
  ASSERT_TRUE(rig.as().set_chained_mode(true));
  rig.activate();
  rig.publish("target_pose", pose_message(rig, {0.05, 0.0, 0.0}));
  EXPECT_EQ(rig.status().at("accepted"), "0") << "no number yet, and topics do not count";
  const auto target = pose_message(rig, {0.0, 0.02, 0.0}).pose;
  const double values[] = {target.position.x,    target.position.y,    target.position.z,   target.orientation.x,
                           target.orientation.y, target.orientation.z, target.orientation.w};
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(rig.references[i]->set_value(values[i]));
  rig.tick(100);
  EXPECT_EQ(rig.status().at("accepted"), "101");
  ASSERT_TRUE(rig.references[3]->set_value(NAN));
  EXPECT_EQ(rig.status().at("accepted"), "101");
  rig.tick(600);
  const auto status = rig.status();
  EXPECT_EQ(status.at(""), "hold");
  EXPECT_EQ(status.at("refused_not_finite"), "0") << "no number is no command, not a bad one";
}

TEST(Plugin, EveryKindOfReferenceHasItsInterfaces) {
  const auto names = [](const std::string& type) {
    Rig rig(type);
    EXPECT_EQ(rig.configure(), CallbackReturn::SUCCESS);
    return rig.references.size() == 7u ? rig.references[1]->get_name() : "none";
  };
  EXPECT_EQ(names("CartesianAdmittanceController"), "arm/y");
  EXPECT_EQ(names("JointController"), "arm/fr3_joint2/position");
  EXPECT_EQ(names("TorqueFeedbackController"), "arm/fr3_joint2/effort");
  EXPECT_EQ(names("GravityCompensationController"), "none");
}

TEST(Plugin, UpdateNeverAllocates) {
  for (const auto* name : kControllers) {
    Rig rig(name, {{"variable_stiffness.enabled", true}});
    rig.start().tick(10);
    std::uint64_t allocations = 0;
    for (int i = 0; i < 200; ++i) {
      rig.publish("target_pose", pose_message(rig, {0.0001 * i, 0.0, 0.0}));
      rig.publish("target_joint", joint_message(rig, 0.0001 * i));
      rig.publish("target_stiffness", std_msgs::msg::Float64MultiArray{{400, 400, 400, 30, 30, 30}});
      rig.node->set_parameters_atomically({{"friction_compensation", i % 2 ? 0.2 : 0.8}});
      rig.now() += kDt;
      const AllocationCount count;
      ASSERT_EQ(rig.plugin->update(rclcpp::Time(), rclcpp::Duration(kDt)), return_type::OK);
      allocations += count.count();
    }
    const AllocationCount count;
    rig.plugin->on_deactivate({});
    rig.activate();
    EXPECT_EQ(allocations + count.count(), 0u) << name;
  }
}

TEST(Plugin, DeadHardwareIsAnErrorAfterAWhile) {
  Rig rig("CartesianController");
  rig.start().tick(10);
  rig.states[2]->value = NAN;
  rig.tick(99);
  rig.tick();  // 0.1 s, give or take a rounding
  EXPECT_EQ(rig.tick(), return_type::ERROR);
  EXPECT_TRUE(rig.commanded().allFinite());
  rig.states[2]->value = crisp_control::test::fr3_home()[2];
  EXPECT_EQ(rig.tick(), return_type::OK);
}

TEST(Plugin, HardwareThatCannotBeReadCountsAsDead) {
  Rig rig("JointController");
  rig.start().tick(10);
  rig.states[9]->busy = true;
  rig.tick(99);
  rig.tick();  // 0.1 s, give or take a rounding
  EXPECT_EQ(rig.tick(), return_type::ERROR);
}

TEST(Plugin, HardwareThatTakesNoTorqueIsAnErrorAfterTenTicks) {
  Rig rig("GravityCompensationController");
  rig.start().tick(10);
  rig.commands[3]->busy = true;
  rig.tick(9);
  EXPECT_EQ(rig.tick(), return_type::ERROR);
}

TEST(Plugin, StopCommandsComputesButWritesNothing) {
  Rig rig("CartesianController", {{"stop_commands", true}});
  rig.start().tick(10);
  EXPECT_TRUE(std::isnan(rig.commanded()[0]));
  EXPECT_TRUE(rig.node->set_parameters_atomically({{"stop_commands", false}}).successful);
  rig.tick(1);
  EXPECT_TRUE(rig.commanded().allFinite());
}

}  // namespace steadyhand::test
