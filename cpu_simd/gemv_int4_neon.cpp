// int4 in NEON with dot product: one register is 4 rows x 4 inputs, a quarter of a panel; sdot takes its 4 activations from a lane of the block.
// In: tiles as core/packing/codes_int4.cpp draws them, activations in 8 bits. Out: gemv under the integer contract of kernels.h; the walk is
// linear.h's. Codes up to 15 are signed bytes too, so sdot is exact. Must not know models.
#include "cpu_simd/linear.h"

namespace gq {
namespace {

GQ_TARGET_NEON

constexpr int quarters = 4;

// What one group of one panel means, a lane a row, 4 rows a register.
struct RowGroup {
    float32x4_t scale[quarters];
    int32x4_t start[quarters];  // -zero_point
};

GQ_INLINE void read_scales(const Groups<RowGroup>& groups, size_t index, RowGroup& out) {
    const uint16_t* halves = reinterpret_cast<const uint16_t*>(groups.scales + index * groups.scale_bytes);
    for (int q = 0; q < quarters; ++q) out.scale[q] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves + 4 * q)));
}
void read_symmetric(const Groups<RowGroup>& groups, size_t index, RowGroup& out) {
    read_scales(groups, index, out);
    for (int32x4_t& start : out.start) start = vdupq_n_s32(-(1 << (groups.bits - 1)));
}
// Byte i holds row 2i in its low nibble and row 2i + 1 in its high one.
void read_nibbles(const Groups<RowGroup>& groups, size_t index, RowGroup& out) {
    const uint8x8_t bytes = vld1_u8(reinterpret_cast<const uint8_t*>(groups.zeros + index * groups.zero_bytes));
    const uint8x8x2_t rows = vzip_u8(vand_u8(bytes, vdup_n_u8(15)), vshr_n_u8(bytes, 4));
    read_scales(groups, index, out);
    for (int half = 0; half < 2; ++half) {
        const int16x8_t wide = vreinterpretq_s16_u16(vmovl_u8(rows.val[half]));
        out.start[2 * half] = vnegq_s32(vmovl_s16(vget_low_s16(wide)));
        out.start[2 * half + 1] = vnegq_s32(vmovl_s16(vget_high_s16(wide)));
    }
}
void read_any(const Groups<RowGroup>& groups, size_t index, RowGroup& out) {
    GroupParams params;
    groups.grid->unpack_group(groups.scales + index * groups.scale_bytes, groups.zeros + index * groups.zero_bytes,
                              groups.bits, params);
    for (int q = 0; q < quarters; ++q) {
        out.scale[q] = vld1q_f32(params.scale + 4 * q);
        out.start[q] = vnegq_s32(vld1q_s32(params.zero_point + 4 * q));
    }
}

struct TileInt4 {
    static constexpr size_t bytes = 256;
};

// dots += word j of the low nibbles with inputs 4j …, and of the high nibbles with inputs 16 + 4j ….
template <int j>
GQ_INLINE void add_words(const std::byte* tile, int8x16_t low_values, int8x16_t high_values,
                         int32x4_t (&dots)[quarters]) {
    const uint8_t* words = reinterpret_cast<const uint8_t*>(tile + 64 * j);
    for (int q = 0; q < quarters; ++q) {
        const uint8x16_t both = vld1q_u8(words + 16 * q);
        dots[q] = vdotq_laneq_s32(dots[q], vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15))), low_values, j);
        dots[q] = vdotq_laneq_s32(dots[q], vreinterpretq_s8_u8(vshrq_n_u8(both, 4)), high_values, j);
    }
}

struct Linear {
    using Group = RowGroup;
    static constexpr int max_panels = 2, max_sums = 4;
    static constexpr GridReader<Group> grid_readers[] = {
        {"symmetric", 4, read_symmetric}, {"zero_point", 4, read_nibbles}, {"", 0, read_any}};

    GQ_INLINE void multiply_block(const std::byte* tile, const Q8Rows& x, const Group& group,
                                  float32x4_t (&acc)[quarters]) {
        const int8x16_t low_values = vld1q_s8(x.values), high_values = vld1q_s8(x.values + 16);
        const int32_t sum = x.sums[0] + x.sums[1];
        int32x4_t dots[quarters];
        for (int q = 0; q < quarters; ++q) dots[q] = vmulq_n_s32(group.start[q], sum);
        add_words<0>(tile, low_values, high_values, dots);
        add_words<1>(tile, low_values, high_values, dots);
        add_words<2>(tile, low_values, high_values, dots);
        add_words<3>(tile, low_values, high_values, dots);
        for (int q = 0; q < quarters; ++q) acc[q] = vfmaq_n_f32(acc[q], vcvtq_f32_s32(dots[q]), *x.scales);
    }

    static void store_panel(const LinearArgs& args, size_t panel, size_t token, const float32x4_t (&y)[quarters]) {
        float rows[panel_rows];
        for (int q = 0; q < quarters; ++q) vst1q_f32(rows + 4 * q, y[q]);
        const size_t row = panel * panel_rows, left = args.weights->rows - row;
        __builtin_memcpy(args.y + token * args.y_stride + row, rows,
                         (left < panel_rows ? left : panel_rows) * sizeof *rows);
    }

    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, const Groups<Group>& groups, const std::byte* codes,
                         size_t first_panel, size_t first_token) {
        const PackedMatrix& w = *args.weights;
        const size_t n_tiles = w.n_tiles(), n_groups = w.n_groups(), group_tiles = w.tiles_per_group(),
                     panel_bytes = n_tiles * Tile::bytes;
        const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
        float32x4_t y[n_panels][n_tokens][quarters] = {}, acc[n_panels][n_tokens][quarters];
        for (size_t g = 0, b = 0; g < n_groups; ++g) {
            Group group[n_panels];
            for (int p = 0; p < n_panels; ++p) groups.read(groups, (first_panel + p) * n_groups + g, group[p]);
            __builtin_memset(acc, 0, sizeof acc);
            for (const size_t end = n_tiles - b < group_tiles ? n_tiles : b + group_tiles; b < end; ++b) {
                for (int p = 0; p < n_panels; ++p) {
                    const std::byte* tile = codes + p * panel_bytes + b * Tile::bytes;
                    prefetch_ahead<Tile::bytes, n_panels>(tile);
                    for (int t = 0; t < n_tokens; ++t)
                        multiply_block(tile, advance(x, t * x.n_blocks + b), group[p], acc[p][t]);
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

}  // namespace

extern const KernelVariant gemv_int4_neon{"gemv_int4_neon", "neon", "int4", {.gemv = gemv<Linear, TileInt4>}};

}  // namespace gq
