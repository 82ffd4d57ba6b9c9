// What an arm's sensors and drives do to the truth.
#pragma once

#include <array>
#include <cstdint>
#include <random>

#include "crisp_control/types.hpp"

namespace steadyhand {

inline constexpr int kMaxDelay = 64;  ///< ticks

/// How an arm's own senses and drives err. As it is here: not at all.
struct SensorModel {
  double q_step = 0.0;        ///< resolution of the encoders, rad
  double q_noise = 0.0;       ///< standard deviation at every tick, as all noise here, rad
  double dq_noise = 0.0;      ///< rad/s
  double tau_step = 0.0;      ///< resolution of the joint torque sensors, Nm
  double tau_noise = 0.0;     ///< Nm
  double force_noise = 0.0;   ///< of the force/torque sensor, N
  double torque_noise = 0.0;  ///< Nm
  int measurement_delay = 0;  ///< ticks between an instant and its measurement
  int command_delay = 0;      ///< ticks between a torque's command and its effect
};

/// Errs as a SensorModel says; the same seed errs alike. For the loop: nothing here allocates or throws, but the
/// constructor.
class Senses {
 public:
  /// Throws std::invalid_argument if a figure is negative or not finite, or a delay longer than kMaxDelay.
  explicit Senses(const SensorModel& model);
  /// Starts anew at a measured state; before it nothing else was ever measured or commanded.
  void reset(const crisp_control::ArmState& state, std::uint64_t seed) noexcept;
  /// Turns the true state of now into what is measured now.
  void measure(crisp_control::ArmState& state) noexcept;
  /// The torque that acts now, while `tau` is being commanded, Nm.
  const crisp_control::JointVector& act(const crisp_control::JointVector& tau) noexcept;

 private:
  void disturb(crisp_control::JointVector& values, double noise, double step) noexcept;

  SensorModel model_;
  bool exact_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  std::array<crisp_control::ArmState, kMaxDelay + 1> measured_{};
  std::array<crisp_control::JointVector, kMaxDelay + 1> commanded_{};
  int newest_measured_ = 0, newest_commanded_ = 0;
};

}  // namespace steadyhand
