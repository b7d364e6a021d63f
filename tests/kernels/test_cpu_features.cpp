// What this CPU can run, by name.
// In: the CPU that runs it. Out: checks that hold on every CPU.
// Must not ask CPUID itself.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "core/kernels/cpu_features.h"

using namespace gq;

TEST_SUITE("kernels") {
    TEST_CASE("scalar is known first and always runs; unknown names never do") {
        REQUIRE(!known_isas().empty());
        CHECK(std::string_view(known_isas().front()) == "scalar");
        CHECK(cpu_can_run("scalar"));
        CHECK_FALSE(cpu_can_run("sse9"));
        CHECK_FALSE(cpu_can_run(""));
    }

    TEST_CASE("known instruction sets are this architecture's, in ascending preference") {
        std::string names;
        for (const char* isa : known_isas()) names += std::string(isa) + " ";
#if defined(__x86_64__)
        CHECK(names == "scalar avx2 avxvnni avx512 ");
        CHECK_FALSE(cpu_can_run("neon"));
        for (const char* isa : {"avxvnni", "avx512"})
            if (cpu_can_run(isa)) CHECK(cpu_can_run("avx2"));
        // The compiler's own look at CPUID, which also asks whether the system saves the registers.
        CHECK(cpu_can_run("avx2") == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
        CHECK(cpu_can_run("avx512") == (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                                        __builtin_cpu_supports("avx512vnni")));
#if !defined(__clang__)  // Clang 14 has no name for it
        CHECK(cpu_can_run("avxvnni") == (cpu_can_run("avx2") && __builtin_cpu_supports("avxvnni")));
#endif
#elif defined(__aarch64__)
        CHECK(names == "scalar neon i8mm ");
        CHECK_FALSE(cpu_can_run("avx2"));
#endif
    }
}
