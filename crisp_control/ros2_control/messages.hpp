// Between the core's types and ROS messages.
#pragma once

#include <builtin_interfaces/msg/time.hpp>
#include <cmath>
#include <cstdint>
#include <geometry_msgs/msg/pose_stamped.hpp>
#include <geometry_msgs/msg/twist_stamped.hpp>
#include <geometry_msgs/msg/wrench_stamped.hpp>

#include "crisp_control/types.hpp"

namespace steadyhand {

inline double seconds(const builtin_interfaces::msg::Time& stamp) { return stamp.sec + 1e-9 * stamp.nanosec; }

inline builtin_interfaces::msg::Time stamp(double seconds) {
  const double whole = std::floor(seconds);
  builtin_interfaces::msg::Time message;
  message.sec = static_cast<std::int32_t>(whole);
  message.nanosec = static_cast<std::uint32_t>((seconds - whole) * 1e9);
  return message;
}

inline void fill(geometry_msgs::msg::Vector3& to, const crisp_control::Vector3& from) {
  to.x = from.x();
  to.y = from.y();
  to.z = from.z();
}

inline void fill(geometry_msgs::msg::PoseStamped& to, const crisp_control::Pose& pose, double time) {
  to.header.stamp = stamp(time);
  to.pose.position.x = pose.position.x();
  to.pose.position.y = pose.position.y();
  to.pose.position.z = pose.position.z();
  to.pose.orientation.x = pose.orientation.x();
  to.pose.orientation.y = pose.orientation.y();
  to.pose.orientation.z = pose.orientation.z();
  to.pose.orientation.w = pose.orientation.w();
}

inline void fill(geometry_msgs::msg::TwistStamped& to, const crisp_control::Vector6& twist, double time) {
  to.header.stamp = stamp(time);
  fill(to.twist.linear, crisp_control::Vector3(twist.head<3>()));
  fill(to.twist.angular, crisp_control::Vector3(twist.tail<3>()));
}

inline void fill(geometry_msgs::msg::WrenchStamped& to, const crisp_control::Vector6& wrench, double time) {
  to.header.stamp = stamp(time);
  fill(to.wrench.force, crisp_control::Vector3(wrench.head<3>()));
  fill(to.wrench.torque, crisp_control::Vector3(wrench.tail<3>()));
}

}  // namespace steadyhand
