// Element types of tensors in files, and their conversion to float: the one copy of it in the tree.
// In: a type and its bytes. Out: floats. Covers plain floats and the block types of GGUF (gguf_blocks.cpp); must not
// know file layouts.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace gq {

enum class ElementType : uint8_t {
    f32,
    f16,
    bf16,
    f64,
    boolean,
    i8,
    u8,
    i16,
    u16,
    i32,
    u32,
    i64,
    u64,
    f8_e4m3,
    f8_e5m2,
    q4_0,
    q4_1,
    q5_0,
    q5_1,
    q8_0,
    q8_1,
    q2_k,
    q3_k,
    q4_k,
    q5_k,
    q6_k,
    q8_k,
    iq4_nl,
    iq4_xs,
    other,  // known by number only; carried for error messages, never converted
};

// How the blocks of a type come apart: value = scale * (code - zero) + offset, zero being the code in the middle
// (2^(bits - 1); 128 for the values of a table) where there are no offsets, else 0.
struct BlockParts {
    size_t group;  // elements that share a scale and an offset
    bool has_offsets;
    // codes: (n_blocks, elements of a block); scales, offsets: (n_blocks, groups of a block), products of a block's
    // numbers, exact; no bits are lost. offsets may be null where there are none.
    void (*split)(const std::byte* blocks, size_t n_blocks, uint8_t* codes, float* scales, float* offsets);
};

// Facts of an element type. A block is the smallest unit that is stored whole (1 element for plain types).
struct ElementTraits {
    const char* name;       // as error messages and inspect show it
    size_t block_elements;  // elements per block
    size_t block_bytes;     // bytes per block; 0 for `other`
    // Converts n_blocks blocks to block_elements * n_blocks floats; null where this version can't.
    void (*to_f32)(const std::byte* blocks, size_t n_blocks, float* out);
    const BlockParts* parts = nullptr;  // null for what is not made of codes and scales
};

const ElementTraits& traits(ElementType type);

// The conversions of single values stand here so that loops over them inline and vectorise: no branch, no table, and no
// arithmetic on subnormal floats (which is slow, and wrong where a caller flushes them to zero).

inline float bf16_to_f32(uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// To nearest, ties to even; NaN stays NaN (made quiet, sign and high payload kept).
inline uint16_t f32_to_bf16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    const uint32_t nan = bits >> 16 | 0x40;
    return static_cast<uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded);
}

// Exact, subnormals, infinities and NaN payloads included.
//   f16: s eeeee mmmmmmmmmm (bias 15)      f32: s eeeeeeee mmmmmmmmmm0000000000000 (bias 127)
inline float f16_to_f32(uint16_t bits) {
    const uint32_t magnitude = bits & 0x7FFFu;
    const uint32_t rebias = 112u << 23;
    // exponent 31 means infinity or NaN: adding 112 twice makes it 255.
    const uint32_t normal = (magnitude << 13) + rebias + (magnitude >= 0x7C00 ? rebias : 0);
    // m · 2⁻²⁴ is (0.5 + m · 2⁻²⁴) − 0.5, since the last bit of a float in [0.5, 1) is 2⁻²⁴.
    const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(0x3F000000 | magnitude) - 0.5f);
    return std::bit_cast<float>((magnitude < 0x0400 ? subnormal : normal) | (bits & 0x8000u) << 16);
}

// To nearest, ties to even; overflow gives infinity, NaN stays NaN (made quiet, sign and high payload kept).
inline uint16_t f32_to_f16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7FFFFFFF;
    const uint32_t normal = (magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1)) >> 13;
    // Below 2⁻¹⁴ the addition itself rounds to a multiple of 2⁻²⁴.
    const uint32_t tiny = magnitude < 0x38800000 ? magnitude : 0;
    const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(tiny) + 0.5f) - 0x3F000000;
    const uint32_t huge = magnitude > 0x7F800000 ? 0x7E00 | (magnitude >> 13 & 0x3FF) : 0x7C00;
    const uint32_t finite = magnitude < 0x38800000 ? subnormal : normal;
    return static_cast<uint16_t>((magnitude < 0x47800000 ? finite : huge) | (bits >> 16 & 0x8000));
}

}  // namespace gq
