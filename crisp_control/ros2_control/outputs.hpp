// What a controller tells about itself, published beside the loop.
#pragma once

#include <diagnostic_msgs/msg/diagnostic_array.hpp>
#include <geometry_msgs/msg/pose_stamped.hpp>
#include <memory>
#include <rclcpp_lifecycle/lifecycle_node.hpp>
#include <string>

#include "crisp_control/controller.hpp"
#include "crisp_control/mailbox.hpp"
#include "settings.hpp"
#include "targets.hpp"

namespace steadyhand {

using crisp_control::Mailbox;

/// One tick, as the loop leaves it.
struct Snapshot {
  double time = 0.0;  ///< s
  crisp_control::Pose T_base_reference;
  crisp_control::ControllerStatus status;
};

/// A timer of the node that publishes reference_pose and, ten times a second, controller_status; nothing while the
/// controller does not run. The loop only writes a mailbox: messages made of text are none of its business.
class Outputs : public std::enable_shared_from_this<Outputs> {
 public:
  Outputs(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node, std::string controller, const Settings& settings,
          std::shared_ptr<Mailbox<Snapshot>> snapshots, std::shared_ptr<const Targets> targets);
  /// Not in the constructor: the timer holds this object only weakly, because its callback may outlive it.
  void start(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node);

 private:
  void publish();
  void publish_status(const Snapshot& snapshot);

  std::string controller_, name_, base_frame_;
  std::shared_ptr<Mailbox<Snapshot>> snapshots_;
  std::shared_ptr<const Targets> targets_;
  double frequency_, status_due_ = 0.0;
  geometry_msgs::msg::PoseStamped pose_;
  rclcpp::Publisher<geometry_msgs::msg::PoseStamped>::SharedPtr reference_pose_;
  rclcpp::Publisher<diagnostic_msgs::msg::DiagnosticArray>::SharedPtr controller_status_;
  rclcpp::TimerBase::SharedPtr timer_;
};

}  // namespace steadyhand
