// A plug-in with hardware to hold on to and a node to talk to, on the stand-in for ros2_control.
#pragma once

#include <gtest/gtest.h>

#include "../arms.hpp"
#include "controller_interface.hpp"

namespace steadyhand::test {

using controller_interface::CallbackReturn;
using controller_interface::return_type;
using crisp_control::ArmModel;
using crisp_control::ArmState;
using crisp_control::JointVector;
using Values = rclcpp_lifecycle::LifecycleNode::Values;

inline constexpr double kStart = 1000.0;  // s, when every test begins
inline constexpr double kDt = 0.001;      // s

/// The FR3 at home and at rest, its motors carrying its weight, under one plug-in.
class Rig {
 public:
  explicit Rig(const std::string& type, const Values& changes = {});

  CallbackReturn configure();
  CallbackReturn activate() { return plugin->on_activate({}); }
  /// Configured and active, or a failed test.
  Rig& start();
  return_type tick();
  void tick(int times) {
    for (int i = 0; i < times; ++i) ASSERT_EQ(tick(), return_type::OK);
  }

  template <typename Plugin = controller_interface::ChainableControllerInterface>
  Plugin& as() {
    return dynamic_cast<Plugin&>(*plugin);
  }
  JointVector commanded() const;
  ArmState state() const;
  void set_efforts(const JointVector& tau);
  builtin_interfaces::msg::Time stamp(double ahead = 0.0) const;
  double& now() { return node->get_clock()->time; }
  /// The last line of the log, or nothing.
  std::string said() const { return node->get_logger().lines->empty() ? "" : node->get_logger().lines->back(); }
  /// Of the last controller_status, by name; the mode under "".
  std::map<std::string, std::string> status();

  template <typename Message>
  void publish(const std::string& topic, const Message& message) {
    rclcpp::create_publisher<Message>(*node, topic, rclcpp::QoS(1))->publish(message);
  }
  /// Whatever is published there from now on.
  template <typename Message>
  std::shared_ptr<Message> last(const std::string& topic) {
    const auto kept = std::make_shared<Message>();
    listeners_.push_back(
        node->create_subscription<Message>(topic, rclcpp::QoS(1), [kept](const Message& m) { *kept = m; }));
    return kept;
  }

  ArmModel model = crisp_control::test::fr3();
  std::shared_ptr<rclcpp_lifecycle::LifecycleNode> node;
  std::shared_ptr<controller_interface::ControllerInterfaceBase> plugin;
  std::vector<hardware_interface::CommandInterface::SharedPtr> commands, references;
  std::vector<hardware_interface::StateInterface::SharedPtr> states;

 private:
  std::vector<rclcpp::SubscriptionBase::SharedPtr> listeners_;
  std::shared_ptr<diagnostic_msgs::msg::DiagnosticArray> status_;
};

}  // namespace steadyhand::test
