// The parts of the module _core, and what they share.
#pragma once

#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include "crisp_control/arm_model.hpp"

namespace crisp_control::python {

namespace nb = nanobind;
using Vector4 = Eigen::Vector4d;

void bind_model(nb::module_& m);
void bind_params(nb::module_& m);
void bind_references(nb::module_& m);
void bind_controllers(nb::module_& m);

inline Pose make_pose(const Vector3& position, const Vector4& quaternion_xyzw) {
  return {position, Eigen::Quaterniond(quaternion_xyzw)};  // Eigen's coefficient order is x y z w
}

inline std::pair<Vector3, Vector4> split_pose(const Pose& pose) { return {pose.position, pose.orientation.coeffs()}; }

/// A numpy vector as one number per joint; throws if the number is wrong.
inline JointVector joints_of(const ArmModel& model, const Eigen::VectorXd& value, const char* name) {
  if (value.size() != model.n()) {
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(value.size()) + " values, the arm has " +
                                std::to_string(model.n()) + " joints");
  }
  return value;
}

/// A numpy vector of at most kMaxJoints numbers, not yet compared with a model.
inline JointVector some_joints(const Eigen::VectorXd& value) {
  if (value.size() > kMaxJoints) throw std::invalid_argument("at most " + std::to_string(kMaxJoints) + " joints");
  return value;
}

}  // namespace crisp_control::python
