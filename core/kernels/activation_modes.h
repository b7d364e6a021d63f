// How activations are prepared for integer codes: a row for each Precision, with its name.
// In: rows of floats and the matrices that read them. Out: the same rows in 8 bits, under the contracts of kernels.h.
// Chosen once a call: no kernel knows which mode made the numbers that it reads. Must not know models or sessions.
#pragma once

#include <span>
#include <string_view>

#include "core/kernels/backend.h"

namespace gq {

// Columns of x that are the whole input of some matrices. `column` is a multiple of 32; the columns from the last to
// the next such multiple are 0.
struct InputPart {
    size_t column, cols;
    size_t span_blocks;  // blocks of 32 that share a scale
};

// x in 8 bits: q8 + shifts, where a mode has those (quantize_spans); q8 alone elsewhere.
struct Prepared {
    Q8Rows q8, shifts;
};

struct ActivationMode {
    Precision precision;
    const char* name;  // "token-asym"
    bool has_shifts;
    size_t (*span_blocks)(const PackedMatrix& weights);  // what InputPart wants, for these weights
    // `out` has ceil(x.width / 32) blocks a row, those of all parts. Null: nothing is prepared, codes meet floats.
    void (*prepare)(const KernelTable& kernels, const Activations& x, size_t n_rows, std::span<const InputPart> parts,
                    const Prepared& out);
};

std::span<const ActivationMode> activation_modes();
const ActivationMode& activation_mode(Precision precision);
// Throws Error(invalid_argument) that lists all names.
const ActivationMode& find_activation_mode(std::string_view name);

}  // namespace gq
