#include "state_messages.hpp"

#include <chrono>
#include <cmath>

#include "messages.hpp"

namespace steadyhand {

namespace {

constexpr double kDiagnosticsPeriod = 1.0;  // s

}  // namespace

StateMessages::StateMessages(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node, const Settings& settings,
                             std::shared_ptr<Mailbox<ArmReport>> reports)
    : name_(std::string(node->get_fully_qualified_name()) + ": state"),
      frequency_(settings.publish_frequency),
      reports_(std::move(reports)) {
  // Not the node's own publishers: those wait for its lifecycle, which ros2_control does not tell them.
  const auto make = [&]<typename Message>(Publisher<Message>& publisher, const std::string& topic,
                                          const rclcpp::QoS& qos) {
    publisher = rclcpp::create_publisher<Message>(*node, topic, qos);
  };
  const rclcpp::QoS measured = rclcpp::SensorDataQoS();
  make.operator()<geometry_msgs::msg::PoseStamped>(current_pose_, "current_pose", measured);
  make.operator()<geometry_msgs::msg::TwistStamped>(current_twist_, "current_twist", measured);
  make.operator()<geometry_msgs::msg::WrenchStamped>(external_wrench_, "external_wrench", measured);
  make.operator()<sensor_msgs::msg::JointState>(external_torques_, "external_torques", measured);
  make.operator()<diagnostic_msgs::msg::DiagnosticArray>(diagnostics_, "/diagnostics", rclcpp::QoS(1));
  pose_.header.frame_id = twist_.header.frame_id = wrench_.header.frame_id = settings.base_frame;
  torques_.name = settings.joints;
  torques_.effort.resize(settings.joints.size());
}

void StateMessages::start(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node) {
  const auto period = std::chrono::nanoseconds(std::llround(1e9 / frequency_));
  timer_ = node->create_wall_timer(period, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->publish();
  });
}

void StateMessages::publish() {
  const ArmReport* report = reports_->read();
  if (!report) return;
  fill(pose_, report->T_base_ee, report->time);
  fill(twist_, report->twist, report->time);
  fill(wrench_, report->wrench, report->time);
  torques_.header.stamp = stamp(report->time);
  for (std::size_t i = 0; i < torques_.effort.size(); ++i) {
    torques_.effort[i] = report->tau_external[static_cast<Eigen::Index>(i)];
  }
  current_pose_->publish(pose_);
  current_twist_->publish(twist_);
  external_wrench_->publish(wrench_);
  external_torques_->publish(torques_);
  if (std::abs(report->time - diagnostics_due_) < kDiagnosticsPeriod && report->time < diagnostics_due_) return;
  diagnostics_due_ = report->time + kDiagnosticsPeriod;
  publish_diagnostics(*report);
}

void StateMessages::publish_diagnostics(const ArmReport& report) {
  diagnostic_msgs::msg::DiagnosticStatus said;
  said.name = name_;
  said.level = diagnostic_msgs::msg::DiagnosticStatus::OK;
  said.message = "measuring";
  for (const auto& [name, count] : {std::pair{"ticks", report.ticks}, std::pair{"bad_state", report.bad_state}}) {
    diagnostic_msgs::msg::KeyValue item;
    item.key = name;
    item.value = std::to_string(count);
    said.values.push_back(item);
  }
  diagnostic_msgs::msg::DiagnosticArray message;
  message.header.stamp = stamp(report.time);
  message.status.push_back(said);
  diagnostics_->publish(message);
}

}  // namespace steadyhand
