#include "twin.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace steadyhand {

using namespace crisp_control;

Eigen::VectorXd mocap_state(const mjData& data, const mjModel& model) {
  Eigen::VectorXd state(7 * model.nmocap);
  for (int i = 0; i < model.nmocap; ++i) {
    std::copy_n(data.mocap_pos + 3 * i, 3, state.data() + 7 * i);
    std::copy_n(data.mocap_quat + 4 * i, 4, state.data() + 7 * i + 3);
  }
  return state;
}

Twin::Twin(const mjModel* model, const Controller& controller)
    : model_(mj_copyModel(nullptr, model)),
      data_(mj_makeData(model)),
      controller_(controller.clone()),
      arm_(controller.model()) {
  if (!model_ || !data_) throw std::invalid_argument("MuJoCo cannot copy this model");
  bind_joints();
  const Eigen::VectorXd placed = mocap_state(*data_, *model_);
  reset(model_->qpos0, placed.data(), 1.0);
}

void Twin::bind_joints() {
  for (int i = 0; i < arm_.n(); ++i) {
    const std::string& name = arm_.joints()[i];
    const int joint = mj_name2id(model_.get(), mjOBJ_JOINT, name.c_str());
    const int motor = mj_name2id(model_.get(), mjOBJ_ACTUATOR, name.c_str());
    if (joint < 0) throw std::invalid_argument("the scene has no joint '" + name + "' of the arm");
    if (motor < 0) throw std::invalid_argument("the scene has no motor named '" + name + "' like the arm's joint");
    joints_[i] = {model_->jnt_qposadr[joint], model_->jnt_dofadr[joint], motor};
  }
  gripper_actuator_ = mj_name2id(model_.get(), mjOBJ_ACTUATOR, "gripper");
  if (gripper_actuator_ < 0) return;
  if (model_->actuator_trntype[gripper_actuator_] != mjTRN_JOINT) {
    throw std::invalid_argument("the actuator 'gripper' must drive a finger joint");
  }
  gripper_q_ = model_->jnt_qposadr[model_->actuator_trnid[2 * gripper_actuator_]];
  gripper_range_ = model_->actuator_ctrlrange[2 * gripper_actuator_ + 1];
}

void Twin::reset(const double* qpos, const double* mocap, double gripper) {
  mj_resetData(model_.get(), data_.get());
  std::copy_n(qpos, model_->nq, data_->qpos);
  for (int i = 0; i < model_->nmocap; ++i) {
    std::copy_n(mocap + 7 * i, 3, data_->mocap_pos + 3 * i);
    std::copy_n(mocap + 7 * i + 3, 4, data_->mocap_quat + 4 * i);
  }
  command_ = {};
  command_.gripper = gripper;
  read_state(data_->time);
  // A real arm is held by its firmware before the controller starts: it measures its own weight.
  state_.tau = arm_.update(state_.q, state_.dq).gravity;
  controller_->reset(state_);
  mj_forward(model_.get(), data_.get());
}

void Twin::check_state(const Eigen::VectorXd& qpos, const Eigen::VectorXd& mocap) const {
  if (qpos.size() != model_->nq || mocap.size() != 7 * model_->nmocap) {
    throw std::invalid_argument("this scene needs " + std::to_string(model_->nq) + " positions and " +
                                std::to_string(7 * model_->nmocap) + " mocap values, given were " +
                                std::to_string(qpos.size()) + " and " + std::to_string(mocap.size()));
  }
}

void Twin::read_state(double now) noexcept {
  for (auto* vector : {&state_.q, &state_.dq, &state_.tau}) vector->resize(arm_.n());
  for (int i = 0; i < arm_.n(); ++i) {
    state_.q[i] = data_->qpos[joints_[i].q];
    state_.dq[i] = data_->qvel[joints_[i].v];
    state_.tau[i] = data_->actuator_force[joints_[i].actuator];
  }
  state_.time = now;
}

void Twin::tick(double now) noexcept {
  const double dt = model_->opt.timestep;
  read_state(now);
  const JointVector& tau = controller_->update(state_, command_.references, dt);
  for (int i = 0; i < arm_.n(); ++i) data_->ctrl[joints_[i].actuator] = tau[i];
  if (gripper_actuator_ >= 0 && std::isfinite(command_.gripper)) {  // otherwise the last opening stays
    data_->ctrl[gripper_actuator_] = std::clamp(command_.gripper, 0.0, 1.0) * gripper_range_;
  }
  mj_step(model_.get(), data_.get());
}

Observation Twin::describe(const ArmTerms& terms) const noexcept {
  Observation out;
  out.time = state_.time;
  out.q = state_.q;
  out.dq = state_.dq;
  out.tau = state_.tau;
  out.tau_external = controller_->tau_external();
  out.T_base_ee = terms.T_base_ee;
  out.twist = terms.J_base_ee * state_.dq;
  out.wrench = controller_->wrench();
  out.gripper = gripper_q_ < 0 ? 0.0 : std::clamp(data_->qpos[gripper_q_] / gripper_range_, 0.0, 1.0);
  out.T_base_reference = controller_->tracked();
  out.status = controller_->status();
  return out;
}

Observation Twin::observe() {
  read_state(data_->time);
  return describe(arm_.update(state_.q, state_.dq));
}

Observation Twin::last_observation() const noexcept { return describe(controller_->terms()); }

}  // namespace steadyhand
