#include "crisp_control/cartesian_impedance.hpp"

#include <Eigen/Cholesky>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace crisp_control {

namespace {

constexpr double kDefaultTorqueRate = 1000.0;  // Nm/s: the FR3's own limit, and slow enough for any drive
constexpr double kPseudoInverseDamping = 1e-4;
constexpr double kLongestTick = 1.0;  // s; after a longer one nothing is known about the arm

void show(std::ostream& out, double value) { out << value; }
template <typename Vector>
void show(std::ostream& out, const Vector& value) {
  out << '[' << value.transpose() << ']';
}

template <typename Value>
void require(bool allowed, const std::string& name, const Value& value, const std::string& range) {
  if (allowed) return;
  std::ostringstream text;
  text << "controller parameter '" << name << "' is ";
  show(text, value);
  text << "; it must be " << range;
  throw std::invalid_argument(text.str());
}

void require_joints(const JointVector& value, int joints, const std::string& name) {
  require(value.size() == joints && value.allFinite() && (value.array() > 0.0).all(), name, value,
          "one positive number per joint (" + std::to_string(joints) + ")");
}

bool usable(const ArmState& state) noexcept {
  return state.q.allFinite() && state.dq.allFinite() && std::isfinite(state.time);
}

}  // namespace

CartesianImpedanceParams::CartesianImpedanceParams(const ArmModel& model)
    : friction(JointVector::Zero(model.n())),
      torque_limit(model.tau_limit()),
      torque_rate_limit(JointVector::Constant(model.n(), kDefaultTorqueRate)) {}

void CartesianImpedanceParams::validate(int joints) const {
  const auto non_negative = [](const Vector6& v) { return v.allFinite() && (v.array() >= 0.0).all(); };
  const auto positive = [](double v) { return std::isfinite(v) && v > 0.0; };
  const auto not_negative = [](double v) { return std::isfinite(v) && v >= 0.0; };
  require(non_negative(stiffness), "stiffness", stiffness, "6 numbers >= 0 (N/m, Nm/rad)");
  require(non_negative(damping_ratio), "damping_ratio", damping_ratio, "6 numbers >= 0");
  require(error_clip.allFinite() && (error_clip.array() > 0.0).all(), "error_clip", error_clip,
          "6 numbers > 0 (m, rad)");
  require(positive(smoothing_time), "smoothing_time", smoothing_time, "> 0 seconds");
  require(not_negative(nullspace_stiffness), "nullspace_stiffness", nullspace_stiffness, ">= 0 Nm/rad");
  require(not_negative(nullspace_damping_ratio), "nullspace_damping_ratio", nullspace_damping_ratio, ">= 0");
  require(positive(nullspace_torque_limit), "nullspace_torque_limit", nullspace_torque_limit, "> 0 Nm");
  require(not_negative(damping_only), "damping_only", damping_only, ">= 0 Nm s/rad");
  require(positive(gate.hold_after), "hold_after", gate.hold_after, "> 0 seconds");
  require(std::isfinite(gate.damp_after) && gate.damp_after >= gate.hold_after, "damp_after", gate.damp_after,
          ">= hold_after");
  require(not_negative(gate.future_tolerance), "future_tolerance", gate.future_tolerance, ">= 0 seconds");
  require(positive(gate.max_jump_linear), "max_jump_linear", gate.max_jump_linear, "> 0 metres");
  require(positive(gate.max_jump_angular), "max_jump_angular", gate.max_jump_angular, "> 0 rad");
  require(friction.size() == joints && friction.allFinite() && (friction.array() >= 0.0).all(), "friction", friction,
          "one number >= 0 per joint (" + std::to_string(joints) + ")");
  require(positive(friction_velocity), "friction_velocity", friction_velocity, "> 0 rad/s");
  require_joints(torque_limit, joints, "torque_limit");
  require_joints(torque_rate_limit, joints, "torque_rate_limit");
}

CartesianImpedance::CartesianImpedance(const ArmModel& model, const CartesianImpedanceParams& params)
    : model_(model),
      params_(params),
      damping_(2.0 * params.damping_ratio.cwiseProduct(params.stiffness.cwiseSqrt())),
      q_posture_(JointVector::Zero(model.n())),
      tau_(JointVector::Zero(model.n())) {
  params_.validate(model.n());
  ArmState rest{q_posture_, JointVector::Zero(model.n()), JointVector::Zero(model.n()), 0.0};
  reset(rest);
}

void CartesianImpedance::reset(const ArmState& state) noexcept {
  status_ = {};
  gate_.reset(state.time);
  const auto number = [](double tau) { return std::isfinite(tau) ? tau : 0.0; };
  tau_ = state.tau.unaryExpr(number).cwiseMax(-params_.torque_limit).cwiseMin(params_.torque_limit);
  limiter_.reset(tau_);
  // Interfaces of hardware may hold no numbers before their first read: then the first usable state is the one to hold.
  started_ = usable(state);
  if (started_) hold_here(state);
}

void CartesianImpedance::hold_here(const ArmState& state) noexcept {
  interpolator_.reset(model_.update(state.q, state.dq).T_base_ee);
  q_posture_ = state.q;
}

const JointVector& CartesianImpedance::update(const ArmState& state, const PoseReference& reference,
                                              double dt) noexcept {
  ++status_.ticks;
  if (!usable(state) || !(dt > 0.0 && dt <= kLongestTick)) {
    ++status_.bad_state;
    return tau_;
  }
  if (!started_) hold_here(state);
  started_ = true;
  const auto& terms = model_.update(state.q, state.dq);
  follow(state, reference, dt);
  if (status_.mode == ReferenceMode::kDamp) {
    tau_ = -params_.damping_only * state.dq;
  } else {
    tau_ = terms.J_base_ee.transpose() * tool_wrench(terms, state.dq) + nullspace_torque(terms, state);
    tau_ += params_.friction.cwiseProduct((state.dq / params_.friction_velocity).array().tanh().matrix());
  }
  if (params_.coriolis_compensation) tau_ += terms.coriolis;
  if (params_.gravity_compensation) tau_ += terms.gravity;
  limiter_.apply(tau_, params_.torque_limit, params_.torque_rate_limit, dt);
  status_.torque = limiter_.counters();
  return tau_;
}

void CartesianImpedance::follow(const ArmState& state, const PoseReference& reference, double dt) noexcept {
  const ReferenceMode before = status_.mode;
  // After damping the arm may be anywhere: the next motion starts where it is, and jumps are judged from there.
  if (before == ReferenceMode::kDamp) interpolator_.reset(model_.terms().T_base_ee);
  if (gate_.accept(reference, interpolator_.pose(), state.time, params_.gate)) {
    interpolator_.set_target(reference.T_base_ee);
  }
  status_.mode = gate_.mode(state.time, params_.gate);
  status_.reference_age = gate_.age(state.time);
  status_.reference = gate_.counters();
  if (status_.mode == ReferenceMode::kHold && before == ReferenceMode::kTrack) interpolator_.stop_here();
  if (status_.mode != ReferenceMode::kDamp) interpolator_.step(dt, params_.smoothing_time);
}

Vector6 CartesianImpedance::tool_wrench(const ArmTerms& terms, const JointVector& dq) noexcept {
  const Pose& wanted = interpolator_.pose();
  Vector6 error;
  error.head<3>() = wanted.position - terms.T_base_ee.position;
  error.tail<3>() = log3(wanted.orientation * terms.T_base_ee.orientation.conjugate());
  const Vector6 clipped = error.cwiseMax(-params_.error_clip).cwiseMin(params_.error_clip);
  status_.error_clipped += clipped != error;
  return params_.stiffness.cwiseProduct(clipped) - damping_.cwiseProduct(terms.J_base_ee * dq);
}

JointVector CartesianImpedance::nullspace_torque(const ArmTerms& terms, const ArmState& state) const noexcept {
  const double k = params_.nullspace_stiffness;
  const double d = 2.0 * params_.nullspace_damping_ratio * std::sqrt(k);
  const double limit = params_.nullspace_torque_limit;
  JointVector error = q_posture_ - state.q;
  for (int i = 0; i < model_.n(); ++i) {
    if (std::isinf(model_.q_upper()[i])) error[i] = std::remainder(error[i], 2.0 * M_PI);  // continuous joint
  }
  const JointVector posture = (k * error - d * state.dq).cwiseMax(-limit).cwiseMin(limit);
  // N tau = tau - J^T (J J^T + l^2 I)^-1 J tau: only a 6 x 6 system, no SVD.
  const Jacobian& J = terms.J_base_ee;
  Matrix6 gram = J * J.transpose();
  gram.diagonal().array() += kPseudoInverseDamping * kPseudoInverseDamping;
  const Vector6 tool = gram.ldlt().solve(J * posture);
  return posture - J.transpose() * tool;
}

}  // namespace crisp_control
