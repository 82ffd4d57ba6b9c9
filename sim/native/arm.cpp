#include "arm.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace steadyhand {

using namespace crisp_control;

Arm::Arm(const mjModel& model, const ArmSetup& setup)
    : controller_(setup.controller->clone()), arm_(controller_->model()), senses_(setup.sensors) {
  bind_joints(model, setup.prefix);
  bind_gripper(model, setup.prefix);
  bind_wrench(model, setup.prefix);
}

void Arm::bind_joints(const mjModel& model, const std::string& prefix) {
  for (int i = 0; i < arm_.n(); ++i) {
    const std::string name = prefix + arm_.joints()[i];
    const int joint = mj_name2id(&model, mjOBJ_JOINT, name.c_str());
    const int motor = mj_name2id(&model, mjOBJ_ACTUATOR, name.c_str());
    if (joint < 0) throw std::invalid_argument("the scene has no joint '" + name + "' of the arm");
    if (motor < 0) throw std::invalid_argument("the scene has no motor named '" + name + "' like the arm's joint");
    joints_[i] = {model.jnt_qposadr[joint], model.jnt_dofadr[joint], motor};
  }
}

void Arm::bind_gripper(const mjModel& model, const std::string& prefix) {
  gripper_actuator_ = mj_name2id(&model, mjOBJ_ACTUATOR, (prefix + "gripper").c_str());
  if (gripper_actuator_ < 0) return;
  if (model.actuator_trntype[gripper_actuator_] != mjTRN_JOINT) {
    throw std::invalid_argument("the actuator '" + prefix + "gripper' must drive a finger joint");
  }
  gripper_q_ = model.jnt_qposadr[model.actuator_trnid[2 * gripper_actuator_]];
  gripper_range_ = model.actuator_ctrlrange[2 * gripper_actuator_ + 1];
}

void Arm::bind_wrench(const mjModel& model, const std::string& prefix) {
  const int force = mj_name2id(&model, mjOBJ_SENSOR, (prefix + "tool_force").c_str());
  const int torque = mj_name2id(&model, mjOBJ_SENSOR, (prefix + "tool_torque").c_str());
  if (force < 0 || torque < 0) return;
  force_ = model.sensor_adr[force];
  torque_ = model.sensor_adr[torque];
  site_ = model.sensor_objid[force];
}

void Arm::reset(const mjData& data, double gripper, std::uint64_t seed) noexcept {
  sensed_ = {};  // the wrench of what ran before must not come out of the delay
  command_ = {};
  command_.gripper = gripper;
  requested_ = command_;
  force_peak_ = 0.0;
  pending_count_ = 0;
  read_joints(data);
  // A real arm is held by its firmware before the controller starts: it measures its own weight.
  sensed_.tau = arm_.update(sensed_.q, sensed_.dq).gravity;
  sensed_.time = data.time;
  state_ = sensed_;
  senses_.reset(state_, seed);
  controller_->reset(state_);
}

void Arm::read_joints(const mjData& data) noexcept {
  for (auto* vector : {&sensed_.q, &sensed_.dq, &sensed_.tau}) vector->resize(arm_.n());
  for (int i = 0; i < arm_.n(); ++i) {
    sensed_.q[i] = data.qpos[joints_[i].q];
    sensed_.dq[i] = data.qvel[joints_[i].v];
    sensed_.tau[i] = data.actuator_force[joints_[i].actuator];
  }
}

void Arm::read_wrench(const mjModel& model, const mjData& data) noexcept {
  // MuJoCo gives what holds the link: it carries the link's weight, which drivers of sensors take off, and withstands
  // the world.
  const int body = model.site_bodyid[site_];
  const Eigen::Map<const Eigen::Matrix<double, 3, 3, Eigen::RowMajor>> R_world_tool(data.site_xmat + 9 * site_);
  const Eigen::Map<const Vector3> tool(data.site_xpos + 3 * site_), centre(data.subtree_com + 3 * body);
  const Eigen::Map<const Vector3> force(data.sensordata + force_), torque(data.sensordata + torque_);
  const Vector3 weight = model.body_subtreemass[body] * Eigen::Map<const Vector3>(model.opt.gravity);
  sensed_.wrench.head<3>() = -force - R_world_tool.transpose() * weight;
  sensed_.wrench.tail<3>() = -torque - R_world_tool.transpose() * (centre - tool).cross(weight);
  sensed_.has_wrench = true;
}

void Arm::sense(const mjModel& model, const mjData& data) noexcept {
  read_joints(data);
  if (site_ >= 0) read_wrench(model, data);
  senses_.measure(sensed_);
}

void Arm::set_command(const Command& command, double due) noexcept {
  requested_ = command;
  if (due <= 0.0) {
    command_ = command;
    pending_count_ = 0;
    return;
  }
  if (pending_count_ == kMaxPending) take_pending(pending_[first_pending_].due);  // no room: the oldest acts early
  pending_[(first_pending_ + pending_count_++) % kMaxPending] = {due, command};
}

void Arm::take_pending(double now) noexcept {
  while (pending_count_ > 0 && pending_[first_pending_].due <= now + 1e-9) {
    command_ = pending_[first_pending_].command;
    first_pending_ = (first_pending_ + 1) % kMaxPending;
    --pending_count_;
  }
}

void Arm::control(mjData& data, double now, double dt) noexcept {
  take_pending(data.time);
  state_ = sensed_;
  state_.time = now;
  const JointVector& tau = senses_.act(controller_->update(state_, command_.references, dt));
  force_peak_ = std::max(force_peak_, controller_->wrench().head<3>().norm());
  for (int i = 0; i < arm_.n(); ++i) data.ctrl[joints_[i].actuator] = tau[i];
  if (gripper_actuator_ >= 0 && std::isfinite(command_.gripper)) {  // otherwise the last opening stays
    data.ctrl[gripper_actuator_] = std::clamp(command_.gripper, 0.0, 1.0) * gripper_range_;
  }
}

Observation Arm::describe(const mjData& data, const ArmTerms& terms) const noexcept {
  Observation out;
  out.time = state_.time;
  out.q = state_.q;
  out.dq = state_.dq;
  out.tau = state_.tau;
  out.tau_external = controller_->tau_external();
  out.T_base_ee = terms.T_base_ee;
  out.twist = terms.J_base_ee * state_.dq;
  out.wrench = controller_->wrench();
  out.force_peak = force_peak_;
  out.gripper = gripper_q_ < 0 ? 0.0 : std::clamp(data.qpos[gripper_q_] / gripper_range_, 0.0, 1.0);
  out.T_base_reference = controller_->tracked();
  out.status = controller_->status();
  return out;
}

Observation Arm::observe(const mjData& data, double now) {
  state_ = sensed_;
  state_.time = now;
  return describe(data, arm_.update(state_.q, state_.dq));
}

Observation Arm::last_observation(const mjData& data) const noexcept { return describe(data, controller_->terms()); }

}  // namespace steadyhand
