// Conversion of GGUF's block types to float, one function a type; rows of the table in element_type.cpp.
// In: whole blocks. Out: floats. The bits of each block are drawn in gguf_blocks.cpp. Must not know files, tensors or
// shapes.
#pragma once

#include <cstddef>

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

}  // namespace gq
