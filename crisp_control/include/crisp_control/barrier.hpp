// Control barrier functions: torques that would carry the arm over a limit are changed as little as needed.
#pragma once

#include <Eigen/Cholesky>
#include <cstdint>
#include <limits>

#include "crisp_control/arm_model.hpp"
#include "crisp_control/torque_limiter.hpp"

namespace crisp_control {

/// Rows [nx ny nz d] of half-spaces n . p >= d, base axes, metres.
using HalfSpaces = Eigen::Matrix<double, Eigen::Dynamic, 4, Eigen::ColMajor, 8, 4>;

struct BarrierParams {
  double joint_margin = 0.05;      ///< rad (m) inside the joint limits where the barrier stands
  double velocity_fraction = 0.9;  ///< of the joint velocity limits
  /// 1/s; how fast a limit may be approached: dq <= rate * distance. Braking needs torque, which needs time: with
  /// 1000 Nm/s an arm of 5 kg m^2 can follow 5 1/s, not 10.
  double rate = 5.0;
  double workspace_margin = 0.01;                                                         ///< m inside the workspace
  Vector3 workspace_lower = Vector3::Constant(-std::numeric_limits<double>::infinity());  ///< m, base frame
  Vector3 workspace_upper = Vector3::Constant(std::numeric_limits<double>::infinity());
  HalfSpaces workspace_planes;
};

/// Ticks on which a barrier changed the torque.
struct BarrierCounters {
  std::uint64_t joint = 0;
  std::uint64_t workspace = 0;
};

/// Finds the acceleration nearest to the wanted one, in the metric of M, that keeps every h >= 0 with
///   h'' + 2 a h' + a^2 h >= 0   (joint position limits, box and half-spaces for the tool),
///   dq' <= 2 a (dq_max - dq)    (joint velocity limits),
/// with M ddq = tau + disturbance - C dq - g, and returns its torque. Ames et al., "Control barrier functions: theory
/// and applications", ECC 2019 (exponential CBF, both poles at -a). The disturbance (friction and what the momentum
/// observer sees) matters: without it a joint friction of 1 Nm lets the tool stand centimetres beyond its wall.
/// Where no limit is near the torque passes unchanged, bit by bit.
class Barrier {
 public:
  void reset() noexcept { counters_ = {}; }
  /// tau: total torque of the motors (Nm), changed in place. mass: Cholesky factor of M. range: what the torque may be
  /// on this tick; where a barrier needs more from one joint, the others yield first.
  void apply(JointVector& tau, const JointVector& disturbance, const ArmState& state, const ArmModel& model,
             const Eigen::LLT<JointMatrix>& mass, const TorqueRange& range, const BarrierParams& params) noexcept;
  const BarrierCounters& counters() const noexcept { return counters_; }

 private:
  BarrierCounters counters_;
};

}  // namespace crisp_control
