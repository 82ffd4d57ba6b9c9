// Times a controller over a recorded motion: back to back beside Pinocchio's bare terms, and paced at 1 kHz.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "bare_terms.hpp"
#include "counting.hpp"
#include "crisp_control/controller.hpp"
#include "crisp_control/mailbox.hpp"

namespace steadyhand::bench {

inline std::int64_t now_ns() noexcept {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

void sleep_until(std::int64_t deadline_ns) noexcept;
/// For this thread; false if not allowed.
bool request_fifo() noexcept;

/// States of a motion that a controller caused, one per tick, and the references it was given meanwhile.
struct Trace {
  double dt = 1e-3;  ///< s
  std::vector<crisp_control::ArmState> states;
  std::vector<std::size_t> references_at;  ///< index into `references`, per state
  std::vector<crisp_control::References> references;
  std::vector<Eigen::VectorXd> bare_q, bare_dq;  ///< per state, in Pinocchio's coordinates
};

struct Timing {
  Eigen::VectorXd update_us, bare_us;
  Counts counts;
};

/// The trace `passes` times; controller and bare terms take turns every few ticks, so that noise hits both.
Timing back_to_back(const crisp_control::Controller& controller, BareTerms& bare, const Trace& trace, int passes);

struct PacedTiming {
  Eigen::VectorXd quiet_us, with_sets_us;
  Counts counts;
  std::uint64_t sets = 0;  ///< parameter sets that the loop took
  bool fifo = false;
};

/// Walks through a trace again and again, on a controller of its own.
class Replay {
 public:
  Replay(crisp_control::Controller& controller, const Trace& trace) : controller_(controller), trace_(trace) {}
  /// Begins the next tick: fetches its references, resets the controller where the motion starts anew.
  void next() noexcept {
    tick_ = (tick_ + 1) % trace_.states.size();
    if (tick_ == 0) controller_.reset(trace_.states.front());
    if (tick_ == 0 || trace_.references_at[tick_] != trace_.references_at[tick_ - 1]) {
      references_ = trace_.references[trace_.references_at[tick_]];
    }
  }
  void update() noexcept { controller_.update(trace_.states[tick_], references_, trace_.dt); }
  std::size_t tick() const noexcept { return tick_; }

 private:
  crisp_control::Controller& controller_;
  const Trace& trace_;
  crisp_control::References references_;
  std::size_t tick_ = static_cast<std::size_t>(-1);
};

/// `ticks` ticks at 1 kHz. In every second stretch of `stretch` ticks another thread validates and sends parameters
/// 100 times a second, `first` and `second` in turns; the time of taking them is part of the tick.
template <typename C, typename P>
PacedTiming paced(const C& original, const P& first, const P& second, const Trace& trace, int ticks, int stretch) {
  const std::unique_ptr<crisp_control::Controller> clone = original.clone();
  C& controller = static_cast<C&>(*clone);
  PacedTiming timing;
  std::vector<std::int64_t> quiet, with_sets;
  quiet.reserve(ticks);
  with_sets.reserve(ticks);
  crisp_control::Mailbox<std::optional<P>> box;
  std::atomic<bool> sending{false};
  std::jthread sender([&](const std::stop_token& stop) {
    for (bool odd = false; !stop.stop_requested(); odd = !odd) {
      sleep_until(now_ns() + 10'000'000);
      if (!sending) continue;
      const P& params = odd ? second : first;
      params.validate(controller.model());
      box.write(params);
    }
  });
  std::thread loop([&] {
    timing.fifo = request_fifo();
    Replay replay(controller, trace);
    steadyhand_counting_start();
    std::int64_t deadline = now_ns();
    for (int i = 0; i < ticks; ++i) {
      const bool sets = (i / stretch) % 2 == 1;
      sending.store(sets, std::memory_order_relaxed);
      deadline += 1'000'000;
      sleep_until(deadline);
      replay.next();
      const std::int64_t begin = now_ns();
      if (const auto* params = box.read()) {
        controller.set_params(**params);
        ++timing.sets;
      }
      replay.update();
      const std::int64_t end = now_ns();
      (sets ? with_sets : quiet).push_back(end - begin);
      if (end - deadline > 50'000'000) deadline = end;  // do not catch up after a long delay
    }
    timing.counts = steadyhand_counting_stop();
  });
  loop.join();
  const auto to_us = [](const std::vector<std::int64_t>& ns) -> Eigen::VectorXd {
    return 1e-3 * Eigen::Map<const Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1>>(ns.data(), ns.size()).cast<double>();
  };
  timing.quiet_us = to_us(quiet);
  timing.with_sets_us = to_us(with_sets);
  return timing;
}

}  // namespace steadyhand::bench
