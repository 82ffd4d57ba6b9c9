// Fuzzing the controllers: any bytes are a sequence of ticks, and what leaves a controller is checked after each.
//
// LLVMFuzzerTestOneInput is libFuzzer's entry point: with clang++ -fsanitize=fuzzer,address,undefined it brings its own
// main(). fuzz_main.cpp is one for compilers without it.
#include <cstring>
#include <functional>
#include <iostream>
#include <sstream>

#include "crisp_control/status_counters.hpp"
#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      std::cerr << __FILE__ << ':' << __LINE__ << ": does not hold: " #condition << std::endl; \
      std::abort();                                                                            \
    }                                                                                          \
  } while (false)

/// Numbers out of bytes; zeros when they have run out.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  template <typename T>
  T take() {
    T value{};
    const std::size_t size = std::min(sizeof(T), left_);
    std::memcpy(&value, data_, size);
    data_ += size;
    left_ -= size;
    return value;
  }
  std::uint8_t byte() { return take<std::uint8_t>(); }
  /// Mostly within `scale` of `around`, at times any bit pattern.
  double number(double around, double scale) {
    const std::uint8_t kind = byte();
    if (kind < 8) return take<double>();
    return around + scale * take<std::int16_t>() / 32768.0;
  }
  template <typename Vector>
  Vector vector(const Vector& around, double scale) {
    Vector out = around;
    for (auto& value : out) value = number(value, scale);
    return out;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

/// One controller of each kind with two sets of parameters to change between; made once, as making them takes long.
struct Subject {
  std::unique_ptr<Controller> pristine;
  std::function<void(Controller&, bool)> set_params;
  JointVector limit[2], rate[2];
  double tank_maximum[2];
};

template <typename C, typename Params>
Subject subject(const ArmModel& model, const Params& params) {
  Params other = params;
  other.smoothing_time *= 0.1;
  other.torque_limit *= 0.5;
  other.torque_rate_limit *= 0.3;
  other.payload_mass = 1.0;
  other.gate.hold_after = 0.01;
  other.gate.damp_after = 0.02;
  other.tank = {0.5, 0.0, 1.0, 0.0};
  other.reflex.recover_after = 0.01;
  other.barrier.workspace_upper = {0.6, 0.4, 0.8};
  other.barrier.workspace_planes = HalfSpaces::Zero(1, 4);
  other.barrier.workspace_planes.row(0) << 0.0, 0.0, 1.0, 0.1;
  params.validate(model);
  other.validate(model);
  return {std::make_unique<C>(model, params),
          [params, other](Controller& c, bool second) { static_cast<C&>(c).set_params(second ? other : params); },
          {params.torque_limit, other.torque_limit},
          {params.torque_rate_limit, other.torque_rate_limit},
          {params.tank.maximum, other.tank.maximum}};
}

const std::vector<Subject>& subjects() {
  static const std::vector<Subject> all = [] {
    const ArmModel arm = fr3(), turning = make_chain(8, "continuous").model(0.1);
    std::vector<Subject> out;
    CartesianImpedanceParams operational(arm);
    operational.operational_space = operational.tool_axes = true;
    operational.nullspace = Nullspace::kDynamic;
    GravityCompensationParams guided(arm);
    guided.guide = Guide::kAxis;
    guided.hold_orientation = true;
    out.push_back(subject<CartesianImpedance>(arm, CartesianImpedanceParams(arm)));
    out.push_back(subject<CartesianImpedance>(arm, operational));
    out.push_back(subject<CartesianAdmittance>(arm, CartesianAdmittanceParams(arm)));
    out.push_back(subject<JointImpedance>(arm, JointImpedanceParams(arm)));
    out.push_back(subject<JointImpedance>(turning, JointImpedanceParams(turning)));
    out.push_back(subject<GravityCompensation>(arm, guided));
    out.push_back(subject<TorqueFeedback>(arm, TorqueFeedbackParams(arm)));
    return out;
  }();
  return all;
}

/// Changes some of the references, each field to anything at all.
class ReferenceSource {
 public:
  explicit ReferenceSource(Bytes& bytes) : bytes_(bytes) {}
  void change(References& references, const Pose& tool, const JointVector& q, double now) {
    if (bytes_.byte() < 160) return;  // most ticks see nothing new
    const std::uint8_t kinds = bytes_.byte();
    if (kinds & 1) references.pose = {pose(tool), decision(references.pose.decision, now)};
    if (kinds & 2) change(references.chunk, tool, now);
    if (kinds & 4) references.joint = {joints(q), joints(0.0 * q), decision(references.joint.decision, now)};
    if (kinds & 8) {
      references.wrench = {bytes_.vector(Vector6(Vector6::Zero()), 60.0), decision(references.wrench.decision, now)};
    }
    if (kinds & 16) {
      const Vector6 middle = Vector6::Constant(1000.0);
      references.stiffness = {bytes_.vector(middle, 1100.0), decision(references.stiffness.decision, now)};
    }
  }

 private:
  Decision decision(const Decision& last, double now) {
    const std::uint8_t kind = bytes_.byte();
    return {bytes_.number(now, kind & 1 ? 0.01 : 3.0), kind < 8 ? bytes_.take<std::uint64_t>() : last.sequence + 1};
  }
  Pose pose(const Pose& around) {
    Pose out{bytes_.vector(around.position, 0.3), around.orientation};
    const Vector3 turn = bytes_.vector(Vector3(Vector3::Zero()), 1.0);
    if (turn.allFinite() && turn.norm() < 10.0) out.orientation = exp3(turn) * around.orientation;
    if (bytes_.byte() < 16) out.orientation.coeffs() = bytes_.vector(Eigen::Vector4d(out.orientation.coeffs()), 1.0);
    return out;
  }
  JointVector joints(const JointVector& around) {
    const std::uint8_t size = bytes_.byte();
    JointVector out = around;
    if (size < 32) out = JointVector::Zero(size % (kMaxJoints + 1));
    return bytes_.vector(out, 1.0);
  }
  void change(PoseChunk& chunk, const Pose& tool, double now) {
    const std::uint8_t kind = bytes_.byte();
    chunk.size = kind < 16 ? bytes_.take<int>() : kind % (PoseChunk::kCapacity + 1);
    double time = bytes_.number(now, 0.5);
    for (int i = 0; i < PoseChunk::kCapacity && !bytes_.empty() && i < chunk.size; ++i) {
      chunk.poses[i] = {bytes_.byte() < 64 ? pose(tool) : tool, time};
      time += bytes_.number(0.1, 0.11);
    }
    chunk.decision = decision(chunk.decision, now);
  }

  Bytes& bytes_;
};

ArmState next_state(Bytes& bytes, const ArmState& last, double now) {
  ArmState state = last;
  state.time = now;
  const std::uint8_t kind = bytes.byte();
  const int n = static_cast<int>(last.q.size());
  state.dq = JointVector::Zero(n);
  if (kind < 20) state.dq = bytes.vector(state.dq, kind < 6 ? 100.0 : 0.1);
  for (int i = 0; i < n; ++i) state.q[i] += std::isfinite(state.dq[i]) ? kDt * state.dq[i] : 0.0;
  if (kind == 0) state.q = bytes.vector(state.q, 1.0);
  if (kind == 1) state.time = bytes.number(now, 10.0);
  if (kind == 2) state.q.resize(bytes.byte() % (kMaxJoints + 1));
  if (kind == 3) state.dq.resize(bytes.byte() % (kMaxJoints + 1));
  state.has_wrench = kind & 64;
  if (kind >= 240) state.wrench = bytes.vector(Vector6(Vector6::Zero()), 40.0);
  return state;
}

/// What the inputs reached, to be read by whoever doubts that they reach anything.
struct Reached {
  std::uint64_t ticks = 0, accepted = 0, modes[4] = {};
} reached;

/// What holds after every tick, whatever came in.
class Invariants {
 public:
  Invariants(const Controller& controller, const JointVector& tau) : controller_(controller), tau_(tau) {
    counters_ = named_counters(controller.status());
  }
  void check(const JointVector& tau, const Subject& subject, bool second, double dt) {
    const JointVector &limit = subject.limit[second], &rate = subject.rate[second];
    const ControllerStatus& status = controller_.status();
    CHECK(tau.size() == tau_.size() && tau.allFinite());
    const auto now = named_counters(status);
    for (std::size_t i = 0; i < now.size(); ++i) CHECK(now[i].second >= counters_[i].second);
    const bool kept = status.bad_state > bad_state_;
    CHECK(!kept || tau == tau_);
    for (int i = 0; i < tau.size() && !kept; ++i) {
      CHECK(std::abs(tau[i]) <= limit[i]);
      CHECK(std::abs(tau[i] - std::clamp(tau_[i], -limit[i], limit[i])) <= rate[i] * dt * (1.0 + 1e-9) + 1e-9);
    }
    CHECK(status.mode <= ReferenceMode::kReflex);
    CHECK(kept || status.tank_energy <= std::max(subject.tank_maximum[second], tank_));
    const Pose& tracked = controller_.tracked();
    CHECK(kept || (tracked.position.allFinite() && std::abs(tracked.orientation.norm() - 1.0) < 1e-6));
    CHECK(kept || controller_.wrench().allFinite());
    ++reached.ticks;
    ++reached.modes[static_cast<int>(status.mode)];
    reached.accepted += status.reference.accepted - accepted_;
    accepted_ = status.reference.accepted;
    counters_ = now;
    bad_state_ = status.bad_state;
    if (!kept) tank_ = status.tank_energy;
    tau_ = tau;
  }

 private:
  const Controller& controller_;
  JointVector tau_;
  decltype(named_counters({})) counters_;
  std::uint64_t bad_state_ = 0, accepted_ = 0;
  double tank_ = 1e9;
};

/// Good inputs for half a second after all that: it must be there again.
void expect_recovery(Controller& controller, ArmState state, const JointVector& q) {
  const JointVector zero = JointVector::Zero(q.size());
  const double time = std::isfinite(state.time) && std::abs(state.time) < 1e6 ? state.time : 0.0;
  state = {q, zero, zero, time};
  for (int i = 0; i < 50; ++i) {
    state.time += 0.01;
    controller.update(state, {}, 0.01);
  }
  const auto stuck = controller.status().torque.not_finite;
  controller.update(state, {}, 0.01);
  CHECK(controller.status().torque.not_finite == stuck);
  CHECK(controller.tau_external().allFinite() && controller.wrench().allFinite());
  CHECK(controller.tracked().position.allFinite());
}

}  // namespace
}  // namespace crisp_control::test

std::string fuzzing_reached() {
  using crisp_control::test::reached;
  std::ostringstream out;
  out << reached.ticks << " ticks, " << reached.accepted << " references accepted; tracking " << reached.modes[0]
      << ", holding " << reached.modes[1] << ", damping " << reached.modes[2] << ", in the reflex " << reached.modes[3];
  return out.str();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace crisp_control;
  using namespace crisp_control::test;
  Bytes bytes(data, size);
  const Subject& subject = subjects()[bytes.byte() % subjects().size()];
  const auto controller = subject.pristine->clone();
  const int n = controller->model().n();
  const JointVector q = n == 7 ? fr3_home() : JointVector(JointVector::Constant(n, 0.3));
  ArmState state{q, JointVector::Zero(n), JointVector::Zero(n), 100.0};
  controller->reset(state);
  Invariants invariants(*controller, JointVector::Zero(n));
  ReferenceSource source(bytes);
  References references;
  bool second = false;
  for (double now = 100.0; !bytes.empty() && now < 101.0; now += kDt) {
    const std::uint8_t event = bytes.byte();
    if (event < 32) subject.set_params(*controller, second = event & 1);
    const double dt = event == 255 ? bytes.number(kDt, 1.0) : kDt;
    const Pose tool = controller->terms().T_base_ee;
    source.change(references, tool, q, now);
    const ArmState sent = next_state(bytes, state, now);
    invariants.check(controller->update(sent, references, dt), subject, second, dt);
    if (sent.q.size() == n && sent.q.allFinite() && sent.q.norm() < 20.0) state.q = sent.q;
    for (int quiet = event < 40 ? bytes.byte() / 6 : 0; quiet > 0; --quiet) {  // ages and timers run on
      state.time = now += kDt;
      invariants.check(controller->update(state, references, kDt), subject, second, kDt);
    }
  }
  state.time = 200.0;
  expect_recovery(*controller, state, q);
  return 0;
}
