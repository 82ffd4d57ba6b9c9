// Gravity compensation and hand guiding.
#pragma once

#include "crisp_control/controller.hpp"

namespace crisp_control {

/// Where a hand may take the tool's origin. Counted from the pose at activation, directions in base axes.
enum class Guide : std::uint8_t {
  kFree = 0,   ///< anywhere
  kPlane = 1,  ///< in the plane whose normal is the direction
  kAxis = 2,   ///< along the direction
  kPoint = 3,  ///< nowhere: only turn
};

struct GravityCompensationParams : ControllerParams {
  explicit GravityCompensationParams(const ArmModel& model);

  JointVector damping;  ///< Nm s/rad
  Guide guide = Guide::kFree;
  Vector3 guide_direction = Vector3::UnitZ();  ///< length 1
  bool hold_orientation = false;               ///< the tool may move but not turn
  double guide_stiffness = 1000.0;             ///< N/m against leaving the plane, axis or point
  double guide_rotational_stiffness = 50.0;    ///< Nm/rad against turning
  double guide_damping_ratio = 1.0;            ///< d = 2 ratio sqrt(k)
  double guide_force_limit = 60.0;             ///< N
  double guide_torque_limit = 15.0;            ///< Nm

  void validate(const ArmModel& model) const;
};

/// tau = -d dq + J^T [P (k (p_0 - p) - d v); k_r log(R_0 R^T) - d_r w], with P the projection on what is not free.
///
/// The attractor never moves, so the springs are passive and need no tank.
class GravityCompensation : public Controller {
 public:
  GravityCompensation(const ArmModel& model, const GravityCompensationParams& params);
  std::unique_ptr<Controller> clone() const override { return std::make_unique<GravityCompensation>(*this); }
  const GravityCompensationParams& params() const noexcept override { return params_; }
  void set_params(const GravityCompensationParams& params) noexcept;

 protected:
  void start(const ArmState& state) noexcept override { hold(state); }
  void hold(const ArmState& state) noexcept override;
  void stop_here() noexcept override {}
  void take(const ArmState&, const References&) noexcept override {}
  JointVector law(const ArmState& state, double dt) noexcept override;
  bool follows_references() const noexcept override { return false; }

 private:
  GravityCompensationParams params_;
  Eigen::Matrix3d projection_ = Eigen::Matrix3d::Zero();
  Pose anchor_;
};

}  // namespace crisp_control
