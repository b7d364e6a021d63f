// gemm_f32 in AVX2: tiles of 6 rows x 1 panel (6 x 16 outputs in 12 of 16 registers), 2 loads and 6 broadcasts for 12
// FMAs. In: rows of A at any stride, panels of 16 columns. Out: C under the contract of gemm_f32 in kernels.h: one fma
// chain per output. Must not know caches: a caller passes blocks that fit them.
#include <array>
#include <utility>

#include "cpu_simd/isa.h"

namespace gq {

GQ_TARGET_AVX2

// Lanes below n_cols - 8 * half, as the sign bits that maskload and maskstore read.
GQ_INLINE __m256i lane_mask(size_t n_cols, int half) {
    const __m256i lanes = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(8 * half));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n_cols)), lanes);
}

// Eight columns of C. Only a narrow panel is masked: AMD's cores take a masked store apart into dozens of operations.
template <bool narrow>
GQ_INLINE __m256 load_c(const float* c, __m256i mask) {
    return narrow ? _mm256_maskload_ps(c, mask) : _mm256_loadu_ps(c);
}
template <bool narrow>
GQ_INLINE void store_c(float* c, __m256i mask, __m256 value) {
    if (narrow) {
        _mm256_maskstore_ps(c, mask, value);
    } else {
        _mm256_storeu_ps(c, value);
    }
}

// One of k: a column of A's rows by a row of the panel.
template <int rows>
GQ_INLINE void add_outer_product(__m256 (&acc)[rows][2], const float* a, size_t a_stride, const float* b) {
    const __m256 low = _mm256_loadu_ps(b), high = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
        const __m256 value = _mm256_broadcast_ss(a + r * a_stride);
        acc[r][0] = _mm256_fmadd_ps(low, value, acc[r][0]);
        acc[r][1] = _mm256_fmadd_ps(high, value, acc[r][1]);
    }
}

// rows x 16 outputs, of which n_cols exist. Unrolled by pragma: GCC keeps `acc` in registers only where the loops over
// it are gone before it looks at arrays; and eight of k at a time, since beside another thread on the same core it is
// the number of instructions that counts. Meanwhile C of the tile below is fetched, a row at a time. (An address past
// the end of C is never read: a prefetch doesn't fault.)
template <int rows, bool narrow>
static void multiply_tile(const GemmF32Args& args, const float* a, const float* b, float* c, size_t n_cols) {
    constexpr size_t step = 8;
    const size_t a_stride = args.a_stride, c_stride = args.c_stride;
    const __m256i masks[2] = {lane_mask(n_cols, 0), lane_mask(n_cols, 1)};
    __m256 acc[rows][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h)
            acc[r][h] = args.accumulate ? load_c<narrow>(c + r * c_stride + 8 * h, masks[h]) : _mm256_setzero_ps();
    }
    size_t k = 0;
    for (; k + step <= args.k; k += step, b += step * panel_cols) {
        if (args.accumulate && k < step * rows) _mm_prefetch(c + (rows + k / step) * c_stride, _MM_HINT_T0);
#pragma GCC unroll 8
        for (size_t i = 0; i < step; ++i) add_outer_product<rows>(acc, a + k + i, a_stride, b + i * panel_cols);
    }
    for (; k < args.k; ++k, b += panel_cols) add_outer_product<rows>(acc, a + k, a_stride, b);
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) store_c<narrow>(c + r * c_stride + 8 * h, masks[h], acc[r][h]);
    }
}

GQ_TARGET_END

using Tile = void (*)(const GemmF32Args& args, const float* a, const float* b, float* c, size_t n_cols);
static constexpr size_t max_rows = 6;

template <bool narrow, size_t... r>
static constexpr std::array<Tile, max_rows + 1> by_rows(std::index_sequence<r...>) {
    return {nullptr, multiply_tile<r + 1, narrow>...};
}
static constexpr std::array<Tile, max_rows + 1> full_tiles = by_rows<false>(std::make_index_sequence<max_rows>()),
                                                narrow_tiles = by_rows<true>(std::make_index_sequence<max_rows>());

static void gemm_f32(const GemmF32Args& args) {
    for (size_t col = 0; col < args.n_cols; col += panel_cols) {
        const size_t n_cols = args.n_cols - col < panel_cols ? args.n_cols - col : panel_cols;
        for (size_t row = 0, rows; row < args.m; row += rows) {
            rows = args.m - row < max_rows ? args.m - row : max_rows;
            (n_cols < panel_cols ? narrow_tiles : full_tiles)[rows](args, args.a + row * args.a_stride,
                                                                    args.panels + col / panel_cols * args.panel_stride,
                                                                    args.c + row * args.c_stride + col, n_cols);
        }
    }
}

extern const KernelVariant gemm_f32_avx2 = {"gemm_f32_avx2", "avx2", nullptr, {.gemm_f32 = gemm_f32}};

}  // namespace gq
