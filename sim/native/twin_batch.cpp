#include "twin_batch.hpp"

#include <algorithm>
#include <stdexcept>

namespace steadyhand {

namespace {

// About 0.5 ms of work: long beside taking the lock, short beside a policy's period.
constexpr int kStretch = 25;  // ticks

template <typename T>
bool has_repetition(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end()) != values.end();
}

}  // namespace

TwinBatch::TwinBatch(std::vector<Twin*> twins, int threads) : twins_(std::move(twins)) {
  if (threads < 1) throw std::invalid_argument("threads must be 1 or more, got " + std::to_string(threads));
  if (has_repetition(twins_)) throw std::invalid_argument("a twin is in the batch twice");
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this](const std::stop_token& stop) { worker(stop); });
}

TwinBatch::~TwinBatch() {
  for (auto& thread : workers_) thread.request_stop();
  wake_.notify_all();
}

void TwinBatch::step(int ticks, const std::vector<int>& which) {
  for (const int index : which) {
    if (index < 0 || index >= size()) {
      throw std::invalid_argument("twin " + std::to_string(index) + " of a batch of " + std::to_string(size()));
    }
  }
  if (has_repetition(which)) throw std::invalid_argument("a twin is to be stepped twice in one call");
  std::unique_lock lock(mutex_);
  for (const int index : which) waiting_.push_back({twins_[index], ticks});
  wake_.notify_all();
  drain(lock);
  done_.wait(lock, [this] { return stepping_ == 0; });  // a thread that wakes too late to help holds nobody up
}

void TwinBatch::drain(std::unique_lock<std::mutex>& lock) {
  while (!waiting_.empty()) {
    Rest rest = waiting_.front();
    waiting_.pop_front();
    ++stepping_;
    lock.unlock();
    const int ticks = std::min(rest.ticks, kStretch);
    rest.twin->step(ticks);
    rest.ticks -= ticks;
    lock.lock();
    --stepping_;
    if (rest.ticks > 0) waiting_.push_back(rest);
  }
}

void TwinBatch::worker(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (wake_.wait(lock, stop, [this] { return !waiting_.empty(); })) {
    drain(lock);
    done_.notify_all();
  }
}

}  // namespace steadyhand
