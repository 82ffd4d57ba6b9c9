#include "controller_plugin.hpp"

#include <cmath>
#include <exception>
#include <limits>
#include <stdexcept>

#include "arm_interfaces.hpp"

namespace steadyhand {

using controller_interface::interface_configuration_type;
using controller_interface::return_type;
using crisp_control::JointVector;

namespace {

constexpr int kFailedWrites = 10;      // in a row: the hardware does not listen
constexpr double kWithoutState = 0.1;  // s in a row: the hardware is dead
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kToolReference[] = {"x", "y", "z", "qx", "qy", "qz", "qw"};

template <typename Interface>
std::vector<std::shared_ptr<Interface>> make_interfaces(const std::string& owner,
                                                        const std::vector<std::string>& names) {
  std::vector<std::shared_ptr<Interface>> interfaces;
  for (const auto& name : names) {
    const auto slash = name.rfind('/');
    hardware_interface::InterfaceInfo info;
    info.name = name.substr(slash + 1);
    const std::string prefix = slash == std::string::npos ? owner : owner + "/" + name.substr(0, slash);
    interfaces.push_back(std::make_shared<Interface>(hardware_interface::InterfaceDescription(prefix, info)));
  }
  return interfaces;
}

}  // namespace

CallbackReturn ControllerPlugin::on_init() {
  // Callbacks run in the reverse order of registration: generate_parameter_library's own comes before ours, so that
  // ours sees what the parameters would become.
  before_set_ = get_node()->add_on_set_parameters_callback([this](const auto& proposed) { return judge(proposed); });
  try {
    declare();
  } catch (const std::exception& error) {
    RCLCPP_ERROR(get_node()->get_logger(), "%s", error.what());
    return CallbackReturn::ERROR;
  }
  after_set_ = get_node()->add_post_set_parameters_callback([this](const auto&) {
    const std::lock_guard lock(off_loop_);
    if (model_) hand_over(*model_);
  });
  return CallbackReturn::SUCCESS;
}

rcl_interfaces::msg::SetParametersResult ControllerPlugin::judge(const std::vector<rclcpp::Parameter>& proposed) {
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
    revert(get_node()->get_parameters(names));
  }
  return result;
}

CallbackReturn ControllerPlugin::on_configure(const rclcpp_lifecycle::State& previous) {
  try {
    configure();
  } catch (const std::exception& error) {
    RCLCPP_ERROR(get_node()->get_logger(), "%s", error.what());
    on_cleanup(previous);
    return CallbackReturn::FAILURE;
  }
  return CallbackReturn::SUCCESS;
}

void ControllerPlugin::configure() {
  settings_ = settings();
  check_settings(settings_, get_robot_description());
  auto model = std::make_unique<const crisp_control::ArmModel>(get_robot_description(), settings_.joints,
                                                               settings_.end_effector_frame, settings_.armature);
  {
    const std::lock_guard lock(off_loop_);
    core_ = make_core(*model);
    hand_over(*model);
    model_ = std::move(model);
  }
  // Without the lock: a TF listener declares parameters, which are judged under it.
  clock_ = get_node()->get_clock();
  targets_ = std::make_shared<Targets>(get_node(), core_->model(), settings_, takes(), mail_);
  targets_->subscribe();
  outputs_ = std::make_shared<Outputs>(get_node(), get_node()->get_name(), settings_, snapshots_, targets_);
  outputs_->start(get_node());
}

CallbackReturn ControllerPlugin::on_cleanup(const rclcpp_lifecycle::State&) {
  const std::lock_guard lock(off_loop_);
  outputs_.reset();
  targets_.reset();
  core_.reset();
  model_.reset();
  return CallbackReturn::SUCCESS;
}

controller_interface::InterfaceConfiguration ControllerPlugin::command_interface_configuration() const {
  return {interface_configuration_type::INDIVIDUAL, interface_names(settings_.joints, {"effort"})};
}

controller_interface::InterfaceConfiguration ControllerPlugin::state_interface_configuration() const {
  return {interface_configuration_type::INDIVIDUAL,
          interface_names(settings_.joints, {"position", "velocity", "effort"})};
}

std::vector<std::string> ControllerPlugin::reference_names() const {
  if (takes() == Takes::kTool) return {std::begin(kToolReference), std::end(kToolReference)};
  if (takes() == Takes::kNothing) return {};
  return interface_names(settings_.joints, {takes() == Takes::kJointTorques ? "effort" : "position"});
}

std::vector<hardware_interface::CommandInterface::SharedPtr> ControllerPlugin::on_export_reference_interfaces_list() {
  return make_interfaces<hardware_interface::CommandInterface>(get_node()->get_name(), reference_names());
}

std::vector<hardware_interface::StateInterface::SharedPtr> ControllerPlugin::on_export_state_interfaces_list() {
  return make_interfaces<hardware_interface::StateInterface>(get_node()->get_name(),
                                                             interface_names(settings_.joints, {"external_torque"}));
}

bool ControllerPlugin::on_set_chained_mode(bool) { return true; }

// From here on: the loop.

CallbackReturn ControllerPlugin::on_activate(const rclcpp_lifecycle::State&) {
  adopt(*core_, live_);
  mail_->clear();
  references_ = {};
  sensor_ = {};
  failed_writes_ = 0;
  without_state_ = 0.0;
  for (const auto& interface : ordered_exported_reference_interfaces_) (void)interface->set_value(kNan);
  read_state(state_interfaces_, state_);
  state_.time = clock_->now().seconds();
  state_.has_wrench = false;
  core_->reset(state_);
  return CallbackReturn::SUCCESS;
}

CallbackReturn ControllerPlugin::on_deactivate(const rclcpp_lifecycle::State&) {
  // The last torque would go on pushing until another controller takes over: only the weight is left.
  const bool weight = core_->params().gravity_compensation;
  const JointVector zero = JointVector::Zero(core_->model().n());
  if (!live_.stop_commands) (void)write_torques(command_interfaces_, weight ? core_->terms().gravity : zero);
  return CallbackReturn::SUCCESS;
}

return_type ControllerPlugin::update_reference_from_subscribers(const rclcpp::Time&, const rclcpp::Duration&) {
  if (const auto* pose = mail_->pose.read()) references_.pose = *pose;
  if (const auto* chunk = mail_->chunk.read()) references_.chunk = *chunk;
  if (const auto* joint = mail_->joint.read()) references_.joint = *joint;
  if (const auto* wrench = mail_->wrench.read()) references_.wrench = *wrench;
  if (const auto* stiffness = mail_->stiffness.read()) references_.stiffness = *stiffness;
  return return_type::OK;
}

void ControllerPlugin::take_chained(double now) noexcept {
  const auto& from = ordered_exported_reference_interfaces_;
  std::array<double, std::max<int>(crisp_control::kMaxJoints, std::size(kToolReference))> value;
  for (std::size_t i = 0; i < from.size(); ++i) {
    value[i] = from[i]->get_optional().value_or(kNan);
    if (!std::isfinite(value[i])) return;  // nothing is asked; what was asked before ages
  }
  const crisp_control::Decision decision{now, ++chained_sequence_};
  const auto joints = Eigen::Map<const Eigen::VectorXd>(value.data(), core_->model().n());
  switch (takes()) {
    case Takes::kTool:
      references_.pose = {{{value[0], value[1], value[2]}, {value[6], value[3], value[4], value[5]}}, decision};
      break;
    case Takes::kJointPositions:
      references_.joint.q = joints;
      references_.joint.decision = decision;
      break;
    case Takes::kJointTorques:
      references_.joint.tau = joints;
      references_.joint.decision = decision;
      break;
    case Takes::kNothing:
      break;
  }
}

void ControllerPlugin::take_sensor(double now) noexcept {
  if (const auto* sensor = mail_->sensor.read()) sensor_ = *sensor;
  state_.has_wrench = std::abs(now - sensor_.stamp) <= live_.sensor_timeout;
  state_.wrench = sensor_.wrench;
}

return_type ControllerPlugin::update_and_write_commands(const rclcpp::Time&, const rclcpp::Duration& period) {
  // Not the manager's time: that is steady, and the stamps of references are not.
  const double now = clock_->now().seconds(), dt = period.seconds();
  adopt(*core_, live_);
  read_state(state_interfaces_, state_);
  state_.time = now;
  take_sensor(now);
  if (is_in_chained_mode()) take_chained(now);
  const auto bad_before = core_->status().bad_state;
  const JointVector& tau = core_->update(state_, references_, dt);
  const bool written = live_.stop_commands || write_torques(command_interfaces_, tau);
  const JointVector& external = core_->tau_external();
  for (std::size_t i = 0; i < ordered_exported_state_interfaces_.size(); ++i) {
    (void)ordered_exported_state_interfaces_[i]->set_value(external[static_cast<Eigen::Index>(i)]);
  }
  snapshot_ = {now, core_->tracked(), core_->status()};
  snapshots_->write(snapshot_);
  return judge_hardware(written, core_->status().bad_state != bad_before, dt);
}

return_type ControllerPlugin::judge_hardware(bool written, bool bad_state, double dt) noexcept {
  failed_writes_ = written ? 0 : failed_writes_ + 1;
  without_state_ = bad_state ? without_state_ + dt : 0.0;
  return failed_writes_ >= kFailedWrites || without_state_ > kWithoutState ? return_type::ERROR : return_type::OK;
}

}  // namespace steadyhand
