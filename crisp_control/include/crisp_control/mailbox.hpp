// The newest value, from one thread to another, without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace crisp_control {

/// One writer, one reader, three slots: both sides are wait-free, and neither ever sees half a value. What was not read
/// is overwritten. T must copy without allocating.
template <typename T>
class Mailbox {
 public:
  explicit Mailbox(const T& initial = T()) : slots_{initial, initial, initial} {}

  void write(const T& value) noexcept {
    slots_[back_] = value;
    // Acquire too: the reader's last look at the slot that comes back happened before the next write to it.
    back_ = middle_.exchange(back_ | kNew, std::memory_order_acq_rel) & kSlot;
  }
  /// Null if nothing was written since the last call; what it points to stays until the next one.
  const T* read() noexcept {
    if (!(middle_.load(std::memory_order_relaxed) & kNew)) return nullptr;
    front_ = middle_.exchange(front_, std::memory_order_acq_rel) & kSlot;
    return &slots_[front_];
  }

 private:
  static constexpr std::uint8_t kSlot = 3, kNew = 4;

  std::array<T, 3> slots_;
  alignas(64) std::uint8_t back_ = 0;  // the writer's
  alignas(64) std::atomic<std::uint8_t> middle_{1};
  alignas(64) std::uint8_t front_ = 2;  // the reader's
};

}  // namespace crisp_control
