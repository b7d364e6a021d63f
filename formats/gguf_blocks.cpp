// GGUF's block types to float.
// In: blocks as they lie in a file. Out: floats, bit for bit those of the Python package gguf (gguf.quants.dequantize).
// Layouts: ggml's block structs (ggml-common.h). In the pictures a byte is written high bits first, l counts bytes, q
// is a code, d, m and dmin are fp16. Must not know files, tensors or shapes.
#include "formats/gguf_blocks.h"

#include <cstdint>
#include <cstring>

#include "formats/element_type.h"

namespace gq {
namespace {

// Blocks in files have no alignment: each is copied out, then expanded.
template <typename Block, void (*expand)(const Block&, float*)>
void convert(const std::byte* blocks, size_t n_blocks, float* out) {
    for (size_t i = 0; i < n_blocks; i++) {
        Block block;
        std::memcpy(&block, blocks + i * sizeof block, sizeof block);
        expand(block, out + i * Block::elements);
    }
}

unsigned low_nibble(uint8_t byte) {
    return byte & 15u;
}
unsigned high_nibble(uint8_t byte) {
    return byte >> 4;
}
unsigned bit(uint8_t byte, size_t index) {
    return byte >> index & 1u;
}
float signed_code(unsigned q, int zero) {
    return static_cast<float>(static_cast<int>(q) - zero);
}

// --- blocks of 32 ----------------------------------------------------------------------------------------------------

// In all of them qs[l] = q[l+16] | q[l], a nibble each; qh, little-endian, holds bit 4 of q[j] at its bit j.

struct BlockQ4_0 {  // y = d (q − 8)
    static constexpr size_t elements = 32;
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

void expand_q4_0(const BlockQ4_0& block, float* out) {
    const float d = f16_to_f32(block.d);
    for (size_t l = 0; l < 16; l++) {
        out[l] = d * signed_code(low_nibble(block.qs[l]), 8);
        out[l + 16] = d * signed_code(high_nibble(block.qs[l]), 8);
    }
}

struct BlockQ4_1 {  // y = d q + m
    static constexpr size_t elements = 32;
    uint16_t d, m;
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

void expand_q4_1(const BlockQ4_1& block, float* out) {
    const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
    for (size_t l = 0; l < 16; l++) {
        out[l] = d * static_cast<float>(low_nibble(block.qs[l])) + m;
        out[l + 16] = d * static_cast<float>(high_nibble(block.qs[l])) + m;
    }
}

struct BlockQ5_0 {  // y = d (q − 16)
    static constexpr size_t elements = 32;
    uint16_t d;
    uint8_t qh[4], qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

void expand_q5_0(const BlockQ5_0& block, float* out) {
    const float d = f16_to_f32(block.d);
    for (size_t l = 0; l < 16; l++) {
        out[l] = d * signed_code(low_nibble(block.qs[l]) | bit(block.qh[l / 8], l % 8) << 4, 16);
        out[l + 16] = d * signed_code(high_nibble(block.qs[l]) | bit(block.qh[2 + l / 8], l % 8) << 4, 16);
    }
}

struct BlockQ5_1 {  // y = d q + m
    static constexpr size_t elements = 32;
    uint16_t d, m;
    uint8_t qh[4], qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

void expand_q5_1(const BlockQ5_1& block, float* out) {
    const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
    for (size_t l = 0; l < 16; l++) {
        out[l] = d * static_cast<float>(low_nibble(block.qs[l]) | bit(block.qh[l / 8], l % 8) << 4) + m;
        out[l + 16] = d * static_cast<float>(high_nibble(block.qs[l]) | bit(block.qh[2 + l / 8], l % 8) << 4) + m;
    }
}

struct BlockQ8_0 {  // y = d q, q signed
    static constexpr size_t elements = 32;
    uint16_t d;
    int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

void expand_q8_0(const BlockQ8_0& block, float* out) {
    const float d = f16_to_f32(block.d);
    for (size_t l = 0; l < 32; l++) out[l] = d * static_cast<float>(block.qs[l]);
}

// The table of the IQ4 types: y = d · iq4_values[q].
constexpr float iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct BlockIq4Nl {
    static constexpr size_t elements = 32;
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(BlockIq4Nl) == 18);

void expand_iq4(float d, const uint8_t* qs, float* out) {
    for (size_t l = 0; l < 16; l++) {
        out[l] = d * iq4_values[low_nibble(qs[l])];
        out[l + 16] = d * iq4_values[high_nibble(qs[l])];
    }
}

void expand_iq4_nl(const BlockIq4Nl& block, float* out) {
    expand_iq4(f16_to_f32(block.d), block.qs, out);
}

// --- blocks of 256 ---------------------------------------------------------------------------------------------------

// Elements come in halves h of 128, a half in four planes p of 32: element 128h + 32p + l, scale 8h + 2p + l/16.
//   qs[32h+l] = q of plane 3 | plane 2 | plane 1 | plane 0, 2 bits each
struct BlockQ2K {  // scales[j] = minimum | scale, a nibble each; y = d scale q − dmin minimum
    static constexpr size_t elements = 256;
    uint8_t scales[16], qs[64];
    uint16_t d, dmin;
};
static_assert(sizeof(BlockQ2K) == 84);

void expand_q2_k(const BlockQ2K& block, float* out) {
    const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
    for (size_t i = 0; i < 256; i++) {
        const size_t h = i / 128, p = i / 32 % 4, l = i % 32;
        const uint8_t scales = block.scales[8 * h + 2 * p + l / 16];
        const unsigned q = block.qs[32 * h + l] >> 2 * p & 3u;
        out[i] = d * static_cast<float>(low_nibble(scales)) * static_cast<float>(q) -
                 dmin * static_cast<float>(high_nibble(scales));
    }
}

// Halves, planes and scales as Q2_K; y = d (scale − 32) (q − (bit ? 0 : 4)), bit being bit 4h + p of hmask[l].
//   sc[0…7]  = low nibble of scale j+8 | low nibble of scale j
//   sc[8…11] = high 2 bits of scales j+12 | j+8 | j+4 | j   (j = index − 8)
struct BlockQ3K {
    static constexpr size_t elements = 256;
    uint8_t hmask[32], qs[64], sc[12];
    uint16_t d;
};
static_assert(sizeof(BlockQ3K) == 110);

unsigned q3_k_scale(const BlockQ3K& block, size_t j) {
    const unsigned low = j < 8 ? low_nibble(block.sc[j]) : high_nibble(block.sc[j - 8]);
    return low | (block.sc[8 + j % 4] >> 2 * (j / 4) & 3u) << 4;
}

void expand_q3_k(const BlockQ3K& block, float* out) {
    const float d = f16_to_f32(block.d);
    for (size_t i = 0; i < 256; i++) {
        const size_t h = i / 128, p = i / 32 % 4, l = i % 32;
        const float scale = d * signed_code(q3_k_scale(block, 8 * h + 2 * p + l / 16), 32);
        const unsigned q = block.qs[32 * h + l] >> 2 * p & 3u;
        out[i] = scale * signed_code(q, bit(block.hmask[l], 4 * h + p) ? 0 : 4);
    }
}

// Scale and minimum of 8 sub-blocks of 32, 6 bits each, in 12 bytes (Q4_K and Q5_K):
//   sc[j]     = scale j+4 bits 5,4 | scale j bits 5…0          j = 0…3
//   sc[j + 4] = minimum j+4 bits 5,4 | minimum j bits 5…0
//   sc[j + 8] = minimum j+4 bits 3…0 | scale j+4 bits 3…0
struct ScaleAndMinimum {
    float scale, minimum;
};

ScaleAndMinimum k_scale(const uint8_t* sc, size_t j) {
    const unsigned scale = j < 4 ? sc[j] & 63u : low_nibble(sc[j + 4]) | (sc[j - 4] >> 6) << 4;
    const unsigned minimum = j < 4 ? sc[j + 4] & 63u : high_nibble(sc[j + 4]) | (sc[j] >> 6) << 4;
    return {static_cast<float>(scale), static_cast<float>(minimum)};
}

// Sub-blocks come in pairs c; bit j of Q5_K's qh[l] is bit 4 of q of sub-block j.
//   qs[32c + l] = q of sub-block 2c+1 | q of sub-block 2c
struct BlockQ4K {  // y = d scale q − dmin minimum
    static constexpr size_t elements = 256;
    uint16_t d, dmin;
    uint8_t sc[12], qs[128];
};
static_assert(sizeof(BlockQ4K) == 144);

void expand_q4_k(const BlockQ4K& block, float* out) {
    const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
    for (size_t j = 0; j < 8; j++) {
        const ScaleAndMinimum sub = k_scale(block.sc, j);
        for (size_t l = 0; l < 32; l++) {
            const unsigned q = block.qs[32 * (j / 2) + l] >> 4 * (j % 2) & 15u;
            out[32 * j + l] = d * sub.scale * static_cast<float>(q) - dmin * sub.minimum;
        }
    }
}

struct BlockQ5K {  // y = d scale q − dmin minimum
    static constexpr size_t elements = 256;
    uint16_t d, dmin;
    uint8_t sc[12], qh[32], qs[128];
};
static_assert(sizeof(BlockQ5K) == 176);

void expand_q5_k(const BlockQ5K& block, float* out) {
    const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
    for (size_t j = 0; j < 8; j++) {
        const ScaleAndMinimum sub = k_scale(block.sc, j);
        for (size_t l = 0; l < 32; l++) {
            const unsigned q = (block.qs[32 * (j / 2) + l] >> 4 * (j % 2) & 15u) | bit(block.qh[l], j) << 4;
            out[32 * j + l] = d * sub.scale * static_cast<float>(q) - dmin * sub.minimum;
        }
    }
}

// Halves, planes and scales as Q2_K; low 4 bits of q in ql, high 2 in qh; y = d scale (q − 32), scale signed.
//   ql[64h + l]      = plane 2 | plane 0        ql[64h + 32 + l] = plane 3 | plane 1
//   qh[32h + l]      = plane 3 | plane 2 | plane 1 | plane 0
struct BlockQ6K {
    static constexpr size_t elements = 256;
    uint8_t ql[128], qh[64];
    int8_t scales[16];
    uint16_t d;
};
static_assert(sizeof(BlockQ6K) == 210);

void expand_q6_k(const BlockQ6K& block, float* out) {
    const float d = f16_to_f32(block.d);
    for (size_t i = 0; i < 256; i++) {
        const size_t h = i / 128, p = i / 32 % 4, l = i % 32;
        const unsigned low = block.ql[64 * h + 32 * (p % 2) + l] >> 4 * (p / 2) & 15u;
        const unsigned high = block.qh[32 * h + l] >> 2 * p & 3u;
        const float scale = d * static_cast<float>(block.scales[8 * h + 2 * p + l / 16]);
        out[i] = scale * signed_code(low | high << 4, 32);
    }
}

// 8 sub-blocks of 32 in IQ4_NL's order; the scale of sub-block j has 6 bits, the high 2 at bit 2j of sh.
//   sl[i] = low bits of scale 2i+1 | low bits of scale 2i
struct BlockIq4Xs {  // y = d (scale − 32) iq4_values[q]
    static constexpr size_t elements = 256;
    uint16_t d, sh;
    uint8_t sl[4], qs[128];
};
static_assert(sizeof(BlockIq4Xs) == 136);

void expand_iq4_xs(const BlockIq4Xs& block, float* out) {
    const float d = f16_to_f32(block.d);
    for (size_t j = 0; j < 8; j++) {
        const unsigned scale = (block.sl[j / 2] >> 4 * (j % 2) & 15u) | (block.sh >> 2 * j & 3u) << 4;
        expand_iq4(d * signed_code(scale, 32), block.qs + 16 * j, out + 32 * j);
    }
}

}  // namespace

void q4_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ4_0, expand_q4_0>(blocks, n_blocks, out);
}
void q4_1_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ4_1, expand_q4_1>(blocks, n_blocks, out);
}
void q5_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ5_0, expand_q5_0>(blocks, n_blocks, out);
}
void q5_1_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ5_1, expand_q5_1>(blocks, n_blocks, out);
}
void q8_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ8_0, expand_q8_0>(blocks, n_blocks, out);
}
void q2_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ2K, expand_q2_k>(blocks, n_blocks, out);
}
void q3_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ3K, expand_q3_k>(blocks, n_blocks, out);
}
void q4_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ4K, expand_q4_k>(blocks, n_blocks, out);
}
void q5_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ5K, expand_q5_k>(blocks, n_blocks, out);
}
void q6_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ6K, expand_q6_k>(blocks, n_blocks, out);
}
void iq4_nl_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockIq4Nl, expand_iq4_nl>(blocks, n_blocks, out);
}
void iq4_xs_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockIq4Xs, expand_iq4_xs>(blocks, n_blocks, out);
}

}  // namespace gq
