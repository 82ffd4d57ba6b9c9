#include "crisp_control/cartesian_impedance.hpp"

#include <algorithm>
#include <cmath>

#include "require.hpp"

namespace crisp_control {

namespace {

constexpr double kInertiaDamping = 1e-5;  // 1/kg, on J M^-1 J^T: bounds Lambda near singularities

// Takes a vector of base axes into the axes that gains act in, and back.
Vector6 turn(const Eigen::Quaterniond& rotation, const Vector6& vector) noexcept {
  const Eigen::Matrix3d R = rotation.toRotationMatrix();
  Vector6 turned;
  turned.head<3>() = R * vector.head<3>();
  turned.tail<3>() = R * vector.tail<3>();
  return turned;
}

// [p_attractor - p; log(R_attractor R^T)], in base axes or in those of the tool.
Vector6 pose_error(const Pose& attractor, const Pose& pose, bool tool_axes) noexcept {
  Vector6 error;
  error.head<3>() = attractor.position - pose.position;
  error.tail<3>() = log3(attractor.orientation * pose.orientation.conjugate());
  return tool_axes ? turn(pose.orientation.conjugate(), error) : error;
}

}  // namespace

void CartesianImpedanceParams::validate(const ArmModel& model) const {
  ControllerParams::validate(model);
  require_six(stiffness, "stiffness", "N/m, Nm/rad");
  require_six(stiffness_maximum, "stiffness_maximum", "N/m, Nm/rad");
  require((stiffness.array() <= stiffness_maximum.array()).all(), "stiffness", stiffness, "at most stiffness_maximum");
  require_six(wrench_maximum, "wrench_maximum", "N, Nm");
  require_six(damping_ratio, "damping_ratio", "-");
  require(error_clip.allFinite() && (error_clip.array() > 0.0).all(), "error_clip", error_clip,
          "6 numbers > 0 (m, rad)");
  require_not_negative(nullspace_stiffness, "nullspace_stiffness", "Nm/rad");
  require_not_negative(nullspace_damping_ratio, "nullspace_damping_ratio", "-");
  require_positive(nullspace_torque_limit, "nullspace_torque_limit", "Nm");
}

CartesianImpedance::CartesianImpedance(const ArmModel& model, const CartesianImpedanceParams& params)
    : Controller(model), params_(params), q_posture_(JointVector::Zero(model.n())) {
  params_.validate(model);
  set_params(params);
  const JointVector zero = JointVector::Zero(model.n());
  reset({zero, zero, zero, 0.0});
}

void CartesianImpedance::set_params(const CartesianImpedanceParams& params) noexcept {
  if (params.stiffness != params_.stiffness) stiffness_target_ = params.stiffness;  // else a streamed one stays
  params_ = params;
  spring_.clip = params.error_clip;
  adopt(params_);
}

void CartesianImpedance::start(const ArmState& state) noexcept {
  q_posture_ = state.q;
  stiffness_target_ = stiffness_ = params_.stiffness;
  wrench_target_.setZero();
  feed_forward_.setZero();
  hold(state);
}

void CartesianImpedance::hold(const ArmState&) noexcept {
  attractor_ = terms().T_base_ee;
  interpolator_.reset(attractor_);
  tank_.spend(-spring_.potential(), params_.tank);  // letting go gives the energy back
  spring_.reset(softness() * stiffness_);
  on_chunk_ = false;
}

void CartesianImpedance::stop_here() noexcept {
  on_chunk_ = false;
  interpolator_.stop_here();
}

void CartesianImpedance::take(const ArmState& state, const References& references) noexcept {
  const double now = state.time;
  const Pose& tracked = interpolator_.pose();
  if (gate_.accept(references.pose, tracked, now, params_.gate)) {
    interpolator_.set_reference(references.pose.T_base_ee, references.pose.decision.stamp, params_.smoothing_time);
    on_chunk_ = false;
  }
  if (gate_.accept(references.chunk, tracked, now, params_.gate)) {
    chunk_ = references.chunk;
    on_chunk_ = true;
  }
  if (gate_.accept(references.stiffness, params_.stiffness_maximum, now, params_.gate)) {
    stiffness_target_ = references.stiffness.stiffness;
  }
  if (gate_.accept(references.wrench, params_.wrench_maximum, now, params_.gate))
    wrench_target_ = references.wrench.wrench;
  if (gate_.accept(references.joint, Channel::kPosture, state.q, model_.q_lower(), model_.q_upper(), now,
                   params_.gate)) {
    q_posture_ = references.joint.q;
  }
}

Pose CartesianImpedance::comply(const Pose& reference, double) noexcept { return reference; }

void CartesianImpedance::interpolate(double now, double dt) noexcept {
  // Also while nothing is taken: in a reflex nobody may go on pushing either.
  if (gate_.mode(now, params_.gate, Channel::kWrench) != ReferenceMode::kTrack) wrench_target_.setZero();
  // The filter delays by smoothing_time; a chunk knows the future, so it is asked for that much later.
  if (on_chunk_) interpolator_.set_target(chunk_.at(now + params_.smoothing_time));
  interpolator_.step(dt, params_.smoothing_time);
  const double part = 1.0 - std::exp(-dt / params_.smoothing_time);
  stiffness_ += part * (stiffness_target_ - stiffness_);
  feed_forward_ += part * (wrench_target_ - feed_forward_);
}

bool CartesianImpedance::advance_spring(const ArmState& state, double dt) noexcept {
  const Pose from = attractor_;
  const Pose to = comply(interpolator_.pose(), dt);
  const Pose& here = terms().T_base_ee;
  const Vector6 wanted_error = pose_error(to, here, params_.tool_axes);
  Vector6 stiffness = softness() * stiffness_;
  // Gains per unit of mass become N/m in the spring, so that the tank counts joules.
  if (params_.operational_space) stiffness = stiffness.cwiseProduct(inertia_.diagonal());
  return spring_.advance(pose_error(from, here, params_.tool_axes), wanted_error, stiffness, work_of_law(state), dt,
                         params_.tank, tank_, [&](double part) -> Vector6 {
                           attractor_ = to;
                           if (part == 1.0) return wanted_error;
                           attractor_.position = from.position + part * (to.position - from.position);
                           attractor_.orientation = from.orientation.slerp(part, to.orientation);
                           return pose_error(attractor_, here, params_.tool_axes);
                         });
}

JointVector CartesianImpedance::law(const ArmState& state, double dt) noexcept {
  const ArmTerms& terms = this->terms();
  if (params_.operational_space || params_.nullspace == Nullspace::kDynamic) inertia_ = tool_inertia();
  interpolate(state.time, dt);
  status_.tank_limited += !advance_spring(state, dt);
  status_.error_clipped += spring_.is_clipped();

  Vector6 wrench = tool_wrench(terms.J_base_ee * state.dq);
  // A feed-forward may pull without end: it ends as the tank runs dry.
  wrench += tank_.valve(params_.tank) * softness() * feed_forward_;
  tau_aside_ = posture_torque(state);
  return terms.J_base_ee.transpose() * wrench + tau_aside_;
}

Vector6 CartesianImpedance::tool_wrench(const Vector6& twist) const noexcept {
  const Eigen::Quaterniond& R_base_ee = terms().T_base_ee.orientation;
  const Vector6 velocity = params_.tool_axes ? turn(R_base_ee.conjugate(), twist) : twist;
  const Vector6 ratio = 2.0 * params_.damping_ratio;
  Vector6 wrench = spring_.force();
  if (wrench.dot(velocity) > 0.0) wrench *= tank_.valve(params_.tank);
  if (params_.operational_space) {
    const Vector6 mass = inertia_.diagonal();
    const Vector6 acceleration =
        wrench.cwiseQuotient(mass) -
        ratio.cwiseProduct(spring_.stiffness().cwiseQuotient(mass).cwiseSqrt()).cwiseProduct(velocity);
    return inertia_ * (params_.tool_axes ? turn(R_base_ee, acceleration) : acceleration);
  }
  wrench -= ratio.cwiseProduct(spring_.stiffness().cwiseSqrt()).cwiseProduct(velocity);
  return params_.tool_axes ? turn(R_base_ee, wrench) : wrench;
}

// Lambda = (J M^-1 J^T)^-1, symmetric by construction: J M^-1 J^T is built as the product of L^-1 J^T with itself.
Matrix6 CartesianImpedance::tool_inertia() const noexcept {
  const Jacobian& J = terms().J_base_ee;
  Eigen::Matrix<double, Eigen::Dynamic, 6, Eigen::ColMajor, kMaxJoints, 6> half = J.transpose();
  mass_factor_.matrixL().solveInPlace(half);
  Matrix6 mobility = half.transpose() * half;
  mobility.diagonal().array() += kInertiaDamping;
  return mobility.llt().solve(Matrix6::Identity());
}

JointVector CartesianImpedance::posture_torque(const ArmState& state) const noexcept {
  const double k = params_.nullspace_stiffness;
  const double d = 2.0 * params_.nullspace_damping_ratio * std::sqrt(k);
  const double limit = params_.nullspace_torque_limit;
  JointVector error = q_posture_ - state.q;
  for (int i = 0; i < model_.n(); ++i) {
    if (model_.continuous(i)) error[i] = std::remainder(error[i], 2.0 * M_PI);
  }
  const JointVector posture = softness() * (k * error - d * state.dq).cwiseMax(-limit).cwiseMin(limit);
  if (params_.nullspace == Nullspace::kNone) return posture;
  if (params_.nullspace == Nullspace::kKinematic) return kinematic_nullspace(posture);
  const Jacobian& J = terms().J_base_ee;
  return posture - J.transpose() * (inertia_ * (J * mass_factor_.solve(posture)));
}

}  // namespace crisp_control
