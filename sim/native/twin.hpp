// The twin: MuJoCo physics and the controller core in one loop.
#pragma once

#include <mujoco/mujoco.h>

#include <array>
#include <memory>
#include <string>

#include "crisp_control/controller.hpp"

namespace steadyhand {

/// What whoever moves the arm requests: references for the controller and a gripper opening.
struct Command {
  crisp_control::References references;
  double gripper = 1.0;  ///< 0 closed .. 1 open
};

/// All that a robot tells about itself at one instant. Trivially copyable: it crosses threads.
struct Observation {
  double time = 0.0;  ///< s
  crisp_control::JointVector q, dq, tau, tau_external;
  crisp_control::Pose T_base_ee;
  crisp_control::Vector6 twist = crisp_control::Vector6::Zero();   ///< of the tool, base axes, m/s rad/s
  crisp_control::Vector6 wrench = crisp_control::Vector6::Zero();  ///< acting on the tool, base axes, N Nm
  double gripper = 0.0;                                            ///< measured opening, 0 closed .. 1 open
  crisp_control::Pose T_base_reference;                            ///< what the controller steers to now
  crisp_control::ControllerStatus status;
};

/// Poses of the mocap bodies, (nmocap x 7): position, quaternion w x y z.
Eigen::VectorXd mocap_state(const mjData& data, const mjModel& model);

/// One arm, its controller and its scene. Every tick: read the state, one controller update, one mj_step.
///
/// The model needs one motor per arm joint, named like the joint, and may have a position actuator "gripper" whose
/// control is the opening of one finger in metres. Deterministic: same model, seed state and commands give
/// bit-identical states on one machine.
class Twin {
 public:
  /// Copies both. Throws std::invalid_argument if an arm joint or its motor is missing.
  Twin(const mjModel* model, const crisp_control::Controller& controller);

  /// Starts in `qpos` (nq) at rest, objects that the task places (mocap bodies) at `mocap` (nmocap x 7: position,
  /// quaternion w x y z); the controller holds the pose, the gripper opens as commanded.
  void reset(const double* qpos, const double* mocap, double gripper);
  /// Throws std::invalid_argument unless the sizes fit this scene.
  void check_state(const Eigen::VectorXd& qpos, const Eigen::VectorXd& mocap) const;
  void set_command(const Command& command) noexcept { command_ = command; }
  const Command& command() const noexcept { return command_; }
  /// One tick with the state stamped `now` (seconds on the clock of the references).
  void tick(double now) noexcept;
  /// `ticks` ticks on the twin's own clock.
  void step(int ticks) noexcept {
    for (int i = 0; i < ticks; ++i) tick(data_->time);
  }

  /// Terms recomputed at the present state.
  Observation observe();
  /// As of the last tick's measurement; no computation beyond the wrench, fit for the real-time loop.
  Observation last_observation() const noexcept;

  const mjModel& model() const noexcept { return *model_; }
  mjData& data() noexcept { return *data_; }
  const mjData& data() const noexcept { return *data_; }
  const crisp_control::Controller& controller() const noexcept { return *controller_; }

 private:
  struct Deleter {
    void operator()(mjModel* model) const { mj_deleteModel(model); }
    void operator()(mjData* data) const { mj_deleteData(data); }
  };
  struct Address {
    int q, v, actuator;
  };

  void bind_joints();
  void read_state(double now) noexcept;
  Observation describe(const crisp_control::ArmTerms& terms) const noexcept;

  std::unique_ptr<mjModel, Deleter> model_;
  std::unique_ptr<mjData, Deleter> data_;
  std::unique_ptr<crisp_control::Controller> controller_;
  crisp_control::ArmModel arm_;  // for observations off the tick; the controller has its own copy
  std::array<Address, crisp_control::kMaxJoints> joints_{};
  int gripper_actuator_ = -1, gripper_q_ = -1;
  double gripper_range_ = 1.0;  // m, opening of one finger
  crisp_control::ArmState state_;
  Command command_;
};

}  // namespace steadyhand
