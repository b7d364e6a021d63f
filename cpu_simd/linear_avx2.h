// The integer linear layer in AVX2: one walk for decode and prefill, for all codes and all grids.
// In: panels of codes that a Tile knows how to spread into nibbles, activations in 8 bits. Out: y under the gemv
// contract of kernels.h. One ymm is 8 rows x 4 inputs, half of a panel: vpmaddubsw multiplies codes with 4 broadcast
// activations and adds pairs, saturating at 16 bits. Nibbles can't reach that: 8 words add up to at most
// 8 * 2 * 15 * 127 = 30480, so a block of 32 inputs is summed in 16 bits and widened once; codes of 5 bits after 4
// words, of 6 bits after 2. Wider ones are two nibbles with a sum each. Must not know where bits lie.
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

// Shifts of 16-bit lanes, for Tiles: n is known once the loop over words is unrolled, which is too late for the
// intrinsics with immediates.
GQ_INLINE __m256i shift_right(__m256i v, int n) {
    return _mm256_srl_epi16(v, _mm_cvtsi32_si128(n));
}
GQ_INLINE __m256i shift_left(__m256i v, int n) {
    return _mm256_sll_epi16(v, _mm_cvtsi32_si128(n));
}

// Half of vector j of a plane: 8 words of 8 rows.
template <class Plane>
GQ_INLINE __m256i load_half(const std::byte* plane, int j, int half) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane + j * Plane::vector_bytes + 32 * half));
}

// A Tile names its `bytes` for 16 rows x 32 inputs and the `bits` of its words' codes. word(tile, j, half), j < 8,
// gives inputs 4j … 4j + 3 of rows 8 half … 8 half + 7, a code a byte.

// Words that add up in 16 bits: n of them reach n * 2 * (2^bits - 1) * 127.
static constexpr int words_per_sum(unsigned bits) {
    return bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 8;  // above 6 bits each nibble has a sum of its own
}

// The k-th word that a block is summed in: a word and the one 4 further share their bytes in most planes of bits.
template <Part part>
constexpr int word_in_turn(int k) {
    return part == Part::whole ? k % 2 * 4 + k / 2 : first_word(part) + k;
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

// Block b of n_panels panels.
template <class Tile, Part part, int n_tokens, int n_panels, class AnyGroup>
GQ_INLINE void multiply_panels(const std::byte* codes, const TileWalk<Tile>& walk, size_t b, const Q8Rows& x,
                               const AnyGroup (&group)[n_panels], __m256 (&acc)[n_panels][2][n_tokens]) {
    const std::byte* tile = codes + b * Tile::bytes;
    if (part != Part::last) prefetch_panels<n_panels>(walk, b, tile);
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p, tile += walk.panel_bytes)
        multiply_block<Tile, part, n_tokens>(tile, advance(x, b), group[p].start, acc[p]);
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

// What linear.h asks for.
template <bool halves>
struct Linear {
    using Group = avx2::Group;
    static constexpr int max_panels = 2, max_sums = 8;

    // n_panels panels from first_panel on, whose codes stand at `codes`, times n_tokens tokens from first_token on.
    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, const Groups<Group>& groups, const std::byte* codes,
                         size_t first_panel, size_t first_token) {
        const TileWalk<Tile> walk = walk_of<Tile>(*args.weights, groups);
        const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
        const float* sums = groups.grid->has_offsets ? args.group_sums + first_token * walk.n_groups : nullptr;
        __m256 y[n_panels][2][n_tokens] = {}, acc[n_panels][2][n_tokens];
        Group run[run_groups][n_panels];
        for (size_t g = 0, b = 0; g < walk.n_groups; ++g) {
            if (g % run_groups == 0) read_groups<Tile, n_panels>(groups, first_panel, g, run);
            const Group(&group)[n_panels] = run[g % run_groups];
#pragma GCC unroll 8
            for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 8
                for (int t = 0; t < n_tokens; ++t) acc[p][0][t] = acc[p][1][t] = _mm256_setzero_ps();
            if constexpr (halves) {
                if (g % 2 == 0)
                    multiply_panels<Tile, Part::first>(codes, walk, g / 2, x, group, acc);
                else
                    multiply_panels<Tile, Part::last>(codes, walk, g / 2, x, group, acc);
            } else {
                for (const size_t end = group_end(walk, b); b < end; ++b)
                    multiply_panels<Tile, Part::whole>(codes, walk, b, x, group, acc);
            }
#pragma GCC unroll 8
            for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 2
                for (int half = 0; half < 2; ++half)
#pragma GCC unroll 8
                    for (int t = 0; t < n_tokens; ++t)
                        y[p][half][t] = _mm256_fmadd_ps(group[p].scale[half], acc[p][half][t], y[p][half][t]);
            if (sums) add_offsets(group, sums + g, walk.n_groups, y);
        }
#pragma GCC unroll 8
        for (int p = 0; p < n_panels; ++p) store_panel(args, first_panel + p, first_token, y[p]);
    }
};

// All words of a half are there before the first is stored: what two share would be loaded anew behind a store.
template <class Tile>
static void unpack(const std::byte* panel_codes, size_t n_tiles, uint8_t* out) {
    for (size_t i = 0; i < n_tiles; ++i, panel_codes += Tile::bytes, out += U8Plane::bytes)
        for (int half = 0; half < 2; ++half) {
            __m256i words[8];
#pragma GCC unroll 8
            for (int k = 0; k < 8; ++k) {
                const int j = word_in_turn<Part::whole>(k);
                words[j] = Tile::word(panel_codes, j, half);
            }
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j)
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + j * U8Plane::vector_bytes + 32 * half), words[j]);
        }
}

// The 8-bit layout. n: how many bits of a byte the codes use.
template <unsigned n>
struct TileU8 {
    static constexpr size_t bytes = U8Plane::bytes;
    static constexpr unsigned bits = n;
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) { return avx2::load_half<U8Plane>(tile, j, half); }
};

GQ_TARGET_END

}  // namespace gq::avx2
