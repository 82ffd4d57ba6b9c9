// Cartesian impedance control of a serial torque-controlled arm.
#pragma once

#include "crisp_control/arm_model.hpp"
#include "crisp_control/interpolator.hpp"
#include "crisp_control/reference.hpp"
#include "crisp_control/torque_limiter.hpp"

namespace crisp_control {

/// Gains act at the tool in base axes; [x y z rx ry rz].
struct CartesianImpedanceParams {
  explicit CartesianImpedanceParams(const ArmModel& model);

  Vector6 stiffness = (Vector6() << 600, 600, 600, 40, 40, 40).finished();         ///< N/m, Nm/rad
  Vector6 damping_ratio = Vector6::Ones();                                         ///< D = 2 ratio sqrt(K)
  Vector6 error_clip = (Vector6() << 0.05, 0.05, 0.05, 0.3, 0.3, 0.3).finished();  ///< m, rad: the force cap / K
  double smoothing_time = 0.1;                                                     ///< s, delay of the interpolation
  double nullspace_stiffness = 10.0;                                               ///< Nm/rad
  double nullspace_damping_ratio = 1.0;                                            ///< d = 2 ratio sqrt(k)
  double nullspace_torque_limit = 8.0;                                             ///< Nm per joint
  double damping_only = 2.0;         ///< Nm s/rad per joint, in the mode `damp`
  bool gravity_compensation = true;  ///< false where the robot's firmware adds gravity itself
  bool coriolis_compensation = true;
  JointVector friction;             ///< Nm per joint, Coulomb friction to compensate while moving
  double friction_velocity = 0.02;  ///< rad/s at which tanh(dq / friction_velocity) is 0.76
  JointVector torque_limit;         ///< Nm; the URDF's effort limits by default
  JointVector torque_rate_limit;    ///< Nm/s
  GateParams gate;

  /// Throws std::invalid_argument with one line that names the parameter, its value and what is allowed.
  void validate(int joints) const;
};

/// What the controller did on the last tick. Counters run from reset.
struct ControllerStatus {
  ReferenceMode mode = ReferenceMode::kHold;
  double reference_age = 0.0;  ///< s
  std::uint64_t ticks = 0;
  std::uint64_t error_clipped = 0;  ///< ticks on which the force cap was active
  std::uint64_t bad_state = 0;      ///< ticks with a state that was not finite, or of no sane length: torque was kept
  GateCounters reference;
  TorqueLimiterCounters torque;
};

/// tau = J^T (K e - D J dq) + N (k (q_posture - q) - d dq) + f tanh(dq / v) + C dq + g,  limited by TorqueLimiter.
///
/// e: clipped pose error [p_ref - p; log(R_ref R^T)] in base axes at the tool; N = I - J^T (J^+)^T with the damped
/// pseudo-inverse. Hogan 1985; Khatib 1987 for the nullspace. While a reference is stale the arm holds where it is,
/// then damps (see GateParams).
class CartesianImpedance {
 public:
  CartesianImpedance(const ArmModel& model, const CartesianImpedanceParams& params);

  /// Starts from rest at the measured state: holds this pose and posture, torque ramps from the measured torque.
  void reset(const ArmState& state) noexcept;
  /// One tick. Returns the joint torques to apply (Nm), within limits whatever the inputs are.
  const JointVector& update(const ArmState& state, const PoseReference& reference, double dt) noexcept;

  const ControllerStatus& status() const noexcept { return status_; }
  const ArmTerms& terms() const noexcept { return model_.terms(); }
  const ArmModel& model() const noexcept { return model_; }
  const PoseInterpolator& interpolator() const noexcept { return interpolator_; }
  const CartesianImpedanceParams& params() const noexcept { return params_; }
  /// Joint positions that the nullspace task pulls to, rad.
  void set_posture(const JointVector& q) noexcept { q_posture_ = q; }

 private:
  void hold_here(const ArmState& state) noexcept;
  void follow(const ArmState& state, const PoseReference& reference, double dt) noexcept;
  Vector6 tool_wrench(const ArmTerms& terms, const JointVector& dq) noexcept;
  JointVector nullspace_torque(const ArmTerms& terms, const ArmState& state) const noexcept;

  ArmModel model_;
  CartesianImpedanceParams params_;
  Vector6 damping_;
  PoseInterpolator interpolator_;
  ReferenceGate gate_;
  TorqueLimiter limiter_;
  JointVector q_posture_, tau_;
  bool started_ = false;
  ControllerStatus status_;
};

}  // namespace crisp_control
