// Torque feedback: a leader arm lets the hand feel what the follower feels.
#pragma once

#include "crisp_control/controller.hpp"

namespace crisp_control {

struct TorqueFeedbackParams : ControllerParams {
  explicit TorqueFeedbackParams(const ArmModel& model);

  double feedback_gain = 0.6;      ///< of the follower's external torques
  JointVector feedback_limit;      ///< Nm per joint; a fifth of the effort limits by default
  double feedback_deadband = 0.1;  ///< Nm, on the norm; what is smaller is not felt
  JointVector damping;             ///< Nm s/rad

  void validate(const ArmModel& model) const;
};

/// tau = gain clip(tau_follower) - d dq, low-passed with smoothing_time.
///
/// tau_follower: joint torques that the world exerts on the follower (JointReference::tau). When they go stale they
/// fade out: the arm stays free, since a hand holds it.
class TorqueFeedback : public Controller {
 public:
  TorqueFeedback(const ArmModel& model, const TorqueFeedbackParams& params);
  std::unique_ptr<Controller> clone() const override { return std::make_unique<TorqueFeedback>(*this); }
  const TorqueFeedbackParams& params() const noexcept override { return params_; }
  void set_params(const TorqueFeedbackParams& params) noexcept;

 protected:
  void start(const ArmState& state) noexcept override { hold(state); }
  void hold(const ArmState& state) noexcept override;
  void stop_here() noexcept override {}
  void take(const ArmState& state, const References& references) noexcept override;
  JointVector law(const ArmState& state, double dt) noexcept override;
  bool follows_references() const noexcept override { return false; }

 private:
  TorqueFeedbackParams params_;
  JointVector target_, felt_;
};

}  // namespace crisp_control
