// What several elementwise kernels share in AVX2: exp, the sum over lanes, the mask of a tail, the rows of a panel.
// In and out: vectors of 8 floats. The same multiplications and additions as core/kernels/math.h and
// kernels_scalar.cpp, in their order, so that the bits are the same. Must not know who asks.
#pragma once

#include "core/kernels/math.h"
#include "cpu_simd/isa.h"

namespace gq::avx2 {

GQ_TARGET_AVX2

// exp_f32 in 8 lanes. min and max return their second operand where one is NaN, as exp_f32's comparisons keep x.
GQ_INLINE __m256 exp_f32(__m256 x) {
    using namespace exp_steps;
    const __m256i bias = _mm256_set1_epi32(127), rounder_bits = _mm256_castps_si256(_mm256_set1_ps(rounder));
    x = _mm256_max_ps(_mm256_set1_ps(lowest), _mm256_min_ps(_mm256_set1_ps(highest), x));
    const __m256 shifted = _mm256_add_ps(_mm256_mul_ps(x, _mm256_set1_ps(log2_e)), _mm256_set1_ps(rounder));
    const __m256 n = _mm256_sub_ps(shifted, _mm256_set1_ps(rounder));
    __m256 r = _mm256_sub_ps(x, _mm256_mul_ps(n, _mm256_set1_ps(ln2_high)));
    r = _mm256_sub_ps(r, _mm256_mul_ps(n, _mm256_set1_ps(ln2_low)));
    __m256 tail = _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(c4), r), _mm256_set1_ps(c3));
    tail = _mm256_add_ps(_mm256_mul_ps(tail, r), _mm256_set1_ps(c2));
    tail = _mm256_add_ps(_mm256_mul_ps(tail, r), _mm256_set1_ps(c1));
    tail = _mm256_add_ps(_mm256_mul_ps(tail, r), _mm256_set1_ps(c0));
    const __m256 exp_r =
        _mm256_add_ps(_mm256_set1_ps(1.0f), _mm256_add_ps(r, _mm256_mul_ps(_mm256_mul_ps(r, r), tail)));
    const __m256i n_int = _mm256_sub_epi32(_mm256_castps_si256(shifted), rounder_bits);
    const __m256i half = _mm256_srai_epi32(n_int, 1), other_half = _mm256_sub_epi32(n_int, half);
    const __m256 power_1 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    const __m256 power_2 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(other_half, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(exp_r, power_1), power_2);
}

// Lane l += lane l + 8, then l + 4, l + 2, l + 1; low: lanes 0-7, high: 8-15.
GQ_INLINE float sum_lanes(__m256 low, __m256 high) {
    const __m256 by_8 = _mm256_add_ps(low, high);
    const __m128 by_4 = _mm_add_ps(_mm256_castps256_ps128(by_8), _mm256_extractf128_ps(by_8, 1));
    const __m128 by_2 = _mm_add_ps(by_4, _mm_movehl_ps(by_4, by_4));
    return _mm_cvtss_f32(_mm_add_ss(by_2, _mm_movehdup_ps(by_2)));
}

// All ones in lanes i where first <= i < last; both may lie outside of 0 … 8.
GQ_INLINE __m256i lanes_between(int first, int last) {
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(first), i),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(last), i));
}
// The first n lanes; all 8 from n = 8 on.
GQ_INLINE __m256i first_lanes(size_t n) {
    return lanes_between(0, n < 8 ? static_cast<int>(n) : 8);
}

// y of one panel to the rows that exist: y[0] rows 0-7, y[1] rows 8-15.
template <int n_tokens>
GQ_INLINE void store_panel(const LinearArgs& args, size_t panel, size_t first_token, const __m256 (&y)[2][n_tokens]) {
    for (int half = 0; half < 2; ++half) {
        const size_t row = panel * panel_rows + 8 * half, rows = args.weights->rows;
        const __m256i lanes = first_lanes(row < rows ? rows - row : 0);
        for (int t = 0; t < n_tokens; ++t)
            _mm256_maskstore_ps(args.y + (first_token + t) * args.y_stride + row, lanes, y[half][t]);
    }
}

GQ_TARGET_END

}  // namespace gq::avx2
