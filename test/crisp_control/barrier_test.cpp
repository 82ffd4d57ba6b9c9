// The barrier's torque against the quadratic programme that it is said to solve, solved by trying every active set.
#include "crisp_control/barrier.hpp"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <cstring>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

/// Constraints A u >= b on the joint accelerations u, derived from the barrier conditions once more.
struct Constraints {
  Eigen::MatrixXd A;
  Eigen::VectorXd b;
};

Constraints constraints(Plant& plant, const BarrierParams& params) {
  const ArmTerms& terms = plant.terms();
  const JointVector &q = plant.state.q, &dq = plant.state.dq;
  const ArmModel& model = plant.model();
  const double a = params.rate;
  const int n = model.n(), planes = static_cast<int>(params.workspace_planes.rows());
  Constraints c{Eigen::MatrixXd::Zero(4 * n + planes, n), Eigen::VectorXd(4 * n + planes)};
  for (int i = 0; i < n; ++i) {
    const double speed = params.velocity_fraction * model.dq_limit()[i];
    // h = upper - q: -u - 2 a dq + a^2 h >= 0, mirrored below; h = speed - dq: -u + 2 a h >= 0.
    c.A(4 * i, i) = c.A(4 * i + 2, i) = -1.0;
    c.A(4 * i + 1, i) = c.A(4 * i + 3, i) = 1.0;
    c.b[4 * i] = 2.0 * a * dq[i] - a * a * (model.q_upper()[i] - params.joint_margin - q[i]);
    c.b[4 * i + 1] = -2.0 * a * dq[i] - a * a * (q[i] - model.q_lower()[i] - params.joint_margin);
    c.b[4 * i + 2] = -2.0 * a * (speed - dq[i]);
    c.b[4 * i + 3] = -2.0 * a * (speed + dq[i]);
  }
  for (int k = 0; k < planes; ++k) {
    const Vector3 normal = params.workspace_planes.row(k).head<3>().transpose();
    const double h = normal.dot(terms.T_base_ee.position) - params.workspace_planes(k, 3) - params.workspace_margin;
    const double speed = normal.dot(terms.J_base_ee.topRows<3>() * dq);
    c.A.row(4 * n + k) = normal.transpose() * terms.J_base_ee.topRows<3>();
    c.b[4 * n + k] = -2.0 * a * speed - a * a * h - normal.dot(terms.tool_acceleration_bias);
  }
  return c;
}

/// argmin (u - wanted)^T M (u - wanted), A u >= b: every subset of at most `most` constraints is tried as equalities.
class ActiveSets {
 public:
  ActiveSets(const Constraints& c, const JointMatrix& M, const JointVector& wanted)
      : c_(c), inverse_(M.inverse()), M_(M), wanted_(wanted) {}
  bool solve(int most) {
    std::vector<int> active;
    extend(0, most, active);
    return found_;
  }
  JointVector best;

 private:
  void extend(int from, int most, std::vector<int>& active) {
    judge(active);
    if (most == 0) return;
    for (int i = from; i < c_.b.size(); ++i) {
      active.push_back(i);
      extend(i + 1, most - 1, active);
      active.pop_back();
    }
  }
  void judge(const std::vector<int>& active) {
    const int k = static_cast<int>(active.size());
    Eigen::MatrixXd A(k, wanted_.size());
    Eigen::VectorXd b(k);
    for (int i = 0; i < k; ++i) {
      A.row(i) = c_.A.row(active[i]);
      b[i] = c_.b[active[i]];
    }
    JointVector u = wanted_;
    if (k > 0) {
      const Eigen::MatrixXd gram = A * inverse_ * A.transpose();
      const Eigen::FullPivLU<Eigen::MatrixXd> lu(gram);
      if (!lu.isInvertible()) return;
      const Eigen::VectorXd multipliers = lu.solve(b - A * wanted_);
      if (multipliers.minCoeff() < 0.0) return;
      u += inverse_ * A.transpose() * multipliers;
    }
    if ((c_.A * u - c_.b).minCoeff() < -1e-7) return;
    const double cost = (u - wanted_).dot(M_ * (u - wanted_));
    if (found_ && cost >= cost_) return;
    found_ = true;
    cost_ = cost;
    best = u;
  }

  const Constraints& c_;
  Eigen::MatrixXd inverse_, M_;
  JointVector wanted_;
  bool found_ = false;
  double cost_ = 0.0;
};

class BarrierTest : public testing::Test {
 protected:
  BarrierTest() : plant(make_chain(5).model(0.1), JointVector::Zero(5)) {}
  JointVector apply(const JointVector& wanted, const JointVector& disturbance) {
    JointVector tau = wanted;
    const Eigen::LLT<JointMatrix> factor(plant.terms().mass_matrix);
    barrier.apply(tau, disturbance, plant.state, plant.model(), factor, range, params);
    return tau;
  }
  JointVector apply(const JointVector& wanted) { return apply(wanted, JointVector::Zero(wanted.size())); }
  JointVector acceleration(const JointVector& tau) {
    const ArmTerms& terms = plant.terms();
    return terms.mass_matrix.ldlt().solve(tau - terms.coriolis - terms.gravity);
  }
  void add_planes(int count) {
    params.workspace_planes.resize(count, 4);
    for (int k = 0; k < count; ++k) {
      const Vector3 normal = Vector3(random_joints(3, 1.0, rng)).normalized();
      const double offset = normal.dot(plant.tool().position) - 0.02 - 0.1 * std::abs(random_joints(1, 1.0, rng)[0]);
      params.workspace_planes.row(k) << normal.transpose(), offset;
    }
  }

  Plant plant;
  Barrier barrier;
  BarrierParams params;
  TorqueRange range{JointVector::Constant(5, -1e6), JointVector::Constant(5, 1e6)};
  std::mt19937 rng{12};
};

TEST_F(BarrierTest, LeavesTheTorqueAsItIsBitByBitWhereNoLimitIsNear) {
  params.workspace_lower.setConstant(-5.0);
  params.workspace_upper.setConstant(5.0);
  params.workspace_planes.resize(1, 4);
  params.workspace_planes << 0, 0, 1, -5.0;
  for (int i = 0; i < 200; ++i) {
    plant.state.q = random_joints(5, 1.0, rng);
    plant.state.dq = random_joints(5, 0.2, rng);
    const JointVector wanted = plant.terms().gravity + plant.terms().coriolis + random_joints(5, 0.1, rng);
    const JointVector tau = apply(wanted);
    EXPECT_EQ(std::memcmp(tau.data(), wanted.data(), 5 * sizeof(double)), 0);
  }
  EXPECT_EQ(barrier.counters().joint + barrier.counters().workspace, 0u);
}

TEST_F(BarrierTest, IsTheOptimumOfItsQuadraticProgramme) {
  int solvable = 0, exact = 0, changed = 0, by_workspace = 0;
  for (int i = 0; i < 60; ++i) {
    plant.state.q = random_joints(5, 1.8, rng).cwiseMin(1.9);
    plant.state.dq = random_joints(5, 0.7, rng);
    add_planes(i % 3);
    const JointVector disturbance = random_joints(5, 3.0, rng);
    const JointVector wanted = plant.terms().gravity + random_joints(5, 60.0, rng);
    const Constraints c = constraints(plant, params);
    const JointMatrix M = plant.terms().mass_matrix;
    ActiveSets oracle(c, M, acceleration(wanted + disturbance));
    if (!oracle.solve(4)) continue;  // no torque can keep them all
    const auto before = barrier.counters();
    const JointVector actual = acceleration(apply(wanted, disturbance) + disturbance);
    const double scale = 1.0 + oracle.best.norm();
    // Its iteration ends after 50 sweeps, which is early where several limits nearly contradict each other.
    EXPECT_LT((actual - oracle.best).norm(), 0.05 * scale) << "case " << i;
    EXPECT_GT((c.A * actual - c.b).minCoeff(), -0.01 * scale) << "case " << i;
    exact += (actual - oracle.best).norm() < 1e-4 * scale;
    ++solvable;
    changed += (actual - acceleration(wanted + disturbance)).norm() > 1e-6;
    by_workspace += barrier.counters().workspace > before.workspace;
  }
  EXPECT_GE(exact, 0.95 * solvable) << solvable;
  EXPECT_GT(changed, 20);
  EXPECT_GT(by_workspace, 3);
}

TEST_F(BarrierTest, OneLimitHasAClosedForm) {
  plant.state.q[2] = plant.model().q_upper()[2] - params.joint_margin - 0.01;
  plant.state.dq[2] = 0.2;
  const JointVector wanted = plant.terms().gravity + 20.0 * JointVector::Unit(5, 2);
  const double allowed = -2.0 * params.rate * 0.2 + params.rate * params.rate * 0.01;
  const JointVector u = acceleration(wanted);
  const JointMatrix inverse = plant.terms().mass_matrix.inverse();
  const JointVector expected = wanted + (allowed - u[2]) / inverse(2, 2) * JointVector::Unit(5, 2);
  EXPECT_LT((apply(wanted) - expected).norm(), 1e-6) << "the change acts on that joint alone";
  EXPECT_EQ(barrier.counters().joint, 1u);
  EXPECT_EQ(barrier.counters().workspace, 0u);
  barrier.reset();
  EXPECT_EQ(barrier.counters().joint, 0u);
}

TEST_F(BarrierTest, ABoxIsSixHalfSpaces) {
  const Vector3 p = plant.tool().position;
  plant.state.dq = random_joints(5, 0.5, rng);
  const JointVector wanted = plant.terms().gravity + random_joints(5, 40.0, rng);
  params.workspace_lower = p - Vector3(0.02, 0.03, 0.04);
  params.workspace_upper = p + Vector3(0.03, 0.02, 0.05);
  const JointVector boxed = apply(wanted);
  HalfSpaces planes(6, 4);
  for (int i = 0; i < 3; ++i) {
    planes.row(2 * i) << Vector3::Unit(i).transpose(), params.workspace_lower[i];
    planes.row(2 * i + 1) << -Vector3::Unit(i).transpose(), -params.workspace_upper[i];
  }
  params.workspace_lower.setConstant(-kInfinity);
  params.workspace_upper.setConstant(kInfinity);
  params.workspace_planes = planes;
  EXPECT_GT((boxed - wanted).norm(), 0.1);
  EXPECT_LT((apply(wanted) - boxed).norm(), 1e-9);
}

/// An FR3 under hostile torques that only barrier and limiter stand against.
class BarrierInTheLoopTest : public testing::Test {
 protected:
  BarrierInTheLoopTest() : plant(fr3(), fr3_home()) { limiter.reset(plant.state.tau); }
  /// Bang-bang torques that change their mind now and then; check() after every tick.
  template <typename Check>
  void attack(double seconds, Check&& check) {
    const ArmModel& model = plant.model();
    const JointVector rate = JointVector::Constant(7, 1000.0);
    JointVector hostile = model.tau_limit();
    Adversary mind(31);
    for (int i = 0; i < static_cast<int>(seconds / kDt); ++i) {
      for (auto& value : hostile) value *= mind.chance(0.003) ? -1.0 : 1.0;
      JointVector tau = hostile;
      const ArmTerms terms = plant.terms();
      limiter.preview(tau, model.tau_limit(), rate, kDt);
      barrier.apply(tau, JointVector::Zero(7), plant.state, model, Eigen::LLT<JointMatrix>(terms.mass_matrix),
                    limiter.range(model.tau_limit(), rate, kDt), params);
      limiter.apply(tau, model.tau_limit(), rate, kDt);
      plant.step(tau, kDt);
      check();
    }
  }
  void expect_joints_within() {
    const ArmModel& model = plant.model();
    ASSERT_TRUE((plant.state.q.array() <= model.q_upper().array()).all()) << plant.state.q.transpose();
    ASSERT_TRUE((plant.state.q.array() >= model.q_lower().array()).all()) << plant.state.q.transpose();
    ASSERT_TRUE((plant.state.dq.cwiseAbs().array() <= model.dq_limit().array()).all()) << plant.state.dq.transpose();
  }

  Plant plant;
  Barrier barrier;
  TorqueLimiter limiter;
  BarrierParams params;
};

TEST_F(BarrierInTheLoopTest, JointsStayWithinTheirPositionAndVelocityLimits) {
  attack(20.0, [&] { expect_joints_within(); });
  EXPECT_GT(barrier.counters().joint, 1000u);
}

TEST_F(BarrierInTheLoopTest, TheToolStaysInItsBox) {
  params.workspace_lower = plant.tool().position - Vector3(0.15, 0.2, 0.1);
  params.workspace_upper = plant.tool().position + Vector3(0.1, 0.15, 0.2);
  attack(20.0, [&] {
    const Vector3 p = plant.tool().position;
    ASSERT_TRUE((p.array() >= params.workspace_lower.array()).all()) << p.transpose();
    ASSERT_TRUE((p.array() <= params.workspace_upper.array()).all()) << p.transpose();
  });
  EXPECT_GT(barrier.counters().workspace, 1000u);
}

TEST_F(BarrierInTheLoopTest, TheToolStaysInItsHalfSpaces) {
  const Vector3 a = Vector3(1, 0, 1).normalized(), b = Vector3(-1, 0.5, 0.3).normalized();
  const Vector3 p = plant.tool().position;
  params.workspace_planes.resize(2, 4);
  params.workspace_planes.row(0) << a.transpose(), a.dot(p) - 0.05;
  params.workspace_planes.row(1) << b.transpose(), b.dot(p) - 0.05;
  attack(20.0, [&] {
    ASSERT_GE(a.dot(plant.tool().position - p), -0.05);
    ASSERT_GE(b.dot(plant.tool().position - p), -0.05);
  });
  EXPECT_GT(barrier.counters().workspace, 1000u);
}

}  // namespace
}  // namespace crisp_control::test
