// The five controllers of the core as plug-ins. A CRISP user changes the line `type:` to one of these names.
#include <pluginlib/class_list_macros.hpp>
#include <type_traits>

#include "controller_plugin.hpp"
#include "steadyhand/steadyhand_cartesian_admittance_convert.hpp"
#include "steadyhand/steadyhand_cartesian_impedance_convert.hpp"
#include "steadyhand/steadyhand_gravity_compensation_convert.hpp"
#include "steadyhand/steadyhand_joint_impedance_convert.hpp"
#include "steadyhand/steadyhand_torque_feedback_convert.hpp"

namespace steadyhand {

template <Takes kTakes>
using PluginFor = std::conditional_t<kTakes == Takes::kNothing, PlainPlugin, ChainablePlugin>;

/// The part of a plug-in that knows the types of its core and of its parameters.
template <typename Core, typename Listener, Takes kTakes>
class CorePlugin final : public PluginFor<kTakes> {
  using CoreParams = std::remove_cvref_t<decltype(std::declval<const Core&>().params())>;
  using Live = typename PluginFor<kTakes>::Live;
  struct Message {
    CoreParams params;
    Live live;
  };

  Takes takes() const noexcept override { return kTakes; }
  void declare() override { listener_ = std::make_shared<Listener>(this->get_node()); }
  Settings settings() const override { return read_settings(listener_->get_params()); }

  std::unique_ptr<crisp_control::Controller> make_core(const crisp_control::ArmModel& model) override {
    box_ = std::make_unique<Mailbox<Message>>(Message{CoreParams(model), {}});
    return std::make_unique<Core>(model, read(model).params);
  }
  void check_parameters(const crisp_control::ArmModel& model) const override { read(model); }
  void revert(const std::vector<rclcpp::Parameter>& present) override { (void)listener_->update(present); }
  void hand_over(const crisp_control::ArmModel& model) override { box_->write(read(model)); }
  void adopt(crisp_control::Controller& core, Live& live) noexcept override {
    const Message* message = box_->read();
    if (!message) return;
    static_cast<Core&>(core).set_params(message->params);
    live = message->live;
  }

  /// The present parameters as the core has them; throws std::invalid_argument.
  Message read(const crisp_control::ArmModel& model) const {
    const auto from = listener_->get_params();
    Message message{CoreParams(model), {}};
    assign(from, message.params);
    message.params.validate(model);
    if constexpr (requires { from.ft_sensor; }) message.live.sensor_timeout = from.ft_sensor.timeout;
    if constexpr (requires { from.stop_commands; }) message.live.stop_commands = from.stop_commands;
    return message;
  }

  std::shared_ptr<Listener> listener_;
  std::unique_ptr<Mailbox<Message>> box_;
};

using CartesianController =
    CorePlugin<crisp_control::CartesianImpedance, steadyhand_cartesian_impedance::ParamListener, Takes::kTool>;
using CartesianAdmittanceController =
    CorePlugin<crisp_control::CartesianAdmittance, steadyhand_cartesian_admittance::ParamListener, Takes::kTool>;
using JointController =
    CorePlugin<crisp_control::JointImpedance, steadyhand_joint_impedance::ParamListener, Takes::kJointPositions>;
using GravityCompensationController =
    CorePlugin<crisp_control::GravityCompensation, steadyhand_gravity_compensation::ParamListener, Takes::kNothing>;
using TorqueFeedbackController =
    CorePlugin<crisp_control::TorqueFeedback, steadyhand_torque_feedback::ParamListener, Takes::kJointTorques>;

}  // namespace steadyhand

PLUGINLIB_EXPORT_CLASS(steadyhand::CartesianController, controller_interface::ChainableControllerInterface)
PLUGINLIB_EXPORT_CLASS(steadyhand::CartesianAdmittanceController, controller_interface::ChainableControllerInterface)
PLUGINLIB_EXPORT_CLASS(steadyhand::JointController, controller_interface::ChainableControllerInterface)
PLUGINLIB_EXPORT_CLASS(steadyhand::GravityCompensationController, controller_interface::ControllerInterface)
PLUGINLIB_EXPORT_CLASS(steadyhand::TorqueFeedbackController, controller_interface::ChainableControllerInterface)
