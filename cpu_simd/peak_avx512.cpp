// The peaks of AVX-512: dot products of four bytes by VNNI, and fused multiply-adds of floats.
// In: turns. Out: multiply-adds done. Must not know any kernel.
#include "core/kernels/kernels.h"
#include "cpu_simd/chains_x86.h"

namespace gq {
namespace {

double peak_int8(size_t n) {
    const double done = static_cast<double>(n) * 14 * 64;
    GQ_TURNS(n, GQ_CHAINS_14("vpdpbusd", "zmm"));
    return done;
}

double peak_f32(size_t n) {
    const double done = static_cast<double>(n) * 14 * 16;
    GQ_TURNS(n, GQ_CHAINS_14("vfmadd231ps", "zmm"));
    return done;
}

}  // namespace

extern const KernelVariant peak_avx512{
    "peak_avx512", "avx512", nullptr, {.peak_int8 = peak_int8, .peak_f32 = peak_f32}};

}  // namespace gq
