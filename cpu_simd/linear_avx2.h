// The integer linear layer in AVX2: the products of linear_ymm.h's walk, for all codes and all grids.
// In: panels of codes that a Tile knows how to spread into nibbles, activations in 8 bits. Out: y under the gemv
// contract of kernels.h. One ymm is 8 rows x 4 inputs, half of a panel: vpmaddubsw multiplies codes with 4 broadcast
// activations and adds pairs, saturating at 16 bits. Nibbles can't reach that: 8 words add up to at most
// 8 * 2 * 15 * 127 = 30480, so a block of 32 inputs is summed in 16 bits and widened once; codes of 5 bits after 4
// words, of 6 bits after 2. Wider ones are two nibbles with a sum each. Must not know where bits lie.
#pragma once

#define GQ_TARGET_YMM GQ_TARGET_AVX2
#include "cpu_simd/linear_ymm.h"
#include "cpu_simd/tiles_avx2.h"

namespace gq::avx2 {
namespace {

GQ_TARGET_AVX2

// Words that add up in 16 bits: n of them reach n * 2 * (2^bits - 1) * 127.
static constexpr int words_per_sum(unsigned bits) {
    return bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 8;  // above 6 bits each nibble has a sum of its own
}

// acc[half][t] = fma(scale of the block, dot of its part, acc[half][t]) for a panel. A word of both halves meets the
// activations of all tokens before the next: otherwise GCC keeps broadcasts for the second half, on the stack.
template <class Tile, Part part, int n_tokens>
GQ_INLINE void multiply_block(const std::byte* tile, const Q8Rows& x, const __m256i (&start)[2],
                              __m256 (&acc)[2][n_tokens]) {
    constexpr int n_words = end_word(part) - first_word(part), words = words_per_sum(Tile::bits);
    constexpr int run_words = words < n_words ? words : n_words;
    constexpr bool nibbles = Tile::bits > 6;
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i low[2][n_tokens], high[2][n_tokens], earlier[2][n_tokens];  // the last two of some codes only
#pragma GCC unroll 4
    for (int run = 0; run < n_words; run += run_words) {
#pragma GCC unroll 8
        for (int k = run; k < run + run_words; ++k) {
            const int j = word_in_turn<part>(k);
            const __m256i codes[2] = {Tile::word(tile, j, 0), Tile::word(tile, j, 1)};
#pragma GCC unroll 8
            for (int t = 0; t < n_tokens; ++t) {
                const __m256i values = broadcast_word(x.values + t * x.n_blocks * q8_block + 4 * j);
#pragma GCC unroll 2
                for (int half = 0; half < 2; ++half) {
                    const __m256i low_codes = nibbles ? _mm256_and_si256(codes[half], nibble) : codes[half];
                    const __m256i sums = _mm256_maddubs_epi16(low_codes, values);
                    low[half][t] = k == run ? sums : _mm256_add_epi16(low[half][t], sums);
                    if (!nibbles) continue;
                    const __m256i high_codes = _mm256_and_si256(_mm256_srli_epi16(codes[half], 4), nibble);
                    const __m256i high_sums = _mm256_maddubs_epi16(high_codes, values);
                    high[half][t] = k == run ? high_sums : _mm256_add_epi16(high[half][t], high_sums);
                }
            }
        }
        if (run + run_words == n_words) break;
        for (int t = 0; t < n_tokens; ++t)
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) {
                const __m256i sums = _mm256_madd_epi16(low[half][t], ones);
                earlier[half][t] = run == 0 ? sums : _mm256_add_epi32(earlier[half][t], sums);
            }
    }
#pragma GCC unroll 8
    for (int t = 0; t < n_tokens; ++t) {
        const __m256i sums = _mm256_set1_epi32(load_sums<part>(x.sums + t * x.n_blocks * 2));
        const __m256 scale = _mm256_set1_ps(x.scales[t * x.n_blocks]);
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
            __m256i dot = _mm256_add_epi32(_mm256_madd_epi16(start[half], sums), _mm256_madd_epi16(low[half][t], ones));
            if (nibbles) dot = _mm256_add_epi32(dot, _mm256_madd_epi16(high[half][t], _mm256_set1_epi16(16)));
            if (run_words < n_words) dot = _mm256_add_epi32(dot, earlier[half][t]);
            acc[half][t] = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(dot), acc[half][t]);
        }
    }
}

// What linear_ymm.h asks for: panel by panel.
struct Product {
    static constexpr int max_panels = 2, max_sums = 8;

    template <class Tile, Part part, int n_tokens, int n_panels>
    GQ_INLINE void multiply(const std::byte* tile, size_t panel_bytes, const Q8Rows& x, const Group (&group)[n_panels],
                            __m256 (&acc)[n_panels][2][n_tokens]) {
#pragma GCC unroll 8
        for (int p = 0; p < n_panels; ++p, tile += panel_bytes)
            multiply_block<Tile, part, n_tokens>(tile, x, group[p].start, acc[p]);
    }
};

GQ_TARGET_END

}  // namespace

template <bool halves>
using Linear = ymm::Linear<halves, Product>;

}  // namespace gq::avx2
