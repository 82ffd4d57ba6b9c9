// The books of the tank and its spring, and what they are for: energy from changing stiffness is bounded.
#include "crisp_control/energy_tank.hpp"

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

double spring_energy(const Vector6& stiffness, const Vector6& error, const Vector6& clip) {
  double energy = 0.0;
  for (int i = 0; i < 6; ++i) {  // the integral of min(K e, K c)
    const double e = std::abs(error[i]), c = clip[i];
    energy += e <= c ? 0.5 * stiffness[i] * e * e : stiffness[i] * c * (e - 0.5 * c);
  }
  return energy;
}

TEST(EnergyTank, KeepsBooks) {
  const TankParams params{2.0, 0.1, 4.0, 5.0};
  EnergyTank tank;
  tank.reset(params);
  EXPECT_EQ(tank.energy(), 2.0);
  EXPECT_DOUBLE_EQ(tank.available(params), 1.9);
  tank.spend(1.0, params);
  tank.settle(0.3, 0.2, 0.1, params);
  EXPECT_DOUBLE_EQ(tank.energy(), 2.0 - 1.0 - 0.3 - 0.2 + 0.5);
  tank.settle(-10.0, 0.0, 0.1, params);
  EXPECT_EQ(tank.energy(), 4.0) << "what flows over is gone";
  tank.settle(10.0, 0.0, 0.1, params);
  EXPECT_LT(tank.energy(), 0.0) << "work that was done is on the bill even so";
  EXPECT_EQ(tank.available(params), 0.0);
}

/// A spring between a random walk and the attractors and stiffnesses that somebody asks for.
class FundedSpringTest : public testing::Test {
 protected:
  FundedSpringTest() {
    tank.reset(params);
    spring.clip = Vector6::Constant(0.05);
    spring.reset(Vector6::Constant(500.0));
  }
  bool advance(const Vector6& wanted, const Vector6& stiffness, double work) {
    const Vector6 from = attractor;
    return spring.advance(from - here, wanted - here, stiffness, work, kDt, params, tank, [&](double part) -> Vector6 {
      attractor = from + part * (wanted - from);
      return attractor - here;
    });
  }

  TankParams params{2.0, 0.1, 4.0, 0.0};
  EnergyTank tank;
  FundedSpring<Vector6> spring;
  Vector6 attractor = Vector6::Zero(), here = Vector6::Zero();
  std::mt19937 rng{1};
};

TEST_F(FundedSpringTest, PotentialAndForceAreThoseOfAClippedSpring) {
  params = kUnlimitedTank;
  tank.reset(params);
  for (int i = 0; i < 200; ++i) {
    const Vector6 wanted = random_joints(6, 0.15, rng), stiffness = random_joints(6, 500, rng).cwiseAbs();
    EXPECT_TRUE(advance(wanted, stiffness, 0.0));
    EXPECT_LT((attractor - wanted).norm(), 1e-15);
    EXPECT_NEAR(spring.potential(), spring_energy(stiffness, wanted, spring.clip), 1e-9);
    const Vector6 clipped = wanted.cwiseMax(-spring.clip).cwiseMin(spring.clip);
    EXPECT_LT((spring.force() - stiffness.cwiseProduct(clipped)).norm(), 1e-9);
    EXPECT_EQ(spring.is_clipped(), (wanted.cwiseAbs().array() > 0.05).any());
  }
}

TEST_F(FundedSpringTest, PotentialPlusTankFallsByExactlyTheWorkDone) {
  params.maximum = 1e6;  // so that nothing flows over
  params.refill_power = 3.0;
  int unpaid = 0;
  for (int i = 0; i < 5000; ++i) {
    here += random_joints(6, 0.005, rng);
    const double before = spring.potential() + tank.energy(), work = random_joints(1, 0.01, rng)[0];
    unpaid += !advance(random_joints(6, 0.15, rng), random_joints(6, 3000, rng).cwiseAbs(), work);
    EXPECT_NEAR(spring.potential() + tank.energy(), before - work + 3.0 * kDt, 1e-9);
    EXPECT_NEAR(spring.potential(), spring_energy(spring.stiffness(), attractor - here, spring.clip), 1e-9);
  }
  EXPECT_GT(unpaid, 1000);
  EXPECT_LT(unpaid, 4999);
}

TEST_F(FundedSpringTest, ChangesNeverSpendBelowTheMinimum) {
  for (int i = 0; i < 5000; ++i) {
    here += random_joints(6, 0.005, rng);
    const double work = random_joints(1, 0.01, rng)[0];
    const double present = spring_energy(spring.stiffness(), attractor - here, spring.clip);
    const double settled = std::min(params.maximum, tank.energy() - work - (present - spring.potential()));
    const double before = spring.potential() + tank.energy();
    advance(random_joints(6, 0.15, rng), random_joints(6, 3000, rng).cwiseAbs(), work);
    EXPECT_GE(tank.energy(), std::min(settled, params.minimum) - 1e-9);
    EXPECT_LE(tank.energy(), params.maximum);
    EXPECT_LE(spring.potential() + tank.energy(), before - work + 1e-9);
  }
}

TEST_F(FundedSpringTest, AnEmptyTankFreezesWhatCostsAndAllowsWhatDoesNot) {
  advance(Vector6::Constant(0.03), Vector6::Constant(500), 0.0);
  tank.settle(tank.energy() - params.minimum, 0.0, 0.0, params);
  const Vector6 frozen = attractor, stiffness = spring.stiffness();
  EXPECT_FALSE(advance(Vector6::Constant(0.06), Vector6::Constant(2000), 0.0));
  EXPECT_LT((attractor - frozen).norm() + (spring.stiffness() - stiffness).norm(), 1e-9);
  EXPECT_TRUE(advance(Vector6::Constant(0.02), Vector6::Constant(300), 0.0));
  EXPECT_EQ(attractor, Vector6::Constant(0.02));
  EXPECT_GT(tank.energy(), params.minimum) << "letting go gives energy back";
}

/// One mass on the spring, stiff on the way in and soft on the way out, its pull behind the tank's valve as in the
/// controllers. Forces are constant within a tick, so work is exactly force times way; that alone feeds energy in, too.
/// Returns the largest energy of motion and spring.
double pump(const TankParams& params, double seconds) {
  EnergyTank tank;
  tank.reset(params);
  FundedSpring<Vector6> spring;
  spring.clip = Vector6::Constant(1e9);
  spring.reset(Vector6::Constant(100.0));
  constexpr double kMass = 2.0;
  double x = 0.05, v = 0.0, work = 0.0, most = 0.0;
  for (int i = 0; i < static_cast<int>(seconds / kDt); ++i) {
    const Vector6 error = -x * Vector6::Unit(0);
    const Vector6 stiffness = Vector6::Constant(x * v < 0.0 ? 2000.0 : 100.0);
    spring.advance(error, error, stiffness, work, kDt, params, tank, [&](double) { return error; });
    const double pull = spring.force()[0], valve = pull * v > 0.0 ? tank.valve(params) : 1.0;
    const double a = valve * pull / kMass, way = v * kDt + 0.5 * a * kDt * kDt;
    work = kMass * a * way;
    x += way;
    v += a * kDt;
    most = std::max(most, 0.5 * kMass * v * v + spring_energy(spring.stiffness(), -x * Vector6::Unit(0), spring.clip));
    if (most > 1e12) break;
  }
  return most;
}

TEST(StiffnessPumping, NeverGetsMoreOutThanWasInTheTank) {
  const TankParams params{2.0, 0.1, 4.0, 0.0};
  const double start = 0.5 * 100.0 * 0.05 * 0.05;
  EXPECT_LE(pump(params, 60.0), start + params.initial + 1.1 * params.minimum);
  EXPECT_GT(pump(params, 60.0), start + 1.0) << "what is in the tank may be used";
}

TEST(StiffnessPumping, IsBoundedByTheRefill) {
  TankParams params{2.0, 0.1, 4.0, 0.5};
  EXPECT_LE(pump(params, 20.0), 0.125 + params.initial + 0.5 * 20.0 + 1.1 * params.minimum);
}

TEST(StiffnessPumping, WithoutATankItGrowsWithoutBound) { EXPECT_GT(pump(kUnlimitedTank, 20.0), 1e6); }

/// The same by messages to a controlled FR3 whose damping is off. Returns the largest energy of motion and spring.
double pump_arm(const TankParams& tank, double seconds) {
  Plant plant(fr3(), fr3_home());
  auto params = unlimited<CartesianImpedanceParams>(plant.model());
  params.tank = tank;
  params.smoothing_time = 0.002;
  params.stiffness << 100, 100, 100, 10, 10, 10;
  params.damping_ratio.setZero();
  params.error_clip.setConstant(1.0);
  params.nullspace_stiffness = 0.0;
  CartesianImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  const double home = plant.tool().position.y();
  plant.state.dq[0] = 0.3;
  References references;
  double most = 0.0;
  run(controller, plant, seconds, references, [&](References& r) {
    const ArmTerms& terms = plant.terms();
    const double away = terms.T_base_ee.position.y() - home, speed = terms.J_base_ee.row(1).dot(plant.state.dq);
    Vector6 stiffness = params.stiffness;
    stiffness.head<3>().setConstant(away * speed < 0.0 ? 2000.0 : 100.0);
    ask(r, stiffness, plant.state.time);
    const double motion = 0.5 * plant.state.dq.dot(terms.mass_matrix * plant.state.dq);
    most = std::max(most, motion + controller.spring().potential());
  });
  return most;
}

TEST(StiffnessPumping, OfAnArmIsBoundedByTheTankAndNotWithoutIt) {
  Plant plant(fr3(), fr3_home());
  const double start = 0.5 * 0.09 * plant.terms().mass_matrix(0, 0);
  const TankParams params{2.0, 0.1, 4.0, 0.0};
  EXPECT_LE(pump_arm(params, 3.0), 1.02 * (start + params.initial));
  EXPECT_GT(pump_arm(kUnlimitedTank, 3.0), 3.0 * (start + params.initial));
}

TEST(MovingAttractor, NeverPutsMoreIntoTheSpringThanTheTankHas) {
  Plant plant(fr3(), fr3_home());
  auto params = unlimited<CartesianImpedanceParams>(plant.model());
  params.tank = {0.5, 0.1, 4.0, 0.0};
  params.gate.max_jump_linear = 10.0;
  params.error_clip.setConstant(1.0);
  params.stiffness << 2000, 2000, 2000, 50, 50, 50;
  CartesianImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  References references;
  Pose goal = plant.tool();
  goal.position.x() += 0.2;         // 40 J
  for (int i = 0; i < 1000; ++i) {  // somebody holds the arm still
    ask(references, goal, plant.state.time);
    controller.update(plant.state, references, kDt);
    plant.state.time += kDt;
    EXPECT_LE(controller.spring().potential(), 0.4 + 1e-9);
    EXPECT_GE(controller.status().tank_energy, 0.1 - 1e-9);
  }
  EXPECT_GT(controller.status().tank_limited, 800u);
  EXPECT_NEAR(controller.spring().potential(), 0.4, 1e-6);
}

TEST(MovingAttractor, OfJointsNeitherAndFreezesUntilThereIsEnergyAgain) {
  Plant plant(fr3(), fr3_home());
  auto params = unlimited<JointImpedanceParams>(plant.model());
  params.tank = {0.5, 0.1, 4.0, 0.0};
  JointImpedance controller(plant.model(), params);
  controller.reset(plant.state);
  References references;
  references.joint.q = fr3_home() + JointVector::Constant(7, 0.3);
  const auto stand = [&](int ticks) {
    for (int i = 0; i < ticks; ++i) {
      renew(references.joint, plant.state.time);
      controller.update(plant.state, references, kDt);
      plant.state.time += kDt;
    }
  };
  stand(1000);
  EXPECT_NEAR(controller.status().tank_energy, 0.1, 1e-6);
  const JointVector frozen = controller.attractor();
  EXPECT_GT((references.joint.q - frozen).norm(), 0.1);
  params.tank.refill_power = 1.0;
  controller.set_params(params);
  stand(500);
  EXPECT_GT((controller.attractor() - frozen).norm(), 0.01);
}

}  // namespace
}  // namespace crisp_control::test
