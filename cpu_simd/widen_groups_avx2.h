// widen_k and widen_v of the cache's integer types in AVX2: 16 lanes of a panel at a time.
// In: a block of groups (kv_groups.h). Out: float(code) * scale, rounded once, in the panels of kv.h.
// Must not know how many bits a code has: a type gives 16 code bytes as 16 integers.
#pragma once

#include "core/kernels/kv_groups.h"
#include "cpu_simd/isa.h"

namespace gq::avx2 {

GQ_TARGET_AVX2

struct Lanes {
    __m256 low, high;  // 0 - 7, 8 - 15
};
struct Integers {
    __m256i low, high;
};

GQ_INLINE __m128i load_16(const std::byte* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

GQ_INLINE __m256i widened_8(const std::byte* at) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
}

GQ_INLINE void store_scaled(const Integers& codes, const Lanes& scales, float* out) {
    _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_cvtepi32_ps(codes.low), scales.low));
    _mm256_storeu_ps(out + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(codes.high), scales.high));
}

// Codes: bytes, as for KvGroups; integers(at, part), those of that part in the 16 code bytes at `at`.
template <class Codes>
struct WidenGroups {
    using Places = KvGroupPlaces<Codes::bytes>;

    // The n dimensions of one group.
    static void widen_k_tile(const std::byte* tile, size_t n, float* out) {
        const Lanes scales{_mm256_cvtph_ps(load_16(tile)), _mm256_cvtph_ps(load_16(tile + 16))};
        for (size_t part = 0; part * Codes::bytes < n; ++part) {
            const std::byte* codes = tile + Places::k_scales;
            const size_t rest = n - part * Codes::bytes, n_codes = rest < Codes::bytes ? rest : Codes::bytes;
#pragma GCC unroll 4
            for (size_t i = 0; i < n_codes; ++i, codes += panel_cols, out += panel_cols)
                store_scaled(Codes::integers(codes, part), scales, out);
        }
    }

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
        for (size_t first = 0; first < head_dim; first += panel_cols) {
            const std::byte* tile = block + first / kv_group * Places::v_tile;
            const size_t d = first % kv_group;
            const std::byte* codes = tile + Places::v_scales + d % Codes::bytes * kv_page_positions;
            for (size_t i = 0; i < kv_page_positions; i += 8)
                _mm256_storeu_ps(scales + i, _mm256_cvtph_ps(load_16(tile + i * sizeof(uint16_t))));
#pragma GCC unroll 4
            for (size_t position = 0; position < kv_page_positions; ++position) {
                const __m256 scale = _mm256_broadcast_ss(scales + position);
                store_scaled(Codes::integers(codes, d / Codes::bytes), {scale, scale}, out);
                codes += panel_cols;
                out += panel_cols;
            }
        }
    }
};

GQ_TARGET_END

}  // namespace gq::avx2
