// Ways to have the instructions of a call counted, each from outside of the code that is called.
// In: a name, units that the count belongs to, a call. Out: a line "name<tab>units" on stdout, with a third column
// where the way counts by itself. Must not know kernels.
#pragma once

#include <cstdio>
#include <string>

#if defined(__x86_64__)
#include <valgrind/callgrind.h>
#include <x86intrin.h>

#include <csignal>
#endif

namespace gq::test {

// A debugger that steps through the program stops at these two.
extern "C" {
[[gnu::noinline, gnu::used]] inline void gq_count_begin() {
    asm volatile("" ::: "memory");
}
[[gnu::noinline, gnu::used]] inline void gq_count_end() {
    asm volatile("" ::: "memory");
}
}

struct CountByDebugger {
    template <class Run>
    static void count(const std::string& name, size_t units, Run run) {
        gq_count_begin();
        run();
        gq_count_end();
        std::printf("%s\t%zu\n", name.c_str(), units);
    }
};

#if defined(__x86_64__)
// Under callgrind, started with --collect-atstart=no: a dump of each call, which bears its name.
struct CountByCallgrind {
    template <class Run>
    static void count(const std::string& name, size_t units, Run run) {
        CALLGRIND_ZERO_STATS;
        CALLGRIND_TOGGLE_COLLECT;
        run();
        CALLGRIND_TOGGLE_COLLECT;
        CALLGRIND_DUMP_STATS_AT(name.c_str());
        std::printf("%s\t%zu\n", name.c_str(), units);
    }
};

// The processor traps behind every instruction: for instruction sets that callgrind does not know.
class CountByTraps {
  public:
    template <class Run>
    static void count(const std::string& name, size_t units, Run run) {
        constexpr unsigned long long trap_flag = 0x100;
        std::signal(SIGTRAP, [](int) { n_traps = n_traps + 1; });
        n_traps = 0;
        __writeeflags(__readeflags() | trap_flag);
        run();
        __writeeflags(__readeflags() & ~trap_flag);
        const unsigned long found = n_traps;
        std::signal(SIGTRAP, SIG_DFL);
        std::printf("%s\t%zu\t%lu\n", name.c_str(), units, found);
    }

  private:
    static inline volatile unsigned long n_traps = 0;
};
#endif

}  // namespace gq::test
