// What topics ask of the arm, up to the mailboxes that the loop reads.
#pragma once

#include <cstdint>
#include <functional>
#include <geometry_msgs/msg/pose_stamped.hpp>
#include <geometry_msgs/msg/wrench_stamped.hpp>
#include <map>
#include <memory>
#include <nav_msgs/msg/path.hpp>
#include <rclcpp_lifecycle/lifecycle_node.hpp>
#include <sensor_msgs/msg/joint_state.hpp>
#include <std_msgs/msg/float64_multi_array.hpp>
#include <string>
#include <vector>

#include "crisp_control/mailbox.hpp"
#include "crisp_control/reference.hpp"
#include "frames.hpp"
#include "settings.hpp"

namespace steadyhand {

using crisp_control::Mailbox;

/// Of a force/torque sensor, moved to the tool: tool axes, N and Nm.
struct SensorWrench {
  crisp_control::Vector6 wrench = crisp_control::Vector6::Zero();
  double stamp = 0.0;  ///< s
};

/// From the node's executor to the loop, one box per kind: a new wrench does not repeat an old pose.
struct TargetMail {
  Mailbox<crisp_control::PoseReference> pose;
  Mailbox<crisp_control::PoseChunk> chunk;
  Mailbox<crisp_control::JointReference> joint;
  Mailbox<crisp_control::WrenchReference> wrench;
  Mailbox<crisp_control::StiffnessReference> stiffness;
  Mailbox<SensorWrench> sensor;

  /// The loop's: forgets what came before now.
  void clear() noexcept;
};

/// What a controller has a use for.
enum class Takes : std::uint8_t { kNothing, kTool, kJointPositions, kJointTorques };

/// The subscriptions. Judges what only a message has: frames, names of joints, lengths, who publishes, whether there is
/// a stamp. Its content the core judges. Every refusal has a counter and a line in the log.
///
/// All callbacks are in the node's default group, one at a time, so each mailbox has one writer.
class Targets : public std::enable_shared_from_this<Targets> {
 public:
  /// Throws std::invalid_argument if a frame of the settings is wrong.
  Targets(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node, const crisp_control::ArmModel& model,
          const Settings& settings, Takes takes, std::shared_ptr<TargetMail> mail);
  /// Not in the constructor: callbacks hold this object only weakly, because they may outlive it.
  void subscribe();

  const std::map<std::string, std::uint64_t>& counters() const noexcept { return counters_; }

 private:
  template <typename Message>
  void listen(const std::string& topic, const rclcpp::QoS& qos, bool is_target,
              void (Targets::*handle)(const Message&));
  void refuse(const std::string& topic, const std::string& counter, const std::string& reason);
  /// Requires a stamp and makes the decision of a new message; s.
  crisp_control::Decision decide(const builtin_interfaces::msg::Time& stamp);
  crisp_control::Pose pose_in_base(const geometry_msgs::msg::Pose& pose, const std::string& frame) const;
  Eigen::Isometry3d place(const std::string& frame) const;
  crisp_control::JointVector in_order(const std::vector<std::string>& names, const std::vector<double>& values) const;

  void on_pose(const geometry_msgs::msg::PoseStamped& message);
  void on_path(const nav_msgs::msg::Path& message);
  void on_joint(const sensor_msgs::msg::JointState& message);
  void on_wrench(const geometry_msgs::msg::WrenchStamped& message);
  void on_stiffness(const std_msgs::msg::Float64MultiArray& message);
  void on_sensor(const geometry_msgs::msg::WrenchStamped& message);

  rclcpp_lifecycle::LifecycleNode::WeakPtr node_;
  crisp_control::ArmModel model_;
  Settings settings_;
  Takes takes_;
  std::shared_ptr<TargetMail> mail_;
  Frames frames_;
  Eigen::Isometry3d T_tool_sensor_ = Eigen::Isometry3d::Identity();
  rclcpp::Clock::SharedPtr clock_;
  std::vector<rclcpp::SubscriptionBase::SharedPtr> subscriptions_;
  std::uint64_t sequence_ = 0;
  std::map<std::string, std::uint64_t> counters_;
  std::map<std::string, double> logged_;  // s, when a kind of refusal was last logged
};

}  // namespace steadyhand
