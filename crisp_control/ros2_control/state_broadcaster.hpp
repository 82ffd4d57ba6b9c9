// What the arm does and feels, whoever controls it: a plug-in that only reads.
#pragma once

#include <controller_interface/controller_interface.hpp>
#include <memory>
#include <string>

#include "crisp_control/controller.hpp"
#include "crisp_control/mailbox.hpp"
#include "settings.hpp"
#include "steadyhand/steadyhand_state_broadcaster_convert.hpp"

namespace steadyhand {

using crisp_control::Mailbox;

/// One tick.
struct ArmReport {
  double time = 0.0;  ///< s
  crisp_control::Pose T_base_ee;
  crisp_control::Vector6 twist = crisp_control::Vector6::Zero();   ///< of the tool, base axes, m/s and rad/s
  crisp_control::Vector6 wrench = crisp_control::Vector6::Zero();  ///< of the world on the tool, base axes, N and Nm
  crisp_control::JointVector tau_external;                         ///< Nm
  std::uint64_t ticks = 0, bad_state = 0;
};

class StateMessages;

/// Pose and twist of the tool, and from the measured joint torques (gravity included, as drives report them) what the
/// world does to the arm. Same lock-free loop as the controllers.
class StateBroadcaster : public controller_interface::ControllerInterface {
 public:
  controller_interface::CallbackReturn on_init() override;
  controller_interface::CallbackReturn on_configure(const rclcpp_lifecycle::State& previous) override;
  controller_interface::CallbackReturn on_activate(const rclcpp_lifecycle::State& previous) override;
  controller_interface::CallbackReturn on_deactivate(const rclcpp_lifecycle::State& previous) override;
  controller_interface::CallbackReturn on_cleanup(const rclcpp_lifecycle::State& previous) override;
  controller_interface::InterfaceConfiguration command_interface_configuration() const override;
  controller_interface::InterfaceConfiguration state_interface_configuration() const override;
  controller_interface::return_type update(const rclcpp::Time& time, const rclcpp::Duration& period) override;

 private:
  void configure();
  void estimate(double dt) noexcept;

  std::shared_ptr<steadyhand_state_broadcaster::ParamListener> listener_;
  Settings settings_;
  std::shared_ptr<StateMessages> messages_;
  std::shared_ptr<Mailbox<ArmReport>> reports_ = std::make_shared<Mailbox<ArmReport>>();

  // The loop's.
  std::unique_ptr<crisp_control::ArmModel> model_;
  std::unique_ptr<crisp_control::ControllerParams> params_;
  crisp_control::MomentumObserver observer_;
  rclcpp::Clock::SharedPtr clock_;
  crisp_control::ArmState state_;
  ArmReport report_;
  double without_state_ = 0.0;  // s in a row
};

}  // namespace steadyhand
