// Kinematics and dynamics of one serial arm: everything a controller needs, computed once per tick.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "crisp_control/types.hpp"

namespace crisp_control {

/// Dynamic terms at one (q, dq). Frames: Jacobian and poses at the tool, axes of the base (LOCAL_WORLD_ALIGNED).
struct ArmTerms {
  Pose T_base_ee;                                    ///< placement of the tool in the base frame
  Jacobian J_base_ee;                                ///< [v; w] of the tool = J dq, m/s and rad/s
  JointVector gravity;                               ///< g(q), Nm
  JointVector coriolis;                              ///< C(q, dq) dq, Nm
  JointMatrix mass_matrix;                           ///< M(q) with rotor inertia, symmetric, kg m^2
  Vector3 tool_acceleration_bias = Vector3::Zero();  ///< linear part of dJ/dt dq, m/s^2
  JointVector coriolis_T_dq;  ///< C(q, dq)^T dq, Nm: the momentum observer's term (Christoffel C)
};

/// A const robot model shared by all copies, and the preallocated work space of this copy.
///
/// Any URDF with 5 to 8 actuated joints between its root and the tool: joints are taken by name, in the order given;
/// all others (fingers) are locked at zero. The joints form one chain. Continuous joints are ordinary angles here.
class ArmModel {
 public:
  /// armature: rotor inertia as each joint feels it, kg m^2; empty: none, as in the URDF, which cannot say it.
  /// Throws std::invalid_argument with one line that names what is wrong and what the URDF has.
  ArmModel(const std::string& urdf_xml, const std::vector<std::string>& joints, const std::string& tool_frame,
           const std::vector<double>& armature = {});
  ArmModel(const ArmModel& other);
  ArmModel& operator=(const ArmModel& other) = delete;
  ~ArmModel();

  /// Computes all terms at (q, dq); O(n), no allocation.
  const ArmTerms& update(const JointVector& q, const JointVector& dq) noexcept;
  const ArmTerms& terms() const noexcept { return terms_; }

  int n() const noexcept { return static_cast<int>(joints_.size()); }
  const std::vector<std::string>& joints() const noexcept { return joints_; }
  const JointVector& q_lower() const noexcept { return q_lower_; }      ///< rad, -inf if continuous
  const JointVector& q_upper() const noexcept { return q_upper_; }      ///< rad, +inf if continuous
  const JointVector& dq_limit() const noexcept { return dq_limit_; }    ///< rad/s
  const JointVector& tau_limit() const noexcept { return tau_limit_; }  ///< Nm
  const JointVector& friction() const noexcept { return friction_; }    ///< Nm, Coulomb, of the URDF's <dynamics>
  const JointVector& damping() const noexcept { return damping_; }      ///< Nm s/rad, viscous, of the same
  bool continuous(int joint) const noexcept { return std::isinf(q_upper_[joint]); }
  const Vector3& gravity_field() const noexcept { return gravity_field_; }  ///< m/s^2, base axes

  /// Something rigid in the gripper: mass in kg, centre of mass in the tool frame (m). Replaces what was set before.
  void set_payload(double mass, const Vector3& com) noexcept;

  /// Placement in the base frame of a link that does not move; throws std::invalid_argument if it is none.
  Pose static_frame(const std::string& link) const;
  /// Placement in the tool frame of a link that moves with the tool; throws std::invalid_argument if it is none.
  Pose tool_link(const std::string& link) const;

 private:
  struct Impl;
  void read_limits();
  void dynamics() noexcept;

  std::unique_ptr<Impl> impl_;
  std::vector<std::string> joints_;
  JointVector q_lower_, q_upper_, dq_limit_, tau_limit_, friction_, damping_;
  Vector3 gravity_field_;
  ArmTerms terms_;
};

}  // namespace crisp_control
