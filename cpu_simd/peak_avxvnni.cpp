// The peak of AVX-VNNI: dot products of four bytes in its own encoding; floats have AVX2's.
// In: turns. Out: multiply-adds done. Must not know any kernel.
#include "core/kernels/kernels.h"
#include "cpu_simd/chains_x86.h"

namespace gq {
namespace {

double peak_int8(size_t n) {
    const double done = static_cast<double>(n) * 14 * 32;
    GQ_TURNS(n, GQ_CHAINS_14("%{vex%} vpdpbusd", "ymm"));
    return done;
}

}  // namespace

extern const KernelVariant peak_avxvnni{"peak_avxvnni", "avxvnni", nullptr, {.peak_int8 = peak_int8}};

}  // namespace gq
