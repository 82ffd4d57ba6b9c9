// Counts calls of malloc and its relatives, in this program and in every library it calls.
#pragma once

#include "counting.hpp"

namespace crisp_control::test {

/// Allocations since the object was made, until they are first asked for. glibc only.
class AllocationCount {
 public:
  AllocationCount() noexcept { steadyhand_counting_start(); }
  ~AllocationCount() { steadyhand_counting_stop(); }
  AllocationCount(const AllocationCount&) = delete;
  AllocationCount& operator=(const AllocationCount&) = delete;
  std::uint64_t count() const noexcept { return steadyhand_counting_stop().allocations; }
};

}  // namespace crisp_control::test
