// f16 in AVX-512: y of 16 rows is one vector, and each input is one fma; up to 8 chains (panels x tokens) hide its latency.
// In: panels as core/packing/codes_f16.cpp draws them, activations in floats. Out: gemv under the float contract of kernels.h: one fma chain
// per output over ascending inputs. Must not know integer codes.
#include "cpu_simd/math_avx512.h"

namespace gq {
namespace {

#ifndef CH
#define CH 8
#define PF 1024
#endif

GQ_TARGET_AVX512

template <int n_tokens, int n_panels>
static void multiply_panels(const LinearArgs& args, size_t first_panel, size_t first_token) {
    const PackedMatrix& w = *args.weights;
    const size_t n = w.n_tiles() * tile_cols, stride = args.x_stride, panel_bytes = w.panel_code_bytes();
    const std::byte* column = w.panel_codes(first_panel);
    const float* x = args.x + first_token * stride;
    __m512 y[n_panels][n_tokens];
    for (int p = 0; p < n_panels; ++p)
        for (int t = 0; t < n_tokens; ++t) y[p][t] = _mm512_setzero_ps();
    for (size_t k = 0; k < n; ++k, column += 32) {
#pragma GCC unroll 8
        for (int p = 0; p < n_panels; ++p) {
            if (PF && k % 2 == 0) __builtin_prefetch(column + p * panel_bytes + PF);
            const __m512 weights = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(column + p * panel_bytes)));
#pragma GCC unroll 4
            for (int t = 0; t < n_tokens; ++t) y[p][t] = _mm512_fmadd_ps(weights, _mm512_set1_ps(x[t * stride + k]), y[p][t]);
        }
    }
    for (int p = 0; p < n_panels; ++p) {
        const size_t row = (first_panel + p) * panel_rows;
        for (int t = 0; t < n_tokens; ++t)
            _mm512_mask_storeu_ps(args.y + (first_token + t) * args.y_stride + row, avx512::first_lanes(w.rows - row), y[p][t]);
    }
}

template <int n_tokens>
static void multiply_tokens(const LinearArgs& args, size_t first_token) {
    constexpr int at_once = CH / n_tokens;
    size_t p = args.panel_begin;
    for (; args.panel_end - p >= at_once; p += at_once) multiply_panels<n_tokens, at_once>(args, p, first_token);
    for (; p < args.panel_end; ++p) multiply_panels<n_tokens, 1>(args, p, first_token);
}

void gemv(const LinearArgs& args) {
    constexpr decltype(&multiply_tokens<1>) by_tokens[] = {multiply_tokens<1>, multiply_tokens<2>, multiply_tokens<3>, multiply_tokens<4>};
    for (size_t t = 0, n; t < args.n_tokens; t += n) {
        n = args.n_tokens - t < 4 ? args.n_tokens - t : 4;
        by_tokens[n - 1](args, t);
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_f16_avx512{"gemv_f16_avx512", "avx512", "f16", {.gemv = gemv}};

}  // namespace gq
