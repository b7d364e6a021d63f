// What widen_groups.h asks for in AVX-512: 16 lanes of a panel at a time.
// In: groups of the cache's integer types. Out: float(code) * scale, rounded once.
// Must not know how many bits a code has: a type gives 16 code bytes as 16 floats.
#pragma once

#include "cpu_simd/math_avx512.h"
#include "cpu_simd/widen_groups.h"

namespace gq::avx512 {

GQ_TARGET_AVX512

GQ_INLINE __m128i load_16(const std::byte* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

// Codes: bytes, as for KvGroups; floats(at, part), those of that part in the 16 code bytes at `at`.
template <class Codes>
struct GroupLanes : Codes {
    static void k_tile(const std::byte* tile, size_t n, float* out) {
        const __m512 scales = read_halves(tile);
        for (size_t part = 0; part * Codes::bytes < n; ++part) {
            const std::byte* codes = tile + KvGroupPlaces<Codes::bytes>::k_scales;
            const size_t rest = n - part * Codes::bytes, n_codes = rest < Codes::bytes ? rest : Codes::bytes;
#pragma GCC unroll 4
            for (size_t i = 0; i < n_codes; ++i, codes += panel_cols, out += panel_cols)
                _mm512_storeu_ps(out, _mm512_mul_ps(Codes::floats(codes, part), scales));
        }
    }

    static void v_panel(const std::byte* halves, const std::byte* codes, size_t part, float* out) {
        float scales[kv_page_positions];
        for (size_t i = 0; i < kv_page_positions; i += panel_cols)
            _mm512_storeu_ps(scales + i, read_halves(halves + i * sizeof(uint16_t)));
#pragma GCC unroll 4
        for (size_t i = 0; i < kv_page_positions; ++i, codes += panel_cols, out += panel_cols)
            _mm512_storeu_ps(out, _mm512_mul_ps(Codes::floats(codes, part), _mm512_set1_ps(scales[i])));
    }
};

GQ_TARGET_END

}  // namespace gq::avx512
