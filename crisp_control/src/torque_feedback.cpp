#include "crisp_control/torque_feedback.hpp"

#include <cmath>

#include "require.hpp"

namespace crisp_control {

TorqueFeedbackParams::TorqueFeedbackParams(const ArmModel& model)
    : ControllerParams(model), feedback_limit(0.2 * model.tau_limit()), damping(JointVector::Constant(model.n(), 0.5)) {
  smoothing_time = 0.01;
}

void TorqueFeedbackParams::validate(const ArmModel& model) const {
  ControllerParams::validate(model);
  require_within(feedback_gain, -1.0, 1.0, "feedback_gain");
  require_joints(feedback_limit, model.n(), "feedback_limit");
  require_not_negative(feedback_deadband, "feedback_deadband", "Nm");
  require_joints(damping, model.n(), "damping", 0.0);
}

TorqueFeedback::TorqueFeedback(const ArmModel& model, const TorqueFeedbackParams& params)
    : Controller(model), params_(params) {
  params_.validate(model);
  set_params(params);
  const JointVector zero = JointVector::Zero(model.n());
  reset({zero, zero, zero, 0.0});
}

void TorqueFeedback::set_params(const TorqueFeedbackParams& params) noexcept {
  params_ = params;
  adopt(params_);
}

void TorqueFeedback::hold(const ArmState&) noexcept { target_ = felt_ = JointVector::Zero(model_.n()); }

void TorqueFeedback::take(const ArmState& state, const References& references) noexcept {
  if (gate_.accept_torque(references.joint, model_.n(), state.time, params_.gate)) {
    const JointVector& tau = references.joint.tau;
    const JointVector felt = params_.feedback_gain * tau;
    target_ = felt.cwiseMax(-params_.feedback_limit).cwiseMin(params_.feedback_limit);
    if (tau.norm() <= params_.feedback_deadband) target_.setZero();
  }
  if (gate_.mode(state.time, params_.gate) != ReferenceMode::kTrack) target_.setZero();
}

JointVector TorqueFeedback::law(const ArmState& state, double dt) noexcept {
  felt_ += (1.0 - std::exp(-dt / params_.smoothing_time)) * (target_ - felt_);
  return felt_ - params_.damping.cwiseProduct(state.dq);
}

}  // namespace crisp_control
