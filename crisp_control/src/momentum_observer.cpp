#include "crisp_control/momentum_observer.hpp"

namespace crisp_control {

void MomentumObserver::reset(int joints) noexcept {
  started_ = false;
  predicted_.setZero(joints);
  residual_.setZero(joints);
}

const JointVector& MomentumObserver::estimate(const ArmTerms& terms, const JointVector& dq,
                                              double time_constant) noexcept {
  const JointVector momentum = terms.mass_matrix * dq;
  if (!started_) predicted_ = momentum;
  started_ = true;
  residual_ = (momentum - predicted_) / time_constant;
  return residual_;
}

void MomentumObserver::predict(const ArmTerms& terms, const JointVector& tau, double dt) noexcept {
  predicted_ += dt * (tau + terms.coriolis_T_dq - terms.gravity + residual_);
}

}  // namespace crisp_control
