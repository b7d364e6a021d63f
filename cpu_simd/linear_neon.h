// The integer linear layer in NEON with dot product: one walk for all codes and all grids.
// In: panels of codes that a Tile knows how to spread into 8-bit words, activations in 8 bits. Out: y under the gemv
// contract of kernels.h. One register is 4 rows x 4 inputs, a quarter of a panel: sdot takes its 4 activations from a
// lane of the block. It multiplies signed bytes: codes below 128 are that too, larger ones less 128, which the zero
// point makes good. Must not know where bits lie.
#pragma once

#include <utility>

#include "cpu_simd/linear.h"
#include "cpu_simd/math_neon.h"

namespace gq::neon {

GQ_TARGET_NEON

// What one group of one panel means, a lane a row, 4 rows a register.
struct Group {
    float32x4_t scale[quarters];
    int32x4_t start[quarters];     // -zero_point
    float32x4_t offset[quarters];  // for grids with offsets

    // As Groups::read, of groups that are `Stored` so.
    template <class Stored>
    static void read_run(const Groups<Group>& groups, size_t index, size_t n, size_t panel, size_t stride, Group* out) {
        for (size_t i = 0; i < n; ++i) read_group(Stored{}, groups, index + i, panel, out[i * stride]);
    }
};

GQ_INLINE void start_from_middle(unsigned bits, Group& out) {
    for (int32x4_t& start : out.start) start = vdupq_n_s32(-(1 << (bits - 1)));
}
GQ_INLINE void start_from_bytes(uint8x8_t first_rows, uint8x8_t last_rows, Group& out) {
    const uint8x8_t rows[2] = {first_rows, last_rows};
    for (int half = 0; half < 2; ++half) {
        const int16x8_t wide = vreinterpretq_s16_u16(vmovl_u8(rows[half]));
        out.start[2 * half] = vnegq_s32(vmovl_s16(vget_low_s16(wide)));
        out.start[2 * half + 1] = vnegq_s32(vmovl_s16(vget_high_s16(wide)));
    }
}
GQ_INLINE void read_group(stored::Symmetric, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    read_halves(scales_of(groups, index), out.scale);
    start_from_middle(groups.bits, out);
}
// Byte i holds row 2i in its low nibble and row 2i + 1 in its high one.
GQ_INLINE uint8x8x2_t rows_of_nibbles(const std::byte* nibbles) {
    const uint8x8_t bytes = vld1_u8(reinterpret_cast<const uint8_t*>(nibbles));
    return vzip_u8(vand_u8(bytes, vdup_n_u8(15)), vshr_n_u8(bytes, 4));
}
GQ_INLINE void read_group(stored::Nibbles, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    const uint8x8x2_t rows = rows_of_nibbles(zeros_of(groups, index));
    read_halves(scales_of(groups, index), out.scale);
    start_from_bytes(rows.val[0], rows.val[1], out);
}
GQ_INLINE void read_group(stored::Bytes, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    const uint8x16_t rows = vld1q_u8(reinterpret_cast<const uint8_t*>(zeros_of(groups, index)));
    read_halves(scales_of(groups, index), out.scale);
    start_from_bytes(vget_low_u8(rows), vget_high_u8(rows), out);
}
GQ_INLINE void read_group(stored::Offset, const Groups<Group>& groups, size_t index, size_t, Group& out) {
    read_halves(scales_of(groups, index), out.scale);
    read_halves(scales_of(groups, index) + panel_rows * sizeof(uint16_t), out.offset);
    for (int32x4_t& start : out.start) start = vdupq_n_s32(0);
}
// out *= a number for each row.
GQ_INLINE void multiply_rows(int8x16_t numbers, float32x4_t (&out)[quarters]) {
    float32x4_t rows[quarters];
    read_bytes(numbers, rows);
    for (int q = 0; q < quarters; ++q) out[q] = vmulq_f32(out[q], rows[q]);
}
// out *= 16 numbers of 6 bits: 8 bytes of nibbles as of stored::Nibbles, and a word of pairs, byte i for the rows i +
// 4p.
GQ_INLINE void multiply_steps(const std::byte* nibbles, const std::byte* pairs, float32x4_t (&out)[quarters]) {
    const uint8x8x2_t low = rows_of_nibbles(nibbles);
    constexpr int8_t down[16] = {0, 0, 0, 0, -2, -2, -2, -2, -4, -4, -4, -4, -6, -6, -6, -6};
    const uint8x16_t word = vreinterpretq_u8_s32(vdupq_n_s32(load_word(pairs)));
    const uint8x16_t high = vandq_u8(vshlq_u8(word, vld1q_s8(down)), vdupq_n_u8(3));
    const uint8x16_t steps = vorrq_u8(vcombine_u8(low.val[0], low.val[1]), vshlq_n_u8(high, 4));
    multiply_rows(vreinterpretq_s8_u8(steps), out);
}
GQ_INLINE void read_group(stored::K, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    const std::byte *halves = unit_scales_of(groups, index, panel), *steps = zeros_of(groups, index);
    read_halves(halves, out.scale);
    read_halves(halves + panel_rows * sizeof(uint16_t), out.offset);
    multiply_steps(steps, steps + 16, out.scale);
    multiply_steps(steps + 8, steps + 20, out.offset);
    for (float32x4_t& offset : out.offset) offset = vsubq_f32(vdupq_n_f32(0), offset);
    for (int32x4_t& start : out.start) start = vdupq_n_s32(0);
}
GQ_INLINE void read_group(stored::KSigned, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    read_halves(unit_scales_of(groups, index, panel), out.scale);
    multiply_rows(vld1q_s8(reinterpret_cast<const int8_t*>(zeros_of(groups, index))), out.scale);
    start_from_middle(groups.bits, out);
}
GQ_INLINE void read_group(stored::Any, const Groups<Group>& groups, size_t index, size_t panel, Group& out) {
    const GroupParams params = params_of(groups, index, panel);
    for (int q = 0; q < quarters; ++q) {
        out.scale[q] = vld1q_f32(params.scale + 4 * q);
        out.start[q] = vnegq_s32(vld1q_s32(params.zero_point + 4 * q));
        out.offset[q] = vld1q_f32(params.offset + 4 * q);
    }
}

// Quarter q of vector j of a plane: 4 words of 4 rows.
template <class Plane>
GQ_INLINE uint8x16_t load_quarter(const std::byte* plane, int j, int q) {
    return vld1q_u8(reinterpret_cast<const uint8_t*>(plane + j * Plane::vector_bytes) + 16 * q);
}

// A Tile names its `bytes` for 16 rows x 32 inputs. word<j>(tile, q), j < 8, gives inputs 4j … 4j + 3 of rows
// 4q … 4q + 3, a code a byte, less the Tile's `bias`: 128 where codes don't fit into signed bytes, else 0.

// dots += word j, inputs 4j …, whose activations are lane j % 4 of a token's `values`, 16 of them.
template <class Tile, int j, int n_tokens>
GQ_INLINE void add_word(const std::byte* tile, const int8x16_t (&values)[n_tokens],
                        int32x4_t (&dots)[n_tokens][quarters]) {
#pragma GCC unroll 4
    for (int q = 0; q < quarters; ++q) {
        const int8x16_t codes = vreinterpretq_s8_u8(Tile::template word<j>(tile, q));
#pragma GCC unroll 4
        for (int t = 0; t < n_tokens; ++t) dots[t][q] = vdotq_laneq_s32(dots[t][q], codes, values[t], j % 4);
    }
}
template <class Tile, int j, int n_tokens>
GQ_INLINE void add_four_words(const std::byte* tile, const Q8Rows& x, int32x4_t (&dots)[n_tokens][quarters]) {
    int8x16_t sixteen[n_tokens];
#pragma GCC unroll 4
    for (int t = 0; t < n_tokens; ++t) sixteen[t] = vld1q_s8(x.values + t * x.n_blocks * q8_block + 4 * j);
    add_word<Tile, j>(tile, sixteen, dots);
    add_word<Tile, j + 1>(tile, sixteen, dots);
    add_word<Tile, j + 2>(tile, sixteen, dots);
    add_word<Tile, j + 3>(tile, sixteen, dots);
}

// acc[t] = fma(scale of the block, dot of its part, acc[t]) for n_tokens tokens and one panel.
template <class Tile, Part part, int n_tokens>
GQ_INLINE void multiply_block(const std::byte* tile, const Q8Rows& x, const Group& group,
                              float32x4_t (&acc)[n_tokens][quarters]) {
    int32x4_t dots[n_tokens][quarters];
#pragma GCC unroll 4
    for (int t = 0; t < n_tokens; ++t) {
        const int16_t* sums = x.sums + t * x.n_blocks * 2;
        const int32_t sum = (part == Part::last ? 0 : sums[0]) + (part == Part::first ? 0 : sums[1]);
#pragma GCC unroll 4
        for (int q = 0; q < quarters; ++q)
            dots[t][q] = vmulq_n_s32(vaddq_s32(group.start[q], vdupq_n_s32(Tile::bias)), sum);
    }
    if (part != Part::last) add_four_words<Tile, 0>(tile, x, dots);
    if (part != Part::first) add_four_words<Tile, 4>(tile, x, dots);
#pragma GCC unroll 4
    for (int t = 0; t < n_tokens; ++t)
#pragma GCC unroll 4
        for (int q = 0; q < quarters; ++q)
            acc[t][q] = vfmaq_n_f32(acc[t][q], vcvtq_f32_s32(dots[t][q]), x.scales[t * x.n_blocks]);
}

// Block b of n_tokens tokens and n_panels panels.
template <class Tile, Part part, int n_panels, int n_tokens, class AnyGroup>
GQ_INLINE void multiply_panels(const std::byte* codes, const TileWalk<Tile>& walk, size_t b, const Q8Rows& x,
                               const AnyGroup (&group)[n_panels], float32x4_t (&acc)[n_panels][n_tokens][quarters]) {
    const std::byte* tile = codes + b * Tile::bytes;
    if (part != Part::last) prefetch_panels<n_panels>(walk, b, tile);
#pragma GCC unroll 2
    for (int p = 0; p < n_panels; ++p, tile += walk.panel_bytes)
        multiply_block<Tile, part>(tile, advance(x, b), group[p], acc[p]);
}

// What linear.h asks for.
template <bool halves>
struct Linear {
    using Group = neon::Group;
    static constexpr int max_panels = 2, max_sums = 4;
    // n_panels panels from first_panel on, whose codes stand at `codes`, times n_tokens tokens from first_token on.
    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, const Groups<Group>& groups, const std::byte* codes,
                         size_t first_panel, size_t first_token) {
        const TileWalk<Tile> walk = walk_of<Tile>(*args.weights, groups);
        const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
        const float* sums = groups.grid->has_offsets ? args.group_sums + first_token * walk.n_groups : nullptr;
        float32x4_t y[n_panels][n_tokens][quarters] = {}, acc[n_panels][n_tokens][quarters];
        Group run[run_groups][n_panels];
        for (size_t g = 0, b = 0; g < walk.n_groups; ++g) {
            if (g % run_groups == 0) read_groups<Tile, n_panels>(groups, first_panel, g, run);
            const Group(&group)[n_panels] = run[g % run_groups];
#pragma GCC unroll 2
            for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 4
                for (int t = 0; t < n_tokens; ++t)
#pragma GCC unroll 4
                    for (int q = 0; q < quarters; ++q) acc[p][t][q] = vdupq_n_f32(0);
            if constexpr (halves) {
                if (g % 2 == 0)
                    multiply_panels<Tile, Part::first>(codes, walk, g / 2, x, group, acc);
                else
                    multiply_panels<Tile, Part::last>(codes, walk, g / 2, x, group, acc);
            } else {
                for (const size_t end = group_end(walk, b); b < end; ++b)
                    multiply_panels<Tile, Part::whole>(codes, walk, b, x, group, acc);
            }
#pragma GCC unroll 2
            for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 4
                for (int t = 0; t < n_tokens; ++t)
#pragma GCC unroll 4
                    for (int q = 0; q < quarters; ++q) {
                        y[p][t][q] = vfmaq_f32(y[p][t][q], group[p].scale[q], acc[p][t][q]);
                        if (sums) y[p][t][q] = vfmaq_n_f32(y[p][t][q], group[p].offset[q], sums[t * walk.n_groups + g]);
                    }
        }
#pragma GCC unroll 2
        for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 4
            for (int t = 0; t < n_tokens; ++t) store_panel(args, first_panel + p, first_token + t, y[p][t]);
    }
};

// Shifts of bytes by a number that may be 0 or negative, which the intrinsics with immediates don't take.
template <int n>
GQ_INLINE uint8x16_t shift_right(uint8x16_t v) {
    return vshlq_u8(v, vdupq_n_s8(-n));
}

template <class Tile, int j>
GQ_INLINE void unpack_word(const std::byte* tile, uint8_t* out) {
    for (int q = 0; q < quarters; ++q)
        vst1q_u8(out + j * U8Plane::vector_bytes + 16 * q,
                 veorq_u8(Tile::template word<j>(tile, q), vdupq_n_u8(Tile::bias)));
}
template <class Tile, int... j>
GQ_INLINE void unpack_tile(const std::byte* tile, uint8_t* out, std::integer_sequence<int, j...>) {
    (unpack_word<Tile, j>(tile, out), ...);
}
template <class Tile>
static void unpack(const std::byte* panel_codes, size_t n_tiles, uint8_t* out) {
    for (size_t i = 0; i < n_tiles; ++i, panel_codes += Tile::bytes, out += U8Plane::bytes)
        unpack_tile<Tile>(panel_codes, out, std::make_integer_sequence<int, 8>());
}

// The 8-bit layout, of codes that may be 128 and more; and of those that are not.
struct TileU8 {
    static constexpr size_t bytes = U8Plane::bytes;
    static constexpr int bias = 128;
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        return veorq_u8(load_quarter<U8Plane>(tile, j, q), vdupq_n_u8(bias));
    }
};
struct TileU7 {
    static constexpr size_t bytes = U8Plane::bytes;
    static constexpr int bias = 0;
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        return load_quarter<U8Plane>(tile, j, q);
    }
};

GQ_TARGET_END

}  // namespace gq::neon
