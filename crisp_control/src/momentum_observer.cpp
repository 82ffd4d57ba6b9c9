#include "crisp_control/momentum_observer.hpp"

#include <Eigen/Cholesky>

namespace crisp_control {

MomentumObserver::MomentumObserver(int joints)
    : predicted_(JointVector::Zero(joints)), residual_(JointVector::Zero(joints)) {}

void MomentumObserver::reset() noexcept {
  started_ = false;
  residual_.setZero();
}

const JointVector& MomentumObserver::update(const ArmTerms& terms, const JointVector& dq, const JointVector& tau,
                                            double dt) noexcept {
  const JointVector momentum = terms.mass_matrix * dq;
  if (!started_) {
    predicted_ = momentum;
    started_ = true;
  }
  residual_ = (momentum - predicted_) / time_constant;
  predicted_ += dt * (tau + terms.coriolis_T_dq - terms.gravity + residual_);
  return residual_;
}

Vector6 wrench_from_joint_torque(const Jacobian& jacobian, const JointVector& tau) noexcept {
  constexpr double kDamping = 1e-6;  // only matters within about a milliradian of a singular posture
  Matrix6 gram = jacobian * jacobian.transpose();
  gram.diagonal().array() += kDamping;
  return gram.ldlt().solve(jacobian * tau);
}

}  // namespace crisp_control
