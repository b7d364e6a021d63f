// The peaks of NEON: dot products of four bytes, and fused multiply-adds of floats.
// In: turns. Out: multiply-adds done. Must not know any kernel.
#include "cpu_simd/isa.h"

namespace gq {
namespace {

// Registers 0 … 15 accumulate products of 16 and 17: 16 chains cover four multipliers of four cycles.
#define GQ_CHAIN(op, to, from, i) op " v" i "." to ", v16." from ", v17." from "\n"
#define GQ_CHAINS_4(op, to, from, a, b, c, d) \
    GQ_CHAIN(op, to, from, a) GQ_CHAIN(op, to, from, b) GQ_CHAIN(op, to, from, c) GQ_CHAIN(op, to, from, d)
#define GQ_CHAINS_16(op, to, from)                \
    GQ_CHAINS_4(op, to, from, "0", "1", "2", "3") \
    GQ_CHAINS_4(op, to, from, "4", "5", "6", "7") \
    GQ_CHAINS_4(op, to, from, "8", "9", "10", "11") GQ_CHAINS_4(op, to, from, "12", "13", "14", "15")
#define GQ_TURNS(n, body)                                                                                          \
    asm volatile("movi v16.4s, #0\nmovi v17.4s, #0\n1:\n" body "subs %0, %0, #1\nb.ne 1b"                          \
                 : "+r"(n)::"cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", \
                   "v13", "v14", "v15", "v16", "v17")

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
