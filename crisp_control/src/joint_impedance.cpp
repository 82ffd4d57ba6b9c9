#include "crisp_control/joint_impedance.hpp"

#include <cmath>

#include "require.hpp"

namespace crisp_control {

JointImpedanceParams::JointImpedanceParams(const ArmModel& model)
    : ControllerParams(model),
      stiffness(model.tau_limit()),  // a whole radian asks for the whole torque
      damping_ratio(JointVector::Ones(model.n())),
      error_clip(JointVector::Constant(model.n(), 0.3)) {}

void JointImpedanceParams::validate(const ArmModel& model) const {
  ControllerParams::validate(model);
  require_joints(stiffness, model.n(), "stiffness", 0.0);
  require_joints(damping_ratio, model.n(), "damping_ratio", 0.0);
  require_joints(error_clip, model.n(), "error_clip");
}

JointImpedance::JointImpedance(const ArmModel& model, const JointImpedanceParams& params)
    : Controller(model), params_(params) {
  params_.validate(model);
  set_params(params);
  spring_.reset(params.stiffness);
  const JointVector zero = JointVector::Zero(model.n());
  reset({zero, zero, zero, 0.0});
}

void JointImpedance::set_params(const JointImpedanceParams& params) noexcept {
  params_ = params;
  spring_.clip = params.error_clip;
  adopt(params_);
}

void JointImpedance::hold(const ArmState& state) noexcept {
  attractor_ = state.q;
  interpolator_.reset(state.q);
  tank_.spend(-spring_.potential(), params_.tank);  // letting go gives the energy back
  spring_.reset(softness() * params_.stiffness);
}

void JointImpedance::take(const ArmState& state, const References& references) noexcept {
  const JointVector& tracked = interpolator_.q();
  if (gate_.accept(references.joint, Channel::kMotion, tracked, model_.q_lower(), model_.q_upper(), state.time,
                   params_.gate)) {
    interpolator_.set_reference(tracked + way(tracked, references.joint.q), references.joint.decision.stamp,
                                params_.smoothing_time);
  }
}

JointVector JointImpedance::way(const JointVector& from, const JointVector& to) const noexcept {
  JointVector difference = to - from;
  for (int i = 0; i < model_.n(); ++i) {
    if (model_.continuous(i)) difference[i] = std::remainder(difference[i], 2.0 * M_PI);
  }
  return difference;
}

JointVector JointImpedance::law(const ArmState& state, double dt) noexcept {
  interpolator_.step(dt, params_.smoothing_time);
  const JointVector from = attractor_;
  const JointVector& to = interpolator_.q();
  const JointVector wanted_error = way(state.q, to);
  const bool paid = spring_.advance(way(state.q, from), wanted_error, softness() * params_.stiffness,
                                    work_of_law(state), dt, params_.tank, tank_, [&](double part) -> JointVector {
                                      attractor_ = to;
                                      if (part == 1.0) return wanted_error;
                                      attractor_ = from + part * way(from, to);
                                      return way(state.q, attractor_);
                                    });
  status_.tank_limited += !paid;
  status_.error_clipped += spring_.is_clipped();
  const JointVector damping = 2.0 * params_.damping_ratio.cwiseProduct(spring_.stiffness().cwiseSqrt());
  JointVector pull = spring_.force();
  if (pull.dot(state.dq) > 0.0) pull *= tank_.valve(params_.tank);
  return pull - damping.cwiseProduct(state.dq);
}

}  // namespace crisp_control
