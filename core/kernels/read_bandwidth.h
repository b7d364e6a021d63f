// How fast this machine reads memory: the roof under which decode runs.
// In: a pool of threads and a time. Out: bytes per second.
// Must not know models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/threads.h"

namespace gq {

// The ways to read: 1, 2, 4 and 8 streams a thread, with and without prefetching.
inline constexpr size_t n_read_ways = 8;
// Bytes per second of one read of zeroed memory by all threads together; way < n_read_ways. The memory should be
// one that no cache holds.
double read_once(ThreadPool& pool, std::span<const uint64_t> zeroed, size_t way);

// The best of all ways over 512 MiB, in pages as the system gives them and in huge pages; each of them at least once
// and then again until `seconds` have passed. Error(out_of_memory).
double read_bandwidth(ThreadPool& pool, double seconds);

}  // namespace gq
