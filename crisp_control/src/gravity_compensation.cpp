#include "crisp_control/gravity_compensation.hpp"

#include <cmath>

#include "require.hpp"

namespace crisp_control {

namespace {

Vector3 capped(const Vector3& vector, double limit) noexcept {
  const double size = vector.norm();
  return size > limit ? Vector3(vector * (limit / size)) : vector;
}

Eigen::Matrix3d projection(Guide guide, const Vector3& direction) noexcept {
  const Eigen::Matrix3d along = direction * direction.transpose();
  switch (guide) {
    case Guide::kPlane:
      return along;
    case Guide::kAxis:
      return Eigen::Matrix3d::Identity() - along;
    case Guide::kPoint:
      return Eigen::Matrix3d::Identity();
    case Guide::kFree:
      break;
  }
  return Eigen::Matrix3d::Zero();
}

}  // namespace

GravityCompensationParams::GravityCompensationParams(const ArmModel& model)
    : ControllerParams(model), damping(JointVector::Constant(model.n(), 0.5)) {}

void GravityCompensationParams::validate(const ArmModel& model) const {
  ControllerParams::validate(model);
  require_joints(damping, model.n(), "damping", 0.0);
  require(std::abs(guide_direction.norm() - 1.0) < 1e-6, "guide_direction", guide_direction, "of length 1");
  require_not_negative(guide_stiffness, "guide_stiffness", "N/m");
  require_not_negative(guide_rotational_stiffness, "guide_rotational_stiffness", "Nm/rad");
  require_not_negative(guide_damping_ratio, "guide_damping_ratio", "-");
  require_positive(guide_force_limit, "guide_force_limit", "N");
  require_positive(guide_torque_limit, "guide_torque_limit", "Nm");
}

GravityCompensation::GravityCompensation(const ArmModel& model, const GravityCompensationParams& params)
    : Controller(model), params_(params) {
  params_.validate(model);
  set_params(params);
  const JointVector zero = JointVector::Zero(model.n());
  reset({zero, zero, zero, 0.0});
}

void GravityCompensation::set_params(const GravityCompensationParams& params) noexcept {
  const bool same_guide = params.guide == params_.guide && params.guide_direction == params_.guide_direction &&
                          params.hold_orientation == params_.hold_orientation;
  params_ = params;
  projection_ = projection(params.guide, params.guide_direction);
  if (!same_guide) anchor_ = terms().T_base_ee;  // a new constraint starts where the tool is
  adopt(params_);
}

void GravityCompensation::hold(const ArmState&) noexcept { anchor_ = terms().T_base_ee; }

JointVector GravityCompensation::law(const ArmState& state, double) noexcept {
  const ArmTerms& terms = this->terms();
  JointVector tau = -params_.damping.cwiseProduct(state.dq);
  if (params_.guide == Guide::kFree && !params_.hold_orientation) return tau;
  const Vector6 twist = terms.J_base_ee * state.dq;
  const auto damping = [&](double stiffness) { return 2.0 * params_.guide_damping_ratio * std::sqrt(stiffness); };
  Vector6 wrench = Vector6::Zero();
  const double k = params_.guide_stiffness;
  const Vector3 away = projection_ * (anchor_.position - terms.T_base_ee.position);
  wrench.head<3>() = capped(k * away, params_.guide_force_limit) - damping(k) * (projection_ * twist.head<3>());
  if (params_.hold_orientation) {
    const double k_r = params_.guide_rotational_stiffness;
    const Vector3 turned = log3(anchor_.orientation * terms.T_base_ee.orientation.conjugate());
    wrench.tail<3>() = capped(k_r * turned, params_.guide_torque_limit) - damping(k_r) * twist.tail<3>();
  }
  tau += terms.J_base_ee.transpose() * wrench;
  return tau;
}

}  // namespace crisp_control
