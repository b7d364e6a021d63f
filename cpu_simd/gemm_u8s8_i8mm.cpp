// Prefill in NEON with matrix products: half a panel x 6 tokens stand in registers, 12 products and 12 sums of floats.
// usmmla multiplies 2 rows x 8 inputs of unsigned codes by 8 inputs x 2 tokens: words j and j + 1 of a quarter of a
// panel, zipped, are two such operands. Lanes of a result: row 0 by token 0, row 0 by 1, row 1 by 0, row 1 by 1.
// In: panels in 8-bit layout and any number of tokens. Out: y, the same bits as gemv; the walk is linear.h's.
// Must not know which codes were expanded.
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

GQ_TARGET_I8MM

constexpr int row_pairs = 4;  // of half a panel

// What a row has for both of its results, from a vector of 4 rows.
template <int pair>
GQ_INLINE float32x4_t of_rows(float32x4_t rows) {
    return pair % 2 == 0 ? vzip1q_f32(rows, rows) : vzip2q_f32(rows, rows);
}
template <int pair>
GQ_INLINE int32x4_t of_rows(int32x4_t rows) {
    return pair % 2 == 0 ? vzip1q_s32(rows, rows) : vzip2q_s32(rows, rows);
}
// What two tokens have for both rows.
GQ_INLINE float32x4_t of_tokens(float first, float second) {
    const float32x2_t both = vset_lane_f32(second, vdup_n_f32(first), 1);
    return vcombine_f32(both, both);
}
GQ_INLINE int32x4_t of_tokens(int32_t first, int32_t second) {
    const int32x2_t both = vset_lane_s32(second, vdup_n_s32(first), 1);
    return vcombine_s32(both, both);
}

// Half of the rows of a panel's group, laid out as results.
struct HalfGroup {
    float32x4_t scale[row_pairs], offset[row_pairs];
    int32x4_t start[row_pairs];
};
GQ_INLINE HalfGroup half_of(const neon::Group& group, int half) {
    HalfGroup out;
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const int q = 2 * half + i;
        out.scale[2 * i] = of_rows<0>(group.scale[q]);
        out.scale[2 * i + 1] = of_rows<1>(group.scale[q]);
        out.offset[2 * i] = of_rows<0>(group.offset[q]);
        out.offset[2 * i + 1] = of_rows<1>(group.offset[q]);
        out.start[2 * i] = of_rows<0>(group.start[q]);
        out.start[2 * i + 1] = of_rows<1>(group.start[q]);
    }
    return out;
}

// The tokens of pair p; a single last one stands twice.
template <int n_tokens>
constexpr int second_token(int p) {
    return 2 * p + 1 < n_tokens ? 2 * p + 1 : 2 * p;
}

// dots += words j and j + 1.
template <int n_tokens, int n_pairs>
GQ_INLINE void add_words(const std::byte* tile, int half, int j, const Q8Rows& x,
                         int32x4_t (&dots)[row_pairs][n_pairs]) {
    int8x16_t tokens[n_pairs];
#pragma GCC unroll 3
    for (int p = 0; p < n_pairs; ++p) {
        const int8_t* values = x.values + 4 * j;
        tokens[p] = vcombine_s8(vld1_s8(values + 2 * p * x.n_blocks * q8_block),
                                vld1_s8(values + second_token<n_tokens>(p) * x.n_blocks * q8_block));
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const uint32x4_t low = vreinterpretq_u32_u8(neon::load_quarter<U8Plane>(tile, j, 2 * half + i)),
                         high = vreinterpretq_u32_u8(neon::load_quarter<U8Plane>(tile, j + 1, 2 * half + i));
        const uint8x16_t rows[2] = {vreinterpretq_u8_u32(vzip1q_u32(low, high)),
                                    vreinterpretq_u8_u32(vzip2q_u32(low, high))};
#pragma GCC unroll 2
        for (int r = 0; r < 2; ++r)
#pragma GCC unroll 3
            for (int p = 0; p < n_pairs; ++p) dots[2 * i + r][p] = vusmmlaq_s32(dots[2 * i + r][p], rows[r], tokens[p]);
    }
}

// acc = fma(scale of the block, dot of its part, acc).
template <Part part, int n_tokens, int n_pairs>
GQ_INLINE void multiply_block(const std::byte* tile, int half, const Q8Rows& x, const HalfGroup& group,
                              float32x4_t (&acc)[row_pairs][n_pairs]) {
    int32x4_t dots[row_pairs][n_pairs];
#pragma GCC unroll 3
    for (int p = 0; p < n_pairs; ++p) {
        int32_t sum[2];
#pragma GCC unroll 2
        for (int t = 0; t < 2; ++t) {
            const int16_t* sums = x.sums + (t == 0 ? 2 * p : second_token<n_tokens>(p)) * x.n_blocks * 2;
            sum[t] = (part == Part::last ? 0 : sums[0]) + (part == Part::first ? 0 : sums[1]);
        }
#pragma GCC unroll 4
        for (int r = 0; r < row_pairs; ++r) dots[r][p] = vmulq_s32(group.start[r], of_tokens(sum[0], sum[1]));
    }
    if (part != Part::last) {
        add_words<n_tokens>(tile, half, 0, x, dots);
        add_words<n_tokens>(tile, half, 2, x, dots);
    }
    if (part != Part::first) {
        add_words<n_tokens>(tile, half, 4, x, dots);
        add_words<n_tokens>(tile, half, 6, x, dots);
    }
#pragma GCC unroll 3
    for (int p = 0; p < n_pairs; ++p) {
        const float32x4_t scales =
            of_tokens(x.scales[2 * p * x.n_blocks], x.scales[second_token<n_tokens>(p) * x.n_blocks]);
#pragma GCC unroll 4
        for (int r = 0; r < row_pairs; ++r) acc[r][p] = vfmaq_f32(acc[r][p], vcvtq_f32_s32(dots[r][p]), scales);
    }
}

// Half a panel to the rows that exist.
template <int n_tokens, int n_pairs>
GQ_INLINE void store_half(const LinearArgs& args, size_t row, size_t first_token,
                          const float32x4_t (&y)[row_pairs][n_pairs]) {
    constexpr size_t half_rows = panel_rows / 2;
    float rows[2 * n_pairs][half_rows];
    for (int p = 0; p < n_pairs; ++p)
        for (int r = 0; r < row_pairs; ++r) {
            float results[4];
            vst1q_f32(results, y[r][p]);
            for (int i = 0; i < 4; ++i) rows[2 * p + i % 2][2 * r + i / 2] = results[i];
        }
    if (row >= args.weights->rows) return;
    const size_t left = args.weights->rows - row;
    for (size_t t = 0; t < n_tokens; ++t)
        __builtin_memcpy(args.y + (first_token + t) * args.y_stride + row, rows[t],
                         (left < half_rows ? left : half_rows) * sizeof(float));
}

// What linear.h asks for.
template <bool halves>
struct Linear {
    using Group = neon::Group;
    static constexpr int max_panels = 1, max_sums = 6;

    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, const Groups<Group>& groups, const std::byte* codes, size_t panel,
                         size_t first_token) {
        static_assert(n_panels == 1, "more would not stay in registers");
        for (int half = 0; half < 2; ++half)
            multiply_half<Tile, n_tokens>(args, groups, codes, panel, first_token, half);
    }

  private:
    template <class Tile, int n_tokens>
    static void multiply_half(const LinearArgs& args, const Groups<Group>& groups, const std::byte* codes, size_t panel,
                              size_t first_token, int half) {
        constexpr int n_pairs = (n_tokens + 1) / 2;
        const TileWalk<Tile> walk = walk_of<Tile>(*args.weights, groups);
        const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
        const float* sums = groups.grid->has_offsets ? args.group_sums + first_token * walk.n_groups : nullptr;
        float32x4_t y[row_pairs][n_pairs] = {}, acc[row_pairs][n_pairs];
        Group run[run_groups][1];
        for (size_t g = 0, b = 0; g < walk.n_groups; ++g) {
            if (g % run_groups == 0) read_groups<Tile, 1>(groups, panel, g, run);
            const HalfGroup group = half_of(run[g % run_groups][0], half);
#pragma GCC unroll 4
            for (int r = 0; r < row_pairs; ++r)
#pragma GCC unroll 3
                for (int p = 0; p < n_pairs; ++p) acc[r][p] = vdupq_n_f32(0);
            if constexpr (halves) {
                const std::byte* tile = codes + g / 2 * Tile::bytes;
                if (g % 2 == 0)
                    multiply_block<Part::first, n_tokens>(tile, half, advance(x, g / 2), group, acc);
                else
                    multiply_block<Part::last, n_tokens>(tile, half, advance(x, g / 2), group, acc);
            } else {
                for (const size_t end = group_end(walk, b); b < end; ++b)
                    multiply_block<Part::whole, n_tokens>(codes + b * Tile::bytes, half, advance(x, b), group, acc);
            }
            add_group<n_tokens>(group, sums ? sums + g : nullptr, walk.n_groups, acc, y);
        }
        store_half<n_tokens>(args, panel * panel_rows + panel_rows / 2 * half, first_token, y);
    }

    // y = fma(scale, acc, y), then y = fma(offset, sum of the group, y) where there are sums.
    template <int n_tokens, int n_pairs>
    GQ_INLINE void add_group(const HalfGroup& group, const float* sums, size_t sum_stride,
                             const float32x4_t (&acc)[row_pairs][n_pairs], float32x4_t (&y)[row_pairs][n_pairs]) {
#pragma GCC unroll 3
        for (int p = 0; p < n_pairs; ++p) {
#pragma GCC unroll 4
            for (int r = 0; r < row_pairs; ++r) y[r][p] = vfmaq_f32(y[r][p], group.scale[r], acc[r][p]);
            if (!sums) continue;
            const float32x4_t both = of_tokens(sums[2 * p * sum_stride], sums[second_token<n_tokens>(p) * sum_stride]);
#pragma GCC unroll 4
            for (int r = 0; r < row_pairs; ++r) y[r][p] = vfmaq_f32(y[r][p], group.offset[r], both);
        }
    }
};

// The 8-bit layout, read as it stands.
struct TileU8 {
    static constexpr size_t bytes = U8Plane::bytes;
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemm_u8s8_i8mm{
    "gemm_u8s8_i8mm", "i8mm", nullptr, {.gemm_u8s8 = gemm_u8s8<Linear, TileU8, 1, 6, 4, 2, 1>}};

}  // namespace gq
