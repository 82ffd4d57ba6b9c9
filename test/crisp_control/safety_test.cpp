// What holds whatever comes in: finite torques within limits, no allocation, no exception, the same bits every time.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <utility>

#include "allocations.hpp"
#include "arms.hpp"
#include "crisp_control/cartesian_impedance.hpp"
#include "crisp_control/momentum_observer.hpp"

namespace crisp_control::test {
namespace {

constexpr double kDt = 1e-3;

template <typename T>
const T& any() noexcept;
static_assert(noexcept(std::declval<CartesianImpedance&>().update(any<ArmState>(), any<PoseReference>(), kDt)));
static_assert(noexcept(std::declval<CartesianImpedance&>().reset(any<ArmState>())));
static_assert(noexcept(std::declval<ArmModel&>().update(any<JointVector>(), any<JointVector>())));
static_assert(noexcept(std::declval<MomentumObserver&>().update(any<ArmTerms>(), any<JointVector>(), any<JointVector>(),
                                                                kDt)));

/// Numbers that break things, and ordinary ones.
class Adversary {
 public:
  explicit Adversary(unsigned seed) : rng_(seed) {}

  double number(double ordinary) {
    constexpr double kBad[] = {std::numeric_limits<double>::quiet_NaN(),
                               std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity(),
                               1e308,
                               -1e200,
                               1e-308,
                               0.0};
    return chance(0.02) ? kBad[rng_() % std::size(kBad)] : ordinary * unit();
  }
  PoseReference reference(const Pose& around, double now) {
    PoseReference out{around, now + (chance(0.2) ? number(5.0) : 0.0), chance(0.9) ? ++sequence_ : 0};
    for (int i = 0; i < 3; ++i) out.T_base_ee.position[i] += number(chance(0.1) ? 100.0 : 0.1);
    out.T_base_ee.orientation = about({unit(), unit(), unit()}, chance(0.1) ? 3.0 : 0.3) * around.orientation;
    if (chance(0.1)) out.T_base_ee.orientation.coeffs()[rng_() % 4] = number(1.0);
    return out;
  }
  ArmState state(const JointVector& q, double time) {
    ArmState out{q, JointVector::Zero(q.size()), JointVector::Zero(q.size()), time};
    for (auto* vector : {&out.q, &out.dq, &out.tau}) {
      for (auto& value : *vector) value += number(chance(0.05) ? 100.0 : 0.3);
    }
    if (chance(0.01)) out.time = number(1e9);
    return out;
  }
  double dt() { return chance(0.02) ? number(10.0) : kDt; }
  bool chance(double p) { return std::uniform_real_distribution<double>()(rng_) < p; }

 private:
  double unit() { return std::uniform_real_distribution<double>(-1.0, 1.0)(rng_); }

  std::mt19937 rng_;
  std::uint64_t sequence_ = 0;
};

void expect_safe(const JointVector& tau, const CartesianImpedanceParams& params) {
  ASSERT_TRUE(tau.allFinite()) << tau.transpose();
  ASSERT_TRUE((tau.cwiseAbs().array() <= params.torque_limit.array()).all()) << tau.transpose();
}

TEST(Safety, A100000BadReferencesAndStatesNeverGetABadTorqueOut) {
  ArmModel model = fr3();
  const CartesianImpedanceParams params(model);
  CartesianImpedance controller(model, params);
  Adversary adversary(15);
  const Pose home = model.update(fr3_home(), JointVector::Zero(7)).T_base_ee;
  JointVector last = JointVector::Zero(7);
  for (int i = 0; i < 100'000; ++i) {
    const double now = i * kDt, dt = adversary.dt();
    const JointVector tau = controller.update(adversary.state(fr3_home(), now), adversary.reference(home, now), dt);
    expect_safe(tau, params);
    if (dt > 0.0) {
      ASSERT_LE((tau - last).cwiseAbs().maxCoeff(), 1000.0 * dt + 1e-9);
    }
    last = tau;
    if (adversary.chance(0.001)) {
      const ArmState state = adversary.state(fr3_home(), now);
      controller.reset(state);
      last = state.tau.unaryExpr([](double tau) { return std::isfinite(tau) ? tau : 0.0; });
      last = last.cwiseMax(-params.torque_limit).cwiseMin(params.torque_limit);
    }
  }
  EXPECT_GT(controller.status().ticks, 0u);
}

TEST(Safety, RecoversOnceInputsAreGoodAgain) {
  ArmModel model = fr3();
  CartesianImpedance controller(model, CartesianImpedanceParams(model));
  Adversary adversary(16);
  const ArmTerms rest = model.update(fr3_home(), JointVector::Zero(7));
  ArmState state{fr3_home(), JointVector::Zero(7), rest.gravity, 0.0};
  controller.reset(state);
  for (int i = 0; i < 2000; ++i) {
    controller.update(adversary.state(fr3_home(), i * kDt), adversary.reference(rest.T_base_ee, i * kDt),
                      adversary.dt());
  }
  for (int i = 0; i < 5000; ++i) {  // the gate may have to wait out a stamp from the tolerated future
    state.time = 10.0 + i * kDt;
    controller.update(state, {rest.T_base_ee, state.time, 1'000'000u + i}, kDt);
  }
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
  EXPECT_LT((controller.interpolator().pose().position - rest.T_base_ee.position).norm(), 1e-6);
}

TEST(Safety, AStateThatIsNotFiniteKeepsTheLastTorque) {
  ArmModel model = fr3();
  CartesianImpedance controller(model, CartesianImpedanceParams(model));
  ArmState state{fr3_home(), JointVector::Zero(7), model.update(fr3_home(), JointVector::Zero(7)).gravity, 0.0};
  controller.reset(state);
  const JointVector good = controller.update(state, {}, kDt);
  for (auto* vector : {&state.q, &state.dq}) {
    const double kept = (*vector)[4];
    (*vector)[4] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(controller.update(state, {}, kDt), good);
    (*vector)[4] = kept;
  }
  EXPECT_EQ(controller.update(state, {}, 0.0), good);
  EXPECT_EQ(controller.update(state, {}, std::numeric_limits<double>::infinity()), good);
  EXPECT_EQ(controller.status().bad_state, 4u);
  EXPECT_TRUE(controller.update(state, {}, kDt).isApprox(good, 1e-9)) << "nothing of it remained";
}

TEST(Safety, ActivationWithoutNumbersHoldsTheFirstUsableState) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  ArmModel model = fr3();
  CartesianImpedance controller(model, CartesianImpedanceParams(model));
  const JointVector nothing = JointVector::Constant(7, kNan), zero = JointVector::Zero(7);
  controller.reset({nothing, nothing, nothing, kNan});
  EXPECT_EQ(controller.update({nothing, nothing, nothing, 0.0}, {}, kDt), zero);
  const ArmTerms rest = model.update(fr3_home(), zero);
  JointVector tau = zero;
  for (int i = 0; i < 100; ++i) tau = controller.update({fr3_home(), zero, zero, i * kDt}, {}, kDt);
  EXPECT_LT((tau - rest.gravity).norm(), 1e-9);
  EXPECT_EQ(controller.interpolator().pose().position, rest.T_base_ee.position);
  controller.update({fr3_home(), zero, zero, 0.1}, {rest.T_base_ee, 0.1, 1}, kDt);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
}

TEST(Safety, EveryReferenceIsCountedOnce) {
  ArmModel model = fr3();
  CartesianImpedance controller(model, CartesianImpedanceParams(model));
  Adversary adversary(17);
  const Pose home = model.update(fr3_home(), JointVector::Zero(7)).T_base_ee;
  ArmState state{fr3_home(), JointVector::Zero(7), JointVector::Zero(7), 0.0};
  controller.reset(state);
  std::uint64_t offered = 0;
  for (int i = 0; i < 5000; ++i) {
    state.time = i * kDt;
    const PoseReference reference = adversary.reference(home, state.time);
    offered += reference.sequence != 0;
    controller.update(state, reference, kDt);
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

TEST(Safety, TheAllocationCounterCounts) {
  const AllocationCount allocations;
  const Eigen::VectorXd in_this_program = Eigen::VectorXd::Zero(100);
  EXPECT_GE(allocations.count(), 1u);
  const auto before = allocations.count();
  const ArmModel in_a_library = fr3();
  EXPECT_GT(allocations.count(), before + 100u) << in_this_program.size();
}

TEST(Safety, UpdateDoesNotAllocate) {
  ArmModel model = fr3();
  CartesianImpedance controller(model, CartesianImpedanceParams(model));
  MomentumObserver observer(7);
  Adversary adversary(18);
  const Pose home = model.update(fr3_home(), JointVector::Zero(7)).T_base_ee;
  bool seen[3] = {};
  std::uint64_t allocated = 0;
  for (int i = 0; i < 8000; ++i) {
    const bool silent = i % 4000 > 1000;  // long enough to hold and to damp
    const double now = i * kDt, dt = i < 2000 ? kDt : adversary.dt();
    const ArmState state = i < 2000 ? ArmState{fr3_home(), JointVector::Zero(7), JointVector::Zero(7), now}
                                    : adversary.state(fr3_home(), now);
    const PoseReference reference = silent ? PoseReference{} : adversary.reference(home, now);
    const AllocationCount allocations;
    const JointVector& tau = controller.update(state, reference, dt);
    observer.update(controller.terms(), state.dq, tau, kDt);
    wrench_from_joint_torque(controller.terms().J_base_ee, observer.tau_external());
    if (i % 1000 == 0) controller.reset(state);
    allocated += allocations.count();
    seen[static_cast<int>(controller.status().mode)] = true;
  }
  EXPECT_EQ(allocated, 0u);
  EXPECT_TRUE(seen[0] && seen[1]) << "tracking and holding were to be covered";
}

TEST(Safety, DampingDoesNotAllocate) {
  ArmModel model = fr3();
  CartesianImpedance controller(model, CartesianImpedanceParams(model));
  ArmState state{fr3_home(), JointVector::Constant(7, 0.1), JointVector::Zero(7), 0.0};
  controller.reset(state);
  controller.update(state, {controller.terms().T_base_ee, 0.0, 1}, kDt);
  state.time = 100.0;
  const AllocationCount allocations;
  controller.update(state, {}, kDt);
  EXPECT_EQ(allocations.count(), 0u);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kDamp);
}

TEST(Safety, TheSameTraceGivesTheSameBits) {
  ArmModel model = fr3();
  const CartesianImpedanceParams params(model);
  CartesianImpedance one(model, params), other(fr3(), params);
  Adversary adversary(19);
  const Pose home = model.update(fr3_home(), JointVector::Zero(7)).T_base_ee;
  for (int i = 0; i < 5000; ++i) {
    const ArmState state = adversary.state(fr3_home(), i * kDt);
    const PoseReference reference = adversary.reference(home, i * kDt);
    const JointVector a = one.update(state, reference, kDt), b = other.update(state, reference, kDt);
    ASSERT_EQ(std::memcmp(a.data(), b.data(), 7 * sizeof(double)), 0) << "tick " << i;
  }
}

}  // namespace
}  // namespace crisp_control::test
