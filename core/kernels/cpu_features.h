// Which instruction sets this process may use: CPUID and XGETBV on x86 (the OS must save the registers), HWCAP, or
// Apple's sysctl, on ARM.
// In: nothing. Out: names, best last.
// Must not know kernels.
#pragma once

#include <span>
#include <string_view>

namespace gq {

// avx2: AVX2, FMA, F16C. avxvnni: AVX-VNNI on top of avx2. avx512: F, BW, VL, DQ and VNNI on top of avx2, perhaps
// without avxvnni. neon: AdvSIMD with dot product. i8mm: products of 8-bit matrices on top of neon.
bool cpu_can_run(std::string_view isa);  // "scalar" is always true; unknown names are false
// The names for this architecture, in ascending preference: "scalar", "avx2", "avxvnni", "avx512", or "scalar", "neon",
// "i8mm".
std::span<const char* const> known_isas();

}  // namespace gq
