#include "realtime_twin.hpp"

#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>

#include <cmath>
#include <stdexcept>

namespace steadyhand {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr int kPriority = 80;
constexpr double kMinSpeed = 0.1, kMaxSpeed = 10.0;
constexpr std::int64_t kGiveUpLate = 50'000'000;  // ns; later than this the schedule restarts instead of catching up

std::int64_t now_ns(clockid_t clock) noexcept {
  timespec t{};
  clock_gettime(clock, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

double unix_time() noexcept { return static_cast<double>(now_ns(CLOCK_REALTIME)) * 1e-9; }

void sleep_until(std::int64_t deadline) noexcept {
  const timespec t{deadline / kSecond, deadline % kSecond};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}

bool request_fifo() noexcept {
  const sched_param parameters{kPriority};
  return pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters) == 0;
}

}  // namespace

RealtimeTwin::RealtimeTwin(Twin& twin, double speed)
    : twin_(twin), speed_(speed), period_ns_(std::llround(twin.model().opt.timestep / speed * kSecond)) {
  if (!(speed >= kMinSpeed && speed <= kMaxSpeed)) {
    throw std::invalid_argument("speed " + std::to_string(speed) + " is not from 0.1 to 10");
  }
  if (twin.model().nq > kMaxPositions || twin.model().nmocap > kMaxMocap) {
    throw std::invalid_argument("the scene is too large for real time: at most " + std::to_string(kMaxPositions) +
                                " positions and " + std::to_string(kMaxMocap) + " mocap bodies");
  }
}

RealtimeTwin::~RealtimeTwin() { stop(); }

void RealtimeTwin::start() {
  if (running()) return;
  for (auto* counter : {&ticks_, &overruns_}) *counter = 0;
  for (auto& bin : late_histogram_) bin = 0;
  max_late_ns_ = 0;
  started_ns_ = now_ns(CLOCK_MONOTONIC);
  last_tick_ns_ = started_ns_.load();
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void RealtimeTwin::stop() {
  if (!running()) return;
  thread_.request_stop();
  thread_.join();
}

bool RealtimeTwin::request_reset(const Eigen::VectorXd& qpos, const Eigen::VectorXd& mocap, double gripper,
                                 std::uint64_t seed) {
  twin_.check_state(qpos, mocap);
  Request request;
  request.kind = Request::Kind::kReset;
  std::copy_n(qpos.data(), qpos.size(), request.qpos.begin());
  std::copy_n(mocap.data(), mocap.size(), request.mocap.begin());
  request.gripper = gripper;
  request.seed = seed;
  return requests_.push(request);
}

bool RealtimeTwin::request_pause(bool paused) {
  Request request;
  request.paused = paused;
  return requests_.push(request);
}

void RealtimeTwin::run(const std::stop_token& stop) noexcept {
  fifo_ = request_fifo();
  if (!fifo_) prctl(PR_SET_TIMERSLACK, 1UL);  // the default slack of 50 us is for laptops on battery
  std::int64_t deadline = now_ns(CLOCK_MONOTONIC);
  const double start = unix_time();
  std::int64_t steps = 0;  // counted, because a sum of time steps would drift by its rounding
  while (!stop.stop_requested()) {
    serve_requests();
    for (int i = 0; i < twin_.size(); ++i) {
      if (const Command* command = command_[i].read()) twin_.arm(i).set_command(*command);
    }
    const double now = speed_ == 1.0 ? unix_time() : start + static_cast<double>(steps) * twin_.model().opt.timestep;
    if (!paused_) {
      twin_.tick(now);
      ++steps;
    }
    publish(now);
    deadline += period_ns_;
    sleep_until(deadline);
    const std::int64_t woke = now_ns(CLOCK_MONOTONIC);
    record_lateness(woke - deadline);
    if (woke - deadline > kGiveUpLate) deadline = woke;
    last_tick_ns_.store(woke, std::memory_order_relaxed);
  }
}

void RealtimeTwin::serve_requests() noexcept {
  Request request;
  while (requests_.pop(request)) {
    if (request.kind == Request::Kind::kPause) {
      paused_ = request.paused;
    } else {
      twin_.reset(request.qpos.data(), request.mocap.data(), request.gripper, request.seed);
    }
  }
}

void RealtimeTwin::publish(double now) noexcept {
  Snapshot snapshot;
  for (int i = 0; i < twin_.size(); ++i) {
    snapshot.observations[i] = twin_.arm(i).last_observation(twin_.data());
    snapshot.observations[i].time = now;
  }
  std::copy_n(twin_.data().qpos, twin_.model().nq, snapshot.qpos.begin());
  for (int i = 0; i < twin_.model().nmocap; ++i) {
    std::copy_n(twin_.data().mocap_pos + 3 * i, 3, snapshot.mocap.data() + 7 * i);
    std::copy_n(twin_.data().mocap_quat + 4 * i, 4, snapshot.mocap.data() + 7 * i + 3);
  }
  snapshot_.write(snapshot);
}

void RealtimeTwin::record_lateness(std::int64_t late_ns) noexcept {
  const double late_us = std::max(1e-3 * static_cast<double>(late_ns), 1.0);
  const int bin = std::min(static_cast<int>(4.0 * std::log2(late_us)), static_cast<int>(late_histogram_.size()) - 1);
  late_histogram_[bin].fetch_add(1, std::memory_order_relaxed);
  ticks_.fetch_add(1, std::memory_order_relaxed);
  if (late_ns > period_ns_) overruns_.fetch_add(1, std::memory_order_relaxed);
  if (late_ns > max_late_ns_.load(std::memory_order_relaxed)) max_late_ns_.store(late_ns, std::memory_order_relaxed);
}

RealtimeStatistics RealtimeTwin::statistics() const {
  RealtimeStatistics out;
  out.ticks = ticks_;
  out.overruns = overruns_;
  out.max_late_us = 1e-3 * static_cast<double>(max_late_ns_);
  out.fifo = fifo_;
  const double elapsed = 1e-9 * static_cast<double>(last_tick_ns_ - started_ns_);
  if (elapsed > 0.0) out.real_time_factor = static_cast<double>(out.ticks) * twin_.model().opt.timestep / elapsed;
  std::uint64_t seen = 0;
  for (std::size_t bin = 0; bin < late_histogram_.size(); ++bin) {
    seen += late_histogram_[bin];
    if (static_cast<double>(seen) >= 0.99 * static_cast<double>(out.ticks)) {
      out.p99_late_us = std::exp2((static_cast<double>(bin) + 1.0) / 4.0);  // upper edge of the bin
      break;
    }
  }
  return out;
}

}  // namespace steadyhand
