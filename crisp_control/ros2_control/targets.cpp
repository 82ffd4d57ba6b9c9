#include "targets.hpp"

#include <algorithm>
#include <stdexcept>

#include "messages.hpp"

namespace steadyhand {

using crisp_control::JointVector;
using crisp_control::Pose;
using crisp_control::PoseChunk;

namespace {

constexpr double kLogPeriod = 1.0;  // s between two lines about the same kind of refusal

/// A message that goes no further.
struct Refusal : std::runtime_error {
  Refusal(std::string counter, const std::string& reason) : std::runtime_error(reason), counter(std::move(counter)) {}
  std::string counter;
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

rclcpp::QoS targets_qos() { return rclcpp::QoS(1); }  // reliable, keep the last: as CRISP and its clients

}  // namespace

void TargetMail::clear() noexcept {
  pose.read();
  chunk.read();
  joint.read();
  wrench.read();
  stiffness.read();
  sensor.read();
}

Targets::Targets(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node, const crisp_control::ArmModel& model,
                 const Settings& settings, Takes takes, std::shared_ptr<TargetMail> mail)
    : node_(node),
      model_(model),
      settings_(settings),
      takes_(takes),
      mail_(std::move(mail)),
      frames_(node, model_, settings.base_frame, settings.use_tf),
      clock_(node->get_clock()) {
  if (settings.sensor_frame.empty()) return;
  const Pose sensor = model.tool_link(settings.sensor_frame);
  T_tool_sensor_.translate(sensor.position);
  T_tool_sensor_.rotate(sensor.orientation);
}

void Targets::subscribe() {
  if (takes_ == Takes::kTool) {
    listen("target_pose", targets_qos(), true, &Targets::on_pose);
    listen("target_path", targets_qos(), true, &Targets::on_path);
    listen("target_wrench", targets_qos(), true, &Targets::on_wrench);
  }
  if (takes_ != Takes::kNothing) {
    const bool torques = takes_ == Takes::kJointTorques;  // a state of another arm, which comes as sensors do
    listen(settings_.joint_topic, torques ? rclcpp::QoS(1).best_effort() : targets_qos(), !torques, &Targets::on_joint);
  }
  if (!settings_.stiffness_topic.empty()) {
    listen(settings_.stiffness_topic, targets_qos(), true, &Targets::on_stiffness);
  }
  if (!settings_.sensor_topic.empty()) {
    listen(settings_.sensor_topic, rclcpp::SensorDataQoS(), false, &Targets::on_sensor);
  }
}

template <typename Message>
void Targets::listen(const std::string& topic, const rclcpp::QoS& qos, bool is_target,
                     void (Targets::*handle)(const Message&)) {
  auto subscription = std::make_shared<std::weak_ptr<rclcpp::SubscriptionBase>>();
  const bool guarded = is_target && settings_.single_publisher;
  const auto receive = [weak = weak_from_this(), subscription, topic, guarded, handle](const Message& message) {
    const auto self = weak.lock();
    if (!self) return;
    try {
      const auto own = subscription->lock();
      if (guarded && own && own->get_publisher_count() > 1) {
        throw Refusal("refused_several_publishers", "several nodes publish it; stop all but one");
      }
      ((*self).*handle)(message);
    } catch (const Refusal& refusal) {
      self->refuse(topic, refusal.counter, refusal.what());
    }
  };
  subscriptions_.push_back(node_.lock()->create_subscription<Message>(topic, qos, receive));
  *subscription = subscriptions_.back();
}

void Targets::refuse(const std::string& topic, const std::string& counter, const std::string& reason) {
  ++counters_[counter];
  const double now = clock_->now().seconds();
  const auto [logged, first] = logged_.try_emplace(counter, now);
  if (!first && now - logged->second < kLogPeriod) return;
  logged->second = now;
  if (const auto node = node_.lock()) RCLCPP_WARN(node->get_logger(), "%s refused: %s", topic.c_str(), reason.c_str());
}

crisp_control::Decision Targets::decide(const builtin_interfaces::msg::Time& stamp) {
  if (stamp.sec == 0 && stamp.nanosec == 0) {
    throw Refusal("refused_stamp", "header.stamp is zero; it must be the time of the decision");
  }
  return {seconds(stamp), ++sequence_};
}

Eigen::Isometry3d Targets::place(const std::string& frame) const {
  try {
    return frames_[frame];
  } catch (const std::invalid_argument& error) {
    throw Refusal("refused_frame", error.what());
  }
}

Pose Targets::pose_in_base(const geometry_msgs::msg::Pose& pose, const std::string& frame) const {
  const Eigen::Isometry3d T_base_frame = place(frame);
  const auto& p = pose.position;
  const auto& q = pose.orientation;
  // The quaternion keeps its length, so that the core can refuse it.
  return {T_base_frame * Eigen::Vector3d(p.x, p.y, p.z),
          Eigen::Quaterniond(T_base_frame.rotation()) * Eigen::Quaterniond(q.w, q.x, q.y, q.z)};
}

JointVector Targets::in_order(const std::vector<std::string>& names, const std::vector<double>& values) const {
  const auto& joints = model_.joints();
  for (const auto& name : names) {
    if (std::find(joints.begin(), joints.end(), name) == joints.end()) {
      throw Refusal("refused_joint_unknown", "no joint '" + name + "'; the arm has: " + joined(joints));
    }
  }
  if (names.size() != values.size()) {
    throw Refusal("refused_joint_values",
                  std::to_string(names.size()) + " names, but " + std::to_string(values.size()) + " values");
  }
  if (names.size() > joints.size()) throw Refusal("refused_joint_repeated", "give each joint once");
  JointVector sorted(model_.n());
  for (int i = 0; i < model_.n(); ++i) {
    const auto found = std::find(names.begin(), names.end(), joints[i]);
    if (found == names.end()) {
      throw Refusal("refused_joint_missing", "joint '" + joints[i] + "' is missing; needed: " + joined(joints));
    }
    sorted[i] = values[found - names.begin()];
  }
  return sorted;
}

void Targets::on_pose(const geometry_msgs::msg::PoseStamped& message) {
  const Pose pose = pose_in_base(message.pose, message.header.frame_id);
  mail_->pose.write({pose, decide(message.header.stamp)});
}

void Targets::on_path(const nav_msgs::msg::Path& message) {
  if (message.poses.empty() || message.poses.size() > PoseChunk::kCapacity) {
    throw Refusal("refused_path_length", std::to_string(message.poses.size()) + " poses; allowed: 1 to " +
                                             std::to_string(PoseChunk::kCapacity));
  }
  PoseChunk chunk;
  for (const auto& stamped : message.poses) {
    // A pose without a frame of its own is in the frame of the path.
    const auto& frame = stamped.header.frame_id.empty() ? message.header.frame_id : stamped.header.frame_id;
    chunk.poses[chunk.size++] = {pose_in_base(stamped.pose, frame), seconds(stamped.header.stamp)};
  }
  chunk.decision = decide(message.header.stamp);
  mail_->chunk.write(chunk);
}

void Targets::on_joint(const sensor_msgs::msg::JointState& message) {
  crisp_control::JointReference reference;
  if (takes_ == Takes::kJointTorques) {
    reference.tau = in_order(message.name, message.effort);
  } else {
    reference.q = in_order(message.name, message.position);
  }
  reference.decision = decide(message.header.stamp);
  mail_->joint.write(reference);
}

void Targets::on_wrench(const geometry_msgs::msg::WrenchStamped& message) {
  const Eigen::Matrix3d R = place(message.header.frame_id).rotation();
  const auto& force = message.wrench.force;
  const auto& torque = message.wrench.torque;
  crisp_control::WrenchReference reference;
  reference.wrench << R * Eigen::Vector3d(force.x, force.y, force.z), R * Eigen::Vector3d(torque.x, torque.y, torque.z);
  reference.decision = decide(message.header.stamp);
  mail_->wrench.write(reference);
}

void Targets::on_stiffness(const std_msgs::msg::Float64MultiArray& message) {
  if (message.data.size() != 6) {
    throw Refusal("refused_stiffness_size", std::to_string(message.data.size()) + " numbers; needed: x y z rx ry rz");
  }
  crisp_control::StiffnessReference reference;
  std::copy(message.data.begin(), message.data.end(), reference.stiffness.data());
  reference.decision = {clock_->now().seconds(), ++sequence_};  // this type has no header: the stamp is the arrival's
  mail_->stiffness.write(reference);
}

void Targets::on_sensor(const geometry_msgs::msg::WrenchStamped& message) {
  const auto& force = message.wrench.force;
  const auto& torque = message.wrench.torque;
  const Eigen::Vector3d f = T_tool_sensor_.rotation() * Eigen::Vector3d(force.x, force.y, force.z);
  SensorWrench sensor;
  sensor.wrench << f,
      T_tool_sensor_.rotation() * Eigen::Vector3d(torque.x, torque.y, torque.z) + T_tool_sensor_.translation().cross(f);
  sensor.stamp = decide(message.header.stamp).stamp;
  if (!sensor.wrench.allFinite()) throw Refusal("refused_sensor", "the wrench is not finite");
  mail_->sensor.write(sensor);
}

}  // namespace steadyhand
