// A library for LD_PRELOAD: its definitions come before glibc's for the whole process.
#include "counting.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include <cerrno>
#include <cstdlib>

namespace {

using steadyhand::bench::Counts;

// Initial-exec: reading them never allocates, as the default model of a shared library may.
[[gnu::tls_model("initial-exec")]] thread_local bool counting = false;
[[gnu::tls_model("initial-exec")]] thread_local Counts counts;

void note_allocation() noexcept { counts.allocations += counting; }
void note_lock() noexcept { counts.locks += counting; }

template <typename Function>
Function next(const char* name) noexcept {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// Defines NAME as: count, then call glibc's. A race writes the same pointer twice.
#define COUNTED_LOCK(NAME, PARAMETERS, ARGUMENTS)             \
  int NAME PARAMETERS {                                       \
    static int(*original) PARAMETERS = nullptr;               \
    if (!original) original = next<int(*) PARAMETERS>(#NAME); \
    note_lock();                                              \
    return original ARGUMENTS;                                \
  }

extern "C" {
void* __libc_malloc(std::size_t size) noexcept;
void* __libc_calloc(std::size_t count, std::size_t size) noexcept;
void* __libc_realloc(void* block, std::size_t size) noexcept;
void* __libc_memalign(std::size_t alignment, std::size_t size) noexcept;

void* malloc(std::size_t size) noexcept {
  note_allocation();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  note_allocation();
  return __libc_calloc(count, size);
}
void* realloc(void* block, std::size_t size) noexcept {
  note_allocation();
  return __libc_realloc(block, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  note_allocation();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  *out = memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}

COUNTED_LOCK(pthread_mutex_lock, (pthread_mutex_t * mutex) noexcept, (mutex))
COUNTED_LOCK(pthread_mutex_timedlock, (pthread_mutex_t * mutex, const timespec* until) noexcept, (mutex, until))
COUNTED_LOCK(pthread_mutex_clocklock, (pthread_mutex_t * mutex, clockid_t clock, const timespec* until) noexcept,
             (mutex, clock, until))
COUNTED_LOCK(pthread_rwlock_rdlock, (pthread_rwlock_t * lock) noexcept, (lock))
COUNTED_LOCK(pthread_rwlock_wrlock, (pthread_rwlock_t * lock) noexcept, (lock))
COUNTED_LOCK(pthread_spin_lock, (pthread_spinlock_t * lock) noexcept, (lock))
COUNTED_LOCK(pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t* mutex), (condition, mutex))
COUNTED_LOCK(pthread_cond_timedwait, (pthread_cond_t * condition, pthread_mutex_t* mutex, const timespec* until),
             (condition, mutex, until))
COUNTED_LOCK(sem_wait, (sem_t * semaphore), (semaphore))
COUNTED_LOCK(sem_timedwait, (sem_t * semaphore, const timespec* until), (semaphore, until))

void steadyhand_counting_start() noexcept {
  counts = {};
  counting = true;
}
Counts steadyhand_counting_stop() noexcept {
  counting = false;
  return counts;
}
}
