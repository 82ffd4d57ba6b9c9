// Cartesian admittance: the tool gives way to the measured wrench like a mass on a spring of its own.
#pragma once

#include "crisp_control/cartesian_impedance.hpp"

namespace crisp_control {

/// Six numbers along the base's axes; translation and rotation are decoupled. The impedance tracks the result.
struct CartesianAdmittanceParams : CartesianImpedanceParams {
  explicit CartesianAdmittanceParams(const ArmModel& model);

  Vector6 admittance_mass = (Vector6() << 4, 4, 4, 0.2, 0.2, 0.2).finished();          ///< kg, kg m^2
  Vector6 admittance_damping = (Vector6() << 80, 80, 80, 4, 4, 4).finished();          ///< N s/m, Nm s/rad
  Vector6 admittance_stiffness = (Vector6() << 200, 200, 200, 10, 10, 10).finished();  ///< N/m, Nm/rad; 0: free
  Vector6 admittance_limit = (Vector6() << 0.2, 0.2, 0.2, 0.6, 0.6, 0.6).finished();   ///< m, rad from the reference
  double deadband_force = 2.0;   ///< N; what is smaller counts as nothing
  double deadband_torque = 0.3;  ///< Nm

  void validate(const ArmModel& model) const;
};

/// M d'' + D d' + K d = w; the attractor is the reference moved by d.
///
/// w: wrench of the force/torque sensor, or of the momentum observer, after a dead band. Backward Euler, so stable for
/// any mass, damping and tick. Hogan 1985; Siciliano & Villani, Robot Force Control, 1999, ch. 2.
class CartesianAdmittance : public CartesianImpedance {
 public:
  CartesianAdmittance(const ArmModel& model, const CartesianAdmittanceParams& params);
  std::unique_ptr<Controller> clone() const override { return std::make_unique<CartesianAdmittance>(*this); }
  const CartesianAdmittanceParams& params() const noexcept override { return params_; }
  void set_params(const CartesianAdmittanceParams& params) noexcept;
  /// How far the tool gave way: m and rotation vector in rad, base axes.
  const Vector6& displacement() const noexcept { return displacement_; }

 protected:
  void hold(const ArmState& state) noexcept override;
  Pose comply(const Pose& reference, double dt) noexcept override;

 private:
  CartesianAdmittanceParams params_;
  Vector6 displacement_ = Vector6::Zero();
  Vector6 velocity_ = Vector6::Zero();
};

}  // namespace crisp_control
