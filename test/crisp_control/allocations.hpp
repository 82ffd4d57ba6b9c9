// Counts calls of malloc and its relatives, in this program and in every library it calls.
#pragma once

#include <cstdint>

namespace crisp_control::test {

/// Allocations since the object was made. glibc only.
class AllocationCount {
 public:
  AllocationCount() noexcept;
  ~AllocationCount();
  AllocationCount(const AllocationCount&) = delete;
  AllocationCount& operator=(const AllocationCount&) = delete;
  std::uint64_t count() const noexcept;
};

}  // namespace crisp_control::test
