#include "twin_batch.hpp"

#include <algorithm>
#include <stdexcept>

namespace steadyhand {

namespace {

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
  {
    const std::lock_guard lock(mutex_);
    which_ = which;
    ticks_ = ticks;
    next_ = 0;
    ++round_;
    busy_ = static_cast<int>(workers_.size());
  }
  wake_.notify_all();
  drain();
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
}

void TwinBatch::drain() noexcept {
  const int count = static_cast<int>(which_.size());
  for (int i = next_++; i < count; i = next_++) twins_[which_[i]]->step(ticks_);
}

void TwinBatch::worker(const std::stop_token& stop) {
  std::uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [&] { return round_ != seen; })) return;
      seen = round_;
    }
    drain();
    const std::lock_guard lock(mutex_);
    if (--busy_ == 0) done_.notify_all();
  }
}

}  // namespace steadyhand
