#include "outputs.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "crisp_control/status_counters.hpp"
#include "messages.hpp"

namespace steadyhand {

using crisp_control::ReferenceMode;
using diagnostic_msgs::msg::DiagnosticStatus;

namespace {

constexpr double kStatusPeriod = 0.1;  // s

struct ModeText {
  const char* name;
  unsigned char level;
};
ModeText describe(ReferenceMode mode) {
  switch (mode) {
    case ReferenceMode::kTrack:
      return {"track", DiagnosticStatus::OK};
    case ReferenceMode::kHold:
      return {"hold", DiagnosticStatus::WARN};
    case ReferenceMode::kDamp:
      return {"damp", DiagnosticStatus::ERROR};
    case ReferenceMode::kReflex:
      return {"reflex", DiagnosticStatus::ERROR};
  }
  return {"unknown", DiagnosticStatus::ERROR};
}

std::string fixed(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

diagnostic_msgs::msg::KeyValue pair(const std::string& key, const std::string& value) {
  diagnostic_msgs::msg::KeyValue item;
  item.key = key;
  item.value = value;
  return item;
}

}  // namespace

Outputs::Outputs(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node, std::string controller,
                 const Settings& settings, std::shared_ptr<Mailbox<Snapshot>> snapshots,
                 std::shared_ptr<const Targets> targets)
    : controller_(std::move(controller)),
      name_(std::string(node->get_fully_qualified_name()) + ": controller"),
      base_frame_(settings.base_frame),
      snapshots_(std::move(snapshots)),
      targets_(std::move(targets)),
      frequency_(settings.publish_frequency),
      // Not the node's own publishers: those wait for its lifecycle, which ros2_control does not tell them.
      reference_pose_(
          rclcpp::create_publisher<geometry_msgs::msg::PoseStamped>(*node, "reference_pose", rclcpp::SensorDataQoS())),
      controller_status_(rclcpp::create_publisher<diagnostic_msgs::msg::DiagnosticArray>(
          *node, "controller_status", rclcpp::QoS(1).transient_local())) {
  pose_.header.frame_id = base_frame_;
}

void Outputs::start(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node) {
  const auto period = std::chrono::nanoseconds(std::llround(1e9 / frequency_));
  timer_ = node->create_wall_timer(period, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->publish();
  });
}

void Outputs::publish() {
  const Snapshot* snapshot = snapshots_->read();
  if (!snapshot) return;
  fill(pose_, snapshot->T_base_reference, snapshot->time);
  reference_pose_->publish(pose_);
  if (snapshot->time >= status_due_ || snapshot->time < status_due_ - 2.0 * kStatusPeriod) {  // or the clock was set
    status_due_ = snapshot->time + kStatusPeriod;
    publish_status(*snapshot);
  }
}

void Outputs::publish_status(const Snapshot& snapshot) {
  const auto& status = snapshot.status;
  const auto [mode, level] = describe(status.mode);
  DiagnosticStatus said;
  said.name = name_;
  said.level = level;
  said.message = mode;
  said.values.push_back(pair("controller", controller_));
  said.values.push_back(pair(
      "reference_age", status.reference.accepted ? fixed(status.reference_age, 3) : std::string("no reference yet")));
  said.values.push_back(pair("tank_energy", fixed(status.tank_energy, 4)));
  for (const auto& [name, count] : crisp_control::named_counters(status))
    said.values.push_back(pair(name, std::to_string(count)));
  for (const auto& [name, count] : targets_->counters()) said.values.push_back(pair(name, std::to_string(count)));
  diagnostic_msgs::msg::DiagnosticArray message;
  message.header.stamp = stamp(snapshot.time);
  message.status.push_back(said);
  controller_status_->publish(message);
}

}  // namespace steadyhand
