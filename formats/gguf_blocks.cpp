// GGUF's block types taken apart, and to float.
// In: blocks as they lie in a file. Out: codes, scales and offsets; or floats, bit for bit those of the Python package
// gguf (gguf.quants.dequantize). Layouts: ggml's block structs (ggml-common.h). In the pictures a byte is written high
// bits first, l counts bytes, q is a code as stored, d, m and dmin are fp16. Must not know files, tensors or shapes.
#include "formats/gguf_blocks.h"

#include <cstdint>
#include <cstring>

#include "formats/element_type.h"

namespace gq {
namespace {

// One block taken apart: a code for each element; a scale and an offset for each group of Block::group of them.
struct Parts {
    uint8_t* codes;
    float* scales;
    float* offsets;  // of blocks without any left alone
};

// The value of a code is scale * (code - zero) + offset, without the sum where blocks have no offsets.
template <size_t n_elements, size_t n_group, int zero_code, bool offsets>
struct BlockShape {
    static constexpr size_t elements = n_elements, group = n_group, groups = n_elements / n_group;
    static constexpr int zero = zero_code;
    static constexpr bool has_offsets = offsets;
};

// Blocks in files have no alignment: each is copied out, then taken apart.
template <typename Block>
void split_one(const std::byte* blocks, size_t i, const Parts& parts) {
    Block block;
    std::memcpy(&block, blocks + i * sizeof block, sizeof block);
    split(block, parts);
}

template <typename Block>
void convert(const std::byte* blocks, size_t n_blocks, float* out) {
    using Shape = typename Block::Shape;
    uint8_t codes[Shape::elements];
    float scales[Shape::groups], offsets[Shape::groups];
    for (size_t i = 0; i < n_blocks; i++, out += Shape::elements) {
        split_one<Block>(blocks, i, {codes, scales, offsets});
        for (size_t k = 0; k < Shape::elements; k++) {
            const float product = scales[k / Shape::group] * static_cast<float>(codes[k] - Shape::zero);
            if constexpr (Shape::has_offsets) {
                out[k] = product + offsets[k / Shape::group];
            } else {
                out[k] = product;
            }
        }
    }
}

template <typename Block>
void split_all(const std::byte* blocks, size_t n_blocks, uint8_t* codes, float* scales, float* offsets) {
    using Shape = typename Block::Shape;
    for (size_t i = 0; i < n_blocks; i++)
        split_one<Block>(blocks, i,
                         {codes + i * Shape::elements, scales + i * Shape::groups,
                          Shape::has_offsets ? offsets + i * Shape::groups : nullptr});
}

template <typename Block>
constexpr BlockParts parts_of() {
    return {.group = Block::Shape::group, .has_offsets = Block::Shape::has_offsets, .split = split_all<Block>};
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
uint8_t code(unsigned q) {
    return static_cast<uint8_t>(q);
}

// --- blocks of 32 ----------------------------------------------------------------------------------------------------

// In all of them qs[l] = q[l+16] | q[l], a nibble each; qh, little-endian, holds bit 4 of q[j] at its bit j.

void split_nibbles(const uint8_t* qs, uint8_t* codes) {
    for (size_t l = 0; l < 16; l++) {
        codes[l] = code(low_nibble(qs[l]));
        codes[l + 16] = code(high_nibble(qs[l]));
    }
}

void add_fifth_bits(const uint8_t* qh, uint8_t* codes) {
    for (size_t l = 0; l < 32; l++) codes[l] = code(codes[l] | bit(qh[l / 8], l % 8) << 4);
}

struct BlockQ4_0 {  // y = d (q − 8)
    using Shape = BlockShape<32, 32, 8, false>;
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

void split(const BlockQ4_0& block, const Parts& out) {
    *out.scales = f16_to_f32(block.d);
    split_nibbles(block.qs, out.codes);
}

struct BlockQ4_1 {  // y = d q + m
    using Shape = BlockShape<32, 32, 0, true>;
    uint16_t d, m;
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

void split(const BlockQ4_1& block, const Parts& out) {
    *out.scales = f16_to_f32(block.d);
    *out.offsets = f16_to_f32(block.m);
    split_nibbles(block.qs, out.codes);
}

struct BlockQ5_0 {  // y = d (q − 16)
    using Shape = BlockShape<32, 32, 16, false>;
    uint16_t d;
    uint8_t qh[4], qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

void split(const BlockQ5_0& block, const Parts& out) {
    *out.scales = f16_to_f32(block.d);
    split_nibbles(block.qs, out.codes);
    add_fifth_bits(block.qh, out.codes);
}

struct BlockQ5_1 {  // y = d q + m
    using Shape = BlockShape<32, 32, 0, true>;
    uint16_t d, m;
    uint8_t qh[4], qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

void split(const BlockQ5_1& block, const Parts& out) {
    *out.scales = f16_to_f32(block.d);
    *out.offsets = f16_to_f32(block.m);
    split_nibbles(block.qs, out.codes);
    add_fifth_bits(block.qh, out.codes);
}

struct BlockQ8_0 {  // y = d q, q signed: the code is q + 128
    using Shape = BlockShape<32, 32, 128, false>;
    uint16_t d;
    int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

void split(const BlockQ8_0& block, const Parts& out) {
    *out.scales = f16_to_f32(block.d);
    for (size_t l = 0; l < 32; l++) out.codes[l] = static_cast<uint8_t>(block.qs[l] + 128);
}

// The table of the IQ4 types: y = d · iq4_values[q]; the code is that value + 128.
constexpr int iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void split_iq4(const uint8_t* qs, uint8_t* codes) {
    split_nibbles(qs, codes);
    for (size_t l = 0; l < 32; l++) codes[l] = static_cast<uint8_t>(iq4_values[codes[l]] + 128);
}

struct BlockIq4Nl {
    using Shape = BlockShape<32, 32, 128, false>;
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(BlockIq4Nl) == 18);

void split(const BlockIq4Nl& block, const Parts& out) {
    *out.scales = f16_to_f32(block.d);
    split_iq4(block.qs, out.codes);
}

// --- blocks of 256 ---------------------------------------------------------------------------------------------------

// Where a minimum is subtracted the offset is its negative: the same bits.

// Elements come in halves h of 128, a half in four planes p of 32: element 128h + 32p + l, scale 8h + 2p + l/16: every
// 16 elements one.
//   qs[32h+l] = q of plane 3 | plane 2 | plane 1 | plane 0, 2 bits each
unsigned two_bits(const uint8_t* qs, size_t i) {
    return qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3u;
}

struct BlockQ2K {  // scales[j] = minimum | scale, a nibble each; y = d scale q − dmin minimum
    using Shape = BlockShape<256, 16, 0, true>;
    uint8_t scales[16], qs[64];
    uint16_t d, dmin;
};
static_assert(sizeof(BlockQ2K) == 84);

void split(const BlockQ2K& block, const Parts& out) {
    const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
    for (size_t j = 0; j < 16; j++) {
        out.scales[j] = d * static_cast<float>(low_nibble(block.scales[j]));
        out.offsets[j] = -(dmin * static_cast<float>(high_nibble(block.scales[j])));
    }
    for (size_t i = 0; i < 256; i++) out.codes[i] = code(two_bits(block.qs, i));
}

// Halves, planes and scales as Q2_K; y = d (scale − 32) (q − (bit ? 0 : 4)), bit being bit 4h + p of hmask[l]: the code
// is q + (bit ? 4 : 0).
//   sc[0…7]  = low nibble of scale j+8 | low nibble of scale j
//   sc[8…11] = high 2 bits of scales j+12 | j+8 | j+4 | j   (j = index − 8)
struct BlockQ3K {
    using Shape = BlockShape<256, 16, 4, false>;
    uint8_t hmask[32], qs[64], sc[12];
    uint16_t d;
};
static_assert(sizeof(BlockQ3K) == 110);

unsigned q3_k_scale(const BlockQ3K& block, size_t j) {
    const unsigned low = j < 8 ? low_nibble(block.sc[j]) : high_nibble(block.sc[j - 8]);
    return low | (block.sc[8 + j % 4] >> 2 * (j / 4) & 3u) << 4;
}

void split(const BlockQ3K& block, const Parts& out) {
    const float d = f16_to_f32(block.d);
    for (size_t j = 0; j < 16; j++) out.scales[j] = d * static_cast<float>(static_cast<int>(q3_k_scale(block, j)) - 32);
    for (size_t i = 0; i < 256; i++) out.codes[i] = code(two_bits(block.qs, i) | bit(block.hmask[i % 32], i / 32) << 2);
}

// Scale and minimum of 8 sub-blocks of 32, 6 bits each, in 12 bytes (Q4_K and Q5_K):
//   sc[j]     = scale j+4 bits 5,4 | scale j bits 5…0          j = 0…3
//   sc[j + 4] = minimum j+4 bits 5,4 | minimum j bits 5…0
//   sc[j + 8] = minimum j+4 bits 3…0 | scale j+4 bits 3…0
void split_k_scales(uint16_t d_bits, uint16_t dmin_bits, const uint8_t* sc, const Parts& out) {
    const float d = f16_to_f32(d_bits), dmin = f16_to_f32(dmin_bits);
    for (size_t j = 0; j < 8; j++) {
        const unsigned scale = j < 4 ? sc[j] & 63u : low_nibble(sc[j + 4]) | (sc[j - 4] >> 6) << 4;
        const unsigned minimum = j < 4 ? sc[j + 4] & 63u : high_nibble(sc[j + 4]) | (sc[j] >> 6) << 4;
        out.scales[j] = d * static_cast<float>(scale);
        out.offsets[j] = -(dmin * static_cast<float>(minimum));
    }
}

// Sub-blocks come in pairs c; bit j of Q5_K's qh[l] is bit 4 of q of sub-block j.
//   qs[32c + l] = q of sub-block 2c+1 | q of sub-block 2c
unsigned k_nibble(const uint8_t* qs, size_t i) {
    return qs[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15u;
}

struct BlockQ4K {  // y = d scale q − dmin minimum
    using Shape = BlockShape<256, 32, 0, true>;
    uint16_t d, dmin;
    uint8_t sc[12], qs[128];
};
static_assert(sizeof(BlockQ4K) == 144);

void split(const BlockQ4K& block, const Parts& out) {
    split_k_scales(block.d, block.dmin, block.sc, out);
    for (size_t i = 0; i < 256; i++) out.codes[i] = code(k_nibble(block.qs, i));
}

struct BlockQ5K {  // y = d scale q − dmin minimum
    using Shape = BlockShape<256, 32, 0, true>;
    uint16_t d, dmin;
    uint8_t sc[12], qh[32], qs[128];
};
static_assert(sizeof(BlockQ5K) == 176);

void split(const BlockQ5K& block, const Parts& out) {
    split_k_scales(block.d, block.dmin, block.sc, out);
    for (size_t i = 0; i < 256; i++) out.codes[i] = code(k_nibble(block.qs, i) | bit(block.qh[i % 32], i / 32) << 4);
}

// Halves, planes and scales as Q2_K; low 4 bits of q in ql, high 2 in qh; y = d scale (q − 32), scale signed.
//   ql[64h + l]      = plane 2 | plane 0        ql[64h + 32 + l] = plane 3 | plane 1
//   qh[32h + l]      = plane 3 | plane 2 | plane 1 | plane 0
struct BlockQ6K {
    using Shape = BlockShape<256, 16, 32, false>;
    uint8_t ql[128], qh[64];
    int8_t scales[16];
    uint16_t d;
};
static_assert(sizeof(BlockQ6K) == 210);

void split(const BlockQ6K& block, const Parts& out) {
    const float d = f16_to_f32(block.d);
    for (size_t j = 0; j < 16; j++) out.scales[j] = d * static_cast<float>(block.scales[j]);
    for (size_t i = 0; i < 256; i++) {
        const unsigned low = block.ql[i / 128 * 64 + i % 64] >> i / 64 % 2 * 4 & 15u;
        out.codes[i] = code(low | two_bits(block.qh, i) << 4);
    }
}

// 8 sub-blocks of 32 in IQ4_NL's order; the scale of sub-block j has 6 bits, the high 2 at bit 2j of sh.
//   sl[i] = low bits of scale 2i+1 | low bits of scale 2i
struct BlockIq4Xs {  // y = d (scale − 32) iq4_values[q]
    using Shape = BlockShape<256, 32, 128, false>;
    uint16_t d, sh;
    uint8_t sl[4], qs[128];
};
static_assert(sizeof(BlockIq4Xs) == 136);

void split(const BlockIq4Xs& block, const Parts& out) {
    const float d = f16_to_f32(block.d);
    for (size_t j = 0; j < 8; j++) {
        const unsigned scale = (block.sl[j / 2] >> 4 * (j % 2) & 15u) | (block.sh >> 2 * j & 3u) << 4;
        out.scales[j] = d * static_cast<float>(static_cast<int>(scale) - 32);
        split_iq4(block.qs + 16 * j, out.codes + 32 * j);
    }
}

}  // namespace

void q4_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ4_0>(blocks, n_blocks, out);
}
void q4_1_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ4_1>(blocks, n_blocks, out);
}
void q5_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ5_0>(blocks, n_blocks, out);
}
void q5_1_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ5_1>(blocks, n_blocks, out);
}
void q8_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ8_0>(blocks, n_blocks, out);
}
void q2_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ2K>(blocks, n_blocks, out);
}
void q3_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ3K>(blocks, n_blocks, out);
}
void q4_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ4K>(blocks, n_blocks, out);
}
void q5_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ5K>(blocks, n_blocks, out);
}
void q6_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockQ6K>(blocks, n_blocks, out);
}
void iq4_nl_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockIq4Nl>(blocks, n_blocks, out);
}
void iq4_xs_to_f32(const std::byte* blocks, size_t n_blocks, float* out) {
    convert<BlockIq4Xs>(blocks, n_blocks, out);
}

const BlockParts q4_0_parts = parts_of<BlockQ4_0>();
const BlockParts q4_1_parts = parts_of<BlockQ4_1>();
const BlockParts q5_0_parts = parts_of<BlockQ5_0>();
const BlockParts q5_1_parts = parts_of<BlockQ5_1>();
const BlockParts q8_0_parts = parts_of<BlockQ8_0>();
const BlockParts q2_k_parts = parts_of<BlockQ2K>();
const BlockParts q3_k_parts = parts_of<BlockQ3K>();
const BlockParts q4_k_parts = parts_of<BlockQ4K>();
const BlockParts q5_k_parts = parts_of<BlockQ5K>();
const BlockParts q6_k_parts = parts_of<BlockQ6K>();
const BlockParts iq4_nl_parts = parts_of<BlockIq4Nl>();
const BlockParts iq4_xs_parts = parts_of<BlockIq4Xs>();

}  // namespace gq
