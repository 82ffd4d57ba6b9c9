// Part of a small stand-in for ros2_control's interfaces, so that the adapter compiles and runs in CI: the messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace builtin_interfaces::msg {
struct Time {
  std::int32_t sec = 0;
  std::uint32_t nanosec = 0;
};
}  // namespace builtin_interfaces::msg

namespace std_msgs::msg {
struct Header {
  builtin_interfaces::msg::Time stamp;
  std::string frame_id;
};
struct Float64MultiArray {
  std::vector<double> data;
};
}  // namespace std_msgs::msg

namespace geometry_msgs::msg {
struct Vector3 {
  double x = 0.0, y = 0.0, z = 0.0;
};
struct Point {
  double x = 0.0, y = 0.0, z = 0.0;
};
struct Quaternion {
  double x = 0.0, y = 0.0, z = 0.0, w = 1.0;
};
struct Pose {
  Point position;
  Quaternion orientation;
};
struct PoseStamped {
  std_msgs::msg::Header header;
  Pose pose;
};
struct Twist {
  Vector3 linear, angular;
};
struct TwistStamped {
  std_msgs::msg::Header header;
  Twist twist;
};
struct Wrench {
  Vector3 force, torque;
};
struct WrenchStamped {
  std_msgs::msg::Header header;
  Wrench wrench;
};
}  // namespace geometry_msgs::msg

namespace nav_msgs::msg {
struct Path {
  std_msgs::msg::Header header;
  std::vector<geometry_msgs::msg::PoseStamped> poses;
};
}  // namespace nav_msgs::msg

namespace sensor_msgs::msg {
struct JointState {
  std_msgs::msg::Header header;
  std::vector<std::string> name;
  std::vector<double> position, velocity, effort;
};
}  // namespace sensor_msgs::msg

namespace diagnostic_msgs::msg {
struct KeyValue {
  std::string key, value;
};
struct DiagnosticStatus {
  static constexpr unsigned char OK = 0, WARN = 1, ERROR = 2;
  unsigned char level = OK;
  std::string name, message;
  std::vector<KeyValue> values;
};
struct DiagnosticArray {
  std_msgs::msg::Header header;
  std::vector<DiagnosticStatus> status;
};
}  // namespace diagnostic_msgs::msg

namespace rcl_interfaces::msg {
struct SetParametersResult {
  bool successful = false;
  std::string reason;
};
}  // namespace rcl_interfaces::msg
