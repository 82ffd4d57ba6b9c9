// Part of a small stand-in for ros2_control's interfaces, so that the adapter compiles and runs in CI: controllers,
// hardware interfaces and pluginlib.
#pragma once

#include <cmath>
#include <optional>

#include "rclcpp.hpp"

namespace hardware_interface {

struct InterfaceInfo {
  std::string name, min, max, initial_value, data_type = "double";
};

struct InterfaceDescription {
  InterfaceDescription(std::string prefix, InterfaceInfo info) : prefix_name(std::move(prefix)), interface_info(info) {}
  std::string prefix_name;
  InterfaceInfo interface_info;
};

/// A value somebody shares. `busy` stands for hardware that is in the way for good: reading and writing fail.
class Handle {
 public:
  explicit Handle(const InterfaceDescription& from)
      : value(from.interface_info.initial_value.empty() ? NAN : std::stod(from.interface_info.initial_value)),
        name_(from.prefix_name + "/" + from.interface_info.name) {}
  const std::string& get_name() const { return name_; }
  [[nodiscard]] std::optional<double> get_optional() const {
    return busy ? std::nullopt : std::optional<double>(value);
  }
  [[nodiscard]] bool set_value(double wanted) {
    if (!busy) value = wanted;
    return !busy;
  }
  double value;
  bool busy = false;

 private:
  std::string name_;
};

struct StateInterface : Handle {
  using Handle::Handle;
  using SharedPtr = std::shared_ptr<StateInterface>;
  using ConstSharedPtr = std::shared_ptr<const StateInterface>;
};
struct CommandInterface : Handle {
  using Handle::Handle;
  using SharedPtr = std::shared_ptr<CommandInterface>;
};

class LoanedStateInterface {
 public:
  explicit LoanedStateInterface(StateInterface::ConstSharedPtr handle) : handle_(std::move(handle)) {}
  [[nodiscard]] std::optional<double> get_optional() const { return handle_->get_optional(); }

 private:
  StateInterface::ConstSharedPtr handle_;
};
class LoanedCommandInterface {
 public:
  explicit LoanedCommandInterface(CommandInterface::SharedPtr handle) : handle_(std::move(handle)) {}
  [[nodiscard]] bool set_value(double value) { return handle_->set_value(value); }

 private:
  CommandInterface::SharedPtr handle_;
};

}  // namespace hardware_interface

namespace controller_interface {

using CallbackReturn = rclcpp_lifecycle::node_interfaces::LifecycleNodeInterface::CallbackReturn;
enum class return_type : std::uint8_t { OK = 0, ERROR = 1 };
enum class interface_configuration_type : std::uint8_t { ALL = 0, INDIVIDUAL = 1, NONE = 2 };
struct InterfaceConfiguration {
  interface_configuration_type type = interface_configuration_type::NONE;
  std::vector<std::string> names = {};
};

class ControllerInterfaceBase : public rclcpp_lifecycle::node_interfaces::LifecycleNodeInterface {
 public:
  void init(std::shared_ptr<rclcpp_lifecycle::LifecycleNode> node, std::string urdf) {
    node_ = std::move(node);
    urdf_ = std::move(urdf);
  }
  virtual CallbackReturn on_init() = 0;
  virtual InterfaceConfiguration command_interface_configuration() const = 0;
  virtual InterfaceConfiguration state_interface_configuration() const = 0;
  virtual return_type update(const rclcpp::Time& time, const rclcpp::Duration& period) = 0;
  void assign_interfaces(std::vector<hardware_interface::LoanedCommandInterface>&& commands,
                         std::vector<hardware_interface::LoanedStateInterface>&& states) {
    command_interfaces_ = std::move(commands);
    state_interfaces_ = std::move(states);
  }
  std::shared_ptr<rclcpp_lifecycle::LifecycleNode> get_node() const { return node_; }
  const std::string& get_robot_description() const { return urdf_; }

 protected:
  std::vector<hardware_interface::LoanedCommandInterface> command_interfaces_;
  std::vector<hardware_interface::LoanedStateInterface> state_interfaces_;

 private:
  std::shared_ptr<rclcpp_lifecycle::LifecycleNode> node_;
  std::string urdf_;
};

class ControllerInterface : public ControllerInterfaceBase {};

class ChainableControllerInterface : public ControllerInterfaceBase {
 public:
  return_type update(const rclcpp::Time& time, const rclcpp::Duration& period) final {
    if (!chained_) {
      if (const auto result = update_reference_from_subscribers(time, period); result != return_type::OK) return result;
    }
    return update_and_write_commands(time, period);
  }
  std::vector<hardware_interface::CommandInterface::SharedPtr> export_reference_interfaces() {
    return ordered_exported_reference_interfaces_ = on_export_reference_interfaces_list();
  }
  bool set_chained_mode(bool chained) {
    if (on_set_chained_mode(chained)) chained_ = chained;
    return chained_ == chained;
  }
  bool is_in_chained_mode() const { return chained_; }

 protected:
  virtual std::vector<hardware_interface::CommandInterface::SharedPtr> on_export_reference_interfaces_list() = 0;
  virtual bool on_set_chained_mode(bool chained) = 0;
  virtual return_type update_reference_from_subscribers(const rclcpp::Time&, const rclcpp::Duration&) = 0;
  virtual return_type update_and_write_commands(const rclcpp::Time&, const rclcpp::Duration&) = 0;

  std::vector<hardware_interface::CommandInterface::SharedPtr> ordered_exported_reference_interfaces_;

 private:
  bool chained_ = false;
};

}  // namespace controller_interface

namespace pluginlib {

using Factory = std::function<std::shared_ptr<controller_interface::ControllerInterfaceBase>()>;
inline std::map<std::string, Factory>& classes() {
  static std::map<std::string, Factory> all;
  return all;
}

}  // namespace pluginlib

#define PLUGINLIB_JOIN_(a, b) a##b
#define PLUGINLIB_JOIN(a, b) PLUGINLIB_JOIN_(a, b)
#define PLUGINLIB_EXPORT_CLASS(type, base)                     \
  static const bool PLUGINLIB_JOIN(registered_, __COUNTER__) = \
      pluginlib::classes().emplace(#type, [] { return std::make_shared<type>(); }).second;
