// Frames that messages may name.
#pragma once

#include <Eigen/Geometry>
#include <memory>
#include <rclcpp_lifecycle/lifecycle_node.hpp>
#include <string>

#include "crisp_control/arm_model.hpp"

namespace steadyhand {

/// Places frames in the base frame: "" and the base itself, links that the URDF fixes to it, and, if wanted, whatever
/// TF knows now. Off the loop only.
class Frames {
 public:
  /// Throws std::invalid_argument if the base frame is none, or if TF is wanted but was not there at build time.
  Frames(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node, const crisp_control::ArmModel& model,
         const std::string& base_frame, bool use_tf);
  ~Frames();

  /// Throws std::invalid_argument with one line that names the frame and what is allowed.
  Eigen::Isometry3d operator[](const std::string& frame) const;

 private:
  struct Tf;

  const crisp_control::ArmModel& model_;
  std::string base_frame_;
  std::unique_ptr<Tf> tf_;
};

}  // namespace steadyhand
