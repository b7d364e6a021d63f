// What widen_groups.h asks for in NEON: 16 lanes of a panel at a time.
// In: groups of the cache's integer types. Out: float(code) * scale, rounded once.
// Must not know how many bits a code has: a type gives 16 code bytes as 16 integers.
#pragma once

#include "cpu_simd/math_neon.h"
#include "cpu_simd/widen_groups.h"

namespace gq::neon {

GQ_TARGET_NEON

struct Scales {
    float32x4_t lanes[quarters];
};

// Codes: bytes, as for KvGroups; integers(code bytes, part), those of that part.
template <class Codes>
struct GroupLanes : Codes {
    static void k_tile(const std::byte* tile, size_t n, float* out) {
        Scales scales;
        read_halves(tile, scales.lanes);
        const std::byte* codes = tile + KvGroupPlaces<Codes::bytes>::k_scales;
        for (size_t d = 0; d < n; ++d, out += panel_cols)
            store_scaled(codes + d % Codes::bytes * panel_cols, d / Codes::bytes, scales, out);
    }

    static void v_panel(const std::byte* halves, const std::byte* codes, size_t part, float* out) {
        for (size_t i = 0; i < kv_page_positions; i += 4) {
            float scales[4];
            vst1q_f32(scales, read_4_halves(halves + i * sizeof(uint16_t)));
            for (const float scale : scales) {
                const float32x4_t same = vdupq_n_f32(scale);
                store_scaled(codes, part, {same, same, same, same}, out);
                codes += panel_cols;
                out += panel_cols;
            }
        }
    }

  private:
    // 16 lanes of one row of a panel.
    GQ_INLINE void store_scaled(const std::byte* codes, size_t part, const Scales& scales, float* out) {
        float32x4_t lanes[quarters];
        read_bytes(Codes::integers(vld1q_u8(reinterpret_cast<const uint8_t*>(codes)), part), lanes);
        for (int q = 0; q < quarters; ++q) vst1q_f32(out + 4 * q, vmulq_f32(lanes[q], scales.lanes[q]));
    }
};

GQ_TARGET_END

}  // namespace gq::neon
