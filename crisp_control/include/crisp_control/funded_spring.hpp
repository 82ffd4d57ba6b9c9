// A spring whose attractor and stiffness change only as far as an energy tank pays for it.
#pragma once

#include "crisp_control/energy_tank.hpp"
#include "crisp_control/types.hpp"

namespace crisp_control {

/// A diagonal spring whose force stops growing at `clip`: per axis F = K clip(e), so K * clip is the force cap, and
///   V(e) = K e^2 / 2 within the clip, K c (|e| - c / 2) beyond.
/// Vector: Vector6 for the tool, JointVector for joints. Whoever owns the attractor gives its error.
template <typename Vector>
class FundedSpring {
 public:
  Vector clip;  ///< m, rad

  /// Unloaded.
  void reset(const Vector& stiffness) noexcept {
    stiffness_ = stiffness;
    clipped_ = Vector::Zero(stiffness.size());
    is_clipped_ = false;
    potential_ = 0.0;
  }

  /// Changes stiffness and attractor, as far as the tank pays. error: to the present attractor; wanted_error: to the
  /// wanted one; move(part): moves the attractor by this part of the way (0 .. 1) and returns the error then.
  /// work: what the spring's torques did on the arm since the last call, J. True if everything was paid.
  template <typename Move>
  bool advance(const Vector& error, const Vector& wanted_error, const Vector& stiffness, double work, double dt,
               const TankParams& params, EnergyTank& tank, Move&& move) noexcept {
    const double present = potential_of(stiffness_, error);
    tank.settle(work, present - potential_, dt, params);
    if (potential_of(stiffness, wanted_error) - present <= tank.available(params)) {
      stiffness_ = stiffness;
      settle_at(move(1.0));
      tank.spend(potential_ - present, params);
      return true;
    }
    // First the stiffness: V is linear in it. Then the attractor: V is convex along the way to it, so that its price
    // in proportion is an upper bound.
    stiffness_ += payable(potential_of(stiffness, error) - present, params, tank) * (stiffness - stiffness_);
    const double stiffened = potential_of(stiffness_, error);
    tank.spend(stiffened - present, params);
    settle_at(move(payable(potential_of(stiffness_, wanted_error) - stiffened, params, tank)));
    tank.spend(potential_ - stiffened, params);
    return false;
  }

  /// K clip(e) after the last advance(), in the axes of the error.
  Vector force() const noexcept { return stiffness_.cwiseProduct(clipped_); }
  bool is_clipped() const noexcept { return is_clipped_; }
  const Vector& stiffness() const noexcept { return stiffness_; }
  double potential() const noexcept { return potential_; }  ///< J

 private:
  static double payable(double price, const TankParams& params, const EnergyTank& tank) noexcept {
    const double funds = tank.available(params);
    return price <= funds ? 1.0 : funds / price;
  }
  double potential_of(const Vector& stiffness, const Vector& error) const noexcept {
    const Vector size = error.cwiseAbs();
    const Vector within = size.cwiseMin(clip);
    return stiffness.dot(within.cwiseProduct(size - 0.5 * within));
  }
  void settle_at(const Vector& error) noexcept {
    clipped_ = error.cwiseMax(-clip).cwiseMin(clip);
    is_clipped_ = clipped_ != error;
    potential_ = potential_of(stiffness_, error);
  }

  Vector stiffness_, clipped_;
  bool is_clipped_ = false;
  double potential_ = 0.0;
};

}  // namespace crisp_control
