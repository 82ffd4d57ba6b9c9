// What any controller built on Pinocchio has to pay: the yardstick of `steadyhand bench control`.
#pragma once

#include <Eigen/Core>
#include <memory>
#include <string>
#include <vector>

namespace steadyhand::bench {

/// Placement and Jacobian of the tool (LOCAL_WORLD_ALIGNED), mass matrix (CRBA) and nonlinear effects (RNEA) of the arm
/// with all other joints locked, by Pinocchio's own functions.
class BareTerms {
 public:
  BareTerms(const std::string& urdf_xml, const std::vector<std::string>& joints, const std::string& tool_frame);
  ~BareTerms();
  int nq() const noexcept;
  /// q (nq,) in Pinocchio's coordinates, dq (n,), both in its joint order.
  void compute(const Eigen::VectorXd& q, const Eigen::VectorXd& dq) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace steadyhand::bench
