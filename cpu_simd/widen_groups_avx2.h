// widen_k and widen_v of the cache's integer types in AVX2: 16 lanes of a panel at a time.
// In: a block of groups (kv_groups.h). Out: float(code) * scale, rounded once, in the panels of kv.h.
// Must not know how many bits a code has: a type gives 16 code bytes as 16 floats.
#pragma once

#include "core/kernels/kv_groups.h"
#include "cpu_simd/isa.h"

namespace gq::avx2 {

GQ_TARGET_AVX2

struct Lanes {
    __m256 low, high;  // 0 - 7, 8 - 15
};

GQ_INLINE Lanes floats_of(__m128i bytes) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}

GQ_INLINE void store_scaled(const Lanes& codes, const Lanes& scales, float* out) {
    _mm256_storeu_ps(out, _mm256_mul_ps(codes.low, scales.low));
    _mm256_storeu_ps(out + 8, _mm256_mul_ps(codes.high, scales.high));
}

GQ_INLINE __m128i load_16(const std::byte* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

// Codes: bytes, as for KvGroups; signed_bytes(codes, part), the 16 integers of that part in 16 code bytes.
template <class Codes>
struct WidenGroups {
    using Places = KvGroupPlaces<Codes::bytes>;

    static void widen_k(const std::byte* block, size_t head_dim, float* out) {
        for (size_t panel = 0; panel < kv_page_positions / panel_cols; ++panel) {
            for (size_t first = 0; first < head_dim; first += kv_group, block += Places::k_tile) {
                const Lanes scales{_mm256_cvtph_ps(load_16(block)), _mm256_cvtph_ps(load_16(block + 16))};
                const size_t n = head_dim - first < kv_group ? head_dim - first : kv_group;
                for (size_t d = 0; d < n; ++d, out += panel_cols) {
                    const __m128i codes = load_16(block + Places::k_scales + d % Codes::bytes * panel_cols);
                    store_scaled(floats_of(Codes::signed_bytes(codes, d / Codes::bytes)), scales, out);
                }
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
            for (size_t position = 0; position < kv_page_positions; ++position, out += panel_cols) {
                const __m256 scale = _mm256_broadcast_ss(scales + position);
                const __m128i bytes = load_16(codes + position * panel_cols);
                store_scaled(floats_of(Codes::signed_bytes(bytes, d / Codes::bytes)), {scale, scale}, out);
            }
        }
    }
};

GQ_TARGET_END

}  // namespace gq::avx2
