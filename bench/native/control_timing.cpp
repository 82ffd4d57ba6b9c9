#include "control_timing.hpp"

#include <pthread.h>
#include <sys/prctl.h>

namespace steadyhand::bench {

void sleep_until(std::int64_t deadline_ns) noexcept {
  const timespec t{deadline_ns / 1'000'000'000, deadline_ns % 1'000'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}

bool request_fifo() noexcept {
  constexpr int kPriority = 80;
  const sched_param parameters{kPriority};
  if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters) == 0) return true;
  prctl(PR_SET_TIMERSLACK, 1UL);
  return false;
}

Timing back_to_back(const crisp_control::Controller& controller, BareTerms& bare, const Trace& trace, int passes) {
  constexpr std::size_t kTurn = 50;  // ticks
  const auto clone = controller.clone();
  const std::size_t ticks = passes * trace.states.size();
  Timing timing{Eigen::VectorXd(ticks), Eigen::VectorXd(ticks), {}};
  Replay replay(*clone, trace);
  std::size_t bare_tick = 0;
  steadyhand_counting_start();
  for (std::size_t begin = 0; begin < ticks; begin += kTurn) {
    const std::size_t end = std::min(begin + kTurn, ticks);
    for (std::size_t i = begin; i < end; ++i) {
      replay.next();
      const std::int64_t start = now_ns();
      replay.update();
      timing.update_us[i] = 1e-3 * static_cast<double>(now_ns() - start);
    }
    for (std::size_t i = begin; i < end; ++i) {
      const std::int64_t start = now_ns();
      bare.compute(trace.bare_q[bare_tick], trace.bare_dq[bare_tick]);
      timing.bare_us[i] = 1e-3 * static_cast<double>(now_ns() - start);
      bare_tick = (bare_tick + 1) % trace.states.size();
    }
  }
  timing.counts = steadyhand_counting_stop();
  return timing;
}

}  // namespace steadyhand::bench
