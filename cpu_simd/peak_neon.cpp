// The peaks of NEON: dot products of four bytes, and fused multiply-adds of floats.
// In: turns. Out: multiply-adds done. Must not know any kernel.
#include "cpu_simd/chains_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

double peak_int8(size_t n) {
    const double done = static_cast<double>(n) * 16 * 16;
    GQ_TURNS(n, GQ_CHAINS_16("sdot", "4s", "16b"));
    return done;
}

// What stands in registers 0 … 15 may be anything; zeros are added to it.
double peak_f32(size_t n) {
    const double done = static_cast<double>(n) * 16 * 4;
    GQ_TURNS(n, GQ_CHAINS_16("fmla", "4s", "4s"));
    return done;
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant peak_neon{"peak_neon", "neon", nullptr, {.peak_int8 = peak_int8, .peak_f32 = peak_f32}};

}  // namespace gq
