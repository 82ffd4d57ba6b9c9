// The chain every controller shares: estimate, believe or refuse, law, compensation, safety.
#pragma once

#include <Eigen/Cholesky>
#include <memory>

#include "crisp_control/arm_model.hpp"
#include "crisp_control/barrier.hpp"
#include "crisp_control/contact_reflex.hpp"
#include "crisp_control/energy_tank.hpp"
#include "crisp_control/momentum_observer.hpp"
#include "crisp_control/reference.hpp"
#include "crisp_control/torque_limiter.hpp"

namespace crisp_control {

/// Parameters that every controller has.
struct ControllerParams {
  explicit ControllerParams(const ArmModel& model);

  bool gravity_compensation = true;  ///< false where the robot's firmware adds gravity itself
  bool coriolis_compensation = true;
  JointVector friction;                   ///< Nm, Coulomb friction per joint; of the URDF by default
  JointVector viscous_friction;           ///< Nm s/rad; of the URDF by default
  double friction_velocity = 0.02;        ///< rad/s at which Coulomb friction has reached 71 %
  double friction_compensation = 0.0;     ///< part of the Coulomb friction that is compensated, 0 .. 1
  double damping_only = 2.0;              ///< Nm s/rad per joint, in the mode `damp`
  double smoothing_time = 0.1;            ///< s, delay of the interpolation between references
  double observer_time_constant = 0.02;   ///< s, of the external torque's estimate
  double payload_mass = 0.0;              ///< kg, rigidly held by the tool
  Vector3 payload_com = Vector3::Zero();  ///< m, its centre of mass in the tool frame
  GateParams gate;
  BarrierParams barrier;
  TankParams tank;
  ReflexParams reflex;
  JointVector torque_limit;       ///< Nm; the URDF's effort limits by default
  JointVector torque_rate_limit;  ///< Nm/s

  /// Throws std::invalid_argument with one line that names the parameter, its value and what is allowed.
  void validate(const ArmModel& model) const;
};

/// What the controller did on the last tick. Counters run from reset.
struct ControllerStatus {
  ReferenceMode mode = ReferenceMode::kHold;
  double reference_age = std::numeric_limits<double>::infinity();  ///< s; inf: nothing to follow yet
  double tank_energy = 0.0;                                        ///< J
  std::uint64_t ticks = 0;
  std::uint64_t error_clipped = 0;  ///< ticks on which the force cap was active
  std::uint64_t tank_limited = 0;   ///< ticks on which the energy tank held something back
  std::uint64_t reflex_trips = 0;   ///< contacts that were too hard
  std::uint64_t bad_state = 0;      ///< ticks with a state that was not finite, or of no sane length: torque was kept
  std::uint64_t bad_wrench = 0;     ///< ticks on which the force/torque sensor gave no numbers: the joints told
  GateCounters reference;
  BarrierCounters barrier;
  TorqueLimiterCounters torque;
};

/// tau = law + friction + C dq + g, then Barrier, then TorqueLimiter.
///
/// Subclasses give the law and take the references they understand. While a reference is stale the arm holds where it
/// is, then damps (GateParams); after a contact that was too hard it freezes and softens (ContactReflex). All torques
/// inside are those of the joints; where firmware adds gravity, it is subtracted at the very end.
class Controller {
 public:
  virtual ~Controller() = default;
  virtual std::unique_ptr<Controller> clone() const = 0;
  virtual const ControllerParams& params() const noexcept = 0;

  /// Starts from rest at the measured state: holds pose and posture, torque ramps from the measured torque.
  void reset(const ArmState& state) noexcept;
  /// One tick. Returns the joint torques to command (Nm), within limits whatever the inputs are.
  const JointVector& update(const ArmState& state, const References& references, double dt) noexcept;

  const ControllerStatus& status() const noexcept { return status_; }
  const ArmTerms& terms() const noexcept { return model_.terms(); }
  const ArmModel& model() const noexcept { return model_; }
  /// External joint torque as the momentum observer sees it, Nm.
  const JointVector& tau_external() const noexcept { return observer_.tau_external(); }
  /// Wrench that the world exerts on the tool, base axes, N and Nm: of the sensor where there is one.
  const Vector6& wrench() const noexcept { return wrench_; }
  /// The tool pose that the controller steers to now.
  virtual const Pose& tracked() const noexcept { return terms().T_base_ee; }

 protected:
  explicit Controller(const ArmModel& model) : model_(model) {}
  Controller(const Controller&) = default;
  /// To be called by a subclass whenever its parameters are new, also within the loop.
  void adopt(const ControllerParams& params) noexcept;

  /// Activation: everything a posture task pulls to is here.
  virtual void start(const ArmState& state) noexcept = 0;
  /// Attractors come to rest at the present state, without a memory of earlier motion.
  virtual void hold(const ArmState& state) noexcept = 0;
  /// Interpolation comes to rest close to where it is.
  virtual void stop_here() noexcept = 0;
  /// Judges new references and takes those that are accepted as targets.
  virtual void take(const ArmState& state, const References& references) noexcept = 0;
  /// One tick of the law: interpolates and gives its torques, Nm.
  virtual JointVector law(const ArmState& state, double dt) noexcept = 0;
  /// Whether references are needed to move on: a hand-guided arm needs none and knows no reflex.
  virtual bool follows_references() const noexcept { return true; }

  /// 1, or less while the contact reflex lasts.
  double softness() const noexcept { return reflex_.active() ? params().reflex.softening : 1.0; }
  /// Work that last tick's torques, less those of `other`, did on the arm until now, J.
  double work_of_law(const ArmState& state) const noexcept;
  /// Torque without the part that moves the tool: tau - J^T (J J^T)^-1 J tau, damped near singularities.
  JointVector kinematic_nullspace(const JointVector& tau) const noexcept;

  ArmModel model_;
  ControllerStatus status_;
  ReferenceGate gate_;
  EnergyTank tank_;
  Eigen::LLT<JointMatrix> mass_factor_;  ///< of M, at this tick
  JointVector tau_aside_;                ///< part of the law's torque whose work is not the spring's, Nm

 private:
  void begin(const ArmState& state) noexcept;
  void prepare(const ArmState& state) noexcept;
  void estimate_wrench(const ArmState& state) noexcept;
  void choose_mode(const ArmState& state, const References& references) noexcept;
  void protect(const ArmState& state, JointVector tau, double dt) noexcept;

  MomentumObserver observer_;
  ContactReflex reflex_;
  Barrier barrier_;
  TorqueLimiter limiter_;
  Eigen::LLT<Matrix6> gram_factor_;   // of J J^T + eps
  JointVector tau_, output_;          // total of the joints; what is commanded
  JointVector tau_other_, q_before_;  // last tick: torque that was not the law's, and where the joints were
  JointVector friction_shape_;        // dq / sqrt(dq^2 + v^2)
  Vector6 wrench_ = Vector6::Zero();
  double output_gravity_ = 1.0;
  bool started_ = false;
};

}  // namespace crisp_control
