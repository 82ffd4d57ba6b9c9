// Parameters out of lists of numbers, as ROS has them.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "crisp_control/barrier.hpp"

namespace crisp_control {

/// A list of the wrong length becomes no number, so that validate() refuses it by its parameter's name.
/// An empty list leaves one number per joint as it is: as the URDF has it.
template <typename Vector>
void copy_list(const std::vector<double>& from, Vector& to) {
  constexpr bool per_joint = Vector::SizeAtCompileTime == Eigen::Dynamic;
  const auto size = static_cast<Eigen::Index>(from.size());
  if (per_joint && size == 0) return;
  if (per_joint && size <= Vector::MaxSizeAtCompileTime) to.resize(size);
  if (size != to.size()) {
    to.setConstant(std::numeric_limits<double>::quiet_NaN());
    return;
  }
  for (Eigen::Index i = 0; i < size; ++i) to[i] = from[static_cast<std::size_t>(i)];
}

/// Rows of four numbers, one after the other.
inline void copy_list(const std::vector<double>& from, HalfSpaces& to) {
  const auto size = static_cast<Eigen::Index>(from.size());
  const bool whole = size % 4 == 0 && size <= HalfSpaces::MaxSizeAtCompileTime;
  to.setConstant(whole ? size / 4 : 1, 4, std::numeric_limits<double>::quiet_NaN());
  for (Eigen::Index i = 0; whole && i < size; ++i) to(i / 4, i % 4) = from[static_cast<std::size_t>(i)];
}

}  // namespace crisp_control
