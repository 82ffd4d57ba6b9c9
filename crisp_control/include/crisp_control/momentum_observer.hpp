// External joint torque from generalised momentum, without differentiating anything.
#pragma once

#include "crisp_control/arm_model.hpp"

namespace crisp_control {

/// De Luca & Mattone, "Actuator failure detection and isolation using generalized momenta", ICRA 2003:
///   r = K (p - p(0) - integral(tau + C^T dq - g + r) dt),  p = M dq.
/// r follows the external joint torque as a first-order low-pass with time constant 1 / K.
class MomentumObserver {
 public:
  void reset(int joints) noexcept;
  /// Estimate of the external joint torque (Nm) at this state; time_constant in s.
  const JointVector& estimate(const ArmTerms& terms, const JointVector& dq, double time_constant) noexcept;
  /// tau: what acts on the joints until the next tick besides gravity and the outside: motors minus friction, Nm.
  void predict(const ArmTerms& terms, const JointVector& tau, double dt) noexcept;
  const JointVector& tau_external() const noexcept { return residual_; }

 private:
  bool started_ = false;
  JointVector predicted_, residual_;
};

}  // namespace crisp_control
