// The twin: MuJoCo physics and the controller core in one loop.
#pragma once

#include <mujoco/mujoco.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "arm.hpp"

namespace steadyhand {

inline constexpr int kMaxArms = 2;

/// Poses of the mocap bodies, (nmocap x 7): position, quaternion w x y z.
Eigen::VectorXd mocap_state(const mjData& data, const mjModel& model);

/// One or two arms with their controllers, and their scene. Every tick: each controller's update, one mj_step, measure.
///
/// Deterministic: same model, start, seed and commands give bit-identical states on one machine.
class Twin {
 public:
  /// Copies all. Throws std::invalid_argument if an arm's joint or its motor is missing.
  Twin(const mjModel* model, const std::vector<ArmSetup>& arms);

  /// Starts in `qpos` (nq) at rest, objects that the task places (mocap bodies) at `mocap` (nmocap x 7: position,
  /// quaternion w x y z); the controllers hold their pose, the grippers open as commanded. The seed is the sensors'.
  void reset(const double* qpos, const double* mocap, double gripper, std::uint64_t seed = 0);
  /// Throws std::invalid_argument unless the sizes fit this scene.
  void check_state(const Eigen::VectorXd& qpos, const Eigen::VectorXd& mocap) const;
  /// One tick with the state stamped `now` (seconds on the clock of the references).
  void tick(double now) noexcept;
  /// `ticks` ticks on the twin's own clock.
  void step(int ticks) noexcept {
    for (int i = 0; i < ticks; ++i) tick(data_->time);
  }

  int size() const noexcept { return static_cast<int>(arms_.size()); }
  Arm& arm(int index) noexcept { return arms_[index]; }
  const Arm& arm(int index) const noexcept { return arms_[index]; }
  /// Terms recomputed at the present state.
  Observation observe(int arm) { return arms_[arm].observe(*data_, data_->time); }

  const mjModel& model() const noexcept { return *model_; }
  mjData& data() noexcept { return *data_; }
  const mjData& data() const noexcept { return *data_; }

 private:
  struct Deleter {
    void operator()(mjModel* model) const { mj_deleteModel(model); }
    void operator()(mjData* data) const { mj_deleteData(data); }
  };

  std::unique_ptr<mjModel, Deleter> model_;
  std::unique_ptr<mjData, Deleter> data_;
  std::vector<Arm> arms_;
};

}  // namespace steadyhand
