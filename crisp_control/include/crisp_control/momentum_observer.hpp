// External joint torque from generalised momentum, without differentiating anything.
#pragma once

#include "crisp_control/arm_model.hpp"

namespace crisp_control {

/// De Luca & Mattone, "Actuator failure detection and isolation using generalized momenta", ICRA 2003:
///   r = K (p - p(0) - integral(tau + C^T dq - g + r) dt),  p = M dq.
/// r follows the external joint torque as a first-order low-pass with time constant 1 / K. Unmodelled joint friction
/// is part of the estimate.
class MomentumObserver {
 public:
  explicit MomentumObserver(int joints);
  void reset() noexcept;
  /// tau: torque the motors apply during this tick (Nm). Returns the estimate of the external joint torque (Nm).
  const JointVector& update(const ArmTerms& terms, const JointVector& dq, const JointVector& tau, double dt) noexcept;
  const JointVector& tau_external() const noexcept { return residual_; }

  double time_constant = 0.02;  ///< s

 private:
  bool started_ = false;
  JointVector predicted_, residual_;
};

/// Wrench at the tool (base axes, N and Nm) that explains joint torques best: the damped solution of J^T w = tau.
Vector6 wrench_from_joint_torque(const Jacobian& jacobian, const JointVector& tau) noexcept;

}  // namespace crisp_control
