#include "crisp_control/contact_reflex.hpp"

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

Vector6 force(double newton) { return newton * Vector6::Unit(1); }
Vector6 torque(double newton_metre) { return newton_metre * Vector6::Unit(5); }

TEST(ContactReflex, TripsAboveItsLimitsAndNotBelow) {
  ReflexParams params;
  ContactReflex reflex;
  reflex.update(force(99.9), 0.0, params);
  reflex.update(torque(39.9), 0.001, params);
  EXPECT_FALSE(reflex.active());
  reflex.update(force(-100.1), 0.002, params);
  EXPECT_TRUE(reflex.active());
  reflex.reset();
  EXPECT_FALSE(reflex.active());
  EXPECT_EQ(reflex.trips(), 0u);
  reflex.update(torque(40.1), 0.003, params);
  EXPECT_TRUE(reflex.active());
  EXPECT_EQ(reflex.trips(), 1u);
}

TEST(ContactReflex, LetsGoAfterAWhileBelowHalfTheLimit) {
  ReflexParams params;
  ContactReflex reflex;
  reflex.update(force(150), 0.0, params);
  double now = 0.0;
  for (; now < 5.0; now += 0.01) reflex.update(force(60), now, params);
  EXPECT_TRUE(reflex.active()) << "more than half of it still pushes";
  const double eased = now;
  for (; reflex.active() && now < 10.0; now += 0.01) reflex.update(force(49), now, params);
  EXPECT_NEAR(now - eased, params.recover_after, 0.03);
  reflex.update(force(150), now, params);
  EXPECT_EQ(reflex.trips(), 2u);
}

TEST(ContactReflex, InfinityMeansNever) {
  ReflexParams params;
  params.force = params.torque = kInfinity;
  ContactReflex reflex;
  reflex.update(force(1e9), 0.0, params);
  EXPECT_FALSE(reflex.active());
  params = {};
  params.recover_after = kInfinity;
  reflex.update(force(150), 0.0, params);
  for (double now = 0.0; now < 1e6; now += 1e4) reflex.update(force(0), now, params);
  EXPECT_TRUE(reflex.active()) << "only a reset ends it";
}

/// An FR3 that somebody pushes at the tool.
class ReflexInTheLoopTest : public testing::Test {
 protected:
  ReflexInTheLoopTest() : plant(fr3(), fr3_home()), params(unlimited<CartesianImpedanceParams>(plant.model())) {
    params.reflex = {40.0, 10.0, 0.2, 0.5};
  }
  void push(Controller& controller, const Vector6& wrench, double seconds) {
    run(controller, plant, seconds, references, [&](References&) { plant.push(wrench); });
  }

  Plant plant;
  CartesianImpedanceParams params;
  References references;
};

TEST_F(ReflexInTheLoopTest, FreezesSoftensReportsAndRecovers) {
  CartesianImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  push(controller, force(20), 0.5);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kHold);
  push(controller, force(60), 0.3);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kReflex);
  EXPECT_EQ(controller.status().reflex_trips, 1u);
  EXPECT_NEAR(controller.spring().stiffness()[0], 0.2 * params.stiffness[0], 1e-6);
  const Vector3 frozen = controller.tracked().position;
  ask(references, Pose{frozen + Vector3(0.1, 0, 0), plant.tool().orientation}, plant.state.time);
  push(controller, force(60), 0.2);
  EXPECT_EQ(controller.tracked().position, frozen) << "nobody moves it now";
  references = {};
  push(controller, force(0), 2.0);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kHold);
  EXPECT_NEAR(controller.spring().stiffness()[0], params.stiffness[0], 1e-6);
  EXPECT_EQ(controller.status().reflex_trips, 1u);
}

TEST_F(ReflexInTheLoopTest, AfterwardsItStartsFromWhereTheArmIs) {
  CartesianImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  push(controller, force(60), 0.5);
  ASSERT_EQ(controller.status().mode, ReferenceMode::kReflex);
  push(controller, force(0), 0.4);
  const auto recovered = [&] { return controller.status().mode == ReferenceMode::kHold; };
  for (int i = 0; i < 2000 && !recovered(); ++i) {
    plant.push(force(0));
    const Vector3 here = plant.tool().position;
    plant.step(controller.update(plant.state, references, kDt), kDt);
    if (recovered()) {
      EXPECT_LT((controller.tracked().position - here).norm(), 1e-9);
    }
  }
  EXPECT_TRUE(recovered());
}

TEST_F(ReflexInTheLoopTest, AFeedForwardThatNobodyRenewsGoesInAReflexToo) {
  params.reflex.recover_after = kInfinity;
  CartesianImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  references.wrench.wrench << 0, 0, 30, 0, 0, 0;
  renew(references.wrench, 0.0);
  push(controller, force(60), 0.3);
  ASSERT_EQ(controller.status().mode, ReferenceMode::kReflex);
  push(controller, force(0), 10.0);  // soft as it is, the arm takes seconds to come back
  ASSERT_EQ(controller.status().mode, ReferenceMode::kReflex);
  const Vector6 wrench = tool_wrench(plant, plant.state.tau - plant.terms().gravity - plant.terms().coriolis);
  EXPECT_LT(wrench.norm(), 0.5) << "whoever asked for 30 N has been silent for ten seconds";
}

TEST_F(ReflexInTheLoopTest, AHandGuidedArmHasNoReflex) {
  GravityCompensationParams guided(plant.model());
  guided.friction.setZero();
  guided.viscous_friction.setZero();
  guided.reflex = params.reflex;
  GravityCompensation controller(plant.model(), guided);
  controller.reset(plant.state);
  push(controller, force(60), 0.1);
  EXPECT_EQ(controller.status().mode, ReferenceMode::kTrack);
  EXPECT_EQ(controller.status().reflex_trips, 0u);
}

}  // namespace
}  // namespace crisp_control::test
