// The twin in real time, on a thread of its own.
#pragma once

#include <boost/lockfree/spsc_queue.hpp>
#include <string>
#include <thread>

#include "crisp_control/mailbox.hpp"
#include "twin.hpp"

namespace steadyhand {

inline constexpr int kMaxPositions = 128;  ///< largest nq of a scene that runs in real time
inline constexpr int kMaxMocap = 16;       ///< most mocap bodies

/// State of the scene at one tick, for cameras and observers.
struct Snapshot {
  std::array<Observation, kMaxArms> observations;
  std::array<double, kMaxPositions> qpos{};
  std::array<double, 7 * kMaxMocap> mocap{};
};

struct RealtimeStatistics {
  double real_time_factor = 0.0;  ///< simulated over elapsed time since start, pauses counted as simulated
  std::uint64_t ticks = 0;
  std::uint64_t overruns = 0;  ///< ticks that began more than one time step (at this speed) late
  double max_late_us = 0.0, p99_late_us = 0.0;
  bool fifo = false;  ///< SCHED_FIFO was granted
};

/// Runs a Twin at its time step against the wall clock. Stamps are the system's clock (CLOCK_REALTIME), that of ROS
/// messages, as long as one simulated second takes one second. At any other speed they are a simulated clock: it starts
/// at the system's time, counts time steps, stands still in a pause and goes on over a reset. Commands, requests and
/// snapshots cross without locks, so a busy or dead Python side never delays the loop. One thread may call send/request
/// and one may call snapshot at a time.
class RealtimeTwin {
 public:
  /// speed: simulated seconds per second.
  explicit RealtimeTwin(Twin& twin, double speed = 1.0);
  ~RealtimeTwin();
  RealtimeTwin(const RealtimeTwin&) = delete;
  RealtimeTwin& operator=(const RealtimeTwin&) = delete;

  void start();
  void stop();
  bool running() const noexcept { return thread_.joinable(); }
  /// Stamps are compared with the clock of the snapshots.
  void send(const Command& command, int arm) {
    last_sent_[arm] = command;
    command_[arm].write(command);
  }
  /// Of the sending thread: what a next command changes.
  const Command& last_sent(int arm) const noexcept { return last_sent_[arm]; }
  /// False if the queue of requests is full (the loop is not running).
  bool request_reset(const Eigen::VectorXd& qpos, const Eigen::VectorXd& mocap, double gripper, std::uint64_t seed);
  bool request_pause(bool paused);
  /// Newest snapshot, valid until the next call; null if there is none newer than the last one read.
  const Snapshot* snapshot() noexcept { return snapshot_.read(); }
  RealtimeStatistics statistics() const;
  Twin& twin() noexcept { return twin_; }
  const Twin& twin() const noexcept { return twin_; }

 private:
  struct Request {
    enum class Kind { kReset, kPause } kind = Kind::kPause;
    std::array<double, kMaxPositions> qpos{};
    std::array<double, 7 * kMaxMocap> mocap{};
    double gripper = 1.0;
    std::uint64_t seed = 0;  ///< of the sensors
    bool paused = false;
  };

  void run(const std::stop_token& stop) noexcept;
  void serve_requests() noexcept;
  void publish(double now) noexcept;
  void record_lateness(std::int64_t late_ns) noexcept;

  Twin& twin_;
  const double speed_;
  const std::int64_t period_ns_;  ///< of the wall clock
  std::jthread thread_;
  std::array<Command, kMaxArms> last_sent_;  // owned by the sender
  std::array<crisp_control::Mailbox<Command>, kMaxArms> command_;
  crisp_control::Mailbox<Snapshot> snapshot_;
  boost::lockfree::spsc_queue<Request, boost::lockfree::capacity<8>> requests_;
  bool paused_ = false;  // owned by the loop
  std::atomic<bool> fifo_{false};
  std::atomic<std::uint64_t> ticks_{0}, overruns_{0};
  std::atomic<std::int64_t> max_late_ns_{0}, started_ns_{0}, last_tick_ns_{0};
  std::array<std::atomic<std::uint32_t>, 64> late_histogram_{};  // quarter octaves from 1 us
};

}  // namespace steadyhand
