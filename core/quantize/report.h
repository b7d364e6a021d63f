// What happened to each tensor, as JSON: the provenance inside the .gq, and what the report beside it tells of that
// (file_report.h). In: options, hashes, solver reports. Out: text. The provenance holds no time, host or thread count:
// same input, same bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/quantize/lorc.h"
#include "core/quantize/quantize.h"
#include "formats/checkpoint.h"

namespace gq {

// JSON of each tensor: `name`, `codes`, `shape` [rows, cols], and
//   error        |Q - W|² / |W|² of every matrix, whatever the method
// of those that GPTQ solved, per calibration token and output (the mean squared error that rounding adds to the layer's
// outputs), with damping_retries, dead_inputs and note only where there are any:
//   loss             tr(E H Eᵀ)/2 per row, E = Q - W
//   rtn_loss         the same of plain rounding
//   predicted_loss   the solver's own account of the loss, on the damped H
//   check_error      what the self-check of the loss is off by, relative
//   damping          that was used, of the mean diagonal
//   damping_retries  how often it was raised to become that
//   held_out_loss, held_out_rtn_loss  the same on windows that no solve saw, of the solve and of plain rounding on
//                    searched grids; with a drift less a constant, so maybe negative; where an eighth of the rows is
//                    clear, as if all were like these
//   expected_kl      where a target chose the width: the change of the model's predictions expected of it
//   dead_inputs      how many inputs were always zero
// of those that a GGUF held in blocks, and that are kept so, `kept`, its name of their type,
// of those and of those whose width a target chose also `grid` and `group`,
// and of those with a correction of low rank an object `lorc`: its `rank`, `method` ("lorc", "eora"), and what is left
// behind it: `error`, as above, and `loss` of those that GPTQ solved.
struct TensorReport {
    std::string name, codes, note;
    std::string kept = {};  // the source's type where its blocks were taken over, "Q4_1"; else empty
    size_t rows = 0, cols = 0;
    std::optional<double> error;  // of rounding, relative to the squared weights
    bool solved = false;
    SolveReport solve;
    LorcReport lorc = {};
    std::string grid = {};  // where a target chose it or the source's is kept, with `group`; else empty
    size_t group = 0;
    std::optional<double> expected_kl;  // of the linears where a target chose their grids
};

// What training end to end did: KL(float ‖ quantized) on windows that it did not see; epoch 0: nothing was better.
struct RefinementReport {
    double kl_before = 0, kl_after = 0;
    size_t kept_epoch = 0;
};

struct RunReport {
    std::string source_name, source_kind, architecture;
    uint64_t source_hash = 0;       // XXH64 over the hashes of the source's tensors, in the order of use
    std::string calibration_name;   // "built-in", or the file's name; empty without calibration
    uint64_t calibration_hash = 0;  // XXH64 of the text
    std::string note;               // on the model as a whole, "" when there is none
    std::optional<RefinementReport> refinement;
    std::optional<Verdict> verdict;
    uint64_t judged_hash = 0;  // XXH64 over the hashes of the windows that it is of
    std::vector<TensorReport> tensors;
};

std::string provenance_json(const QuantizeOptions& options, const RunReport& run);

// "" or what deserves attention: retries of damping, a fallback, dead inputs, a self-check that does not hold.
std::string note_of(const SolveReport& solve);

}  // namespace gq
