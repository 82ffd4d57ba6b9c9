// What holds whatever comes in: finite torques within limits, no exception, the same bits every time, a clean start.
#include <gtest/gtest.h>

#include <cstring>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

template <typename T>
const T& any() noexcept;
static_assert(noexcept(std::declval<Controller&>().update(any<ArmState>(), any<References>(), kDt)));
static_assert(noexcept(std::declval<Controller&>().reset(any<ArmState>())));
static_assert(noexcept(std::declval<CartesianImpedance&>().set_params(any<CartesianImpedanceParams>())));
static_assert(noexcept(std::declval<CartesianAdmittance&>().set_params(any<CartesianAdmittanceParams>())));
static_assert(noexcept(std::declval<JointImpedance&>().set_params(any<JointImpedanceParams>())));
static_assert(noexcept(std::declval<GravityCompensation&>().set_params(any<GravityCompensationParams>())));
static_assert(noexcept(std::declval<TorqueFeedback&>().set_params(any<TorqueFeedbackParams>())));
static_assert(noexcept(std::declval<ArmModel&>().update(any<JointVector>(), any<JointVector>())));

const JointVector kZero = JointVector::Zero(7);

class SafetyTest : public testing::Test {
 protected:
  SafetyTest() : model(fr3()), rest(model.update(fr3_home(), kZero)) {}
  ArmState resting(double time = 0.0) const { return {fr3_home(), kZero, rest.gravity, time}; }
  void trouble(Controller& controller, unsigned seed, int ticks) {
    Adversary adversary(seed);
    for (int i = 0; i < ticks; ++i) {
      const ArmState state = adversary.state(fr3_home(), i * kDt);
      const References& references = adversary.references(rest.T_base_ee, fr3_home(), i * kDt);
      controller.update(state, references, adversary.dt());
    }
  }

  ArmModel model;
  const ArmTerms rest;
};

TEST_F(SafetyTest, BadReferencesAndStatesNeverGetABadTorqueOut) {
  for (const auto& [name, controller] : every_controller(model)) {
    SCOPED_TRACE(name);
    const ControllerParams& params = controller->params();
    Adversary adversary(15);
    JointVector last = kZero;
    for (int i = 0; i < 8'000; ++i) {
      const double now = i * kDt, dt = adversary.dt();
      const ArmState state = adversary.state(fr3_home(), now);
      const JointVector tau = controller->update(state, adversary.references(rest.T_base_ee, fr3_home(), now), dt);
      ASSERT_TRUE(tau.allFinite()) << tau.transpose();
      ASSERT_TRUE((tau.cwiseAbs().array() <= params.torque_limit.array()).all()) << tau.transpose();
      if (dt > 0.0) {
        ASSERT_LE((tau - last).cwiseAbs().maxCoeff(), 1000.0 * dt + 1e-9);
      }
      ASSERT_LE(controller->status().tank_energy, params.tank.maximum);
      last = tau;
      if (!adversary.chance(0.001)) continue;
      const ArmState begin = adversary.state(fr3_home(), now);
      controller->reset(begin);
      last = begin.tau.unaryExpr([](double t) { return std::isfinite(t) ? t : 0.0; });
      last = last.cwiseMax(-params.torque_limit).cwiseMin(params.torque_limit);
    }
  }
}

TEST_F(SafetyTest, RecoversOnceInputsAreGoodAgain) {
  for (const auto& [name, controller] : every_controller(model)) {
    SCOPED_TRACE(name);
    controller->reset(resting());
    trouble(*controller, 16, 3000);
    JointVector tau;
    References references;
    references.pose.decision.sequence = references.joint.decision.sequence = 1'000'000;
    references.joint.q = fr3_home();
    references.joint.tau = kZero;
    for (int i = 0; i < 10'000; ++i) {  // the gate may have to wait out a stamp from the tolerated future
      ArmState state = resting(10.0 + i * kDt);
      state.has_wrench = true;  // of nothing: the joints of an arm that is held still in its spring would feel it
      ask(references, rest.T_base_ee, state.time);
      renew(references.joint, state.time);
      tau = controller->update(state, references, kDt);
    }
    EXPECT_EQ(controller->status().mode, ReferenceMode::kTrack);
    EXPECT_LT((controller->tracked().position - rest.T_base_ee.position).norm(), 1e-6);
    EXPECT_LT(controller->tau_external().cwiseAbs().maxCoeff(), 1.0);
    EXPECT_LT((tau - rest.gravity).cwiseAbs().maxCoeff(), 10.0) << "Nm; the posture may be another one";
  }
}

TEST_F(SafetyTest, AStateThatIsNotFiniteKeepsTheLastTorque) {
  for (const auto& [name, controller] : every_controller(model)) {
    SCOPED_TRACE(name);
    ArmState state = resting();
    controller->reset(state);
    const JointVector good = controller->update(state, {}, kDt);
    for (auto* vector : {&state.q, &state.dq}) {
      const double kept = (*vector)[4];
      (*vector)[4] = kNan;
      EXPECT_EQ(controller->update(state, {}, kDt), good);
      (*vector)[4] = kept;
    }
    EXPECT_EQ(controller->update(state, {}, 0.0), good);
    EXPECT_EQ(controller->update(state, {}, kInfinity), good);
    EXPECT_EQ(controller->status().bad_state, 4u);
    EXPECT_TRUE(controller->update(state, {}, kDt).isApprox(good, 1e-9)) << "nothing of it remained";
  }
}

TEST_F(SafetyTest, ASensorThatGivesNoNumberForATickIsForgotten) {
  for (const auto& [name, controller] : every_controller(model)) {
    SCOPED_TRACE(name);
    ArmState state = resting();
    state.has_wrench = true;
    controller->reset(state);
    const JointVector good = controller->update(state, {}, kDt);
    state.wrench[2] = kNan;
    EXPECT_TRUE(controller->update(state, {}, kDt).isApprox(good, 1e-6));
    state.wrench.setZero();
    for (int i = 0; i < 100; ++i) controller->update(state, {}, kDt);
    EXPECT_TRUE(controller->tracked().position.allFinite());
    EXPECT_TRUE(controller->wrench().allFinite());
    EXPECT_TRUE(controller->update(state, {}, kDt).isApprox(good, 1e-6));
    EXPECT_EQ(controller->status().torque.not_finite, 0u);
  }
}

TEST_F(SafetyTest, AnAbsurdVelocityForATickIsForgotten) {
  for (const auto& [name, controller] : every_controller(model)) {
    SCOPED_TRACE(name);
    ArmState state = resting();
    controller->reset(state);
    const JointVector good = controller->update(state, {}, kDt);
    state.dq[3] = -1e200;
    controller->update(state, {}, kDt);
    state.dq[3] = 0.0;
    JointVector tau;
    for (int i = 0; i < 2000; ++i) tau = controller->update(state, {}, kDt);
    EXPECT_LT((tau - good).cwiseAbs().maxCoeff(), 1e-6);
    EXPECT_LT(controller->tau_external().cwiseAbs().maxCoeff(), 1e-6);
  }
}

TEST_F(SafetyTest, ActivationWithoutNumbersHoldsTheFirstUsableState) {
  for (const auto& [name, controller] : every_controller(model)) {
    SCOPED_TRACE(name);
    const JointVector nothing = JointVector::Constant(7, kNan);
    controller->reset({nothing, nothing, nothing, kNan});
    EXPECT_EQ(controller->update({nothing, nothing, nothing, 0.0}, {}, kDt), kZero);
    JointVector tau;
    for (int i = 0; i < 100; ++i) tau = controller->update({fr3_home(), kZero, kZero, i * kDt}, {}, kDt);
    if (name == "cartesian_admittance") continue;  // gives way to whatever carries an arm without torque
    EXPECT_LT((tau - rest.gravity).norm(), 1e-9);
    EXPECT_EQ(controller->tracked().position, rest.T_base_ee.position);
  }
}

TEST_F(SafetyTest, EveryReferenceIsCountedOnce) {
  CartesianImpedance controller(model, CartesianImpedanceParams(model));
  Adversary adversary(17);
  controller.reset(resting());
  std::uint64_t offered = 0;
  for (int i = 0; i < 5000; ++i) {
    References references;
    references.pose = adversary.pose(rest.T_base_ee, i * kDt);
    offered += references.pose.decision.sequence != 0;
    controller.update(resting(i * kDt), references, kDt);
  }
  const GateCounters& c = controller.status().reference;
  EXPECT_EQ(
      c.accepted + c.not_finite + c.not_unit_quaternion + c.jump + c.from_the_future + c.older_than_last + c.expired,
      offered);
  for (const auto count :
       {c.accepted, c.not_finite, c.not_unit_quaternion, c.jump, c.from_the_future, c.older_than_last}) {
    EXPECT_GT(count, 0u);
  }
}

TEST_F(SafetyTest, TheSameTraceGivesTheSameBits) {
  auto ones = every_controller(model), others = every_controller(fr3());
  for (std::size_t k = 0; k < ones.size(); ++k) {
    SCOPED_TRACE(ones[k].name);
    Adversary adversary(19);
    for (int i = 0; i < 3000; ++i) {
      const ArmState state = adversary.state(fr3_home(), i * kDt);
      const References& references = adversary.references(rest.T_base_ee, fr3_home(), i * kDt);
      const JointVector a = ones[k].controller->update(state, references, kDt);
      const JointVector b = others[k].controller->update(state, references, kDt);
      ASSERT_EQ(std::memcmp(a.data(), b.data(), 7 * sizeof(double)), 0) << "tick " << i;
    }
  }
}

TEST_F(SafetyTest, AControllerThatWasResetCannotBeToldFromANewOne) {
  auto used = every_controller(model), fresh = every_controller(model);
  for (std::size_t k = 0; k < used.size(); ++k) {
    SCOPED_TRACE(used[k].name);
    trouble(*used[k].controller, 20, 2000);
    References away;  // and a loaded spring
    ask(away, Pose{rest.T_base_ee.position + Vector3(0.1, 0, 0), rest.T_base_ee.orientation}, 50.0);
    away.joint.q = fr3_home() + JointVector::Constant(7, 0.2);
    away.joint.decision = {50.0, 1'000'000};
    used[k].controller->reset(resting(50.0));
    for (int i = 0; i < 300; ++i) used[k].controller->update(resting(50.0 + i * kDt), away, kDt);
    Adversary mild(21);
    References references;
    ask(references, rest.T_base_ee, 100.0);
    for (int i = 0; i < 1000; ++i) {
      ArmState state = resting(100.0 + i * kDt);
      state.q += 1e-3 * i * JointVector::Constant(7, mild.chance(0.5) ? 0.01 : 0.0);
      if (i == 0) {
        used[k].controller->reset(state);
        fresh[k].controller->reset(state);
      }
      const JointVector a = used[k].controller->update(state, references, kDt);
      const JointVector b = fresh[k].controller->update(state, references, kDt);
      ASSERT_EQ(used[k].controller->status().tank_energy, fresh[k].controller->status().tank_energy) << "tick " << i;
      ASSERT_EQ(used[k].controller->wrench(), fresh[k].controller->wrench()) << "tick " << i;
      ASSERT_EQ(a, b) << "tick " << i;
    }
    EXPECT_EQ(used[k].controller->status().ticks, fresh[k].controller->status().ticks);
  }
}

TEST_F(SafetyTest, ActivationRampsFromTheMeasuredTorque) {
  for (const double scale : {0.0, 0.5, 1.0, 1.5}) {
    for (const auto& [name, controller] : every_controller(model)) {
      ArmState state = resting();
      state.tau *= scale;
      controller->reset(state);
      JointVector last = state.tau;
      for (int i = 0; i < 200; ++i) {
        const JointVector tau = controller->update(state, {}, kDt);
        EXPECT_LT((tau - last).cwiseAbs().maxCoeff(), 1.0 + 1e-9);
        last = tau;
      }
      if (name == "cartesian_admittance" && scale != 1.0) continue;  // gives way to whatever holds the arm still
      EXPECT_LT((last - rest.gravity).norm(), 1e-9) << name << ", measured torque " << scale << " times the weight";
    }
  }
}

TEST_F(SafetyTest, DoesNotSagOnActivation) {
  for (const auto& [name, controller] : every_controller(model)) {
    Plant plant(model, fr3_home());
    controller->reset(plant.state);
    run(*controller, plant, 0.5);
    EXPECT_LT((plant.tool().position - rest.T_base_ee.position).norm(), 1e-6) << name;
  }
}

TEST_F(SafetyTest, LeavesGravityToTheFirmwareIfTold) {
  auto with = every_controller(model);
  auto without = every_controller(model, [](ControllerParams& params) { params.gravity_compensation = false; });
  for (std::size_t k = 0; k < with.size(); ++k) {
    SCOPED_TRACE(with[k].name);
    ArmState state = resting();
    state.tau += JointVector::LinSpaced(7, -2.0, 2.0);
    state.dq = JointVector::LinSpaced(7, -0.1, 0.1);
    with[k].controller->reset(state);
    without[k].controller->reset(state);
    ArmState unusable = state;
    unusable.q[0] = kNan;
    const JointVector first = without[k].controller->update(unusable, {}, kDt);
    EXPECT_LT((first - (state.tau - rest.gravity)).norm(), 1e-9) << "what is measured less what the firmware adds";
    for (int i = 0; i < 100; ++i) {
      state.time = i * kDt;
      state.q += kDt * state.dq;
      const JointVector total = with[k].controller->update(state, {}, kDt);
      const JointVector expected = total - model.update(state.q, state.dq).gravity;
      EXPECT_LT((without[k].controller->update(state, {}, kDt) - expected).norm(), 1e-9);
    }
  }
}

}  // namespace
}  // namespace crisp_control::test
