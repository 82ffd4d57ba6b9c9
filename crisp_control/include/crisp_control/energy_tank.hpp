// Energy that a controller may spend on changing its stiffness and moving its attractor.
#pragma once

#include <algorithm>

namespace crisp_control {

struct TankParams {
  double initial = 2.0;       ///< J at reset
  double minimum = 0.1;       ///< J that spending never goes below
  double maximum = 4.0;       ///< J; what would flow over is dissipated
  double refill_power = 5.0;  ///< W given to the arm for friction, lifting and pushing; 0: strictly passive
};

/// Keeps the books of a spring with potential V whose parameters change: V + E never grows by more than refill_power,
/// and falls by exactly the work that the applied torques did.
///
/// Ferraguti, Secchi & Fantuzzi, "A tank-based approach to impedance control with variable stiffness", ICRA 2013, with
/// the power integral replaced by exact discrete work (applied torque times measured displacement), so that torque
/// limits and sampling are on the bill too.
class EnergyTank {
 public:
  void reset(const TankParams& params) noexcept { energy_ = params.initial; }
  /// work: J done on the arm since the last call; gained: J by which the spring's potential grew meanwhile.
  void settle(double work, double gained, double dt, const TankParams& params) noexcept {
    energy_ = std::min(params.maximum, energy_ - work - gained + params.refill_power * dt);
  }
  /// J that may be spent now.
  double available(const TankParams& params) const noexcept { return std::max(0.0, energy_ - params.minimum); }
  void spend(double energy, const TankParams& params) noexcept { energy_ = std::min(params.maximum, energy_ - energy); }
  /// Part of a force that may still do work on the arm: 1, and less once the books are in the red, as they may be where
  /// the force is no gradient of V (large turns with unequal stiffness, operational space).
  double valve(const TankParams& params) const noexcept {
    return std::clamp(1.0 + energy_ / std::max(params.minimum, 1e-9), 0.0, 1.0);
  }
  double energy() const noexcept { return energy_; }

 private:
  double energy_ = 0.0;
};

}  // namespace crisp_control
