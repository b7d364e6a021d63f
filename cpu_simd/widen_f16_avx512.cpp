// widen_k and widen_v of f16 in AVX-512: 16 halves at a time.
// In: a block of halves (kv_f16.cpp). Out: as many floats, in their order. Must not know keys from values.
#include "cpu_simd/math_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

void widen_panels(const std::byte* block, size_t n_rows, float* out) {
#pragma GCC unroll 4
    for (size_t row = 0; row < n_rows; ++row, block += panel_cols * 2, out += panel_cols)
        _mm512_storeu_ps(out, avx512::read_halves(block));
}

void widen_k(const std::byte* block, size_t head_dim, float* out) {
    widen_panels(block, head_dim * (kv_page_positions / panel_cols), out);
}

void widen_v(const std::byte* block, size_t head_dim, float* out) {
    widen_panels(block, (head_dim + panel_cols - 1) / panel_cols * kv_page_positions, out);
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant widen_f16_avx512{
    "widen_f16_avx512", "avx512", nullptr, {.widen_k = widen_k, .widen_v = widen_v}, "f16"};

}  // namespace gq
