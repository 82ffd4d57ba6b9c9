#include "crisp_control/cartesian_admittance.hpp"

#include "require.hpp"

namespace crisp_control {

namespace {

// Shrinks a vector by `width`, continuously, down to nothing.
Vector3 beyond(const Vector3& vector, double width) noexcept {
  const double size = vector.norm();
  return size <= width ? Vector3(Vector3::Zero()) : Vector3(vector * (1.0 - width / size));
}

}  // namespace

CartesianAdmittanceParams::CartesianAdmittanceParams(const ArmModel& model) : CartesianImpedanceParams(model) {
  stiffness << 1500, 1500, 1500, 80, 80, 80;  // the inner loop tracks
}

void CartesianAdmittanceParams::validate(const ArmModel& model) const {
  CartesianImpedanceParams::validate(model);
  require_six(admittance_stiffness, "admittance_stiffness", "N/m, Nm/rad");
  require_six(admittance_damping, "admittance_damping", "N s/m, Nm s/rad");
  require(admittance_mass.allFinite() && (admittance_mass.array() > 0.0).all(), "admittance_mass", admittance_mass,
          "6 numbers > 0 (kg, kg m^2)");
  require(admittance_limit.allFinite() && (admittance_limit.array() > 0.0).all(), "admittance_limit", admittance_limit,
          "6 numbers > 0 (m, rad)");
  require_not_negative(deadband_force, "deadband_force", "N");
  require_not_negative(deadband_torque, "deadband_torque", "Nm");
}

CartesianAdmittance::CartesianAdmittance(const ArmModel& model, const CartesianAdmittanceParams& params)
    : CartesianImpedance(model, params), params_(params) {
  params_.validate(model);
}

void CartesianAdmittance::set_params(const CartesianAdmittanceParams& params) noexcept {
  params_ = params;
  CartesianImpedance::set_params(params);
}

void CartesianAdmittance::hold(const ArmState& state) noexcept {
  displacement_.setZero();
  velocity_.setZero();
  CartesianImpedance::hold(state);
}

Pose CartesianAdmittance::comply(const Pose& reference, double dt) noexcept {
  Vector6 load;
  load << beyond(wrench().head<3>(), params_.deadband_force), beyond(wrench().tail<3>(), params_.deadband_torque);
  const Vector6& M = params_.admittance_mass;
  const Vector6& D = params_.admittance_damping;
  const Vector6& K = params_.admittance_stiffness;
  velocity_ =
      (M.cwiseProduct(velocity_) + dt * (load - K.cwiseProduct(displacement_))).cwiseQuotient(M + dt * D + dt * dt * K);
  const Vector6 wanted = displacement_ + dt * velocity_;
  displacement_ = wanted.cwiseMax(-params_.admittance_limit).cwiseMin(params_.admittance_limit);
  velocity_ = (displacement_.array() == wanted.array()).select(velocity_, 0.0);  // stands still at its end stops
  return {reference.position + displacement_.head<3>(),
          (exp3(displacement_.tail<3>()) * reference.orientation).normalized()};
}

}  // namespace crisp_control
