// Checks of parameters, off the loop: one line that names the parameter, its value and what is allowed.
#pragma once

#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>

#include "crisp_control/types.hpp"

namespace crisp_control {

inline void show(std::ostream& out, double value) { out << value; }
template <typename Vector>
void show(std::ostream& out, const Vector& value) {
  out << '[' << value.transpose() << ']';
}

template <typename Value>
void require(bool allowed, const std::string& name, const Value& value, const std::string& range) {
  if (allowed) return;
  std::ostringstream text;
  text << "controller parameter '" << name << "' is ";
  show(text, value);
  text << "; it must be " << range;
  throw std::invalid_argument(text.str());
}

inline void require_positive(double value, const std::string& name, const std::string& unit) {
  require(std::isfinite(value) && value > 0.0, name, value, "> 0 " + unit);
}

inline void require_not_negative(double value, const std::string& name, const std::string& unit) {
  require(std::isfinite(value) && value >= 0.0, name, value, ">= 0 " + unit);
}

inline void require_within(double value, double lower, double upper, const std::string& name) {
  std::ostringstream range;
  range << "from " << lower << " to " << upper;
  require(value >= lower && value <= upper, name, value, range.str());
}

/// `least`: exclusive if omitted (positive numbers), otherwise inclusive.
inline void require_joints(const JointVector& value, int joints, const std::string& name) {
  require(value.size() == joints && value.allFinite() && (value.array() > 0.0).all(), name, value,
          "one positive number per joint (" + std::to_string(joints) + ")");
}
inline void require_joints(const JointVector& value, int joints, const std::string& name, double least) {
  require(value.size() == joints && value.allFinite() && (value.array() >= least).all(), name, value,
          "one number >= 0 per joint (" + std::to_string(joints) + ")");
}

inline void require_six(const Vector6& value, const std::string& name, const std::string& unit) {
  require(value.allFinite() && (value.array() >= 0.0).all(), name, value, "6 numbers >= 0 (" + unit + ")");
}

}  // namespace crisp_control
