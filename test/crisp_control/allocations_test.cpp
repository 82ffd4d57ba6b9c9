// Nothing in the loop touches the heap.
#include "allocations.hpp"

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

TEST(Allocations, TheCounterCounts) {
  const AllocationCount here;
  const Eigen::VectorXd in_this_program = Eigen::VectorXd::Zero(100);
  EXPECT_GE(here.count(), 1u);
  const AllocationCount there;
  const ArmModel in_a_library = fr3();
  EXPECT_GT(there.count(), 100u) << in_this_program.size();
}

/// Runs a controller through every mode with every kind of message, new parameters every 10 ticks.
template <typename C, bool kGuidedByHand = false, typename Params>
void expect_no_allocation(const Params& params) {
  ArmModel model = fr3();
  Params other = params;
  other.smoothing_time *= 2.0;
  other.payload_mass = 0.5;
  other.barrier.workspace_upper = {0.6, 0.5, 0.9};
  other.barrier.workspace_planes = HalfSpaces::Zero(2, 4);
  other.barrier.workspace_planes.col(2).setOnes();
  params.validate(model);
  other.validate(model);
  C controller(model, params);
  Adversary adversary(18);
  const ArmTerms rest = model.update(fr3_home(), JointVector::Zero(7));
  bool seen[4] = {};
  std::uint64_t allocated = 0;
  for (int i = 0; i < 12'000; ++i) {
    const bool silent = i % 4000 > 1000;  // long enough to hold and to damp
    const double now = i * kDt, dt = i < 4000 ? kDt : adversary.dt();
    const ArmState state =
        i < 4000 ? ArmState{fr3_home(), JointVector::Zero(7), rest.gravity, now} : adversary.state(fr3_home(), now);
    const References references = silent ? References{} : adversary.references(rest.T_base_ee, fr3_home(), now);
    const AllocationCount allocations;
    if (i % 10 == 0) controller.set_params(i % 20 ? params : other);
    if (i % 4000 == 0) controller.reset(state);
    controller.update(state, references, dt);
    allocated += allocations.count();
    seen[static_cast<int>(controller.status().mode)] = true;
  }
  EXPECT_EQ(allocated, 0u);
  EXPECT_TRUE(seen[0]) << "tracking was to be covered";
  EXPECT_TRUE(kGuidedByHand || (seen[1] && seen[2] && seen[3])) << "holding, damping and the reflex were too";
}

TEST(Allocations, OfCartesianImpedance) {
  CartesianImpedanceParams params(fr3());
  expect_no_allocation<CartesianImpedance>(params);
  params.nullspace = Nullspace::kNone;
  params.tool_axes = true;
  expect_no_allocation<CartesianImpedance>(params);
}

TEST(Allocations, OfOperationalSpaceControl) {
  CartesianImpedanceParams params(fr3());
  params.operational_space = true;
  params.nullspace = Nullspace::kDynamic;
  expect_no_allocation<CartesianImpedance>(params);
}

TEST(Allocations, OfCartesianAdmittance) {
  expect_no_allocation<CartesianAdmittance>(CartesianAdmittanceParams(fr3()));
}

TEST(Allocations, OfJointImpedance) { expect_no_allocation<JointImpedance>(JointImpedanceParams(fr3())); }

TEST(Allocations, OfGravityCompensation) {
  GravityCompensationParams params(fr3());
  params.guide = Guide::kAxis;
  params.hold_orientation = true;
  expect_no_allocation<GravityCompensation, true>(params);
}

TEST(Allocations, OfTorqueFeedback) { expect_no_allocation<TorqueFeedback, true>(TorqueFeedbackParams(fr3())); }

TEST(Allocations, OfTheBarrierInAction) {
  ArmModel model = fr3();
  CartesianImpedanceParams params(model);
  params.barrier.workspace_planes = HalfSpaces::Zero(1, 4);
  params.barrier.workspace_planes.row(0) << 0, 0, 1, 1.0;  // the tool is far below it
  CartesianImpedance controller(model, params);
  ArmState state{model.q_upper(), JointVector::Constant(7, 1.0), JointVector::Zero(7), 0.0};
  controller.reset(state);
  const AllocationCount allocations;
  controller.update(state, {}, kDt);
  EXPECT_EQ(allocations.count(), 0u);
  EXPECT_EQ(controller.status().barrier.joint, 1u);
  EXPECT_EQ(controller.status().barrier.workspace, 1u);
}

}  // namespace
}  // namespace crisp_control::test
