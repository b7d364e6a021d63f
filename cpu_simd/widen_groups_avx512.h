// widen_k and widen_v of the cache's integer types in AVX-512: 16 lanes of a panel at a time.
// In: a block of groups (kv_groups.h). Out: float(code) * scale, rounded once, in the panels of kv.h.
// Must not know how many bits a code has: a type gives 16 code bytes as 16 floats.
#pragma once

#include "core/kernels/kv_groups.h"
#include "cpu_simd/math_avx512.h"

namespace gq::avx512 {

GQ_TARGET_AVX512

GQ_INLINE __m128i load_16(const std::byte* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

// Codes: bytes, as for KvGroups; floats(at, part), those of that part in the 16 code bytes at `at`.
template <class Codes>
struct WidenGroups {
    using Places = KvGroupPlaces<Codes::bytes>;

    static void widen_k(const std::byte* block, size_t head_dim, float* out) {
        for (size_t panel = 0; panel < kv_page_positions / panel_cols; ++panel) {
            for (size_t first = 0; first < head_dim; first += kv_group, block += Places::k_tile) {
                const size_t n = head_dim - first < kv_group ? head_dim - first : kv_group;
                widen_k_tile(block, n, out);
                out += n * panel_cols;
            }
        }
    }

    static void widen_v(const std::byte* block, size_t head_dim, float* out) {
        float scales[kv_page_positions];
        for (size_t first = 0; first < head_dim; first += panel_cols, out += kv_page_positions * panel_cols) {
            const std::byte* tile = block + first / kv_group * Places::v_tile;
            const size_t d = first % kv_group;
            for (size_t i = 0; i < kv_page_positions; i += panel_cols)
                _mm512_storeu_ps(scales + i, read_halves(tile + i * sizeof(uint16_t)));
            widen_v_panel(tile + Places::v_scales + d % Codes::bytes * kv_page_positions, d / Codes::bytes, scales,
                          out);
        }
    }

  private:
    // The n dimensions of one group.
    static void widen_k_tile(const std::byte* tile, size_t n, float* out) {
        const __m512 scales = read_halves(tile);
        for (size_t part = 0; part * Codes::bytes < n; ++part) {
            const std::byte* codes = tile + Places::k_scales;
            const size_t rest = n - part * Codes::bytes, n_codes = rest < Codes::bytes ? rest : Codes::bytes;
#pragma GCC unroll 4
            for (size_t i = 0; i < n_codes; ++i, codes += panel_cols, out += panel_cols)
                _mm512_storeu_ps(out, _mm512_mul_ps(Codes::floats(codes, part), scales));
        }
    }

    // 16 dimensions of all positions.
    static void widen_v_panel(const std::byte* codes, size_t part, const float* scales, float* out) {
#pragma GCC unroll 4
        for (size_t i = 0; i < kv_page_positions; ++i, codes += panel_cols, out += panel_cols)
            _mm512_storeu_ps(out, _mm512_mul_ps(Codes::floats(codes, part), _mm512_set1_ps(scales[i])));
    }
};

GQ_TARGET_END

}  // namespace gq::avx512
