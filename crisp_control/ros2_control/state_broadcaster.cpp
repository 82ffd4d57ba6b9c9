#include "state_broadcaster.hpp"

#include <Eigen/Cholesky>
#include <pluginlib/class_list_macros.hpp>

#include "arm_interfaces.hpp"
#include "state_messages.hpp"

namespace steadyhand {

using controller_interface::CallbackReturn;
using controller_interface::interface_configuration_type;
using controller_interface::return_type;
using crisp_control::JointVector;
using crisp_control::Matrix6;

namespace {

constexpr double kGramDamping = 1e-6;  // only matters within about a milliradian of a singular posture
constexpr double kWithoutState = 0.1;  // s in a row: the hardware is dead

}  // namespace

CallbackReturn StateBroadcaster::on_init() {
  try {
    listener_ = std::make_shared<steadyhand_state_broadcaster::ParamListener>(get_node());
  } catch (const std::exception& error) {
    RCLCPP_ERROR(get_node()->get_logger(), "%s", error.what());
    return CallbackReturn::ERROR;
  }
  return CallbackReturn::SUCCESS;
}

CallbackReturn StateBroadcaster::on_configure(const rclcpp_lifecycle::State&) {
  try {
    configure();
  } catch (const std::exception& error) {
    RCLCPP_ERROR(get_node()->get_logger(), "%s", error.what());
    return CallbackReturn::FAILURE;
  }
  return CallbackReturn::SUCCESS;
}

void StateBroadcaster::configure() {
  const auto from = listener_->get_params();
  settings_ = read_settings(from);
  check_settings(settings_, get_robot_description());
  model_ = std::make_unique<crisp_control::ArmModel>(get_robot_description(), settings_.joints,
                                                     settings_.end_effector_frame, settings_.armature);
  params_ = std::make_unique<crisp_control::ControllerParams>(*model_);
  assign(from, *params_);
  params_->validate(*model_);
  model_->set_payload(params_->payload_mass, params_->payload_com);
  clock_ = get_node()->get_clock();
  messages_ = std::make_shared<StateMessages>(get_node(), settings_, reports_);
  messages_->start(get_node());
}

CallbackReturn StateBroadcaster::on_cleanup(const rclcpp_lifecycle::State&) {
  messages_.reset();
  return CallbackReturn::SUCCESS;
}

controller_interface::InterfaceConfiguration StateBroadcaster::command_interface_configuration() const {
  return {interface_configuration_type::NONE, {}};
}

controller_interface::InterfaceConfiguration StateBroadcaster::state_interface_configuration() const {
  return {interface_configuration_type::INDIVIDUAL,
          interface_names(settings_.joints, {"position", "velocity", "effort"})};
}

// From here on: the loop.

CallbackReturn StateBroadcaster::on_activate(const rclcpp_lifecycle::State&) {
  observer_.reset(model_->n());
  report_ = {};
  without_state_ = 0.0;
  return CallbackReturn::SUCCESS;
}

CallbackReturn StateBroadcaster::on_deactivate(const rclcpp_lifecycle::State&) { return CallbackReturn::SUCCESS; }

return_type StateBroadcaster::update(const rclcpp::Time&, const rclcpp::Duration& period) {
  const double dt = period.seconds();
  read_state(state_interfaces_, state_);
  ++report_.ticks;
  report_.time = clock_->now().seconds();
  const bool usable = state_.q.allFinite() && state_.dq.allFinite() && state_.tau.allFinite();
  if (usable) {
    without_state_ = 0.0;
    estimate(dt);
    reports_->write(report_);
  } else {
    ++report_.bad_state;
    without_state_ += dt;
  }
  return without_state_ > kWithoutState ? return_type::ERROR : return_type::OK;
}

void StateBroadcaster::estimate(double dt) noexcept {
  const auto& terms = model_->update(state_.q, state_.dq);
  const auto& J = terms.J_base_ee;
  report_.T_base_ee = terms.T_base_ee;
  report_.twist = J * state_.dq;
  report_.tau_external = observer_.estimate(terms, state_.dq, params_->observer_time_constant);
  Matrix6 gram = J * J.transpose();
  gram.diagonal().array() += kGramDamping;
  report_.wrench = gram.llt().solve(J * report_.tau_external);
  const double v = params_->friction_velocity;
  const JointVector shape = state_.dq.array() / (state_.dq.array().square() + v * v).sqrt();
  const JointVector friction =
      params_->friction.cwiseProduct(shape) + params_->viscous_friction.cwiseProduct(state_.dq);
  observer_.predict(terms, state_.tau - friction, dt);
}

}  // namespace steadyhand

PLUGINLIB_EXPORT_CLASS(steadyhand::StateBroadcaster, controller_interface::ControllerInterface)
