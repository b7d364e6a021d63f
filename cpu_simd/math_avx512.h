// What several kernels share in AVX-512: exp, the sum over lanes, the mask of a tail, the rows of a panel, halves.
// In and out: vectors of 16 floats. The same multiplications and additions as core/kernels/math.h and
// kernels_scalar.cpp, in their order, so that the bits are the same. Must not know who asks.
#pragma once

#include "core/kernels/math.h"
#include "cpu_simd/isa.h"

namespace gq::avx512 {

GQ_TARGET_AVX512

// 16 halves as floats.
GQ_INLINE __m512 read_halves(const std::byte* halves) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}

// exp_f32 in 16 lanes. min and max return their second operand where one is NaN, as exp_f32's comparisons keep x.
GQ_INLINE __m512 exp_f32(__m512 x) {
    using namespace exp_steps;
    const __m512i bias = _mm512_set1_epi32(127), rounder_bits = _mm512_castps_si512(_mm512_set1_ps(rounder));
    x = _mm512_max_ps(_mm512_set1_ps(lowest), _mm512_min_ps(_mm512_set1_ps(highest), x));
    const __m512 shifted = _mm512_add_ps(_mm512_mul_ps(x, _mm512_set1_ps(log2_e)), _mm512_set1_ps(rounder));
    const __m512 n = _mm512_sub_ps(shifted, _mm512_set1_ps(rounder));
    __m512 r = _mm512_sub_ps(x, _mm512_mul_ps(n, _mm512_set1_ps(ln2_high)));
    r = _mm512_sub_ps(r, _mm512_mul_ps(n, _mm512_set1_ps(ln2_low)));
    __m512 tail = _mm512_add_ps(_mm512_mul_ps(_mm512_set1_ps(c4), r), _mm512_set1_ps(c3));
    tail = _mm512_add_ps(_mm512_mul_ps(tail, r), _mm512_set1_ps(c2));
    tail = _mm512_add_ps(_mm512_mul_ps(tail, r), _mm512_set1_ps(c1));
    tail = _mm512_add_ps(_mm512_mul_ps(tail, r), _mm512_set1_ps(c0));
    const __m512 exp_r =
        _mm512_add_ps(_mm512_set1_ps(1.0f), _mm512_add_ps(r, _mm512_mul_ps(_mm512_mul_ps(r, r), tail)));
    const __m512i n_int = _mm512_sub_epi32(_mm512_castps_si512(shifted), rounder_bits);
    const __m512i half = _mm512_srai_epi32(n_int, 1), other_half = _mm512_sub_epi32(n_int, half);
    const __m512 power_1 = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(half, bias), 23));
    const __m512 power_2 = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(other_half, bias), 23));
    return _mm512_mul_ps(_mm512_mul_ps(exp_r, power_1), power_2);
}

// Lane l += lane l + 8, then l + 4, l + 2, l + 1.
GQ_INLINE float sum_lanes(__m512 lanes) {
    const __m256 by_8 = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
    const __m128 by_4 = _mm_add_ps(_mm256_castps256_ps128(by_8), _mm256_extractf128_ps(by_8, 1));
    const __m128 by_2 = _mm_add_ps(by_4, _mm_movehl_ps(by_4, by_4));
    return _mm_cvtss_f32(_mm_add_ss(by_2, _mm_movehdup_ps(by_2)));
}

// The first n lanes; all 16 from n = 16 on.
GQ_INLINE __mmask16 first_lanes(size_t n) {
    return static_cast<__mmask16>(n < 16 ? (1u << n) - 1 : 0xffff);
}

// y of one panel to the rows that exist.
template <int n_tokens>
GQ_INLINE void store_panel(const LinearArgs& args, size_t panel, size_t first_token, const __m512 (&y)[n_tokens]) {
    const size_t row = panel * panel_rows;
    const __mmask16 lanes = first_lanes(args.weights->rows - row);
    for (int t = 0; t < n_tokens; ++t)
        _mm512_mask_storeu_ps(args.y + (first_token + t) * args.y_stride + row, lanes, y[t]);
}

GQ_TARGET_END

}  // namespace gq::avx512
