#include "allocations.hpp"

#include <cerrno>
#include <cstdlib>

namespace {

// Plain thread-locals of the program itself: reading them never allocates.
thread_local bool counting = false;
thread_local std::uint64_t allocations = 0;

void note() noexcept { allocations += counting; }

}  // namespace

// The program's definitions come before glibc's for every shared library; operator new calls malloc.
extern "C" {
void* __libc_malloc(std::size_t size) noexcept;
void* __libc_calloc(std::size_t count, std::size_t size) noexcept;
void* __libc_realloc(void* block, std::size_t size) noexcept;
void* __libc_memalign(std::size_t alignment, std::size_t size) noexcept;

void* malloc(std::size_t size) noexcept {
  note();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  note();
  return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) noexcept {
  note();
  return __libc_realloc(block, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  note();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  note();
  *out = __libc_memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}
}

namespace crisp_control::test {

AllocationCount::AllocationCount() noexcept {
  allocations = 0;
  counting = true;
}
AllocationCount::~AllocationCount() { counting = false; }
std::uint64_t AllocationCount::count() const noexcept { return allocations; }

}  // namespace crisp_control::test
