// A controller of the core as a ros2_control plug-in: everything that does not depend on which one.
#pragma once

#include <controller_interface/chainable_controller_interface.hpp>
#include <controller_interface/controller_interface.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "crisp_control/controller.hpp"
#include "crisp_control/mailbox.hpp"
#include "outputs.hpp"
#include "settings.hpp"
#include "targets.hpp"

namespace steadyhand {

using crisp_control::Mailbox;

using controller_interface::CallbackReturn;

/// Lifecycle, interfaces, topics and parameters around one crisp_control::Controller.
///
/// The loop (on_activate, update, on_deactivate) neither locks, allocates, throws nor logs: topics and parameters reach
/// it through mailboxes, and what it has to tell leaves through one. Interface: the kind of plug-in, see below.
template <typename Interface>
class ControllerPlugin : public Interface {
 public:
  CallbackReturn on_init() final;
  CallbackReturn on_configure(const rclcpp_lifecycle::State& previous) final;
  CallbackReturn on_activate(const rclcpp_lifecycle::State& previous) override;
  CallbackReturn on_deactivate(const rclcpp_lifecycle::State& previous) final;
  CallbackReturn on_cleanup(const rclcpp_lifecycle::State& previous) final;
  controller_interface::InterfaceConfiguration command_interface_configuration() const final;
  controller_interface::InterfaceConfiguration state_interface_configuration() const final;

 protected:
  /// What the loop needs besides the core's parameters.
  struct Live {
    double sensor_timeout = 0.0;  ///< s
    bool stop_commands = false;   ///< compute everything, write nothing
  };

  virtual Takes takes() const noexcept = 0;
  /// Declares the parameters.
  virtual void declare() = 0;
  virtual Settings settings() const = 0;
  /// A core with the present parameters; throws std::invalid_argument.
  virtual std::unique_ptr<crisp_control::Controller> make_core(const crisp_control::ArmModel& model) = 0;
  /// Checks what the parameters would become; throws std::invalid_argument.
  virtual void check_parameters(const crisp_control::ArmModel& model) const = 0;
  /// Puts back what check_parameters refused.
  virtual void revert(const std::vector<rclcpp::Parameter>& present) = 0;
  /// Off the loop: present parameters into the mailbox.
  virtual void hand_over(const crisp_control::ArmModel& model) = 0;
  /// In the loop: takes what came, if anything did.
  virtual void adopt(crisp_control::Controller& core, Live& live) noexcept = 0;

  /// The loop's: what topics ask.
  void take_topics() noexcept;
  /// One tick of the loop.
  controller_interface::return_type tick(double dt) noexcept;

  Settings settings_;
  std::unique_ptr<crisp_control::Controller> core_;
  rclcpp::Clock::SharedPtr clock_;
  crisp_control::References references_;  // the loop's

 private:
  void configure();
  rcl_interfaces::msg::SetParametersResult judge(const std::vector<rclcpp::Parameter>& proposed);
  void take_sensor(double now) noexcept;
  controller_interface::return_type judge_hardware(bool written, bool bad_state, double dt) noexcept;

  std::mutex off_loop_;  // between callbacks of the node and lifecycle transitions; the loop never takes it
  rclcpp::node_interfaces::OnSetParametersCallbackHandle::SharedPtr before_set_;
  rclcpp::node_interfaces::PostSetParametersCallbackHandle::SharedPtr after_set_;
  std::unique_ptr<const crisp_control::ArmModel> model_;  // for checks, off the loop
  std::shared_ptr<Targets> targets_;
  std::shared_ptr<Outputs> outputs_;
  std::shared_ptr<TargetMail> mail_ = std::make_shared<TargetMail>();
  std::shared_ptr<Mailbox<Snapshot>> snapshots_ = std::make_shared<Mailbox<Snapshot>>();

  // The loop's.
  crisp_control::ArmState state_;
  SensorWrench sensor_;
  Live live_;
  Snapshot snapshot_;
  int failed_writes_ = 0;       // in a row
  double without_state_ = 0.0;  // s in a row
};

/// A controller that takes references, from topics or from another controller.
class ChainablePlugin : public ControllerPlugin<controller_interface::ChainableControllerInterface> {
 public:
  CallbackReturn on_activate(const rclcpp_lifecycle::State& previous) final;

 protected:
  controller_interface::return_type update_reference_from_subscribers(const rclcpp::Time& time,
                                                                      const rclcpp::Duration& period) final;
  controller_interface::return_type update_and_write_commands(const rclcpp::Time& time,
                                                              const rclcpp::Duration& period) final;
  std::vector<hardware_interface::CommandInterface::SharedPtr> on_export_reference_interfaces_list() final;
  bool on_set_chained_mode(bool chained) final;

 private:
  std::vector<std::string> reference_names() const;
  void take_chained() noexcept;

  std::uint64_t chained_sequence_ = 0;
};

/// One that takes none: ros2_control wants something exported of those that can be chained.
class PlainPlugin : public ControllerPlugin<controller_interface::ControllerInterface> {
 public:
  controller_interface::return_type update(const rclcpp::Time& time, const rclcpp::Duration& period) final;
};

}  // namespace steadyhand
