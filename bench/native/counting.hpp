// Counts what a control loop must not do: allocate, and wait for a lock.
#pragma once

#include <cstdint>

namespace steadyhand::bench {

struct Counts {
  std::uint64_t allocations = 0;  ///< malloc, calloc, realloc and their aligned kin; operator new ends there too
  std::uint64_t locks = 0;        ///< calls that can wait: mutexes, read-write locks, conditions, semaphores
};

}  // namespace steadyhand::bench

extern "C" {
/// From now on counts the calls of this thread, from zero.
void steadyhand_counting_start() noexcept;
steadyhand::bench::Counts steadyhand_counting_stop() noexcept;
}
