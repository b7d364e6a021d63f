// Asks the CPU, and the operating system behind it, for the instruction sets of cpu_features.h.
// In: CPUID and XCR0, or the auxiliary vector, or sysctl. Out: names.
// Must not know kernels.
#include "core/kernels/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace gq {
namespace {

struct Isa {
    const char* name;
    bool (*usable)();
};

bool always() {
    return true;
}

#if defined(__x86_64__)

constexpr bool bit(uint32_t word, int n) {
    return word >> n & 1;
}

struct Cpuid {
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;  // stay 0 where the leaf is missing
    explicit Cpuid(uint32_t leaf, uint32_t subleaf = 0) { __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx); }
};

// Which register files the operating system saves (XCR0); 0 where it does not use XSAVE.
uint32_t saved_registers() {
    if (!bit(Cpuid(1).ecx, 27)) return 0;  // OSXSAVE: without it XGETBV faults
    uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

bool avx2_usable() {
    constexpr uint32_t xmm_ymm = 0x06;
    const Cpuid one(1), seven(7);
    const bool avx = bit(one.ecx, 28), fma = bit(one.ecx, 12), f16c = bit(one.ecx, 29), avx2 = bit(seven.ebx, 5);
    return avx && fma && f16c && avx2 && (saved_registers() & xmm_ymm) == xmm_ymm;
}

bool avxvnni_usable() {
    return avx2_usable() && Cpuid(7).eax >= 1 && bit(Cpuid(7, 1).eax, 4);
}

bool avx512_usable() {
    constexpr uint32_t xmm_ymm_zmm_masks = 0xe6;
    const Cpuid seven(7);
    const bool f = bit(seven.ebx, 16), dq = bit(seven.ebx, 17), bw = bit(seven.ebx, 30), vl = bit(seven.ebx, 31);
    const bool vnni = bit(seven.ecx, 11);
    return avx2_usable() && f && dq && bw && vl && vnni && (saved_registers() & xmm_ymm_zmm_masks) == xmm_ymm_zmm_masks;
}

constexpr Isa isas[] = {
    {"scalar", always}, {"avx2", avx2_usable}, {"avxvnni", avxvnni_usable}, {"avx512", avx512_usable}};
constexpr const char* names[] = {isas[0].name, isas[1].name, isas[2].name, isas[3].name};

#elif defined(__aarch64__)

bool neon_usable() {
#if defined(__linux__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
    return true;  // Apple's 64-bit machines all have the dot product
#endif
}

bool i8mm_usable() {
#if defined(__linux__)
    return neon_usable() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM);
#elif defined(__APPLE__)
    int found = 0;
    size_t size = sizeof found;
    return sysctlbyname("hw.optional.arm.FEAT_I8MM", &found, &size, nullptr, 0) == 0 && found != 0;
#else
    return false;
#endif
}

constexpr Isa isas[] = {{"scalar", always}, {"neon", neon_usable}, {"i8mm", i8mm_usable}};
constexpr const char* names[] = {isas[0].name, isas[1].name, isas[2].name};

#else

constexpr Isa isas[] = {{"scalar", always}};
constexpr const char* names[] = {isas[0].name};

#endif

}  // namespace

bool cpu_can_run(std::string_view isa) {
    for (const Isa& known : isas) {
        if (isa == known.name) return known.usable();
    }
    return false;
}

std::span<const char* const> known_isas() {
    return names;
}

}  // namespace gq
