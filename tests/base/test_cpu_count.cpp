// core/base/cpu_count.h on copies of /sys and /proc as machines and containers show them.
// In: trees of such files, written into a folder of the test's own. Out: checks of counts.
// Must not depend on the machine that runs it.
#include "core/base/cpu_count.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace gq;

namespace {

// A root folder of the test's own, removed at the end.
class FakeRoot {
  public:
    FakeRoot() {
        std::string name = (std::filesystem::temp_directory_path() / "gq_cpu_XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~FakeRoot() { std::filesystem::remove_all(path_); }
    FakeRoot(const FakeRoot&) = delete;
    FakeRoot& operator=(const FakeRoot&) = delete;

    void write(const std::string& file, const std::string& text) const {
        const std::filesystem::path full = path_ + file;
        std::filesystem::create_directories(full.parent_path());
        std::ofstream(full) << text;
    }
    void cpu(size_t index, const std::string& siblings) const {
        write("/sys/devices/system/cpu/cpu" + std::to_string(index) + "/topology/thread_siblings_list",
              siblings + "\n");
    }
    void groups(const std::string& text) const { write("/proc/self/cgroup", text); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace

TEST_SUITE("base") {
    TEST_CASE("physical cores: hardware threads of one core count once") {
        const FakeRoot root;
        for (size_t i = 0; i < 4; ++i) root.cpu(i, std::to_string(i) + "," + std::to_string(i + 4));
        for (size_t i = 4; i < 8; ++i) root.cpu(i, std::to_string(i - 4) + "," + std::to_string(i));
        CHECK(physical_cores(std::vector<size_t>{0, 1, 2, 3, 4, 5, 6, 7}, root.path()) == 4);
        CHECK(physical_cores(std::vector<size_t>{0, 4}, root.path()) == 1);
        // The mask may hold only one thread of each core.
        CHECK(physical_cores(std::vector<size_t>{4, 5, 6}, root.path()) == 3);
    }

    TEST_CASE("physical cores: a cpu without topology is a core of its own") {
        const FakeRoot root;
        root.cpu(0, "0-1");
        root.cpu(1, "0-1");
        CHECK(physical_cores(std::vector<size_t>{0, 1, 2, 3}, root.path()) == 3);
        CHECK(physical_cores(std::vector<size_t>{}, root.path()) == 0);
    }

    TEST_CASE("quota: none without groups, without files, and for max and -1") {
        const FakeRoot root;
        CHECK(quota_cores(root.path()) == no_quota);
        root.groups("0::/\n");
        CHECK(quota_cores(root.path()) == no_quota);
        root.write("/sys/fs/cgroup/cpu.max", "max 100000\n");
        CHECK(quota_cores(root.path()) == no_quota);
        root.groups("3:cpu,cpuacct:/a\n");
        root.write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
        root.write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
        CHECK(quota_cores(root.path()) == no_quota);
    }

    TEST_CASE("quota v2: rounded up to whole cores") {
        struct Case {
            const char* max;
            size_t cores;
        };
        for (const Case& c : {Case{"100000 100000", 1},
                              {"150000 100000", 2},
                              {"10000 100000", 1},
                              {"800000 100000", 8},
                              {"400000 50000", 8}}) {
            CAPTURE(c.max);
            const FakeRoot root;
            root.groups("0::/\n");
            root.write("/sys/fs/cgroup/cpu.max", std::string(c.max) + "\n");
            CHECK(quota_cores(root.path()) == c.cores);
        }
    }

    TEST_CASE("quota v2: the smallest of the group and those around it") {
        const FakeRoot root;
        root.groups("0::/system.slice/gq.service\n");
        root.write("/sys/fs/cgroup/system.slice/gq.service/cpu.max", "600000 100000\n");
        root.write("/sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n");
        root.write("/sys/fs/cgroup/cpu.max", "max 100000\n");
        root.write("/sys/fs/cgroup/other/cpu.max", "100000 100000\n");
        CHECK(quota_cores(root.path()) == 3);
    }

    TEST_CASE("quota v2: a container shows its own quota at the mount, whatever the path says") {
        const FakeRoot root;
        root.groups("0::/docker/0123456789abcdef\n");
        root.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
        CHECK(quota_cores(root.path()) == 2);
    }

    TEST_CASE("quota v1: the group of the cpu controller, among the others") {
        const FakeRoot root;
        root.groups("12:cpuset:/x\n11:memory:/jobs\n4:cpu,cpuacct:/jobs/7\n1:name=systemd:/init\n");
        root.write("/sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_quota_us", "250000\n");
        root.write("/sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_period_us", "100000\n");
        root.write("/sys/fs/cgroup/memory/jobs/cpu.cfs_quota_us", "100000\n");
        root.write("/sys/fs/cgroup/memory/jobs/cpu.cfs_period_us", "100000\n");
        CHECK(quota_cores(root.path()) == 3);
    }

    TEST_CASE("quota: odd files limit nothing") {
        const FakeRoot root;
        root.groups("nonsense\n::\n0::/a/b//\n");
        root.write("/sys/fs/cgroup/a/b/cpu.max", "many few\n");
        root.write("/sys/fs/cgroup/a/cpu.max", "100000 0\n");
        root.write("/sys/fs/cgroup/cpu.max", "-5 100000\n");
        CHECK(quota_cores(root.path()) == no_quota);
    }
}
