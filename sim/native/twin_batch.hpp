// Many twins on a few threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "twin.hpp"

namespace steadyhand {

/// Steps twins in parallel, each in short stretches that any thread takes up, so that no thread is left alone with a
/// long rest. A twin is with one thread at a time and steps no other way than alone: the result does not depend on the
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
  struct Rest {
    Twin* twin;
    int ticks;  ///< still to do in this call
  };

  void worker(const std::stop_token& stop);
  /// Works until every twin is done or with another thread; holds the lock except while it steps.
  void drain(std::unique_lock<std::mutex>& lock);

  std::vector<Twin*> twins_;
  std::deque<Rest> waiting_;
  std::mutex mutex_;
  std::condition_variable_any wake_, done_;
  int stepping_ = 0;  ///< threads that step a twin now
  std::vector<std::jthread> workers_;
};

}  // namespace steadyhand
