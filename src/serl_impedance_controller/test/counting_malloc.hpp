// SPDX-License-Identifier: Apache-2.0
/// \file
/// Counts calls of malloc (and with it operator new and Eigen's allocator) in this process. Include it in one file of a
/// test program.
#ifndef COUNTING_MALLOC_HPP_
#define COUNTING_MALLOC_HPP_

#include <cstddef>
#include <cstdlib>

namespace serl_impedance_controller::test
{
/// Calls of this thread: other threads (middleware) allocate as they like.
inline thread_local long allocations = 0;
}

extern "C" {
void * __libc_malloc(std::size_t size);                             // NOLINT
void * __libc_calloc(std::size_t count, std::size_t size);          // NOLINT
void * __libc_realloc(void * pointer, std::size_t size);            // NOLINT
void * __libc_memalign(std::size_t alignment, std::size_t size);    // NOLINT

void * malloc(std::size_t size)
{
  ++serl_impedance_controller::test::allocations;
  return __libc_malloc(size);
}
void * calloc(std::size_t count, std::size_t size)
{
  ++serl_impedance_controller::test::allocations;
  return __libc_calloc(count, size);
}
void * realloc(void * pointer, std::size_t size)
{
  ++serl_impedance_controller::test::allocations;
  return __libc_realloc(pointer, size);
}
void * aligned_alloc(std::size_t alignment, std::size_t size)
{
  ++serl_impedance_controller::test::allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void ** out, std::size_t alignment, std::size_t size) noexcept
{
  ++serl_impedance_controller::test::allocations;
  *out = __libc_memalign(alignment, size);
  return *out ? 0 : 12;
}
}

#endif  // COUNTING_MALLOC_HPP_
