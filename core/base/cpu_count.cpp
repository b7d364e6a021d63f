// Counts the physical cores that the affinity mask and the cgroup's CPU quota leave to this process. See cpu_count.h.
// In: sched_getaffinity, /sys and /proc. Out: a count of at least 1. A file that is missing or odd limits nothing.
// Must not know what the count is used for.
#include "core/base/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "core/base/threads.h"

namespace gq {

namespace {

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// Logical cpus of the affinity mask; the mask grows until the kernel's fits.
std::vector<size_t> allowed_cpus() {
    std::vector<size_t> cpus;
    for (size_t n = 1024; n <= (1u << 20); n *= 2) {
        const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(CPU_ALLOC(n), [](cpu_set_t* m) { CPU_FREE(m); });
        if (!mask) break;
        const size_t bytes = CPU_ALLOC_SIZE(n);
        if (sched_getaffinity(0, bytes, mask.get()) == 0) {
            for (size_t i = 0; i < n; ++i) {
                if (CPU_ISSET_S(i, bytes, mask.get())) cpus.push_back(i);
            }
            break;
        }
        if (errno != EINVAL) break;
    }
    return cpus;
}

// quota / period in cores, rounded up. Both in microseconds; a quota of "max" or -1 is none.
size_t cores_of(const std::string& quota, const std::string& period) {
    char* end = nullptr;
    const double q = std::strtod(quota.c_str(), &end);
    if (end == quota.c_str()) return no_quota;
    const double p = std::strtod(period.c_str(), nullptr);
    if (!(q > 0 && p > 0)) return no_quota;
    return static_cast<size_t>(std::clamp(std::ceil(q / p), 1.0, 1e6));
}

// The two values of one folder: cpu.max "QUOTA PERIOD" (v2), or cpu.cfs_quota_us and cpu.cfs_period_us (v1).
size_t folder_quota(const std::string& folder) {
    std::istringstream max(first_line(folder + "/cpu.max"));
    std::string quota, period;
    if (max >> quota >> period) return cores_of(quota, period);
    return cores_of(first_line(folder + "/cpu.cfs_quota_us"), first_line(folder + "/cpu.cfs_period_us"));
}

// Each group may be limited by any group around it. In a container the path may not exist below the mount; the walk up
// ends at the mount itself.
size_t smallest_quota(const std::string& mount, std::string group) {
    size_t smallest = no_quota;
    for (;;) {
        while (!group.empty() && group.back() == '/') group.pop_back();
        smallest = std::min(smallest, folder_quota(mount + group));
        if (group.empty()) return smallest;
        group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
    }
}

bool lists_cpu(const std::string& controllers) {
    return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

size_t physical_cores(std::span<const size_t> cpus, const std::string& root) {
    std::set<std::string> cores;  // a core is the list of its hardware threads
    for (const size_t cpu : cpus) {
        const std::string name = "cpu" + std::to_string(cpu);
        const std::string siblings =
            first_line(root + "/sys/devices/system/cpu/" + name + "/topology/thread_siblings_list");
        cores.insert(siblings.empty() ? name : siblings);
    }
    return cores.size();
}

size_t quota_cores(const std::string& root) {
    const std::string mount = root + "/sys/fs/cgroup";
    size_t smallest = no_quota;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {  // hierarchy-ID:controllers:/path
        const size_t first = line.find(':');
        const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
        if (controllers.empty()) smallest = std::min(smallest, smallest_quota(mount, group));
        if (lists_cpu(controllers)) smallest = std::min(smallest, smallest_quota(mount + "/" + controllers, group));
    }
    return smallest;
}

size_t default_thread_count() {
    const std::vector<size_t> cpus = allowed_cpus();
    const size_t cores = cpus.empty() ? std::thread::hardware_concurrency() : physical_cores(cpus, "");
    return std::max<size_t>(1, std::min(cores, quota_cores("")));
}

}  // namespace gq
