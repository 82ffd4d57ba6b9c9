// The counters of a controller by name, for whoever shows them: one list for Python, topics and tests.
#pragma once

#include <array>
#include <utility>

#include "crisp_control/controller.hpp"

namespace crisp_control {

using NamedCounter = std::pair<const char*, std::uint64_t>;

/// What safety did since reset.
inline std::array<NamedCounter, 21> named_counters(const ControllerStatus& s) noexcept {
  return {{{"ticks", s.ticks},
           {"error_clipped", s.error_clipped},
           {"tank_limited", s.tank_limited},
           {"reflex_trips", s.reflex_trips},
           {"bad_state", s.bad_state},
           {"bad_wrench", s.bad_wrench},
           {"accepted", s.reference.accepted},
           {"refused_not_finite", s.reference.not_finite},
           {"refused_not_unit_quaternion", s.reference.not_unit_quaternion},
           {"refused_wrong_size", s.reference.wrong_size},
           {"refused_out_of_range", s.reference.out_of_range},
           {"refused_not_increasing", s.reference.not_increasing},
           {"refused_jump", s.reference.jump},
           {"refused_from_the_future", s.reference.from_the_future},
           {"refused_older_than_last", s.reference.older_than_last},
           {"refused_expired", s.reference.expired},
           {"joint_barrier", s.barrier.joint},
           {"workspace_barrier", s.barrier.workspace},
           {"torque_clamped", s.torque.clamped},
           {"torque_rate_limited", s.torque.rate_limited},
           {"torque_not_finite", s.torque.not_finite}}};
}

}  // namespace crisp_control
