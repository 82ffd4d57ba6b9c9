// Joint impedance.
#pragma once

#include "crisp_control/controller.hpp"
#include "crisp_control/funded_spring.hpp"
#include "crisp_control/interpolator.hpp"

namespace crisp_control {

/// One number per joint.
struct JointImpedanceParams : ControllerParams {
  explicit JointImpedanceParams(const ArmModel& model);

  JointVector stiffness;      ///< Nm/rad
  JointVector damping_ratio;  ///< d = 2 ratio sqrt(k)
  JointVector error_clip;     ///< rad: the torque cap / k

  void validate(const ArmModel& model) const;
};

/// tau = K clip(q_ref - q) - D dq, D = 2 zeta sqrt(K).
///
/// What references put into the springs is paid by the energy tank (FundedSpring). Continuous joints go the short way.
class JointImpedance : public Controller {
 public:
  JointImpedance(const ArmModel& model, const JointImpedanceParams& params);
  std::unique_ptr<Controller> clone() const override { return std::make_unique<JointImpedance>(*this); }
  const JointImpedanceParams& params() const noexcept override { return params_; }
  void set_params(const JointImpedanceParams& params) noexcept;
  /// Joint positions that the springs pull to, rad.
  const JointVector& attractor() const noexcept { return attractor_; }

 protected:
  void start(const ArmState& state) noexcept override { hold(state); }
  void hold(const ArmState& state) noexcept override;
  void stop_here() noexcept override { interpolator_.stop_here(); }
  void take(const ArmState& state, const References& references) noexcept override;
  JointVector law(const ArmState& state, double dt) noexcept override;

 private:
  /// to - from; of a continuous joint the short way.
  JointVector way(const JointVector& from, const JointVector& to) const noexcept;

  JointImpedanceParams params_;
  JointInterpolator interpolator_;
  FundedSpring<JointVector> spring_;
  JointVector attractor_;
};

}  // namespace crisp_control
