// The integer linear layer in AVX-VNNI, the dot product of four bytes in registers of AVX2.
// In: panels of codes that the Tiles of AVX2 spread into 8-bit words, activations in 8 bits. Out: y under the gemv
// contract of kernels.h. vpdpbusd adds exact products of bytes to 32 bits, so that, unlike in AVX2, all codes are
// multiplied in one way. The zero point starts the sum: vpmaddwd with the block's two int16 sums. Must not know where
// bits lie.
#pragma once

#define GQ_TARGET_YMM GQ_TARGET_AVXVNNI
#include "cpu_simd/linear_ymm.h"
#include "cpu_simd/tiles_avx2.h"

namespace gq::avxvnni {
namespace {

GQ_TARGET_AVXVNNI

// acc[p][half][t] = fma(scale of the block, dot of its part, acc[p][half][t]) for the panels from `first` up to `end`
// of n_panels, panel_bytes apart. All dots run side by side: one chain alone would wait 5 cycles a step.
template <class Tile, Part part, int first, int end, int n_tokens, int n_panels>
GQ_INLINE void multiply_block(const std::byte* tile, size_t panel_bytes, const Q8Rows& x,
                              const avx2::Group (&group)[n_panels], __m256 (&acc)[n_panels][2][n_tokens]) {
    constexpr int n_words = end_word(part) - first_word(part);
    __m256i dot[n_panels][2][n_tokens];
#pragma GCC unroll 8
    for (int t = 0; t < n_tokens; ++t) {
        const __m256i sums = _mm256_set1_epi32(load_sums<part>(x.sums + t * x.n_blocks * 2));
#pragma GCC unroll 8
        for (int p = first; p < end; ++p)
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) dot[p][half][t] = _mm256_madd_epi16(group[p].start[half], sums);
    }
#pragma GCC unroll 8
    for (int k = 0; k < n_words; ++k) {
        const int j = avx2::word_in_turn<part>(k);
        __m256i codes[n_panels][2];
#pragma GCC unroll 8
        for (int p = first; p < end; ++p)
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) codes[p][half] = Tile::word(tile + p * panel_bytes, j, half);
#pragma GCC unroll 8
        for (int t = 0; t < n_tokens; ++t) {
            const __m256i values = avx2::broadcast_word(x.values + t * x.n_blocks * q8_block + 4 * j);
#pragma GCC unroll 8
            for (int p = first; p < end; ++p)
#pragma GCC unroll 2
                for (int half = 0; half < 2; ++half)
                    dot[p][half][t] = _mm256_dpbusd_avx_epi32(dot[p][half][t], codes[p][half], values);
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < n_tokens; ++t) {
        const __m256 scale = _mm256_set1_ps(x.scales[t * x.n_blocks]);
#pragma GCC unroll 8
        for (int p = first; p < end; ++p)
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half)
                acc[p][half][t] = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(dot[p][half][t]), acc[p][half][t]);
    }
}

// What linear_ymm.h asks for: as many panels at once as registers have sums for.
struct Product {
    static constexpr int max_panels = 2, max_sums = 8;

    template <class Tile, Part part, int n_tokens, int n_panels>
    GQ_INLINE void multiply(const std::byte* tile, size_t panel_bytes, const Q8Rows& x,
                            const avx2::Group (&group)[n_panels], __m256 (&acc)[n_panels][2][n_tokens]) {
        if constexpr (n_panels == 2 && n_tokens > 2) {
            multiply_block<Tile, part, 0, 1>(tile, panel_bytes, x, group, acc);
            asm volatile("" ::: "memory");  // otherwise GCC keeps broadcasts for the second panel, on the stack
            multiply_block<Tile, part, 1, 2>(tile, panel_bytes, x, group, acc);
        } else {
            multiply_block<Tile, part, 0, n_panels>(tile, panel_bytes, x, group, acc);
        }
    }
};

GQ_TARGET_END

}  // namespace

template <bool halves>
using Linear = ymm::Linear<halves, Product>;

}  // namespace gq::avxvnni
