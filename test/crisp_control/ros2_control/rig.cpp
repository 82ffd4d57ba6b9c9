#include "rig.hpp"

#include <cmath>

namespace steadyhand::test {

namespace {

template <typename Interface>
std::shared_ptr<Interface> make(const std::string& name) {
  const auto slash = name.rfind('/');
  hardware_interface::InterfaceInfo info;
  info.name = name.substr(slash + 1);
  return std::make_shared<Interface>(hardware_interface::InterfaceDescription(name.substr(0, slash), info));
}

}  // namespace

Rig::Rig(const std::string& type, const Values& changes) {
  Values values = {{"joints", crisp_control::test::fr3_joints()},
                   {"end_effector_frame", std::string("fr3_hand_tcp")},
                   {"base_frame", std::string("base")},
                   {"armature", crisp_control::test::fr3_armature()}};
  for (const auto& [name, value] : changes) values[name] = value;
  node = std::make_shared<rclcpp_lifecycle::LifecycleNode>("arm", values);
  node->get_clock()->time = kStart;
  status_ = last<diagnostic_msgs::msg::DiagnosticArray>("controller_status");
  plugin = pluginlib::classes().at("steadyhand::" + type)();
  plugin->init(node, crisp_control::test::fr3_urdf());
}

CallbackReturn Rig::configure() {
  if (plugin->on_init() != CallbackReturn::SUCCESS) return CallbackReturn::ERROR;
  if (const auto result = plugin->on_configure({}); result != CallbackReturn::SUCCESS) return result;
  if (auto* chainable = dynamic_cast<controller_interface::ChainableControllerInterface*>(plugin.get())) {
    references = chainable->export_reference_interfaces();
  }
  std::vector<hardware_interface::LoanedCommandInterface> loaned_commands;
  for (const auto& name : plugin->command_interface_configuration().names) {
    commands.push_back(make<hardware_interface::CommandInterface>(name));
    loaned_commands.emplace_back(commands.back());
  }
  std::vector<hardware_interface::LoanedStateInterface> loaned_states;
  for (const auto& name : plugin->state_interface_configuration().names) {
    states.push_back(make<hardware_interface::StateInterface>(name));
    loaned_states.emplace_back(states.back());
  }
  plugin->assign_interfaces(std::move(loaned_commands), std::move(loaned_states));
  const JointVector home = crisp_control::test::fr3_home();
  for (int i = 0; i < model.n(); ++i) {
    states[i]->value = home[i];
    states[model.n() + i]->value = 0.0;
  }
  set_efforts(model.update(home, JointVector::Zero(model.n())).gravity);
  return CallbackReturn::SUCCESS;
}

Rig& Rig::start() {
  EXPECT_EQ(configure(), CallbackReturn::SUCCESS) << said();
  EXPECT_EQ(activate(), CallbackReturn::SUCCESS);
  return *this;
}

return_type Rig::tick() {
  now() += kDt;
  return plugin->update(rclcpp::Time(17.0), rclcpp::Duration(kDt));  // the manager's own clock is another one
}

JointVector Rig::commanded() const {
  JointVector tau(model.n());
  for (int i = 0; i < model.n(); ++i) tau[i] = commands[i]->value;
  return tau;
}

ArmState Rig::state() const {
  const int n = model.n();
  ArmState state{JointVector(n), JointVector(n), JointVector(n), node->get_clock()->time};
  for (int i = 0; i < n; ++i) {
    state.q[i] = states[i]->value;
    state.dq[i] = states[n + i]->value;
    state.tau[i] = states[2 * n + i]->value;
  }
  return state;
}

void Rig::set_efforts(const JointVector& tau) {
  for (int i = 0; i < model.n(); ++i) states[2 * model.n() + i]->value = tau[i];
}

builtin_interfaces::msg::Time Rig::stamp(double ahead) const {
  const double time = node->get_clock()->time + ahead;
  return {static_cast<std::int32_t>(time), static_cast<std::uint32_t>(std::lround((time - std::floor(time)) * 1e9))};
}

std::map<std::string, std::string> Rig::status() {
  now() += 0.2;  // it comes ten times a second
  EXPECT_NE(tick(), return_type::ERROR);
  node->fire_timers();
  std::map<std::string, std::string> values;
  if (status_->status.empty()) return values;
  for (const auto& item : status_->status[0].values) values[item.key] = item.value;
  values[""] = status_->status[0].message;
  return values;
}

}  // namespace steadyhand::test
