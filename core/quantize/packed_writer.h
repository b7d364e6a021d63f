// Quantized and kept weights → tensors of a .gq, and views of them for the passes that follow.
// In: solver results or floats. Out: a tensor on disk, and its bytes in memory while the caller needs them. Must not know calibration.
#pragma once

#include <string>

#include "core/model/model.h"
#include "core/quantize/gptq.h"
#include "formats/gq_file.h"

namespace gq {

// Owns the parts of one packed matrix.
struct PackedTensor {
    PackedMatrix matrix;  // views of the buffers below
    AlignedBuffer<std::byte> codes, scales, zeros;
};

// symmetric: the grid without zero points.
PackedTensor pack_quantized(const Compute& compute, const QuantizedMatrix& quantized, bool symmetric);

// Floats in panels: f16, or the 16-bit type named. values (rows, cols) contiguous.
PackedTensor pack_floats(const Compute& compute, const float* values, size_t rows, size_t cols, const char* codes);

// The 16-bit codes that keep a source's values best: its own type when it has 16 bits, else f16; bf16 where f16 would overflow.
const char* float_codes_for(ElementType source, const float* values, size_t n);

void write_packed(GqWriter& writer, const std::string& name, const PackedTensor& tensor);
void write_vector(GqWriter& writer, const std::string& name, std::span<const float> values);

}  // namespace gq
