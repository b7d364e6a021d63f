// gemm_f32 in NEON: tiles of 6 rows x 1 panel (6 x 16 outputs in 24 of 32 registers), 4 loads and 6 of A's numbers for
// 24 FMAs. In: rows of A at any stride, panels of 16 columns. Out: C under the contract of gemm_f32 in kernels.h: one
// fma chain per output. Must not know caches: a caller passes blocks that fit them.
#include <array>
#include <utility>

#include "cpu_simd/math_neon.h"

namespace gq {

using neon::quarters;

GQ_TARGET_NEON

// rows x 16 outputs, of which n_cols exist; a narrow panel's rows of C go through `line`.
template <int rows>
static void multiply_tile(const GemmF32Args& args, const float* a, const float* b, float* c, size_t n_cols) {
    float32x4_t acc[rows][quarters];
    float line[panel_cols] = {};
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
        const float* row = c + r * args.c_stride;
        if (args.accumulate && n_cols < panel_cols) {
            __builtin_memcpy(line, row, n_cols * sizeof *line);
            row = line;
        }
#pragma GCC unroll 4
        for (int q = 0; q < quarters; ++q) acc[r][q] = args.accumulate ? vld1q_f32(row + 4 * q) : vdupq_n_f32(0);
    }
    for (size_t k = 0; k < args.k; ++k, b += panel_cols) {
        float32x4_t column[quarters];
#pragma GCC unroll 4
        for (int q = 0; q < quarters; ++q) column[q] = vld1q_f32(b + 4 * q);
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r) {
            const float value = a[r * args.a_stride + k];
#pragma GCC unroll 4
            for (int q = 0; q < quarters; ++q) acc[r][q] = vfmaq_n_f32(acc[r][q], column[q], value);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
        float* const row = n_cols < panel_cols ? line : c + r * args.c_stride;
#pragma GCC unroll 4
        for (int q = 0; q < quarters; ++q) vst1q_f32(row + 4 * q, acc[r][q]);
        if (n_cols < panel_cols) __builtin_memcpy(c + r * args.c_stride, line, n_cols * sizeof *line);
    }
}

GQ_TARGET_END

using Tile = void (*)(const GemmF32Args& args, const float* a, const float* b, float* c, size_t n_cols);
static constexpr size_t max_rows = 6;

template <size_t... r>
static constexpr std::array<Tile, max_rows + 1> by_rows(std::index_sequence<r...>) {
    return {nullptr, multiply_tile<r + 1>...};
}
static constexpr std::array<Tile, max_rows + 1> tiles = by_rows(std::make_index_sequence<max_rows>());

static void gemm_f32(const GemmF32Args& args) {
    for (size_t col = 0; col < args.n_cols; col += panel_cols) {
        const size_t n_cols = args.n_cols - col < panel_cols ? args.n_cols - col : panel_cols;
        for (size_t row = 0, rows; row < args.m; row += rows) {
            rows = args.m - row < max_rows ? args.m - row : max_rows;
            tiles[rows](args, args.a + row * args.a_stride, args.panels + col / panel_cols * args.panel_stride,
                        args.c + row * args.c_stride + col, n_cols);
        }
    }
}

extern const KernelVariant gemm_f32_neon = {"gemm_f32_neon", "neon", nullptr, {.gemm_f32 = gemm_f32}};

}  // namespace gq
