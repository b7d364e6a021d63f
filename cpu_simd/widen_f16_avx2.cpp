// widen_k and widen_v of f16 in AVX2 and F16C: 64 halves at a time.
// In: a block of halves (kv_f16.cpp). Out: as many floats, in their order. Must not know keys from values.
#include "cpu_simd/isa.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

void widen_panels(const std::byte* block, size_t n_rows, float* out) {
    static_assert(kv_page_positions % 4 == 0);  // of which n_rows is a multiple
#pragma GCC unroll 4
    for (size_t row = 0; row < n_rows; ++row, block += panel_cols * 2, out += panel_cols) {
        const __m128i* halves = reinterpret_cast<const __m128i*>(block);
        _mm256_storeu_ps(out, _mm256_cvtph_ps(_mm_loadu_si128(halves)));
        _mm256_storeu_ps(out + 8, _mm256_cvtph_ps(_mm_loadu_si128(halves + 1)));
    }
}

void widen_k(const std::byte* block, size_t head_dim, float* out) {
    widen_panels(block, head_dim * (kv_page_positions / panel_cols), out);
}

void widen_v(const std::byte* block, size_t head_dim, float* out) {
    widen_panels(block, (head_dim + panel_cols - 1) / panel_cols * kv_page_positions, out);
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant widen_f16_avx2{
    "widen_f16_avx2", "avx2", nullptr, {.widen_k = widen_k, .widen_v = widen_v}, "f16"};

}  // namespace gq
