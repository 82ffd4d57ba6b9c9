#include "crisp_control/barrier.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace crisp_control {

namespace {

constexpr int kMaxRows = 4 * kMaxJoints + 6 + 8;
constexpr int kSweeps = 50;
constexpr double kGive = 1e-4;  // how far a limit gives way to the torque limits, in parts of its own mobility

// One constraint a . ddq >= b; soft ones give way by `give` per unit of their multiplier.
struct Row {
  JointVector a, scaled;  // scaled: M^-1 a
  double b = 0.0, curvature = 0.0, give = 0.0, multiplier = 0.0;
};

struct Bounds {
  JointVector lower, upper;  // of ddq
};

Bounds joint_bounds(const JointVector& q, const JointVector& dq, const ArmModel& model, const BarrierParams& params) {
  const double a = params.rate;
  const JointVector limit = params.velocity_fraction * model.dq_limit();
  Bounds bounds{-2.0 * a * (limit + dq), 2.0 * a * (limit - dq)};
  const auto margin = JointVector::Constant(q.size(), params.joint_margin);
  const JointVector drift = -2.0 * a * dq;
  bounds.upper = bounds.upper.cwiseMin(drift + a * a * (model.q_upper() - margin - q));
  bounds.lower = bounds.lower.cwiseMax(drift + a * a * (model.q_lower() + margin - q)).cwiseMin(bounds.upper);
  return bounds;
}

// The half-space n . p >= d as a constraint on ddq; false if it holds with `ddq` anyway.
bool workspace_row(const Vector3& normal, double offset, const ArmTerms& terms, const Vector3& velocity,
                   const JointVector& ddq, double rate, Row& row) {
  const double h = normal.dot(terms.T_base_ee.position) - offset;
  const double h_rate = normal.dot(velocity);
  row.a = terms.J_base_ee.topRows<3>().transpose() * normal;
  row.b = -2.0 * rate * h_rate - rate * rate * h - normal.dot(terms.tool_acceleration_bias);
  return row.a.dot(ddq) < row.b;
}

class Problem {
 public:
  void add(const Row& row, const Eigen::LLT<JointMatrix>& mass) noexcept { insert(row, mass.solve(row.a)); }

  /// Makes what is there soft and adds lower <= tau + change <= upper as hard limits.
  void add_torque_limits(const JointVector& tau, const JointVector& ddq, const TorqueRange& range,
                         const JointMatrix& mass) noexcept {
    for (int i = 0; i < count_; ++i) rows_[i].give = kGive * rows_[i].curvature;
    Row row;
    for (Eigen::Index i = 0; i < tau.size(); ++i) {
      const JointVector unit = JointVector::Unit(tau.size(), i);
      row.a = mass.col(i);  // the torque that ddq takes, but for a constant
      row.b = row.a.dot(ddq) + range.lower[i] - tau[i];
      insert(row, unit);
      row.b = -(row.a.dot(ddq) + range.upper[i] - tau[i]);
      row.a = -row.a;
      insert(row, -unit);
    }
  }

  /// Hildreth's method on the dual; the torque to add is M (ddq' - ddq).
  JointVector solve(JointVector ddq) noexcept {
    JointVector torque = JointVector::Zero(ddq.size());
    for (int i = 0; i < count_; ++i) rows_[i].multiplier = 0.0;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      double largest = 0.0;
      for (int i = 0; i < count_; ++i) {
        Row& row = rows_[i];
        if (!(row.curvature > 1e-9)) continue;  // the arm cannot move this way at all
        const double gap = row.b - row.a.dot(ddq) - row.give * row.multiplier;
        const double step = std::max(-row.multiplier, gap / (row.curvature + row.give));
        row.multiplier += step;
        ddq += step * row.scaled;
        torque += step * row.a;
        largest = std::max(largest, std::abs(step) * row.curvature);
      }
      if (largest < 1e-6) break;
    }
    return torque;
  }

 private:
  void insert(const Row& row, const JointVector& scaled) noexcept {
    Row& added = rows_[count_++];
    added = row;
    added.scaled = scaled;
    added.curvature = row.a.dot(scaled);
  }

  std::array<Row, kMaxRows> rows_;
  int count_ = 0;
};

template <typename Visit>
void for_each_half_space(const BarrierParams& params, Visit&& visit) noexcept {
  for (int axis = 0; axis < 3; ++axis) {
    const Vector3 normal = Vector3::Unit(axis);
    if (std::isfinite(params.workspace_lower[axis])) visit(normal, params.workspace_lower[axis]);
    if (std::isfinite(params.workspace_upper[axis])) visit(Vector3(-normal), -params.workspace_upper[axis]);
  }
  for (Eigen::Index i = 0; i < params.workspace_planes.rows(); ++i) {
    const Vector3 normal = params.workspace_planes.row(i).head<3>().transpose();
    visit(normal, params.workspace_planes(i, 3));
  }
}

}  // namespace

void Barrier::apply(JointVector& tau, const JointVector& disturbance, const ArmState& state, const ArmModel& model,
                    const Eigen::LLT<JointMatrix>& mass, const TorqueRange& range,
                    const BarrierParams& params) noexcept {
  const ArmTerms& terms = model.terms();
  const JointVector ddq = mass.solve(tau + disturbance - terms.coriolis - terms.gravity);
  const Bounds bounds = joint_bounds(state.q, state.dq, model, params);
  const Vector3 velocity = terms.J_base_ee.topRows<3>() * state.dq;
  const bool joints_safe = (ddq.array() >= bounds.lower.array()).all() && (ddq.array() <= bounds.upper.array()).all();
  bool workspace_safe = true;
  Row row;
  for_each_half_space(params, [&](const Vector3& normal, double offset) {
    offset += params.workspace_margin;
    workspace_safe = workspace_safe && !workspace_row(normal, offset, terms, velocity, ddq, params.rate, row);
  });
  if (joints_safe && workspace_safe) return;
  counters_.joint += !joints_safe;
  counters_.workspace += !workspace_safe;

  // All constraints, also those that hold now: meeting one may break another.
  Problem problem;
  for_each_half_space(params, [&](const Vector3& normal, double offset) {
    workspace_row(normal, offset + params.workspace_margin, terms, velocity, ddq, params.rate, row);
    problem.add(row, mass);
  });
  for (int i = 0; i < model.n(); ++i) {
    row.a = JointVector::Unit(model.n(), i);
    row.b = bounds.lower[i];
    problem.add(row, mass);
    row.a = -row.a;
    row.b = -bounds.upper[i];
    problem.add(row, mass);
  }
  JointVector change = problem.solve(ddq);
  if (((tau + change).array() < range.lower.array()).any() || ((tau + change).array() > range.upper.array()).any()) {
    // One joint cannot brake alone what others drive: all share the work, within their torques.
    problem.add_torque_limits(tau, ddq, range, terms.mass_matrix);
    change = problem.solve(ddq);
  }
  tau += change;
}

}  // namespace crisp_control
