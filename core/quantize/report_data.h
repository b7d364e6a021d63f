// A report's figures, typed and added up: what the page and the table of ./inspect show.
// In: a report as JSON, as file_report.h makes it; whatever is missing or of another type counts as unknown, since a
// report may come from another version. Out: tensors, roles, sizes. Must not know files, HTML or how rounding works.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/json.h"

namespace gq {

// Bytes by what they are for.
struct SizeParts {
    double codes = 0, scales = 0, zeros = 0;  // of quantized matrices; parts that grids may add count as scales
    double corrections = 0;                   // of low rank
    double floats = 0;                        // values kept as floats, norms included
    double tokenizer = 0;
    double other = 0;  // the rest of the file: other sections, directory, alignment

    double tensors() const { return codes + scales + zeros + corrections + floats; }
    void add(const SizeParts& more);
};

struct TensorData {
    std::string name, role;  // "blocks.3.attn_q", "attn_q"; outside of blocks the role is the name
    std::optional<size_t> layer;
    std::string codes, grid, note;
    std::string kept;  // report.h
    double rows = 0, cols = 0, group = 0;
    SizeParts size;
    std::optional<double> error, loss, rtn_loss, predicted_loss, damping;  // report.h; error and loss are those that
                                                                           // corrections of low rank leave
    std::optional<double> solver_loss;  // before a correction; what predicted_loss foretold
    size_t damping_retries = 0;
    size_t lorc_rank = 0;

    double weights() const { return rows * cols; }
    bool is_linear() const { return layer && rows > 1; }
    std::string form() const;         // "int4 zero_point g128", "int4 symmetric row"
    std::string short_codes() const;  // "4" of "int4", "16" of "bf16"
};

// What tensors of one role, or any others, have in common.
struct Summary {
    std::string role;
    size_t n_tensors = 0, n_errors = 0, n_solved = 0, n_notes = 0;
    size_t damping_retries = 0;
    double weights = 0, errors = 0;
    double loss = 0, rtn_loss = 0;               // of the solved ones, added up over their outputs
    double solver_loss = 0, predicted_loss = 0;  // of those with a prediction
    SizeParts size = {};
    std::vector<std::pair<std::string, size_t>> forms = {};  // and how many tensors have it, in the order of the file

    void add(const TensorData& tensor);
    std::string mix() const;  // of forms, or of codes where forms are many: "20 × int3 symmetric row; 10 × int4 …"
    double bits() const { return weights > 0 ? 8 * size.tensors() / weights : 0; }  // of a weight, scales included
    std::optional<double> mean_error() const;
    std::optional<double> of_rounding() const;   // loss ÷ that of plain rounding
    std::optional<double> of_predicted() const;  // solver_loss ÷ predicted_loss
};

struct ReportData {
    std::vector<TensorData> tensors;
    std::vector<Summary> roles;  // in the order of the file
    Summary linears;             // all of the blocks' matrices
    SizeParts size;
    double file_bytes = 0;
    std::string refinement;                    // "", or a sentence on what training end to end did
    std::optional<double> kl, ppl, float_ppl;  // of the verdict
    std::string verdict;                       // "", or a sentence with these
};

ReportData report_data(const JsonValue& report);

// "" where the report tells of no matrix, or lines: a title, one per role with a matrix, one for all linears, and the
// sentences on refinement and verdict.
std::string role_table(const ReportData& data);

// Significant digits, whole numbers as they are; "–" where it is unknown.
std::string figure(std::optional<double> value, int digits = 3);
std::string count_text(double n);  // "9.95 M"
// A number below 10^60, or a text, that a value or an object's member is; unknown, or "", where it is something else.
std::optional<double> known_number(const JsonValue& value);
std::optional<double> known_number(const JsonValue& json, const char* key);
std::string known_text(const JsonValue& json, const char* key);

}  // namespace gq
