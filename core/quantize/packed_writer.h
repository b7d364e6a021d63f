// Quantized and kept weights → tensors of a .gq, and views of them for the passes that follow.
// In: solver results or floats. Out: a tensor on disk, and its bytes in memory while the caller needs them. Must not
// know calibration.
#pragma once

#include <string>

#include "core/model/model.h"
#include "core/quantize/gptq.h"
#include "core/quantize/lorc.h"
#include "formats/gq_file.h"

namespace gq {

// Owns the parts of one packed matrix.
struct PackedTensor {
    PackedMatrix matrix;  // views of the buffers below
    AlignedBuffer<std::byte> codes, scales, zeros;
};

// Owns both factors of a correction (lorc.h); no codes: there is none.
struct PackedLowRank {
    PackedTensor u, v;

    LowRank view() const { return {u.matrix, v.matrix}; }
};

// Zeroed room for a whole (rows, cols) matrix. Floats: codes is "f16" or "bf16".
PackedTensor room_for_codes(size_t rows, size_t cols, const GridOptions& grid);
PackedTensor room_for_floats(size_t rows, size_t cols, const char* codes);

inline constexpr size_t strip_rows = 4096;  // of a vocabulary's matrix, read at a time; a multiple of 16

// Packs rows [first_row, first_row + strip's rows) of a matrix; first_row is a multiple of 16. values (rows, cols)
// contiguous.
void pack_strip(const Compute& compute, const QuantizedMatrix& strip, size_t first_row, PackedTensor& tensor);
void pack_float_strip(const Compute& compute, const float* values, size_t rows, size_t first_row, PackedTensor& tensor);
PackedLowRank pack_low_rank(const Compute& compute, const RoundedFactors& factors);

// What rounding did to a matrix, whatever its inputs are: |Q - W|² and |W|² (squared Frobenius norms), strip by strip.
struct RoundingError {
    double error = 0, weight = 0;

    // values: (rows, cols) contiguous, the originals of rows [first_row, first_row + rows) of a tensor that holds them
    // packed; first_row is a multiple of 16. Rows are summed in their order, whatever the number of threads.
    void add_strip(const Compute& compute, const float* values, size_t rows, size_t first_row,
                   const PackedTensor& tensor);
    double relative() const { return weight > 0 ? error / weight : 0; }
};

// Whether all values are in the range of f16; where they are not, bf16 keeps them.
bool fits_f16(const float* values, size_t n);

void write_packed(GqWriter& writer, const std::string& name, const PackedTensor& tensor,
                  const PackedLowRank& low_rank = {});
void write_vector(GqWriter& writer, const std::string& name, std::span<const float> values);

}  // namespace gq
