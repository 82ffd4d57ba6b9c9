// What tests of controllers share: parameters whose safety stays out of the way, and ways to run and to trouble them.
#pragma once

#include <limits>
#include <memory>
#include <string>

#include "arms.hpp"
#include "crisp_control/cartesian_admittance.hpp"
#include "crisp_control/gravity_compensation.hpp"
#include "crisp_control/joint_impedance.hpp"
#include "crisp_control/torque_feedback.hpp"

namespace crisp_control::test {

inline constexpr double kDt = 1e-3;
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A tank that pays for everything.
inline constexpr TankParams kUnlimitedTank{1e9, 0.0, 2e9, 0.0};

/// Parameters for an arm without friction whose limits never act: the torque is that of the law alone.
template <typename Params>
Params unlimited(const ArmModel& model) {
  Params params(model);
  params.friction.setZero();
  params.viscous_friction.setZero();
  params.torque_limit.setConstant(1e6);
  params.torque_rate_limit.setConstant(1e9);
  params.reflex.force = params.reflex.torque = kInfinity;
  params.barrier.rate = 1e3;
  params.tank = kUnlimitedTank;
  return params;
}

/// A message that nobody has sent before.
template <typename Reference>
void renew(Reference& reference, double stamp) {
  reference.decision = {stamp, reference.decision.sequence + 1};
}

inline void ask(References& references, const Pose& pose, double stamp) {
  references.pose.T_base_ee = pose;
  renew(references.pose, stamp);
}
inline void ask(References& references, const Vector6& stiffness, double stamp) {
  references.stiffness.stiffness = stiffness;
  renew(references.stiffness, stamp);
}

/// [p_to - p_from; log(R_to R_from^T)], base axes.
inline Vector6 pose_error(const Pose& from, const Pose& to) {
  Vector6 error;
  error << to.position - from.position, log3(to.orientation * from.orientation.conjugate());
  return error;
}

/// Wrench at the tool that explains joint torques, base axes, N and Nm.
inline Vector6 tool_wrench(Plant& plant, const JointVector& tau) {
  const Jacobian& J = plant.terms().J_base_ee;
  const Matrix6 gram = J * J.transpose();
  return gram.ldlt().solve(J * tau);
}

/// Controls the plant for `seconds`; `ask(references)` may decide anew before every tick.
template <typename Ask>
void run(Controller& controller, Plant& plant, double seconds, References& references, Ask&& ask) {
  for (int i = 0; i < static_cast<int>(std::lround(seconds / kDt)); ++i) {
    ask(references);
    plant.step(controller.update(plant.state, references, kDt), kDt);
  }
}
inline void run(Controller& controller, Plant& plant, double seconds) {
  References nothing;
  run(controller, plant, seconds, nothing, [](References&) {});
}

struct Named {
  std::string name;
  std::unique_ptr<Controller> controller;
};

/// One of every kind, with `change` applied to the parameters they share.
template <typename Change>
std::vector<Named> every_controller(const ArmModel& model, Change&& change) {
  std::vector<Named> all;
  const auto add = [&]<typename C, typename P>(const std::string& name, P params) {
    change(params);
    all.push_back({name, std::make_unique<C>(model, params)});
  };
  add.template operator()<CartesianImpedance>("cartesian_impedance", CartesianImpedanceParams(model));
  CartesianImpedanceParams operational(model);
  operational.operational_space = operational.tool_axes = true;
  operational.nullspace = Nullspace::kDynamic;
  add.template operator()<CartesianImpedance>("operational_space", operational);
  add.template operator()<CartesianAdmittance>("cartesian_admittance", CartesianAdmittanceParams(model));
  add.template operator()<JointImpedance>("joint_impedance", JointImpedanceParams(model));
  GravityCompensationParams guided(model);
  guided.guide = Guide::kPlane;
  guided.hold_orientation = true;
  add.template operator()<GravityCompensation>("gravity_compensation", guided);
  add.template operator()<TorqueFeedback>("torque_feedback", TorqueFeedbackParams(model));
  return all;
}
inline std::vector<Named> every_controller(const ArmModel& model) {
  return every_controller(model, [](ControllerParams&) {});
}

/// Numbers that break things, and ordinary ones.
class Adversary {
 public:
  explicit Adversary(unsigned seed) : rng_(seed) {}

  double number(double ordinary) {
    constexpr double kBad[] = {kNan, kInfinity, -kInfinity, 1e308, -1e200, 1e-308, 0.0};
    return chance(0.02) ? kBad[rng_() % std::size(kBad)] : ordinary * unit();
  }
  PoseReference pose(const Pose& around, double now);
  /// Every kind of message, each now and then.
  const References& references(const Pose& around, const JointVector& q, double now);
  ArmState state(const JointVector& q, double time);
  double dt() { return chance(0.02) ? number(10.0) : kDt; }
  bool chance(double p) { return std::uniform_real_distribution<double>()(rng_) < p; }

 private:
  double unit() { return std::uniform_real_distribution<double>(-1.0, 1.0)(rng_); }
  double stamp(double now) { return now + (chance(0.2) ? number(5.0) : 0.0); }
  Pose near(const Pose& pose);
  JointVector joints(const JointVector& q);

  std::mt19937 rng_;
  References references_;
  std::uint64_t sequence_ = 0;
};

}  // namespace crisp_control::test
