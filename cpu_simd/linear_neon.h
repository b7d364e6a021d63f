// The integer linear layer in NEON with dot product: one walk for all codes of up to 7 bits and all grids.
// In: panels of codes that a Tile knows how to spread into 8-bit words, activations in 8 bits. Out: y under the gemv
// contract of kernels.h. One register is 4 rows x 4 inputs, a quarter of a panel: sdot takes its 4 activations from a
// lane of the block. It multiplies signed bytes, which codes below 128 are too. Must not know where bits lie.
#pragma once

#include "cpu_simd/linear.h"

namespace gq::neon {

GQ_TARGET_NEON

constexpr int quarters = 4;

// What one group of one panel means, a lane a row, 4 rows a register.
struct Group {
    float32x4_t scale[quarters];
    int32x4_t start[quarters];  // -zero_point
};

using Groups = gq::Groups<Group>;

GQ_INLINE void read_scales(const Groups& groups, size_t index, Group& out) {
    const uint16_t* halves = reinterpret_cast<const uint16_t*>(scales_of(groups, index));
    for (int q = 0; q < quarters; ++q) out.scale[q] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves + 4 * q)));
}
static inline void read_symmetric(const Groups& groups, size_t index, Group& out) {
    read_scales(groups, index, out);
    for (int32x4_t& start : out.start) start = vdupq_n_s32(-(1 << (groups.bits - 1)));
}
// Byte i holds row 2i in its low nibble and row 2i + 1 in its high one.
static inline void read_nibbles(const Groups& groups, size_t index, Group& out) {
    const uint8x8_t bytes = vld1_u8(reinterpret_cast<const uint8_t*>(zeros_of(groups, index)));
    const uint8x8x2_t rows = vzip_u8(vand_u8(bytes, vdup_n_u8(15)), vshr_n_u8(bytes, 4));
    read_scales(groups, index, out);
    for (int half = 0; half < 2; ++half) {
        const int16x8_t wide = vreinterpretq_s16_u16(vmovl_u8(rows.val[half]));
        out.start[2 * half] = vnegq_s32(vmovl_s16(vget_low_s16(wide)));
        out.start[2 * half + 1] = vnegq_s32(vmovl_s16(vget_high_s16(wide)));
    }
}
static inline void read_any(const Groups& groups, size_t index, Group& out) {
    const GroupParams params = params_of(groups, index);
    for (int q = 0; q < quarters; ++q) {
        out.scale[q] = vld1q_f32(params.scale + 4 * q);
        out.start[q] = vnegq_s32(vld1q_s32(params.zero_point + 4 * q));
    }
}

// Quarter q of vector j of a plane: 4 words of 4 rows.
template <class Plane>
GQ_INLINE uint8x16_t load_quarter(const std::byte* plane, int j, int q) {
    return vld1q_u8(reinterpret_cast<const uint8_t*>(plane + j * Plane::vector_bytes) + 16 * q);
}

// A Tile names its `bytes` for 16 rows x 32 inputs. word<j>(tile, q), j < 8, gives inputs 4j … 4j + 3 of rows
// 4q … 4q + 3, a code a byte.

// dots += words j and j + 4: inputs 4j … and 16 + 4j …, the first and the second 16 activations' lane j.
template <class Tile, int j>
GQ_INLINE void add_words(const std::byte* tile, int8x16_t first_values, int8x16_t second_values,
                         int32x4_t (&dots)[quarters]) {
    for (int q = 0; q < quarters; ++q) {
        const int8x16_t first = vreinterpretq_s8_u8(Tile::template word<j>(tile, q));
        const int8x16_t second = vreinterpretq_s8_u8(Tile::template word<j + 4>(tile, q));
        dots[q] = vdotq_laneq_s32(dots[q], first, first_values, j);
        dots[q] = vdotq_laneq_s32(dots[q], second, second_values, j);
    }
}

// acc = fma(scale of the block, dot of the block, acc) for one token and one panel.
template <class Tile>
GQ_INLINE void multiply_block(const std::byte* tile, const Q8Rows& x, const Group& group,
                              float32x4_t (&acc)[quarters]) {
    const int8x16_t first_values = vld1q_s8(x.values), second_values = vld1q_s8(x.values + 16);
    const int32_t sum = x.sums[0] + x.sums[1];
    int32x4_t dots[quarters];
    for (int q = 0; q < quarters; ++q) dots[q] = vmulq_n_s32(group.start[q], sum);
    add_words<Tile, 0>(tile, first_values, second_values, dots);
    add_words<Tile, 1>(tile, first_values, second_values, dots);
    add_words<Tile, 2>(tile, first_values, second_values, dots);
    add_words<Tile, 3>(tile, first_values, second_values, dots);
    for (int q = 0; q < quarters; ++q) acc[q] = vfmaq_n_f32(acc[q], vcvtq_f32_s32(dots[q]), *x.scales);
}

// y of one panel and token to the rows that exist.
static void store_panel(const LinearArgs& args, size_t panel, size_t token, const float32x4_t (&y)[quarters]) {
    float rows[panel_rows];
    for (int q = 0; q < quarters; ++q) vst1q_f32(rows + 4 * q, y[q]);
    const size_t row = panel * panel_rows, left = args.weights->rows - row;
    __builtin_memcpy(args.y + token * args.y_stride + row, rows,
                     (left < panel_rows ? left : panel_rows) * sizeof *rows);
}

// What linear.h asks for.
struct Linear {
    using Group = neon::Group;
    static constexpr int max_panels = 2, max_sums = 4;
    static constexpr GroupReaders<Group> readers{read_symmetric, read_nibbles, nullptr, read_any};

    // n_panels panels from first_panel on, whose codes stand at `codes`, times n_tokens tokens from first_token on.
    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, const Groups& groups, const std::byte* codes, size_t first_panel,
                         size_t first_token) {
        const Walk<Tile> walk = walk_of<Tile>(*args.weights);
        const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
        float32x4_t y[n_panels][n_tokens][quarters] = {}, acc[n_panels][n_tokens][quarters];
        for (size_t g = 0, b = 0; g < walk.n_groups; ++g) {
            Group group[n_panels];
            for (int p = 0; p < n_panels; ++p) groups.read(groups, (first_panel + p) * walk.n_groups + g, group[p]);
            __builtin_memset(acc, 0, sizeof acc);
            for (const size_t end = group_end(walk, b); b < end; ++b) {
                for (int p = 0; p < n_panels; ++p) {
                    const std::byte* tile = codes + p * walk.panel_bytes + b * Tile::bytes;
                    prefetch_ahead<Tile::bytes, n_panels>(tile);
                    for (int t = 0; t < n_tokens; ++t)
                        multiply_block<Tile>(tile, advance(x, t * x.n_blocks + b), group[p], acc[p][t]);
                }
            }
            for (int p = 0; p < n_panels; ++p)
                for (int t = 0; t < n_tokens; ++t)
                    for (int q = 0; q < quarters; ++q)
                        y[p][t][q] = vfmaq_f32(y[p][t][q], group[p].scale[q], acc[p][t][q]);
        }
        for (int p = 0; p < n_panels; ++p)
            for (int t = 0; t < n_tokens; ++t) store_panel(args, first_panel + p, first_token + t, y[p][t]);
    }
};

GQ_TARGET_END

}  // namespace gq::neon
