// The peaks of AVX2: products of bytes, each pair summed in 16 bits by the multiplication and once more by an addition
// (the least that an integer kernel does for them), and fused multiply-adds of floats.
// In: turns. Out: multiply-adds done. Must not know any kernel.
#include "core/kernels/kernels.h"
#include "cpu_simd/chains_x86.h"

namespace gq {
namespace {

// Registers 12 and 13 take products in turn; 0 … 11 are the sums.
#define GQ_PAIR(t, i) "vpmaddubsw %%ymm15, %%ymm14, %%ymm" t "\nvpaddw %%ymm" t ", %%ymm" i ", %%ymm" i "\n"

double peak_int8(size_t n) {
    const double done = static_cast<double>(n) * 12 * 32;
    GQ_TURNS(n, GQ_PAIR("12", "0") GQ_PAIR("13", "1") GQ_PAIR("12", "2") GQ_PAIR("13", "3") GQ_PAIR("12", "4")
                    GQ_PAIR("13", "5") GQ_PAIR("12", "6") GQ_PAIR("13", "7") GQ_PAIR("12", "8") GQ_PAIR("13", "9")
                        GQ_PAIR("12", "10") GQ_PAIR("13", "11"));
    return done;
}

double peak_f32(size_t n) {
    const double done = static_cast<double>(n) * 14 * 8;
    GQ_TURNS(n, GQ_CHAINS_14("vfmadd231ps", "ymm"));
    return done;
}

}  // namespace

extern const KernelVariant peak_avx2{"peak_avx2", "avx2", nullptr, {.peak_int8 = peak_int8, .peak_f32 = peak_f32}};

}  // namespace gq
