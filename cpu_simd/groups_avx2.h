// What the groups of a panel mean, read into registers of AVX2.
// In: scales and zero points as grids draw them. Out: a Group a panel, for the walk of linear_ymm.h.
// Must not know codes or activations.
#pragma once

#include "cpu_simd/linear.h"
#include "cpu_simd/math_avx2.h"

namespace gq::avx2 {

GQ_TARGET_AVX2

// What one group of one panel means, a lane a row, rows 0-7 and 8-15.
struct Group {
    __m256 scale[2];
    __m256i start[2];  // -zero_point, twice in int16
    __m256 offset[2];  // for grids with offsets

    // As Groups::read, of groups that are `Stored` so.
    template <class Stored>
    static void read_run(const Groups<Group>& groups, size_t index, size_t n, size_t panel, size_t stride, Group* out) {
        for (size_t i = 0; i < n; ++i) read_group(Stored{}, groups, index + i, panel, out[i * stride]);
    }
};

GQ_INLINE void read_halves(const std::byte* halves, __m256 (&out)[2]) {
    const __m128i* rows = reinterpret_cast<const __m128i*>(halves);
    out[0] = _mm256_cvtph_ps(_mm_loadu_si128(rows));
    out[1] = _mm256_cvtph_ps(_mm_loadu_si128(rows + 1));
}
GQ_INLINE __m256i pair_of_negatives(__m256i zero_points) {
    const __m256i negative = _mm256_sub_epi32(_mm256_setzero_si256(), zero_points);
    return _mm256_blend_epi16(negative, _mm256_slli_epi32(negative, 16), 0xaa);
}
GQ_INLINE void start_from_bytes(__m128i rows, Group& out) {
    out.start[0] = pair_of_negatives(_mm256_cvtepu8_epi32(rows));
    out.start[1] = pair_of_negatives(_mm256_cvtepu8_epi32(_mm_srli_si128(rows, 8)));
}

GQ_INLINE void start_from_middle(unsigned bits, Group& out) {
    out.start[0] = out.start[1] = _mm256_set1_epi16(static_cast<short>(-(1 << (bits - 1))));
}

GQ_INLINE void read_group(stored::Symmetric, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    read_halves(scales_of(groups, index), out.scale);
    start_from_middle(groups.bits, out);
}
// Byte i holds row 2i in its low nibble and row 2i + 1 in its high one.
GQ_INLINE void read_group(stored::Nibbles, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(zeros_of(groups, index)));
    const __m128i rows = _mm_unpacklo_epi8(bytes, _mm_srli_epi16(bytes, 4));
    read_halves(scales_of(groups, index), out.scale);
    start_from_bytes(_mm_and_si128(rows, _mm_set1_epi8(15)), out);
}
GQ_INLINE void read_group(stored::Bytes, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    read_halves(scales_of(groups, index), out.scale);
    start_from_bytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros_of(groups, index))), out);
}
GQ_INLINE void read_group(stored::Offset, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    read_halves(scales_of(groups, index), out.scale);
    read_halves(scales_of(groups, index) + panel_rows * sizeof(uint16_t), out.offset);
    out.start[0] = out.start[1] = _mm256_setzero_si256();
}
// out *= 16 numbers of 6 bits: 8 bytes of nibbles as of stored::Nibbles, and a word of pairs, byte i for the rows i +
// 4p.
GQ_INLINE void multiply_steps(const std::byte* nibbles, const std::byte* pairs, __m256 (&out)[2]) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(nibbles));
    const __m128i low = _mm_and_si128(_mm_unpacklo_epi8(bytes, _mm_srli_epi16(bytes, 4)), _mm_set1_epi8(15));
    const __m128i high = _mm_srlv_epi32(_mm_set1_epi32(load_word(pairs)), _mm_setr_epi32(0, 2, 4, 6));
    const __m128i steps = _mm_or_si128(low, _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4));
    out[0] = _mm256_mul_ps(out[0], _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(steps)));
    out[1] = _mm256_mul_ps(out[1], _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(steps, 8))));
}
GQ_INLINE void read_group(stored::K, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    const std::byte *halves = unit_scales_of(groups, index, panel), *steps = zeros_of(groups, index);
    read_halves(halves, out.scale);
    read_halves(halves + 32, out.offset);
    multiply_steps(steps, steps + 16, out.scale);
    multiply_steps(steps + 8, steps + 20, out.offset);
    for (__m256& offset : out.offset) offset = _mm256_sub_ps(_mm256_setzero_ps(), offset);
    out.start[0] = out.start[1] = _mm256_setzero_si256();
}
GQ_INLINE void read_group(stored::KSigned, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    const __m128i steps = _mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros_of(groups, index)));
    read_halves(unit_scales_of(groups, index, panel), out.scale);
    out.scale[0] = _mm256_mul_ps(out.scale[0], _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(steps)));
    out.scale[1] = _mm256_mul_ps(out.scale[1], _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(steps, 8))));
    start_from_middle(groups.bits, out);
}
GQ_INLINE void read_group(stored::Any, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    const GroupParams params = params_of(groups, index, panel);
    for (size_t half = 0; half < 2; ++half) {
        out.scale[half] = _mm256_loadu_ps(params.scale + 8 * half);
        out.start[half] =
            pair_of_negatives(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(params.zero_point + 8 * half)));
        out.offset[half] = _mm256_loadu_ps(params.offset + 8 * half);
    }
}

// load_word in every lane.
GQ_INLINE __m256i broadcast_word(const void* four_bytes) {
    return _mm256_castps_si256(_mm256_broadcast_ss(static_cast<const float*>(four_bytes)));
}

// y[p][half][t] = fma(offset, sum of the activations, y[p][half][t]); the sums of tokens are sum_stride apart.
template <int n_panels, int n_tokens>
GQ_INLINE void add_offsets(const Group (&group)[n_panels], const float* sums, size_t sum_stride,
                           __m256 (&y)[n_panels][2][n_tokens]) {
#pragma GCC unroll 8
    for (int t = 0; t < n_tokens; ++t) {
        const __m256 sum = _mm256_set1_ps(sums[t * sum_stride]);
#pragma GCC unroll 8
        for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half)
                y[p][half][t] = _mm256_fmadd_ps(group[p].offset[half], sum, y[p][half][t]);
    }
}

GQ_TARGET_END

}  // namespace gq::avx2
