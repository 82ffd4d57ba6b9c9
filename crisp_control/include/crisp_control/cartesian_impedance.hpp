// Cartesian impedance and operational space control.
#pragma once

#include "crisp_control/controller.hpp"
#include "crisp_control/funded_spring.hpp"
#include "crisp_control/interpolator.hpp"

namespace crisp_control {

/// How the posture task is kept from moving the tool.
enum class Nullspace : std::uint8_t {
  kNone = 0,       ///< N = I: the posture task moves the tool like any other torque
  kKinematic = 1,  ///< N = I - J^T (J J^T)^-1 J: exerts no static force at the tool
  kDynamic = 2,    ///< N = I - J^T Lambda J M^-1: does not accelerate the tool (Khatib 1987)
};

/// Six numbers act at the tool along [x y z rx ry rz] of the base, or of the tool with tool_axes.
struct CartesianImpedanceParams : ControllerParams {
  explicit CartesianImpedanceParams(const ArmModel& model) : ControllerParams(model) {}

  Vector6 stiffness = (Vector6() << 600, 600, 600, 40, 40, 40).finished();         ///< N/m, Nm/rad
  Vector6 damping_ratio = Vector6::Ones();                                         ///< D = 2 ratio sqrt(K)
  Vector6 error_clip = (Vector6() << 0.05, 0.05, 0.05, 0.3, 0.3, 0.3).finished();  ///< m, rad: the force cap / K
  /// N/m, Nm/rad; streamed stiffness above it is refused
  Vector6 stiffness_maximum = (Vector6() << 5000, 5000, 5000, 300, 300, 300).finished();
  Vector6 wrench_maximum = (Vector6() << 50, 50, 50, 10, 10, 10).finished();  ///< N, Nm; feed-forward above: refused
  bool tool_axes = false;
  /// Gains per unit of mass (1/s^2): the tool's inertia Lambda = (J M^-1 J^T)^-1 is taken out of the motion.
  bool operational_space = false;
  Nullspace nullspace = Nullspace::kKinematic;
  double nullspace_stiffness = 10.0;     ///< Nm/rad
  double nullspace_damping_ratio = 1.0;  ///< d = 2 ratio sqrt(k)
  double nullspace_torque_limit = 8.0;   ///< Nm per joint

  void validate(const ArmModel& model) const;
};

/// tau = J^T (K clip(e) - D J dq + w) + N (k (q_posture - q) - d dq)
///
/// e: pose error [p_ref - p; log(R_ref R^T)] at the tool; D = 2 zeta sqrt(K), also for streamed stiffness; w: wrench
/// feed-forward. With operational_space K e - D J dq is multiplied by Lambda (Khatib 1987). Hogan 1985 for the law.
/// What references and stiffness put into the spring is paid by the energy tank (FundedSpring).
class CartesianImpedance : public Controller {
 public:
  CartesianImpedance(const ArmModel& model, const CartesianImpedanceParams& params);
  std::unique_ptr<Controller> clone() const override { return std::make_unique<CartesianImpedance>(*this); }

  const CartesianImpedanceParams& params() const noexcept override { return params_; }
  /// Takes new, validated parameters; also within the loop. A new stiffness comes as if streamed.
  void set_params(const CartesianImpedanceParams& params) noexcept;
  const Pose& tracked() const noexcept override { return attractor_; }
  const PoseInterpolator& interpolator() const noexcept { return interpolator_; }
  const FundedSpring<Vector6>& spring() const noexcept { return spring_; }
  /// Joint positions that the nullspace task pulls to, rad.
  void set_posture(const JointVector& q) noexcept { q_posture_ = q; }

 protected:
  void start(const ArmState& state) noexcept override;
  void hold(const ArmState& state) noexcept override;
  void stop_here() noexcept override;
  void take(const ArmState& state, const References& references) noexcept override;
  JointVector law(const ArmState& state, double dt) noexcept override;
  /// The pose that the spring pulls to, given the interpolated reference.
  virtual Pose comply(const Pose& reference, double dt) noexcept;

 private:
  void interpolate(double now, double dt) noexcept;
  bool advance_spring(const ArmState& state, double dt) noexcept;
  Vector6 tool_wrench(const Vector6& twist) const noexcept;
  Matrix6 tool_inertia() const noexcept;
  JointVector posture_torque(const ArmState& state) const noexcept;

  CartesianImpedanceParams params_;
  PoseInterpolator interpolator_;
  FundedSpring<Vector6> spring_;
  Pose attractor_;
  Matrix6 inertia_ = Matrix6::Identity();  // Lambda at this tick, where somebody needs it
  PoseChunk chunk_;
  bool on_chunk_ = false;
  Vector6 stiffness_target_, stiffness_;
  Vector6 wrench_target_ = Vector6::Zero(), feed_forward_ = Vector6::Zero();
  JointVector q_posture_;
};

}  // namespace crisp_control
