// widen_k and widen_v of the cache's integer types in NEON: 16 lanes of a panel at a time.
// In: a block of groups (kv_groups.h). Out: float(code) * scale, rounded once, in the panels of kv.h.
// Must not know how many bits a code has: a type gives 16 code bytes as 16 integers.
#pragma once

#include "core/kernels/kv_groups.h"
#include "cpu_simd/math_neon.h"

namespace gq::neon {

GQ_TARGET_NEON

// Codes: bytes, as for KvGroups; integers(code bytes, part), those of that part.
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
        for (size_t first = 0; first < head_dim; first += panel_cols) {
            const std::byte* tile = block + first / kv_group * Places::v_tile;
            const size_t d = first % kv_group;
            const std::byte* codes = tile + Places::v_scales + d % Codes::bytes * kv_page_positions;
            for (size_t i = 0; i < kv_page_positions; i += 4) {
                float scales[4];
                vst1q_f32(scales, read_4_halves(tile + i * sizeof(uint16_t)));
                for (const float scale : scales) {
                    const float32x4_t same = vdupq_n_f32(scale);
                    store_scaled(codes, d / Codes::bytes, {same, same, same, same}, out);
                    codes += panel_cols;
                    out += panel_cols;
                }
            }
        }
    }

  private:
    struct Scales {
        float32x4_t lanes[quarters];
    };

    // 16 lanes of one row of a panel.
    GQ_INLINE void store_scaled(const std::byte* codes, size_t part, const Scales& scales, float* out) {
        float32x4_t lanes[quarters];
        read_bytes(Codes::integers(vld1q_u8(reinterpret_cast<const uint8_t*>(codes)), part), lanes);
        for (int q = 0; q < quarters; ++q) vst1q_f32(out + 4 * q, vmulq_f32(lanes[q], scales.lanes[q]));
    }

    // The n dimensions of one group.
    static void widen_k_tile(const std::byte* tile, size_t n, float* out) {
        Scales scales;
        read_halves(tile, scales.lanes);
        for (size_t d = 0; d < n; ++d, out += panel_cols)
            store_scaled(tile + Places::k_scales + d % Codes::bytes * panel_cols, d / Codes::bytes, scales, out);
    }
};

GQ_TARGET_END

}  // namespace gq::neon
