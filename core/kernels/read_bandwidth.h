// How fast this machine reads memory: the roof under which decode runs.
// In: a pool of threads and a time. Out: bytes per second.
// Must not know models.
#pragma once

#include "core/base/threads.h"

namespace gq {

// The best of plain reads of 512 MiB by all threads together, in pages as the system gives them and in huge pages, over
// 1, 2, 4 and 8 streams a thread, with and without prefetching; each of them at least once and then again until
// `seconds` have passed. Error(out_of_memory).
double read_bandwidth(ThreadPool& pool, double seconds);

}  // namespace gq
