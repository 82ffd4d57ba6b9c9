// Many twins on a few threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "twin.hpp"

namespace steadyhand {

/// Steps twins in parallel. Every twin is stepped by exactly one thread per call, so the result does not depend on the
/// number of threads.
class TwinBatch {
 public:
  /// The twins must outlive the batch. threads: 1 or more; the calling thread is one of them.
  TwinBatch(std::vector<Twin*> twins, int threads);
  ~TwinBatch();
  TwinBatch(const TwinBatch&) = delete;
  TwinBatch& operator=(const TwinBatch&) = delete;

  /// Steps the twins with these indices by `ticks` each and returns when all are done.
  void step(int ticks, const std::vector<int>& which);
  int size() const noexcept { return static_cast<int>(twins_.size()); }

 private:
  void worker(const std::stop_token& stop);
  void drain() noexcept;

  std::vector<Twin*> twins_;
  std::vector<int> which_;
  int ticks_ = 0;
  std::atomic<int> next_{0};
  std::mutex mutex_;
  std::condition_variable_any wake_, done_;
  std::uint64_t round_ = 0;
  int busy_ = 0;
  std::vector<std::jthread> workers_;
};

}  // namespace steadyhand
