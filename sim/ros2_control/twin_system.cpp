// The twin as hardware of ros2_control: the stock controller_manager drives it like an arm.
#include <cmath>
#include <hardware_interface/system_interface.hpp>
#include <hardware_interface/types/hardware_interface_type_values.hpp>
#include <memory>
#include <pluginlib/class_list_macros.hpp>
#include <string>
#include <vector>

#include "twin_physics.hpp"

namespace steadyhand_twin {

using hardware_interface::CallbackReturn;
using hardware_interface::return_type;
using steadyhand::Drive;

class TwinSystem : public hardware_interface::SystemInterface {
 public:
  CallbackReturn on_init(const hardware_interface::HardwareComponentInterfaceParams& params) override {
    if (SystemInterface::on_init(params) != CallbackReturn::SUCCESS) return CallbackReturn::ERROR;
    try {
      const auto& given = get_hardware_info().hardware_parameters;
      if (!given.contains("scene")) throw std::runtime_error("parameter 'scene' is missing: a file .mjb or .xml");
      physics_ = std::make_unique<steadyhand::TwinPhysics>(given.at("scene"));
      for (const auto& joint : get_hardware_info().joints) add(joint);
    } catch (const std::exception& error) {
      RCLCPP_ERROR(get_logger(), "%s", error.what());
      return CallbackReturn::ERROR;
    }
    return CallbackReturn::SUCCESS;
  }

  CallbackReturn on_activate(const rclcpp_lifecycle::State&) override {
    physics_->reset();
    claimed_ = 0;  // nobody can have claimed anything yet
    for (const Joint& joint : joints_) {
      if (joint.drive == Drive::kEffort) set_command(joint.effort, 0.0);
      if (joint.drive == Drive::kPosition) set_command(joint.position, physics_->state(joint.number).position);
    }
    publish();
    return CallbackReturn::SUCCESS;
  }

  /// As on an arm with brakes: time stands still until somebody claims the efforts, and again when nobody does.
  return_type perform_command_mode_switch(const std::vector<std::string>& start,
                                          const std::vector<std::string>& stop) override {
    for (const auto& name : stop) claimed_ -= is_effort(name);
    for (const auto& name : start) claimed_ += is_effort(name);
    if (claimed_ <= 0) physics_->stop();
    return return_type::OK;
  }

  return_type read(const rclcpp::Time&, const rclcpp::Duration& period) override {
    const bool sound = claimed_ <= 0 || physics_->advance(period.seconds());
    publish();
    return sound ? return_type::OK : return_type::ERROR;
  }

  return_type write(const rclcpp::Time&, const rclcpp::Duration&) override {
    for (const Joint& joint : joints_) {
      if (joint.drive == Drive::kEffort) physics_->command(joint.number, get_command(joint.effort));
      if (joint.drive == Drive::kPosition) physics_->command(joint.number, get_command(joint.position));
    }
    return return_type::OK;
  }

 private:
  struct Joint {
    int number;
    Drive drive;
    std::string position, velocity, effort;  ///< full names of the interfaces
    bool says_position, says_velocity, says_effort;
  };

  void add(const hardware_interface::ComponentInfo& info) {
    Drive drive = Drive::kNone;
    if (info.command_interfaces.size() > 1) throw std::runtime_error("joint '" + info.name + "' has several commands");
    for (const auto& interface : info.command_interfaces) {
      if (interface.name == hardware_interface::HW_IF_EFFORT) {
        drive = Drive::kEffort;
      } else if (interface.name == hardware_interface::HW_IF_POSITION) {
        drive = Drive::kPosition;
      } else {
        throw std::runtime_error("joint '" + info.name + "': command '" + interface.name +
                                 "' is neither effort nor position");
      }
    }
    Joint joint{-1,    drive, info.name + "/position", info.name + "/velocity", info.name + "/effort", false,
                false, false};
    double initial = 0.0;
    for (const auto& interface : info.state_interfaces) {
      joint.says_position |= interface.name == hardware_interface::HW_IF_POSITION;
      joint.says_velocity |= interface.name == hardware_interface::HW_IF_VELOCITY;
      joint.says_effort |= interface.name == hardware_interface::HW_IF_EFFORT;
      const bool starts = interface.name == hardware_interface::HW_IF_POSITION && !interface.initial_value.empty();
      if (starts) initial = std::stod(interface.initial_value);
    }
    joint.number = physics_->add_joint(info.name, drive, initial);
    joints_.push_back(joint);
  }

  bool is_effort(const std::string& interface) const {
    for (const Joint& joint : joints_) {
      if (joint.drive == Drive::kEffort && joint.effort == interface) return true;
    }
    return false;
  }

  void publish() {
    for (const Joint& joint : joints_) {
      const steadyhand::JointState now = physics_->state(joint.number);
      if (joint.says_position) set_state(joint.position, now.position);
      if (joint.says_velocity) set_state(joint.velocity, now.velocity);
      if (joint.says_effort) set_state(joint.effort, now.effort);
    }
  }

  std::unique_ptr<steadyhand::TwinPhysics> physics_;
  std::vector<Joint> joints_;
  int claimed_ = 0;  ///< effort interfaces that a controller has
};

}  // namespace steadyhand_twin

PLUGINLIB_EXPORT_CLASS(steadyhand_twin::TwinSystem, hardware_interface::SystemInterface)
