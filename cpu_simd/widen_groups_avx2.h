// What widen_groups.h asks for in AVX2: 16 lanes of a panel at a time.
// In: groups of the cache's integer types. Out: float(code) * scale, rounded once.
// Must not know how many bits a code has: a type gives 16 code bytes as 16 integers.
#pragma once

#include "cpu_simd/isa.h"
#include "cpu_simd/widen_groups.h"

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
struct GroupLanes : Codes {
    static void k_tile(const std::byte* tile, size_t n, float* out) {
        const Lanes scales{_mm256_cvtph_ps(load_16(tile)), _mm256_cvtph_ps(load_16(tile + 16))};
        for (size_t part = 0; part * Codes::bytes < n; ++part) {
            const std::byte* codes = tile + KvGroupPlaces<Codes::bytes>::k_scales;
            const size_t rest = n - part * Codes::bytes, n_codes = rest < Codes::bytes ? rest : Codes::bytes;
#pragma GCC unroll 4
            for (size_t i = 0; i < n_codes; ++i, codes += panel_cols, out += panel_cols)
                store_scaled(Codes::integers(codes, part), scales, out);
        }
    }

    static void v_panel(const std::byte* halves, const std::byte* codes, size_t part, float* out) {
        float scales[kv_page_positions];
        for (size_t i = 0; i < kv_page_positions; i += 8)
            _mm256_storeu_ps(scales + i, _mm256_cvtph_ps(load_16(halves + i * sizeof(uint16_t))));
#pragma GCC unroll 4
        for (size_t position = 0; position < kv_page_positions; ++position) {
            const __m256 scale = _mm256_broadcast_ss(scales + position);
            store_scaled(Codes::integers(codes, part), {scale, scale}, out);
            codes += panel_cols;
            out += panel_cols;
        }
    }
};

GQ_TARGET_END

}  // namespace gq::avx2
