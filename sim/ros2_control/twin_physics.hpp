// A MuJoCo scene whose joints are read and driven by name: the physics of the ros2_control component, without ROS.
#pragma once

#include <mujoco/mujoco.h>

#include <memory>
#include <string>
#include <vector>

namespace steadyhand {

/// What a joint is asked for.
enum class Drive { kNone, kEffort, kPosition };

struct JointState {
  double position = 0.0, velocity = 0.0, effort = 0.0;  ///< rad, rad/s, Nm; m, m/s, N for a sliding joint
};

class TwinPhysics {
 public:
  /// file: a scene as .mjb or .xml. Throws std::runtime_error with MuJoCo's words.
  explicit TwinPhysics(const std::string& file);

  /// Adds a joint and returns its number. Throws std::runtime_error if the scene has no such joint, or no actuator of
  /// that kind for it.
  int add_joint(const std::string& name, Drive drive, double initial_position);
  /// Everything as it was at the start: joints at their initial positions, objects where the scene has them, time 0.
  void reset() noexcept;
  /// The actuator's input from now on: Nm, or m. What is not finite changes nothing.
  void command(int joint, double value) noexcept;
  /// Lets time pass, in whole time steps, at most kMaxSteps; what is left over counts next time. False once the
  /// simulation has diverged.
  bool advance(double seconds) noexcept;
  /// Brakes: whatever moved stands still.
  void stop() noexcept;
  JointState state(int joint) const noexcept;
  double timestep() const noexcept { return model_->opt.timestep; }
  double time() const noexcept { return data_->time; }

  static constexpr int kMaxSteps = 20;  ///< after a longer pause of the loop the twin is late rather than the loop

 private:
  struct Joint {
    int qpos, dof, actuator;
    double initial;
  };
  struct Free {
    void operator()(mjModel* model) const { mj_deleteModel(model); }
    void operator()(mjData* data) const { mj_deleteData(data); }
  };

  std::unique_ptr<mjModel, Free> model_;
  std::unique_ptr<mjData, Free> data_;
  std::vector<Joint> joints_;
  double owed_ = 0.0;  ///< s that have passed and not been simulated yet
};

}  // namespace steadyhand
