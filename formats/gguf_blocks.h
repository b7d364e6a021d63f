// GGUF's block types, a function to floats and a BlockParts of each; rows of the table in element_type.cpp.
// In: whole blocks. Out: floats, or codes and scales. The bits of each block are drawn in gguf_blocks.cpp. Must not
// know files, tensors or shapes.
#pragma once

#include "formats/element_type.h"

namespace gq {

// Each converts n_blocks blocks (32 elements, 256 for the K types and IQ4_XS) to floats; blocks need no alignment.
void q4_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q4_1_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q5_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q5_1_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q8_0_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q2_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q3_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q4_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q5_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void q6_k_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void iq4_nl_to_f32(const std::byte* blocks, size_t n_blocks, float* out);
void iq4_xs_to_f32(const std::byte* blocks, size_t n_blocks, float* out);

extern const BlockParts q4_0_parts;
extern const BlockParts q4_1_parts;
extern const BlockParts q5_0_parts;
extern const BlockParts q5_1_parts;
extern const BlockParts q8_0_parts;
extern const BlockParts q2_k_parts;
extern const BlockParts q3_k_parts;
extern const BlockParts q4_k_parts;
extern const BlockParts q5_k_parts;
extern const BlockParts q6_k_parts;
extern const BlockParts iq4_nl_parts;
extern const BlockParts iq4_xs_parts;

}  // namespace gq
