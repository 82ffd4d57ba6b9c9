#include "twin_physics.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace steadyhand {

namespace {

mjModel* load(const std::string& file) {
  char error[500] = "no such file, or written by another version of MuJoCo";
  mjModel* model = file.ends_with(".mjb") ? mj_loadModel(file.c_str(), nullptr)
                                          : mj_loadXML(file.c_str(), nullptr, error, sizeof(error));
  if (!model) throw std::runtime_error("cannot load the scene '" + file + "': " + error);
  return model;
}

/// The actuator of a joint that takes this kind of command, -1 if there is none.
int find_actuator(const mjModel& model, int joint, Drive drive) {
  const int bias = drive == Drive::kEffort ? mjBIAS_NONE : mjBIAS_AFFINE;
  for (int i = 0; i < model.nu; ++i) {
    if (model.actuator_trntype[i] == mjTRN_JOINT && model.actuator_trnid[2 * i] == joint &&
        model.actuator_biastype[i] == bias) {
      return i;
    }
  }
  return -1;
}

}  // namespace

TwinPhysics::TwinPhysics(const std::string& file) : model_(load(file)), data_(mj_makeData(model_.get())) {}

int TwinPhysics::add_joint(const std::string& name, Drive drive, double initial_position) {
  const int id = mj_name2id(model_.get(), mjOBJ_JOINT, name.c_str());
  if (id < 0 || (model_->jnt_type[id] != mjJNT_HINGE && model_->jnt_type[id] != mjJNT_SLIDE)) {
    throw std::runtime_error("the scene has no joint '" + name + "' that turns or slides");
  }
  const int actuator = drive == Drive::kNone ? -1 : find_actuator(*model_, id, drive);
  if (drive != Drive::kNone && actuator < 0) {
    throw std::runtime_error("joint '" + name + "' of the scene has no actuator that takes " +
                             (drive == Drive::kEffort ? "an effort" : "a position"));
  }
  joints_.push_back({model_->jnt_qposadr[id], model_->jnt_dofadr[id], actuator, initial_position});
  reset();
  return static_cast<int>(joints_.size()) - 1;
}

void TwinPhysics::reset() noexcept {
  mj_resetData(model_.get(), data_.get());
  owed_ = 0.0;
  for (const Joint& joint : joints_) {
    data_->qpos[joint.qpos] = joint.initial;
    const bool holds = joint.actuator >= 0 && model_->actuator_biastype[joint.actuator] != mjBIAS_NONE;
    if (holds) data_->ctrl[joint.actuator] = joint.initial;
  }
  mj_forward(model_.get(), data_.get());
}

void TwinPhysics::command(int joint, double value) noexcept {
  const int actuator = joints_[joint].actuator;
  if (actuator >= 0 && std::isfinite(value)) data_->ctrl[actuator] = value;
}

bool TwinPhysics::advance(double seconds) noexcept {
  owed_ = std::clamp(owed_ + seconds, 0.0, kMaxSteps * timestep());
  const int steps = static_cast<int>(owed_ / timestep() + 1e-6);
  owed_ -= steps * timestep();
  for (int i = 0; i < steps; ++i) mj_step(model_.get(), data_.get());
  const auto* warning = data_->warning;  // MuJoCo resets what diverges
  return warning[mjWARN_BADQPOS].number + warning[mjWARN_BADQVEL].number + warning[mjWARN_BADQACC].number == 0;
}

void TwinPhysics::stop() noexcept { std::fill_n(data_->qvel, model_->nv, 0.0); }

JointState TwinPhysics::state(int joint) const noexcept {
  const Joint& j = joints_[joint];
  return {data_->qpos[j.qpos], data_->qvel[j.dof], data_->qfrc_actuator[j.dof]};
}

}  // namespace steadyhand
