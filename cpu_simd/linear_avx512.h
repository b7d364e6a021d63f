// The integer linear layer in AVX-512 with VNNI: one walk for decode and prefill, for all codes and all grids.
// In: panels of codes that a Tile knows how to spread into 8-bit words, activations in 8 bits. Out: y under the gemv
// contract of kernels.h. One zmm is 16 rows x 4 inputs, so a lane is a row: vpdpbusd takes it with 4 activations
// broadcast from memory, no sum crosses lanes, and scales apply as vectors. The zero point starts the int32 sum:
// vpdpwssd with the block's two int16 sums. Must not know where bits lie.
#pragma once

#include "cpu_simd/linear.h"
#include "cpu_simd/math_avx512.h"

namespace gq::avx512 {

GQ_TARGET_AVX512
// Without no-tree-pre GCC 12 loads a block's first words before it has registers for them: prefill took 1.08 times as
// long.
#if !defined(__clang__)
#pragma GCC optimize("no-tree-pre")
#endif

// What one group of one panel means, a lane a row.
struct Group {
    __m512 scale;
    __m512i start;  // -zero_point, twice in int16
    __m512 offset;  // for grids with offsets

    // As Groups::read, of groups that are `Stored` so.
    template <class Stored>
    static void read_run(const Groups<Group>& groups, size_t index, size_t n, size_t panel, size_t stride, Group* out) {
        for (size_t i = 0; i < n; ++i) read_group(Stored{}, groups, index + i, panel, out[i * stride]);
    }
};

GQ_INLINE __m512i pair_of_negatives(__m512i zero_points) {
    const __m512i negative = _mm512_sub_epi32(_mm512_setzero_si512(), zero_points);
    return _mm512_mask_mov_epi16(negative, 0xaaaaaaaa, _mm512_slli_epi32(negative, 16));
}

GQ_INLINE __m512i start_of_middle(unsigned bits) {
    return _mm512_set1_epi16(static_cast<short>(-(1 << (bits - 1))));
}
GQ_INLINE void read_group(stored::Symmetric, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    out.scale = read_halves(scales_of(groups, index));
    out.start = start_of_middle(groups.bits);
}
// Byte i holds row 2i in its low nibble and row 2i + 1 in its high one.
GQ_INLINE void read_group(stored::Nibbles, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(zeros_of(groups, index)));
    const __m128i rows = _mm_unpacklo_epi8(bytes, _mm_srli_epi16(bytes, 4));
    out.scale = read_halves(scales_of(groups, index));
    out.start = pair_of_negatives(_mm512_cvtepu8_epi32(_mm_and_si128(rows, _mm_set1_epi8(15))));
}
GQ_INLINE void read_group(stored::Bytes, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    const __m128i rows = _mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros_of(groups, index)));
    out.scale = read_halves(scales_of(groups, index));
    out.start = pair_of_negatives(_mm512_cvtepu8_epi32(rows));
}
GQ_INLINE void read_group(stored::Offset, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    out.scale = read_halves(scales_of(groups, index));
    out.offset = read_halves(scales_of(groups, index) + panel_rows * sizeof(uint16_t));
    out.start = _mm512_setzero_si512();
}
// 16 numbers of 6 bits: 8 bytes of nibbles as of stored::Nibbles, and a word of pairs, byte i for the rows i + 4p.
GQ_INLINE __m512 read_steps(const std::byte* nibbles, const std::byte* pairs) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(nibbles));
    const __m128i low = _mm_and_si128(_mm_unpacklo_epi8(bytes, _mm_srli_epi16(bytes, 4)), _mm_set1_epi8(15));
    const __m128i high = _mm_srlv_epi32(_mm_set1_epi32(load_word(pairs)), _mm_setr_epi32(0, 2, 4, 6));
    const __m128i steps = _mm_or_si128(low, _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4));
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(steps));
}
GQ_INLINE void read_group(stored::K, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    const std::byte *halves = unit_scales_of(groups, index, panel), *steps = zeros_of(groups, index);
    const __m512 minimum = _mm512_mul_ps(read_halves(halves + 32), read_steps(steps + 8, steps + 20));
    out.scale = _mm512_mul_ps(read_halves(halves), read_steps(steps, steps + 16));
    out.offset = _mm512_sub_ps(_mm512_setzero_ps(), minimum);
    out.start = _mm512_setzero_si512();
}
GQ_INLINE void read_group(stored::KSigned, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    const __m128i steps = _mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros_of(groups, index)));
    out.scale = _mm512_mul_ps(read_halves(unit_scales_of(groups, index, panel)),
                              _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(steps)));
    out.start = start_of_middle(groups.bits);
}
GQ_INLINE void read_group(stored::Any, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    const GroupParams params = params_of(groups, index, panel);
    out.scale = _mm512_loadu_ps(params.scale);
    out.start = pair_of_negatives(_mm512_loadu_si512(params.zero_point));
    out.offset = _mm512_loadu_ps(params.offset);
}

// load_word in every lane.
GQ_INLINE __m512i broadcast_word(const void* four_bytes) {
    return _mm512_set1_epi32(load_word(four_bytes));
}

// Shifts of 16-bit lanes, for Tiles: n is known once the loop over words is unrolled, which is too late for the
// intrinsics with immediates.
GQ_INLINE __m512i shift_right(__m512i v, int n) {
    return _mm512_srl_epi16(v, _mm_cvtsi32_si128(n));
}
GQ_INLINE __m512i shift_left(__m512i v, int n) {
    return _mm512_sll_epi16(v, _mm_cvtsi32_si128(n));
}

// Vector j of a plane: 16 words, one a row.
template <class Plane>
GQ_INLINE __m512i load_vector(const std::byte* plane, int j) {
    return _mm512_loadu_si512(plane + j * Plane::vector_bytes);
}

// A Tile names its `bytes` for 16 rows x 32 inputs, and word(tile, j), j < 8, gives inputs 4j … 4j + 3 of the 16 rows,
// a code a byte.

// acc[p][t] = fma(scale of the block, dot of its part, acc[p][t]) for one block of n_tokens tokens and n_panels panels,
// panel_bytes apart. All dots run side by side: one vpdpbusd chain alone would wait 5 cycles a step. Indices
// are int: with size_t GCC 12 keeps a pointer per token and word and fetches each from the stack.
template <class Tile, Part part, int n_tokens, int n_panels, class AnyGroup>
GQ_INLINE void multiply_block(const std::byte* tile, size_t panel_bytes, const Q8Rows& x,
                              const AnyGroup (&group)[n_panels], __m512 (&acc)[n_panels][n_tokens]) {
    constexpr int first = first_word(part), end = end_word(part);
    __m512i dot[n_panels][n_tokens];
#pragma GCC unroll 16
    for (int t = 0; t < n_tokens; ++t) {
        const __m512i sums = _mm512_set1_epi32(load_sums<part>(x.sums + t * x.n_blocks * 2));
#pragma GCC unroll 8
        for (int p = 0; p < n_panels; ++p)
            dot[p][t] = _mm512_dpwssd_epi32(_mm512_setzero_si512(), group[p].start, sums);
    }
#pragma GCC unroll 8
    for (int j = first; j < end; ++j) {
        __m512i codes[n_panels];
#pragma GCC unroll 8
        for (int p = 0; p < n_panels; ++p) codes[p] = Tile::word(tile + p * panel_bytes, j);
#pragma GCC unroll 16
        for (int t = 0; t < n_tokens; ++t) {
            const __m512i values = broadcast_word(x.values + t * x.n_blocks * q8_block + 4 * j);
#pragma GCC unroll 8
            for (int p = 0; p < n_panels; ++p) dot[p][t] = _mm512_dpbusd_epi32(dot[p][t], codes[p], values);
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < n_tokens; ++t) {
        const __m512 scale = _mm512_set1_ps(x.scales[t * x.n_blocks]);
#pragma GCC unroll 8
        for (int p = 0; p < n_panels; ++p) acc[p][t] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(dot[p][t]), acc[p][t]);
    }
}

// y[p][t] = fma(offset, sum of the activations, y[p][t]); the sums of tokens are sum_stride apart.
template <int n_panels, int n_tokens>
GQ_INLINE void add_offsets(const Group (&group)[n_panels], const float* sums, size_t sum_stride,
                           __m512 (&y)[n_panels][n_tokens]) {
    for (int t = 0; t < n_tokens; ++t) {
        const __m512 sum = _mm512_set1_ps(sums[t * sum_stride]);
        for (int p = 0; p < n_panels; ++p) y[p][t] = _mm512_fmadd_ps(group[p].offset, sum, y[p][t]);
    }
}

// What linear.h asks for.
template <bool halves>
struct Linear {
    using Group = avx512::Group;
    static constexpr int max_panels = 4, max_sums = 8;

    // n_panels panels from first_panel on, whose codes stand at `codes`, times n_tokens tokens from first_token on.
    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, const Groups<Group>& groups, const std::byte* codes,
                         size_t first_panel, size_t first_token) {
        const TileWalk<Tile> walk = walk_of<Tile>(*args.weights, groups);
        const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
        const float* sums = groups.grid->has_offsets ? args.group_sums + first_token * walk.n_groups : nullptr;
        __m512 y[n_panels][n_tokens] = {}, acc[n_panels][n_tokens];
        Group run[run_groups][n_panels];
        for (size_t g = 0, b = 0; g < walk.n_groups; ++g) {
            if (g % run_groups == 0) read_groups<Tile, n_panels>(groups, first_panel, g, run);
            const Group(&group)[n_panels] = run[g % run_groups];
            for (int p = 0; p < n_panels; ++p)
                for (int t = 0; t < n_tokens; ++t) acc[p][t] = _mm512_setzero_ps();
            if constexpr (halves) {
                const std::byte* tile = codes + g / 2 * Tile::bytes;
                if (g % 2 == 0) {
                    prefetch_panels<n_panels>(walk, g / 2, tile);
                    multiply_block<Tile, Part::first>(tile, walk.panel_bytes, advance(x, g / 2), group, acc);
                } else {
                    multiply_block<Tile, Part::last>(tile, walk.panel_bytes, advance(x, g / 2), group, acc);
                }
            } else {
                for (const size_t end = group_end(walk, b); b < end; ++b) {
                    const std::byte* tile = codes + b * Tile::bytes;
                    prefetch_panels<n_panels>(walk, b, tile);
                    multiply_block<Tile, Part::whole>(tile, walk.panel_bytes, advance(x, b), group, acc);
                }
            }
            for (int p = 0; p < n_panels; ++p)
                for (int t = 0; t < n_tokens; ++t) y[p][t] = _mm512_fmadd_ps(group[p].scale, acc[p][t], y[p][t]);
            if (sums) add_offsets(group, sums + g, walk.n_groups, y);
        }
        for (int p = 0; p < n_panels; ++p) store_panel(args, first_panel + p, first_token, y[p]);
    }
};

template <class Tile>
static void unpack(const std::byte* panel_codes, size_t n_tiles, uint8_t* out) {
    for (size_t i = 0; i < n_tiles; ++i) {
        for (int j = 0; j < 8; ++j)
            _mm512_storeu_si512(out + i * U8Plane::bytes + j * U8Plane::vector_bytes,
                                Tile::word(panel_codes + i * Tile::bytes, j));
    }
}

// The 8-bit layout.
struct TileU8 {
    static constexpr size_t bytes = U8Plane::bytes;
    GQ_INLINE __m512i word(const std::byte* tile, int j) { return load_vector<U8Plane>(tile, j); }
};

GQ_TARGET_END

}  // namespace gq::avx512
