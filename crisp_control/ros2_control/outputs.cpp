#include "outputs.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

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

/// Every counter of the core, with the names that the twin gives them.
std::vector<std::pair<const char*, std::uint64_t>> counters(const crisp_control::ControllerStatus& s) {
  return {{"ticks", s.ticks},
          {"error_clipped", s.error_clipped},
          {"tank_limited", s.tank_limited},
          {"reflex_trips", s.reflex_trips},
          {"bad_state", s.bad_state},
          {"accepted", s.reference.accepted},
          {"refused_not_finite", s.reference.not_finite},
          {"refused_not_unit_quaternion", s.reference.not_unit_quaternion},
          {"refused_wrong_size", s.reference.wrong_size},
          {"refused_out_of_range", s.reference.out_of_range},
          {"refused_not_increasing", s.reference.not_increasing},
          {"refused_jump", s.reference.jump},
          {"refused_from_the_future", s.reference.from_the_future},
          {"refused_older_than_last", s.reference.older_than_last},
          {"refused_expired", s.reference.expired},
          {"joint_barrier", s.barrier.joint},
          {"workspace_barrier", s.barrier.workspace},
          {"torque_clamped", s.torque.clamped},
          {"torque_rate_limited", s.torque.rate_limited},
          {"torque_not_finite", s.torque.not_finite}};
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
  for (const auto& [name, count] : counters(status)) said.values.push_back(pair(name, std::to_string(count)));
  for (const auto& [name, count] : targets_->counters()) said.values.push_back(pair(name, std::to_string(count)));
  diagnostic_msgs::msg::DiagnosticArray message;
  message.header.stamp = stamp(snapshot.time);
  message.status.push_back(said);
  controller_status_->publish(message);
}

}  // namespace steadyhand
