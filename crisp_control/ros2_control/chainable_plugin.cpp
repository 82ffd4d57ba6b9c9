// References from another controller.
#include <array>
#include <cmath>
#include <limits>

#include "arm_interfaces.hpp"
#include "controller_plugin.hpp"

namespace steadyhand {

using controller_interface::return_type;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kToolReference[] = {"x", "y", "z", "qx", "qy", "qz", "qw"};

}  // namespace

std::vector<std::string> ChainablePlugin::reference_names() const {
  if (takes() == Takes::kTool) return {std::begin(kToolReference), std::end(kToolReference)};
  if (takes() == Takes::kNothing) return {};
  return interface_names(settings_.joints, {takes() == Takes::kJointTorques ? "effort" : "position"});
}

std::vector<hardware_interface::CommandInterface::SharedPtr> ChainablePlugin::on_export_reference_interfaces_list() {
  const std::string owner = get_node()->get_name();
  std::vector<hardware_interface::CommandInterface::SharedPtr> interfaces;
  for (const auto& name : reference_names()) {
    const auto slash = name.rfind('/');
    hardware_interface::InterfaceInfo info;
    info.name = name.substr(slash + 1);
    const std::string prefix = slash == std::string::npos ? owner : owner + "/" + name.substr(0, slash);
    interfaces.push_back(
        std::make_shared<hardware_interface::CommandInterface>(hardware_interface::InterfaceDescription(prefix, info)));
  }
  return interfaces;
}

bool ChainablePlugin::on_set_chained_mode(bool) { return true; }

// From here on: the loop.

CallbackReturn ChainablePlugin::on_activate(const rclcpp_lifecycle::State& previous) {
  for (const auto& interface : ordered_exported_reference_interfaces_) (void)interface->set_value(kNan);
  return ControllerPlugin::on_activate(previous);
}

return_type ChainablePlugin::update_reference_from_subscribers(const rclcpp::Time&, const rclcpp::Duration&) {
  take_topics();
  return return_type::OK;
}

return_type ChainablePlugin::update_and_write_commands(const rclcpp::Time&, const rclcpp::Duration& period) {
  if (is_in_chained_mode()) take_chained();
  return tick(period.seconds());
}

void ChainablePlugin::take_chained() noexcept {
  const auto& from = ordered_exported_reference_interfaces_;
  std::array<double, std::max<int>(crisp_control::kMaxJoints, std::size(kToolReference))> value;
  for (std::size_t i = 0; i < from.size(); ++i) {
    value[i] = from[i]->get_optional().value_or(kNan);
    if (!std::isfinite(value[i])) return;  // nothing is asked; what was asked before ages
  }
  const crisp_control::Decision decision{clock_->now().seconds(), ++chained_sequence_};
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

}  // namespace steadyhand
