#include "controller_plugin.hpp"

#include <cmath>
#include <exception>
#include <stdexcept>

#include "arm_interfaces.hpp"

namespace steadyhand {

using controller_interface::interface_configuration_type;
using controller_interface::return_type;
using crisp_control::JointVector;

namespace {

constexpr int kFailedWrites = 10;      // in a row: the hardware does not listen
constexpr double kWithoutState = 0.1;  // s in a row: the hardware is dead

}  // namespace

template <typename Interface>
CallbackReturn ControllerPlugin<Interface>::on_init() {
  // Callbacks run in the reverse order of registration: generate_parameter_library's own comes before ours, so that
  // ours sees what the parameters would become.
  before_set_ =
      this->get_node()->add_on_set_parameters_callback([this](const auto& proposed) { return judge(proposed); });
  try {
    declare();
  } catch (const std::exception& error) {
    RCLCPP_ERROR(this->get_node()->get_logger(), "%s", error.what());
    return CallbackReturn::ERROR;
  }
  after_set_ = this->get_node()->add_post_set_parameters_callback([this](const auto&) {
    const std::lock_guard lock(off_loop_);
    if (model_) hand_over(*model_);
  });
  return CallbackReturn::SUCCESS;
}

template <typename Interface>
rcl_interfaces::msg::SetParametersResult ControllerPlugin<Interface>::judge(
    const std::vector<rclcpp::Parameter>& proposed) {
  rcl_interfaces::msg::SetParametersResult result;
  result.successful = true;
  const std::lock_guard lock(off_loop_);
  if (!model_) return result;  // on_configure will judge
  try {
    check_parameters(*model_);
  } catch (const std::invalid_argument& error) {
    result.successful = false;
    result.reason = error.what();
    std::vector<std::string> names;
    for (const auto& parameter : proposed) names.push_back(parameter.get_name());
    revert(this->get_node()->get_parameters(names));
  }
  return result;
}

template <typename Interface>
CallbackReturn ControllerPlugin<Interface>::on_configure(const rclcpp_lifecycle::State& previous) {
  try {
    configure();
  } catch (const std::exception& error) {
    RCLCPP_ERROR(this->get_node()->get_logger(), "%s", error.what());
    on_cleanup(previous);
    return CallbackReturn::FAILURE;
  }
  return CallbackReturn::SUCCESS;
}

template <typename Interface>
void ControllerPlugin<Interface>::configure() {
  settings_ = settings();
  check_settings(settings_, this->get_robot_description());
  auto model = std::make_unique<const crisp_control::ArmModel>(this->get_robot_description(), settings_.joints,
                                                               settings_.end_effector_frame, settings_.armature);
  {
    const std::lock_guard lock(off_loop_);
    core_ = make_core(*model);
    hand_over(*model);
    model_ = std::move(model);
  }
  // Without the lock: a TF listener declares parameters, which are judged under it.
  clock_ = this->get_node()->get_clock();
  targets_ = std::make_shared<Targets>(this->get_node(), core_->model(), settings_, takes(), mail_);
  targets_->subscribe();
  outputs_ = std::make_shared<Outputs>(this->get_node(), this->get_node()->get_name(), settings_, snapshots_, targets_);
  outputs_->start(this->get_node());
}

template <typename Interface>
CallbackReturn ControllerPlugin<Interface>::on_cleanup(const rclcpp_lifecycle::State&) {
  const std::lock_guard lock(off_loop_);
  outputs_.reset();
  targets_.reset();
  core_.reset();
  model_.reset();
  return CallbackReturn::SUCCESS;
}

template <typename Interface>
controller_interface::InterfaceConfiguration ControllerPlugin<Interface>::command_interface_configuration() const {
  return {interface_configuration_type::INDIVIDUAL, interface_names(settings_.joints, {"effort"})};
}

template <typename Interface>
controller_interface::InterfaceConfiguration ControllerPlugin<Interface>::state_interface_configuration() const {
  return {interface_configuration_type::INDIVIDUAL,
          interface_names(settings_.joints, {"position", "velocity", "effort"})};
}

// From here on: the loop.

template <typename Interface>
CallbackReturn ControllerPlugin<Interface>::on_activate(const rclcpp_lifecycle::State&) {
  adopt(*core_, live_);
  mail_->clear();
  references_ = {};
  sensor_ = {};
  failed_writes_ = 0;
  without_state_ = 0.0;
  read_state(this->state_interfaces_, state_);
  state_.time = clock_->now().seconds();
  state_.has_wrench = false;
  core_->reset(state_);
  return CallbackReturn::SUCCESS;
}

template <typename Interface>
CallbackReturn ControllerPlugin<Interface>::on_deactivate(const rclcpp_lifecycle::State&) {
  // The last torque would go on pushing until another controller takes over: only the weight is left.
  const bool weight = core_->params().gravity_compensation;
  const JointVector zero = JointVector::Zero(core_->model().n());
  if (!live_.stop_commands) (void)write_torques(this->command_interfaces_, weight ? core_->terms().gravity : zero);
  return CallbackReturn::SUCCESS;
}

template <typename Interface>
void ControllerPlugin<Interface>::take_topics() noexcept {
  if (const auto* pose = mail_->pose.read()) references_.pose = *pose;
  if (const auto* chunk = mail_->chunk.read()) references_.chunk = *chunk;
  if (const auto* joint = mail_->joint.read()) references_.joint = *joint;
  if (const auto* wrench = mail_->wrench.read()) references_.wrench = *wrench;
  if (const auto* stiffness = mail_->stiffness.read()) references_.stiffness = *stiffness;
}

template <typename Interface>
void ControllerPlugin<Interface>::take_sensor(double now) noexcept {
  if (const auto* sensor = mail_->sensor.read()) sensor_ = *sensor;
  state_.has_wrench = std::abs(now - sensor_.stamp) <= live_.sensor_timeout;
  state_.wrench = sensor_.wrench;
}

template <typename Interface>
return_type ControllerPlugin<Interface>::tick(double dt) noexcept {
  // Not the manager's time: that is steady, and the stamps of references are not.
  const double now = clock_->now().seconds();
  adopt(*core_, live_);
  read_state(this->state_interfaces_, state_);
  state_.time = now;
  take_sensor(now);
  const auto bad_before = core_->status().bad_state;
  const JointVector& tau = core_->update(state_, references_, dt);
  const bool written = live_.stop_commands || write_torques(this->command_interfaces_, tau);
  snapshot_ = {now, core_->tracked(), core_->status()};
  snapshots_->write(snapshot_);
  return judge_hardware(written, core_->status().bad_state != bad_before, dt);
}

template <typename Interface>
return_type ControllerPlugin<Interface>::judge_hardware(bool written, bool bad_state, double dt) noexcept {
  failed_writes_ = written ? 0 : failed_writes_ + 1;
  without_state_ = bad_state ? without_state_ + dt : 0.0;
  return failed_writes_ >= kFailedWrites || without_state_ > kWithoutState ? return_type::ERROR : return_type::OK;
}

template class ControllerPlugin<controller_interface::ChainableControllerInterface>;
template class ControllerPlugin<controller_interface::ControllerInterface>;

return_type PlainPlugin::update(const rclcpp::Time&, const rclcpp::Duration& period) { return tick(period.seconds()); }

}  // namespace steadyhand
