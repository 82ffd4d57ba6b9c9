#include "crisp_control/controller.hpp"

#include <cmath>
#include <limits>

#include "require.hpp"

namespace crisp_control {

namespace {

constexpr double kDefaultTorqueRate = 1000.0;  // Nm/s: the FR3's own limit, and slow enough for any drive
constexpr double kGramDamping = 1e-6;          // only matters within about a milliradian of a singular posture
constexpr double kLongestTick = 1.0;           // s; after a longer one nothing is known about the arm

// Absurd numbers count as none: once in the observer's integral they would stay there.
constexpr double kAbsurdPosition = 1e6;  // rad
constexpr double kAbsurdVelocity = 1e3;  // rad/s

bool usable(const ArmState& state, int joints) noexcept {
  return state.q.size() == joints && state.dq.size() == joints && state.q.allFinite() && state.dq.allFinite() &&
         std::isfinite(state.time) && state.q.cwiseAbs().maxCoeff() < kAbsurdPosition &&
         state.dq.cwiseAbs().maxCoeff() < kAbsurdVelocity;
}

}  // namespace

ControllerParams::ControllerParams(const ArmModel& model)
    : friction(model.friction()),
      viscous_friction(model.damping()),
      torque_limit(model.tau_limit()),
      torque_rate_limit(JointVector::Constant(model.n(), kDefaultTorqueRate)) {}

void ControllerParams::validate(const ArmModel& model) const {
  const int joints = model.n();
  require_joints(friction, joints, "friction", 0.0);
  require_joints(viscous_friction, joints, "viscous_friction", 0.0);
  require_positive(friction_velocity, "friction_velocity", "rad/s");
  require_within(friction_compensation, 0.0, 1.0, "friction_compensation");
  require_not_negative(damping_only, "damping_only", "Nm s/rad");
  require_positive(smoothing_time, "smoothing_time", "seconds");
  require_positive(observer_time_constant, "observer_time_constant", "seconds");
  require_not_negative(payload_mass, "payload_mass", "kg");
  require(payload_com.allFinite(), "payload_com", payload_com, "3 numbers (m)");
  require_positive(gate.hold_after, "hold_after", "seconds");
  require(std::isfinite(gate.damp_after) && gate.damp_after >= gate.hold_after, "damp_after", gate.damp_after,
          ">= hold_after");
  require_not_negative(gate.future_tolerance, "future_tolerance", "seconds");
  require_positive(gate.chunk_horizon, "chunk_horizon", "seconds");
  require_positive(gate.max_jump_linear, "max_jump_linear", "metres");
  require_positive(gate.max_jump_angular, "max_jump_angular", "rad");
  require_not_negative(barrier.joint_margin, "joint_margin", "rad");
  for (int i = 0; i < joints; ++i) {
    require(model.q_upper()[i] - model.q_lower()[i] > 2.0 * barrier.joint_margin, "joint_margin", barrier.joint_margin,
            "less than half the range of joint '" + model.joints()[i] + "'");
  }
  require_within(barrier.velocity_fraction, 0.0, 1.0, "velocity_fraction");
  require_positive(barrier.velocity_fraction, "velocity_fraction", "of the limit");
  require_positive(barrier.rate, "barrier_rate", "1/s");
  require_not_negative(barrier.workspace_margin, "workspace_margin", "metres");
  require((barrier.workspace_lower.array() < std::numeric_limits<double>::infinity()).all(), "workspace_lower",
          barrier.workspace_lower, "3 numbers (m; -.inf: no limit)");
  const Vector3 room = barrier.workspace_upper - barrier.workspace_lower;
  require((room.array() > 2.0 * barrier.workspace_margin).all(), "workspace_upper", barrier.workspace_upper,
          "above workspace_lower by more than twice workspace_margin (m)");
  for (Eigen::Index i = 0; i < barrier.workspace_planes.rows(); ++i) {
    const Eigen::Vector4d plane = barrier.workspace_planes.row(i).transpose();
    require(plane.allFinite() && std::abs(plane.head<3>().norm() - 1.0) < 1e-6, "workspace_planes", plane,
            "rows [nx ny nz d] with a normal of length 1");
  }
  require_not_negative(tank.minimum, "tank_minimum", "J");
  require(std::isfinite(tank.maximum) && tank.maximum > tank.minimum, "tank_maximum", tank.maximum, "> tank_minimum J");
  require_within(tank.initial, tank.minimum, tank.maximum, "tank_initial");
  require_not_negative(tank.refill_power, "tank_refill_power", "W");
  require(reflex.force > 0.0, "reflex_force", reflex.force, "> 0 N (.inf: never)");
  require(reflex.torque > 0.0, "reflex_torque", reflex.torque, "> 0 Nm (.inf: never)");
  require_within(reflex.softening, 0.0, 1.0, "reflex_softening");
  require(reflex.recover_after >= 0.0, "reflex_recover_after", reflex.recover_after, ">= 0 seconds (.inf: never)");
  require_joints(torque_limit, joints, "torque_limit");
  require_joints(torque_rate_limit, joints, "torque_rate_limit");
}

void Controller::adopt(const ControllerParams& params) noexcept {
  model_.set_payload(params.payload_mass, params.payload_com);
  output_gravity_ = params.gravity_compensation ? 0.0 : 1.0;
}

void Controller::reset(const ArmState& state) noexcept {
  const int n = model_.n();
  status_ = {};
  gate_.reset(state.time);
  observer_.reset(n);
  reflex_.reset();
  barrier_.reset();
  wrench_.setZero();
  const auto number = [](double tau) { return std::isfinite(tau) ? tau : 0.0; };
  const JointVector& limit = params().torque_limit;
  tau_ = JointVector::Zero(n);
  if (state.tau.size() == n) tau_ = state.tau.unaryExpr(number).cwiseMax(-limit).cwiseMin(limit);
  limiter_.reset(tau_);
  output_ = tau_;
  tau_aside_ = JointVector::Zero(n);
  // Hardware may give no numbers before its first read: then the first usable state is the one to hold.
  started_ = usable(state, n);
  if (started_) begin(state);
}

void Controller::begin(const ArmState& state) noexcept {
  q_before_ = state.q;
  tau_other_ = tau_;
  prepare(state);
  output_ = tau_ - output_gravity_ * terms().gravity;
  start(state);
  tank_.reset(params().tank);  // after the springs of an earlier run have let go
}

void Controller::prepare(const ArmState& state) noexcept {
  const ArmTerms& terms = model_.update(state.q, state.dq);
  mass_factor_.compute(terms.mass_matrix);
  Matrix6 gram = terms.J_base_ee * terms.J_base_ee.transpose();
  gram.diagonal().array() += kGramDamping;
  gram_factor_.compute(gram);
}

const JointVector& Controller::update(const ArmState& state, const References& references, double dt) noexcept {
  ++status_.ticks;
  if (!usable(state, model_.n()) || !(dt > 0.0 && dt <= kLongestTick)) {
    ++status_.bad_state;
    return output_;
  }
  if (started_) {
    prepare(state);
  } else {
    begin(state);
  }
  started_ = true;
  const double v = params().friction_velocity;
  friction_shape_ = state.dq.array() / (state.dq.array().square() + v * v).sqrt();
  observer_.estimate(terms(), state.dq, params().observer_time_constant);
  estimate_wrench(state);
  choose_mode(state, references);
  tau_aside_.setZero();
  if (status_.mode == ReferenceMode::kDamp) {
    hold(state);
    protect(state, -params().damping_only * state.dq, dt);
  } else {
    protect(state, law(state, dt), dt);
  }
  status_.tank_energy = tank_.energy();
  return output_;
}

void Controller::estimate_wrench(const ArmState& state) noexcept {
  const ArmTerms& terms = model_.terms();
  const bool sensed = state.has_wrench && state.wrench.allFinite();
  status_.bad_wrench += state.has_wrench && !sensed;
  if (!sensed) {
    wrench_ = gram_factor_.solve(terms.J_base_ee * observer_.tau_external());
    return;
  }
  // A wrist sensor also weighs what hangs on it.
  const Eigen::Matrix3d R = terms.T_base_ee.orientation.toRotationMatrix();
  const Vector3 weight = params().payload_mass * model_.gravity_field();
  wrench_.head<3>() = R * state.wrench.head<3>() - weight;
  wrench_.tail<3>() = R * state.wrench.tail<3>() - (R * params().payload_com).cross(weight);
}

void Controller::choose_mode(const ArmState& state, const References& references) noexcept {
  const ReferenceMode before = status_.mode;
  if (follows_references()) reflex_.update(wrench_, state.time, params().reflex);
  status_.reflex_trips = reflex_.trips();
  if (reflex_.active()) {
    status_.mode = ReferenceMode::kReflex;
    status_.reference_age = gate_.age(state.time);
    if (before != ReferenceMode::kReflex) hold(state);
    return;
  }
  // After damping or a reflex the arm may be anywhere: the next motion starts where it is, jumps are judged from there.
  if (before == ReferenceMode::kDamp || before == ReferenceMode::kReflex) hold(state);
  take(state, references);
  status_.mode = follows_references() ? gate_.mode(state.time, params().gate) : ReferenceMode::kTrack;
  status_.reference_age = gate_.age(state.time);
  status_.reference = gate_.counters();
  if (status_.mode == ReferenceMode::kHold && before == ReferenceMode::kTrack) stop_here();
}

void Controller::protect(const ArmState& state, JointVector tau, double dt) noexcept {
  const ArmTerms& terms = model_.terms();
  const ControllerParams& params = this->params();
  const JointVector coulomb = params.friction.cwiseProduct(friction_shape_);
  tau_other_ = terms.gravity + tau_aside_;
  if (status_.mode != ReferenceMode::kDamp) tau_other_ += params.friction_compensation * coulomb;
  if (params.coriolis_compensation) tau_other_ += terms.coriolis;
  tau_ = tau - tau_aside_ + tau_other_;
  const JointVector friction = coulomb + params.viscous_friction.cwiseProduct(state.dq);
  // The barrier changes what could be applied anyhow: a change of what the limiter cuts off would be lost in part.
  limiter_.preview(tau_, params.torque_limit, params.torque_rate_limit, dt);
  barrier_.apply(tau_, observer_.tau_external() - friction, state, model_, mass_factor_,
                 limiter_.range(params.torque_limit, params.torque_rate_limit, dt), params.barrier);
  limiter_.apply(tau_, params.torque_limit, params.torque_rate_limit, dt);
  observer_.predict(terms, tau_ - friction, dt);
  q_before_ = state.q;
  status_.barrier = barrier_.counters();
  status_.torque = limiter_.counters();
  output_ = tau_ - output_gravity_ * terms.gravity;
}

double Controller::work_of_law(const ArmState& state) const noexcept {
  double work = 0.0;
  for (int i = 0; i < model_.n(); ++i) {
    double way = state.q[i] - q_before_[i];
    if (model_.continuous(i)) way = std::remainder(way, 2.0 * M_PI);  // an encoder may wrap around
    work += (tau_[i] - tau_other_[i]) * way;
  }
  return work;
}

JointVector Controller::kinematic_nullspace(const JointVector& tau) const noexcept {
  const Jacobian& J = model_.terms().J_base_ee;
  return tau - J.transpose() * gram_factor_.solve(J * tau);
}

}  // namespace crisp_control
