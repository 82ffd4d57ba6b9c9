// One arm in a MuJoCo scene: its joints, its gripper, its senses and the controller that moves it.
#pragma once

#include <mujoco/mujoco.h>

#include <array>
#include <memory>
#include <string>

#include "crisp_control/controller.hpp"
#include "senses.hpp"

namespace steadyhand {

inline constexpr int kMaxPending = 16;  ///< commands on their way

/// What whoever moves an arm requests: references for the controller and a gripper opening.
struct Command {
  crisp_control::References references;
  double gripper = 1.0;  ///< 0 closed .. 1 open
};

/// All that an arm tells about itself at one instant. Trivially copyable: it crosses threads.
struct Observation {
  double time = 0.0;  ///< s
  crisp_control::JointVector q, dq, tau, tau_external;
  crisp_control::Pose T_base_ee;
  crisp_control::Vector6 twist = crisp_control::Vector6::Zero();   ///< of the tool, base axes, m/s rad/s
  crisp_control::Vector6 wrench = crisp_control::Vector6::Zero();  ///< acting on the tool, base axes, N Nm
  double force_peak = 0.0;               ///< N, largest force of the wrench at any tick since the reset
  double gripper = 0.0;                  ///< measured opening, 0 closed .. 1 open
  crisp_control::Pose T_base_reference;  ///< what the controller steers to now
  crisp_control::ControllerStatus status;
};

/// Which arm of a scene is moved by what. Names in the scene are the arm's own behind the prefix.
struct ArmSetup {
  std::string prefix;
  const crisp_control::Controller* controller = nullptr;  ///< copied
  SensorModel sensors;
};

/// Needs one motor per joint, named like the joint. Uses, where the scene has them: a position actuator "gripper" whose
/// control is the opening of one finger in metres, and the sensors "tool_force" and "tool_torque" of the site
/// "tool_sensor", which is where the tool frame is and on the first body beyond the sensor.
class Arm {
 public:
  /// Throws std::invalid_argument if a joint or its motor is missing.
  Arm(const mjModel& model, const ArmSetup& setup);

  /// At rest where the data is; the controller holds the pose, the gripper opens as commanded. `sense` follows.
  void reset(const mjData& data, double gripper, std::uint64_t seed) noexcept;
  /// Measures the state after a step.
  void sense(const mjModel& model, const mjData& data) noexcept;
  /// One update of the controller with the last measurement, stamped `now`; writes the drives' commands.
  void control(mjData& data, double now, double dt) noexcept;

  /// Acts at `due` on the clock of the simulation, not before what was requested earlier.
  void set_command(const Command& command, double due = 0.0) noexcept;
  /// What was requested last.
  const Command& requested() const noexcept { return requested_; }
  /// Terms recomputed at the last measurement, which is stamped `now`.
  Observation observe(const mjData& data, double now);
  /// As of the last update; no computation beyond the wrench, fit for the real-time loop.
  Observation last_observation(const mjData& data) const noexcept;
  const crisp_control::Controller& controller() const noexcept { return *controller_; }

 private:
  struct Address {
    int q, v, actuator;
  };
  struct Pending {
    double due = 0.0;
    Command command;
  };

  void take_pending(double now) noexcept;
  void bind_joints(const mjModel& model, const std::string& prefix);
  void bind_gripper(const mjModel& model, const std::string& prefix);
  void bind_wrench(const mjModel& model, const std::string& prefix);
  void read_joints(const mjData& data) noexcept;
  void read_wrench(const mjModel& model, const mjData& data) noexcept;
  Observation describe(const mjData& data, const crisp_control::ArmTerms& terms) const noexcept;

  std::unique_ptr<crisp_control::Controller> controller_;
  crisp_control::ArmModel arm_;  // for observations off the tick; the controller has its own copy
  Senses senses_;
  std::array<Address, crisp_control::kMaxJoints> joints_{};
  int gripper_actuator_ = -1, gripper_q_ = -1;
  double gripper_range_ = 1.0;                // m, opening of one finger
  int force_ = -1, torque_ = -1, site_ = -1;  // addresses of the sensor's data, its site
  double force_peak_ = 0.0;
  crisp_control::ArmState sensed_, state_;      // the newest measurement; that of the last update
  Command requested_, command_;                 // asked for last; what acts
  std::array<Pending, kMaxPending> pending_{};  // a ring
  int first_pending_ = 0, pending_count_ = 0;
};

}  // namespace steadyhand
