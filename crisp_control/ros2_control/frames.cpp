#include "frames.hpp"

#include <stdexcept>

#ifdef STEADYHAND_TF
#include <tf2_ros/buffer.h>
#include <tf2_ros/transform_listener.h>

#include "messages.hpp"
#endif

namespace steadyhand {

#ifdef STEADYHAND_TF
struct Frames::Tf {
  explicit Tf(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node)
      : clock(node->get_clock()), buffer(clock), listener(buffer, node) {}
  rclcpp::Clock::SharedPtr clock;
  tf2_ros::Buffer buffer;
  tf2_ros::TransformListener listener;
};
#else
struct Frames::Tf {};
#endif

namespace {

#ifdef STEADYHAND_TF
constexpr double kOldTransform = 0.5;  // s
#endif

Eigen::Isometry3d isometry(const crisp_control::Pose& pose) {
  Eigen::Isometry3d T = Eigen::Isometry3d::Identity();
  T.translate(pose.position);
  T.rotate(pose.orientation);
  return T;
}

}  // namespace

Frames::Frames(const rclcpp_lifecycle::LifecycleNode::SharedPtr& node, const crisp_control::ArmModel& model,
               const std::string& base_frame, bool use_tf)
    : model_(model), base_frame_(base_frame) {
  if (!base_frame.empty() && !isometry(model.static_frame(base_frame)).isApprox(Eigen::Isometry3d::Identity(), 1e-9)) {
    throw std::invalid_argument("base_frame '" + base_frame + "' is not where the URDF's root link is; name that one");
  }
  if (!use_tf) return;
#ifdef STEADYHAND_TF
  if (base_frame.empty()) throw std::invalid_argument("use_tf needs base_frame: the root link's name in TF");
  tf_ = std::make_unique<Tf>(node);
#else
  (void)node;
  throw std::invalid_argument("use_tf is not possible: tf2_ros was missing when the plug-ins were built");
#endif
}

Frames::~Frames() = default;

Eigen::Isometry3d Frames::operator[](const std::string& frame) const {
  if (frame.empty() || frame == base_frame_) return Eigen::Isometry3d::Identity();
  try {
    return isometry(model_.static_frame(frame));
  } catch (const std::invalid_argument&) {
    if (!tf_) {
      throw std::invalid_argument("the frame '" + frame + "' is not fixed to the base; use the base frame" +
                                  (base_frame_.empty() ? " (frame_id empty)" : " '" + base_frame_ + "'") +
                                  ", a link fixed to it, or set use_tf");
    }
  }
#ifdef STEADYHAND_TF
  try {
    const auto newest = tf_->buffer.lookupTransform(base_frame_, frame, tf2::TimePointZero);
    const auto& translation = newest.transform.translation;
    const auto& rotation = newest.transform.rotation;
    const double time = seconds(newest.header.stamp);  // 0: it never changes
    if (time > 0.0 && tf_->clock->now().seconds() - time > kOldTransform) {
      throw std::invalid_argument("the frame '" + frame + "' was last seen in TF more than half a second ago");
    }
    Eigen::Isometry3d T = Eigen::Isometry3d::Identity();
    T.translate(Eigen::Vector3d(translation.x, translation.y, translation.z));
    T.rotate(Eigen::Quaterniond(rotation.w, rotation.x, rotation.y, rotation.z));
    return T;
  } catch (const tf2::TransformException& error) {
    throw std::invalid_argument("TF does not know the frame '" + frame + "': " + error.what());
  }
#endif
  throw std::logic_error("unreachable: without tf2_ros there is no tf_");
}

}  // namespace steadyhand
