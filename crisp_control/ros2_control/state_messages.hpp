// The state broadcaster's topics.
#pragma once

#include <diagnostic_msgs/msg/diagnostic_array.hpp>
#include <geometry_msgs/msg/pose_stamped.hpp>
#include <geometry_msgs/msg/twist_stamped.hpp>
#include <geometry_msgs/msg/wrench_stamped.hpp>
#include <memory>
#include <rclcpp_lifecycle/lifecycle_node.hpp>
#include <sensor_msgs/msg/joint_state.hpp>
#include <string>

#include "state_broadcaster.hpp"

namespace steadyhand {

/// A timer of the node that publishes current_pose, current_twist, external_wrench and external_torques, and once a
/// second a line for /diagnostics. All in base axes, stamped with the time of measurement.
class StateMessages : public std::enable_shared_from_this<StateMessages> {
 public:
  StateMessages(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node, const Settings& settings,
                std::shared_ptr<Mailbox<ArmReport>> reports);
  /// Not in the constructor: the timer holds this object only weakly, because its callback may outlive it.
  void start(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node);

 private:
  void publish();
  void publish_diagnostics(const ArmReport& report);

  template <typename Message>
  using Publisher = typename rclcpp::Publisher<Message>::SharedPtr;

  std::string name_;
  double frequency_, diagnostics_due_ = 0.0;
  std::shared_ptr<Mailbox<ArmReport>> reports_;
  geometry_msgs::msg::PoseStamped pose_;
  geometry_msgs::msg::TwistStamped twist_;
  geometry_msgs::msg::WrenchStamped wrench_;
  sensor_msgs::msg::JointState torques_;
  Publisher<geometry_msgs::msg::PoseStamped> current_pose_;
  Publisher<geometry_msgs::msg::TwistStamped> current_twist_;
  Publisher<geometry_msgs::msg::WrenchStamped> external_wrench_;
  Publisher<sensor_msgs::msg::JointState> external_torques_;
  Publisher<diagnostic_msgs::msg::DiagnosticArray> diagnostics_;
  rclcpp::TimerBase::SharedPtr timer_;
};

}  // namespace steadyhand
