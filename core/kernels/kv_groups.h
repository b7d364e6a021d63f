// Integer types of the key and value cache: groups of 32 dimensions of one position, each a scale and integers.
// In: floats. Out: code bytes and scales as drawn here, and floats again: float(code) * scale, rounded once.
// Must not know how many bits a code has: a type says what stands in its 16 or 32 code bytes.
//
// A group is an IEEE half and code bytes 0 … n - 1; head_dim is cut into groups from dimension 0 on, the last one
// filled up with zeros. What 16 lanes of a panel read stands side by side:
//
//   keys:    tiles [position / 16][group]    16 scales     lane = position % 16
//                                            n x 16 bytes  code byte i of the 16 positions, i ascending
//   values:  tiles [group]                   64 scales     of positions 0 … 63
//                                            n / 16 x 64 x 16 bytes  code bytes 16 h … 16 h + 15 of a position, the
//                                                                    positions of h = 0 before those of h = 1
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/memory.h"
#include "core/kernels/kv.h"
#include "formats/element_type.h"

namespace gq {

inline constexpr size_t kv_group = 32;  // dimensions under one scale

// One group, rounded.
struct KvGroup {
    uint16_t scale;  // an IEEE half
    uint8_t codes[kv_group];
};

// Where things stand in a block, for code bytes of `bytes` a group.
template <size_t bytes>
struct KvGroupPlaces {
    static constexpr size_t k_scales = panel_cols * sizeof(uint16_t);  // of one tile, in bytes
    static constexpr size_t v_scales = kv_page_positions * sizeof(uint16_t);
    static constexpr size_t k_tile = k_scales + bytes * panel_cols;
    static constexpr size_t v_tile = v_scales + bytes * kv_page_positions;

    static constexpr size_t n_groups(size_t head_dim) { return div_up(head_dim, kv_group); }
    static constexpr size_t block_bytes(size_t head_dim) { return n_groups(head_dim) * v_tile; }
    static_assert(v_tile == kv_page_positions / panel_cols * k_tile, "keys and values take the same room");
};

// Codes: bytes — code bytes of a group; round(x, n, group) — n <= 32 floats to a group; value(byte, part) — the integer
// of dimension bytes * part + i in code byte i.
template <class Codes>
struct KvGroups : KvGroupPlaces<Codes::bytes> {
    using Places = KvGroupPlaces<Codes::bytes>;

    static size_t bytes(size_t head_dim) { return Places::block_bytes(head_dim); }

    static void store_k(const float* k, size_t head_dim, size_t position, std::byte* block) {
        const size_t lane = position % panel_cols, n_groups = Places::n_groups(head_dim);
        std::byte* tile = block + position / panel_cols * n_groups * Places::k_tile;
        for (size_t first = 0; first < head_dim; first += kv_group, tile += Places::k_tile) {
            const KvGroup group = rounded(k + first, head_dim - first);
            std::memcpy(tile + lane * sizeof group.scale, &group.scale, sizeof group.scale);
            for (size_t i = 0; i < Codes::bytes; ++i)
                tile[Places::k_scales + i * panel_cols + lane] = std::byte{group.codes[i]};
        }
    }
    static void store_v(const float* v, size_t head_dim, size_t position, std::byte* block) {
        std::byte* tile = block;
        for (size_t first = 0; first < head_dim; first += kv_group, tile += Places::v_tile) {
            const KvGroup group = rounded(v + first, head_dim - first);
            std::memcpy(tile + position * sizeof group.scale, &group.scale, sizeof group.scale);
            for (size_t i = 0; i < Codes::bytes; i += panel_cols)
                std::memcpy(tile + Places::v_scales + i * kv_page_positions + position * panel_cols, group.codes + i,
                            panel_cols);
        }
    }

    static void widen_k(const std::byte* block, size_t head_dim, float* out) {
        for (size_t panel = 0; panel < kv_page_positions / panel_cols; ++panel) {
            for (size_t first = 0; first < head_dim; first += kv_group, block += Places::k_tile) {
                float scales[panel_cols];
                traits(ElementType::f16).to_f32(block, panel_cols, scales);
                for (size_t d = 0; d < std::min(kv_group, head_dim - first); ++d, out += panel_cols) {
                    const std::byte* codes = block + Places::k_scales + d % Codes::bytes * panel_cols;
                    for (size_t lane = 0; lane < panel_cols; ++lane)
                        out[lane] = value(codes[lane], d / Codes::bytes) * scales[lane];
                }
            }
        }
    }
    static void widen_v(const std::byte* block, size_t head_dim, float* out) {
        for (size_t first = 0; first < head_dim; first += panel_cols) {
            const std::byte* tile = block + first / kv_group * Places::v_tile;
            const size_t d = first % kv_group;
            const std::byte* codes = tile + Places::v_scales + d % Codes::bytes * kv_page_positions;
            float scales[kv_page_positions];
            traits(ElementType::f16).to_f32(tile, kv_page_positions, scales);
            for (size_t position = 0; position < kv_page_positions; ++position, out += panel_cols, codes += panel_cols)
                for (size_t lane = 0; lane < panel_cols; ++lane)
                    out[lane] = value(codes[lane], d / Codes::bytes) * scales[position];
        }
    }

  private:
    static float value(std::byte code, size_t part) {
        return static_cast<float>(Codes::value(std::to_integer<uint8_t>(code), part));
    }
    static KvGroup rounded(const float* x, size_t n) {
        KvGroup group{};
        Codes::round(x, std::min(n, kv_group), group);
        return group;
    }
};

// The number of the largest magnitude, with its sign; a NaN or an infinity where there is one. Compared as integers
// with the sign bit off.
inline float kv_largest(const float* x, size_t n) {
    uint32_t largest = 0;
    for (size_t i = 0; i < n; ++i) {
        const uint32_t bits = std::bit_cast<uint32_t>(x[i]);
        if (bits << 1 > largest << 1) largest = bits;
    }
    return std::bit_cast<float>(largest);
}

// The half nearest to a scale; a NaN for what no finite half is near to.
inline uint16_t kv_scale(float scale) {
    const uint16_t half = f32_to_f16(scale);
    return (half & 0x7C00) == 0x7C00 ? 0x7E00 : half;
}

// x / scale to the nearest integer, ties to even, and no further out than low and high; for a scale that is a number
// other than 0.
inline int kv_code(float x, float scale, float low, float high) {
    constexpr float rounder = 0x1.8p+23f;
    return static_cast<int>(std::clamp(x / scale, low, high) + rounder - rounder);
}

}  // namespace gq
