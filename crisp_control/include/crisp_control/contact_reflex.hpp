// What the arm does when a contact is harder than allowed.
#pragma once

#include <cmath>
#include <cstdint>

#include "crisp_control/types.hpp"

namespace crisp_control {

struct ReflexParams {
  double force = 100.0;        ///< N at the tool; inf: never
  double torque = 40.0;        ///< Nm at the tool; inf: never
  double softening = 0.2;      ///< stiffness times this while the reflex lasts
  double recover_after = 1.0;  ///< s with less than half the limit; inf: only reset ends the reflex
};

/// Trips when the external wrench exceeds its limit and lets go when it has stayed below half of it for a while.
class ContactReflex {
 public:
  void reset() noexcept { *this = {}; }
  void update(const Vector6& wrench, double now, const ReflexParams& params) noexcept {
    const double load = std::max(wrench.head<3>().norm() / params.force, wrench.tail<3>().norm() / params.torque);
    if (load > 1.0 && !active_) {
      active_ = true;
      ++trips_;
    }
    if (!(load <= 0.5)) last_loaded_ = now;
    if (active_ && now - last_loaded_ >= params.recover_after) active_ = false;
  }
  bool active() const noexcept { return active_; }
  std::uint64_t trips() const noexcept { return trips_; }

 private:
  bool active_ = false;
  double last_loaded_ = 0.0;
  std::uint64_t trips_ = 0;
};

}  // namespace crisp_control
