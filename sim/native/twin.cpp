#include "twin.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace steadyhand {

Eigen::VectorXd mocap_state(const mjData& data, const mjModel& model) {
  Eigen::VectorXd state(7 * model.nmocap);
  for (int i = 0; i < model.nmocap; ++i) {
    std::copy_n(data.mocap_pos + 3 * i, 3, state.data() + 7 * i);
    std::copy_n(data.mocap_quat + 4 * i, 4, state.data() + 7 * i + 3);
  }
  return state;
}

Twin::Twin(const mjModel* model, const std::vector<ArmSetup>& arms)
    : model_(mj_copyModel(nullptr, model)), data_(mj_makeData(model)) {
  if (!model_ || !data_) throw std::invalid_argument("MuJoCo cannot copy this model");
  if (arms.empty() || arms.size() > kMaxArms) {
    throw std::invalid_argument("a twin has 1 to " + std::to_string(kMaxArms) + " arms, given were " +
                                std::to_string(arms.size()));
  }
  for (const ArmSetup& setup : arms) arms_.emplace_back(*model_, setup);
  const Eigen::VectorXd placed = mocap_state(*data_, *model_);
  reset(model_->qpos0, placed.data(), 1.0);
}

void Twin::reset(const double* qpos, const double* mocap, double gripper, std::uint64_t seed) {
  mj_resetData(model_.get(), data_.get());
  std::copy_n(qpos, model_->nq, data_->qpos);
  for (int i = 0; i < model_->nmocap; ++i) {
    std::copy_n(mocap + 7 * i, 3, data_->mocap_pos + 3 * i);
    std::copy_n(mocap + 7 * i + 3, 4, data_->mocap_quat + 4 * i);
  }
  for (int i = 0; i < size(); ++i) arms_[i].reset(*data_, gripper, kMaxArms * seed + i);
  mj_forward(model_.get(), data_.get());
  for (Arm& arm : arms_) arm.sense(*model_, *data_);
}

void Twin::check_state(const Eigen::VectorXd& qpos, const Eigen::VectorXd& mocap) const {
  if (qpos.size() != model_->nq || mocap.size() != 7 * model_->nmocap) {
    throw std::invalid_argument("this scene needs " + std::to_string(model_->nq) + " positions and " +
                                std::to_string(7 * model_->nmocap) + " mocap values, given were " +
                                std::to_string(qpos.size()) + " and " + std::to_string(mocap.size()));
  }
}

void Twin::tick(double now) noexcept {
  for (Arm& arm : arms_) arm.control(*data_, now, model_->opt.timestep);
  mj_step(model_.get(), data_.get());
  for (Arm& arm : arms_) arm.sense(*model_, *data_);
}

}  // namespace steadyhand
