// How many cores this process may really use. The parts of default_thread_count(), open for tests.
// In: files below a root folder ("" is the machine's own; tests give a copy). Out: counts.
// Must not know thread pools. Sources: Linux Documentation/admin-guide/cputopology.rst, cgroup-v2.rst,
// scheduler/sched-bwc.rst.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>

namespace gq {

inline constexpr size_t no_quota = std::numeric_limits<size_t>::max();

// Distinct physical cores among the logical cpus given: hardware threads of one core count once. A cpu without topology
// is a core of its own.
size_t physical_cores(std::span<const size_t> cpus, const std::string& root);

// The smallest CPU quota of this process's cgroup and those around it, v2 or v1, in cores rounded up; no_quota where
// there is none.
size_t quota_cores(const std::string& root);

}  // namespace gq
