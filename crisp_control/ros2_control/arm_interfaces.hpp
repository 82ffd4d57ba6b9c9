// An arm's state and effort command interfaces in the hands of a controller.
#pragma once

#include <hardware_interface/loaned_command_interface.hpp>
#include <hardware_interface/loaned_state_interface.hpp>
#include <limits>
#include <string>
#include <vector>

#include "crisp_control/types.hpp"

namespace steadyhand {

/// What a plug-in claims: joint by joint within a kind, kinds one after the other.
inline std::vector<std::string> interface_names(const std::vector<std::string>& joints,
                                                const std::vector<std::string>& kinds) {
  std::vector<std::string> names;
  for (const auto& kind : kinds) {
    for (const auto& joint : joints) names.push_back(joint + "/" + kind);
  }
  return names;
}

/// Reads [q; dq; tau]; what cannot be read becomes no number, which the core knows how to treat.
inline void read_state(const std::vector<hardware_interface::LoanedStateInterface>& interfaces,
                       crisp_control::ArmState& state) noexcept {
  const auto n = interfaces.size() / 3;
  const auto joints = static_cast<Eigen::Index>(n);
  for (auto* vector : {&state.q, &state.dq, &state.tau}) vector->resize(joints);
  const auto value = [&](std::size_t i) {
    return interfaces[i].get_optional().value_or(std::numeric_limits<double>::quiet_NaN());
  };
  for (std::size_t i = 0; i < n; ++i) {
    const auto joint = static_cast<Eigen::Index>(i);
    state.q[joint] = value(i);
    state.dq[joint] = value(n + i);
    state.tau[joint] = value(2 * n + i);
  }
}

/// False if a torque did not reach its interface.
inline bool write_torques(std::vector<hardware_interface::LoanedCommandInterface>& interfaces,
                          const crisp_control::JointVector& tau) noexcept {
  bool written = true;
  for (std::size_t i = 0; i < interfaces.size(); ++i) {
    written = interfaces[i].set_value(tau[static_cast<Eigen::Index>(i)]) && written;
  }
  return written;
}

}  // namespace steadyhand
