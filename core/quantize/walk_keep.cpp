// What stays as a GGUF holds it, and what is said of that. See walk.h.
// In: the types of the source's tensors, options. Out: the grids of what is kept, lines of the log. Must not know
// blocks: kept_blocks.h.
#include <algorithm>
#include <map>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/quantize/walk.h"

namespace gq {
namespace {

// How often each of some words came: "210 matrices of Q4_1 → int4 offset g32, 1 matrix of …".
class Counts {
  public:
    void add(const std::string& words) { ++counts_[words]; }
    bool empty() const { return counts_.empty(); }
    void log(const char* title) const {
        std::string text;
        for (const auto& [words, n] : counts_)
            text += (text.empty() ? "" : ", ") + std::to_string(n) + (n == 1 ? " matrix of " : " matrices of ") + words;
        if (!text.empty()) log_message(LogLevel::info, "%s: %s", title, text.c_str());
    }

  private:
    std::map<std::string, size_t> counts_;
};

}  // namespace

bool Walk::keeps(RoleId role, size_t layer) const {
    if (!options_.keep_blocks) return false;
    const WeightRow& row = source_.arch().block_weights[role];
    return row.kind == WeightKind::linear && grid_of_blocks(source_.tensor(row, layer).type);
}

bool Walk::keeps_outer(const WeightRow& row) const {
    return options_.keep_outer && grid_of_blocks(source_.tensor(row, 0).type);
}

bool Walk::keeps_all(const StepList& steps, const std::vector<size_t>& linears, size_t layer) const {
    return std::all_of(linears.begin(), linears.end(),
                       [&](size_t step) { return keeps(steps.steps[step].weight, layer); });
}

// The grids of what is kept; without any linear that is rounded nothing is calibrated.
void Walk::take_over() {
    const Arch& arch = source_.arch();
    if (keeps_outer(arch.embedding)) assignment_.embedding = *grid_of_blocks(source_.tensor(arch.embedding, 0).type);
    if (!source_.params().tied_head && keeps_outer(arch.head))
        assignment_.head = *grid_of_blocks(source_.tensor(arch.head, 0).type);
    rounds_linears_ = false;
    for (size_t layer = 0; layer < source_.params().n_layers; ++layer) {
        for (size_t role = 0; role < arch.block_weights.size(); ++role) {
            const WeightRow& row = arch.block_weights[role];
            if (row.kind != WeightKind::linear) continue;
            if (keeps(static_cast<RoleId>(role), layer))
                assignment_.blocks[layer][role] = *grid_of_blocks(source_.tensor(row, layer).type);
            else
                rounds_linears_ = true;
        }
    }
}

void Walk::tell_kept() const {
    Counts kept, requantized, expanded, rounded;
    const auto count = [&](const WeightRow& row, size_t layer, bool keeps, const GridOptions& grid) {
        const ElementType type = source_.tensor(row, layer).type;
        const std::string name = traits(type).name;
        if (keeps)
            kept.add(name + " → " + form_of(grid));
        else if (grid_of_blocks(type))
            (grid.bits == float_bits ? expanded : requantized).add(name);
        else if (options_.keep_blocks && grid.bits != float_bits)
            rounded.add(name);
    };
    const Arch& arch = source_.arch();
    count(arch.embedding, 0, keeps_outer(arch.embedding), assignment_.embedding);
    if (!source_.params().tied_head) count(arch.head, 0, keeps_outer(arch.head), assignment_.head);
    for (size_t layer = 0; layer < source_.params().n_layers; ++layer)
        for (size_t i = 0; i < arch.block_weights.size(); ++i) {
            const RoleId role = static_cast<RoleId>(i);
            if (arch.block_weights[i].kind == WeightKind::linear)
                count(arch.block_weights[i], layer, keeps(role, layer), choice_of(role, layer));
        }
    kept.log("blocks kept as the GGUF holds them");
    requantized.log("requantized");
    expanded.log("blocks become 16-bit floats");
    if (!kept.empty()) rounded.log("no blocks to keep, quantized");
}

QuantizedMatrix Walk::kept_rows(const WeightRow& row, size_t layer, size_t row_begin, size_t row_end) const {
    return read_blocks(compute_, source_.tensor(row, layer), row_begin, row_end,
                       [&](size_t r) { return source_.source_row(row, r); });
}

// Of what is kept there is none: that is held here for every matrix of every file.
void Walk::set_error(TensorReport& report, const RoundingError& error) const {
    report.error = error.relative();
    if (!report.kept.empty() && error.error != 0)
        fail(Status::internal, "%s: the values of its blocks of %s expected, found others", report.name.c_str(),
             report.kept.c_str());
}

}  // namespace gq
