// The parameters that only the plug-ins have; the core's are described beside it in crisp_control/*.hpp.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace steadyhand {

/// Read once in on_configure. An empty topic: this plug-in has no such subscription.
struct Settings {
  std::vector<std::string> joints;
  std::string end_effector_frame, base_frame;
  std::vector<double> armature;
  double publish_frequency = 100.0;  ///< Hz
  bool single_publisher = true, use_tf = false;
  std::string stiffness_topic, sensor_topic, sensor_frame, joint_topic = "target_joint";
};

/// Copies those that `params` (of generate_parameter_library) has.
template <typename Params>
Settings read_settings(const Params& params) {
  Settings settings;
  settings.joints = params.joints;
  settings.end_effector_frame = params.end_effector_frame;
  settings.base_frame = params.base_frame;
  settings.armature = params.armature;
  settings.publish_frequency = params.publish_frequency;
  if constexpr (requires { params.single_publisher; }) settings.single_publisher = params.single_publisher;
  if constexpr (requires { params.use_tf; }) settings.use_tf = params.use_tf;
  if constexpr (requires { params.variable_stiffness; }) {
    if (params.variable_stiffness.enabled) settings.stiffness_topic = params.variable_stiffness.topic;
  }
  if constexpr (requires { params.ft_sensor; }) {
    settings.sensor_topic = params.ft_sensor.topic;
    settings.sensor_frame = params.ft_sensor.frame;
  }
  if constexpr (requires { params.joint_source_topic; }) settings.joint_topic = params.joint_source_topic;
  return settings;
}

/// Throws std::invalid_argument with one line if what every plug-in needs is missing.
inline void check_settings(const Settings& settings, const std::string& robot_description) {
  if (settings.joints.empty()) throw std::invalid_argument("the parameter 'joints' is empty; list the arm's joints");
  if (settings.end_effector_frame.empty()) {
    throw std::invalid_argument("the parameter 'end_effector_frame' is empty; name a link of the URDF");
  }
  if (!(settings.publish_frequency > 0.0)) throw std::invalid_argument("publish_frequency must be above 0 Hz");
  if (robot_description.empty()) {
    throw std::invalid_argument("the controller manager has no robot description; publish the URDF first");
  }
}

}  // namespace steadyhand
