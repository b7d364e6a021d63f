// gemm_f32 in AVX-512: tiles of 8 rows x 3 panels (8 x 48 outputs in 24 registers), 3 loads and 8 broadcasts for 24
// FMAs. In: rows of A at any stride, panels of 16 columns. Out: C under the contract of gemm_f32 in kernels.h: one fma
// chain per output. One panel alone (the last of a matrix, or a narrow one) takes 12 rows with A as a broadcast memory
// operand; up to 6 rows take 4 panels. Must not know caches: a caller passes blocks that fit them.
#include <utility>

#include "cpu_simd/isa.h"

namespace gq {

constexpr int width = panel_cols;  // int: with size_t GCC 12 makes the longest tiles longer

GQ_TARGET_AVX512

// C of the tile below, a row at a time: all of it at once would take every line buffer from the loads of B. (An address
// past the end of C is never read: a prefetch doesn't fault.)
template <int panels>
GQ_INLINE void prefetch_row(const float* c) {
#pragma GCC unroll 4
    for (int p = 0; p < panels; ++p) _mm_prefetch(c + width * p, _MM_HINT_T0);
}

// rows x (16 * panels) outputs; only the last panel can be narrow, by `last`. Unrolled by pragma: GCC keeps `acc` in
// registers only where the loops over it are gone before it looks at arrays.
template <int rows, int panels>
static void multiply_tile(const GemmF32Args& args, const float* a, const float* b, float* c, __mmask16 last) {
    const size_t a_stride = args.a_stride, b_stride = args.panel_stride, c_stride = args.c_stride;
    __m512 acc[rows][panels];
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int p = 0; p < panels; ++p) {
            const __mmask16 mask = args.accumulate ? (p == panels - 1 ? last : 0xffff) : 0;
            acc[r][p] = _mm512_maskz_loadu_ps(mask, c + r * c_stride + width * p);
        }
    }
    for (size_t k = 0; k < args.k; ++k, b += panel_cols) {
        if (k % 8 == 0 && k / 8 < rows) prefetch_row<panels>(c + (rows + k / 8) * c_stride);
        __m512 column[panels];
#pragma GCC unroll 4
        for (int p = 0; p < panels; ++p) column[p] = _mm512_loadu_ps(b + p * b_stride);
#pragma GCC unroll 12
        for (int r = 0; r < rows; ++r) {
            const __m512 value = _mm512_set1_ps(a[r * a_stride + k]);
#pragma GCC unroll 4
            for (int p = 0; p < panels; ++p) acc[r][p] = _mm512_fmadd_ps(column[p], value, acc[r][p]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int p = 0; p < panels; ++p) {
            _mm512_mask_storeu_ps(c + r * c_stride + width * p, p == panels - 1 ? last : 0xffff, acc[r][p]);
        }
    }
}

GQ_TARGET_END

using Tile = void (*)(const GemmF32Args& args, const float* a, const float* b, float* c, __mmask16 last);
struct TileRow {
    size_t max_rows;
    Tile tiles[13];  // by number of rows
};

template <int panels, size_t... r>
static constexpr TileRow tile_row(std::index_sequence<r...>) {
    return {sizeof...(r), {nullptr, multiply_tile<r + 1, panels>...}};
}
static constexpr TileRow by_panels[] = {{},
                                        tile_row<1>(std::make_index_sequence<12>()),
                                        tile_row<2>(std::make_index_sequence<8>()),
                                        tile_row<3>(std::make_index_sequence<8>()),
                                        tile_row<4>(std::make_index_sequence<6>())};

// Of the panels that are left. Few rows, those of heads that share keys and values, leave room for four.
static size_t panels_together(size_t left, size_t rows) {
    if (left % 4 == 0 && rows <= by_panels[4].max_rows) return 4;
    if (left == 4) return 2;  // 2 + 2 is faster than 3 + 1
    return left < 3 ? left : 3;
}

static void gemm_f32(const GemmF32Args& args) {
    for (size_t col = 0; col < args.n_cols;) {
        const size_t left = (args.n_cols - col + panel_cols - 1) / panel_cols;
        const size_t panels = panels_together(left, args.m);
        const size_t cols = left <= panels ? args.n_cols - col : panel_cols * panels;
        const __mmask16 last = static_cast<__mmask16>(0xffff >> (panel_cols * panels - cols));
        const TileRow& shape = by_panels[panels];
        for (size_t row = 0; row < args.m;) {
            const size_t rows = args.m - row < shape.max_rows ? args.m - row : shape.max_rows;
            shape.tiles[rows](args, args.a + row * args.a_stride, args.panels + col / panel_cols * args.panel_stride,
                              args.c + row * args.c_stride + col, last);
            row += rows;
        }
        col += cols;
    }
}

extern const KernelVariant gemm_f32_avx512 = {"gemm_f32_avx512", "avx512", nullptr, {.gemm_f32 = gemm_f32}};

}  // namespace gq
