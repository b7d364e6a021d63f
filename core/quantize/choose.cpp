// From sensitivities to an assignment. See choose.h.
// In: losses by tensor and choice; sizes by the rules of packing and of the file. Out: the plan that loses least,
// checked against the file that it will make. Must not know how tensors are rounded.
#include "core/quantize/choose.h"

#include <algorithm>
#include <cmath>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/quantize/outer_rounding.h"
#include "core/quantize/plan.h"
#include "formats/gq_file.h"

namespace gq {
namespace {

constexpr unsigned float_bits = 16, factor_bits = 8;
constexpr size_t fine_group = 32, coarse_group = 128;
constexpr size_t choice_groups[] = {fine_group, 64, coarse_group}, outer_groups[] = {fine_group, coarse_group};
constexpr unsigned least_outer_bits = 3, probe_bits = 3;
constexpr unsigned most_grouped_bits = 4, most_offset_bits = 3;  // above them finer groups, offsets gain too little
constexpr size_t judged_room = 1000;  // windows, whose number takes no more room than this one
constexpr double most_bpw = 1000;     // far above any choice, and what a number of bytes can be computed of
constexpr double longest_number = 1.2345678901234567e-05;  // as text, of the losses that there are

std::vector<GridOptions> linear_choices(const QuantizeOptions& options) {
    std::vector<GridOptions> choices;
    const auto add = [&](unsigned bits, size_t group) {
        choices.push_back({bits, group, uniform_grid(options)});
        if (options.grid == chosen_grid && bits <= most_offset_bits)
            choices.push_back({bits, group, find_grid("offset")});
    };
    for (unsigned bits = 2; bits < float_bits; ++bits) {
        if (!find_integer_codes(bits)) continue;
        if (options.group != chosen_group) {
            add(bits, options.group);
        } else {
            for (const size_t group : choice_groups)
                if (bits <= most_grouped_bits || group == coarse_group) add(bits, group);
            if (options.grid == chosen_grid && bits <= most_grouped_bits)
                choices.push_back({bits, fine_group, find_grid("k")});
        }
    }
    return choices;
}

std::vector<GridOptions> outer_choices(const QuantizeOptions& options) {
    std::vector<GridOptions> choices;
    for (unsigned bits = least_outer_bits; bits < float_bits; ++bits)
        for (const size_t group : outer_groups)
            if (find_integer_codes(bits)) choices.push_back({bits, group, uniform_grid(options)});
    return choices;
}

// Names and sizes of the parts of a matrix.
struct Parts {
    GqTensor record;
    std::vector<uint64_t> bytes;

    void add(const char* name, size_t size) {
        record.parts.push_back({name, {}, 0});
        bytes.push_back(size);
    }
    uint64_t total() const {
        uint64_t sum = 0;
        for (const uint64_t size : bytes) sum += round_up(size, 64);
        return sum;
    }
};

Parts parts_of(const std::string& name, size_t rows, size_t cols, const GridOptions& grid, const char* float_codes) {
    const bool floats = grid.bits == float_bits;
    const Codes& codes = floats ? *find_codes(float_codes) : *find_integer_codes(grid.bits);
    Parts parts{.record = {.name = name,
                           .codes = codes.name,
                           .grid = floats ? "" : grid.grid->name,
                           .rows = rows,
                           .cols = cols,
                           .group = floats ? 0 : grid.group,
                           .parts = {}},
                .bytes = {}};
    const PackedSizes sizes = packed_sizes(codes, floats ? nullptr : grid.grid, rows, cols, floats ? 0 : grid.group);
    parts.add("codes", sizes.code_bytes);
    if (sizes.scale_bytes > 0) parts.add("scales", sizes.scale_bytes);
    if (sizes.zero_bytes > 0) parts.add(grid.grid->zeros_part, sizes.zero_bytes);
    return parts;
}

void add_correction(Parts& parts, size_t rows, size_t cols, size_t rank) {
    const Codes& codes = *find_integer_codes(factor_bits);
    const Grid* grid = find_grid("symmetric");
    rank = std::min({rank, rows, cols});
    const PackedSizes u = packed_sizes(codes, grid, rows, rank, 0), v = packed_sizes(codes, grid, rank, cols, 0);
    parts.record.grid += low_rank_suffix;
    parts.add("lorc_u", u.code_bytes);
    parts.add("lorc_u_scales", u.scale_bytes);
    parts.add("lorc_v", v.code_bytes);
    parts.add("lorc_v_scales", v.scale_bytes);
}

Parts linear_parts(const FileFrame& f, const WeightRow& row, size_t layer, const GridOptions& grid) {
    const size_t rows = row.rows(f.params), cols = row.cols(f.params);
    Parts parts = parts_of(packed_name(row, layer), rows, cols, grid, f.float_codes);
    if (f.options.lorc_rank > 0) add_correction(parts, rows, cols, f.options.lorc_rank);
    return parts;
}

Parts outer_parts(const FileFrame& f, const WeightRow& row, const GridOptions& grid) {
    return parts_of(packed_name(row, 0), row.rows(f.params), row.cols(f.params), grid, f.float_codes);
}

// As a report may look at its longest.
TensorReport longest_report(const FileFrame& f, const WeightRow& row, size_t layer, const GridOptions& grid) {
    const bool is_vector = row.kind == WeightKind::vector;
    const Parts parts = is_vector ? Parts{} : outer_parts(f, row, grid);
    TensorReport report;
    report.name = packed_name(row, layer);
    report.codes = is_vector ? "f32" : parts.record.codes;
    report.rows = row.rows(f.params);
    report.cols = row.cols(f.params);
    if (is_vector) return report;
    report.error = longest_number;
    report.grid = grid.bits == float_bits ? "" : grid.grid->name;
    report.group = grid.group;
    return report;
}

// What a solve adds to it.
void add_longest_solve(const FileFrame& f, TensorReport& report) {
    report.solved = true;
    report.solve.true_loss = report.solve.rtn_loss = report.solve.loss =
        longest_number * static_cast<double>(report.rows);
    report.solve.check_error = longest_number;
    report.solve.damping = f.options.adaptive_damping ? longest_number : f.options.solver.damping;
    report.solve.held_out = f.options.held_out > 0;
    report.solve.held_out_loss = report.solve.held_out_rtn_loss = -report.solve.loss;  // with its sign
}

TensorReport longest_linear(const FileFrame& f, const WeightRow& row, size_t layer, const GridOptions& grid) {
    TensorReport report = longest_report(f, row, layer, grid);
    if (row.kind != WeightKind::linear) return report;
    add_longest_solve(f, report);
    report.expected_kl = longest_number;
    if (f.options.lorc_rank == 0) return report;
    report.lorc = {.rank = std::min({f.options.lorc_rank, report.rows, report.cols}),
                   .by_outputs = true,
                   .error = longest_number,
                   .loss_left = 1,
                   .note = ""};
    return report;
}

// Calls work(row, layer) for every matrix and vector of the blocks in the order of writing.
template <class Work>
void for_block_weights(const FileFrame& f, const Work& work) {
    for (size_t layer = 0; layer < f.params.n_layers; ++layer) {
        for (size_t role = 0; role < f.arch.block_weights.size(); ++role)
            if (f.arch.block_weights[role].kind == WeightKind::vector) work(role, layer);
        if (f.options.distill_epochs + f.options.refine_epochs > 0) {  // written when all of the block has been trained
            for (size_t role = 0; role < f.arch.block_weights.size(); ++role)
                if (f.arch.block_weights[role].kind != WeightKind::vector) work(role, layer);
            continue;
        }
        const StepList& steps = f.network.blocks[layer];
        for (size_t stage = 0; stage < steps.stage_begin.size(); ++stage)
            for (const size_t step : steps.stage_linears(stage)) work(steps.steps[step].weight, layer);
    }
}

size_t longest_provenance(const FileFrame& f, const Assignment& a) {
    RunReport run = f.run;
    run.tensors.clear();
    if (f.options.refine_epochs > 0) run.refinement = {longest_number, longest_number, f.options.refine_epochs};
    QuantizeOptions options = f.options;  // there is room for a verdict, asked for or not: a report changes no choice
    options.judged = std::max(options.judged, judged_room);
    run.verdict = {longest_number, longest_number, longest_number, options.judged * options.window};
    run.tensors.push_back(longest_report(f, f.arch.embedding, 0, a.embedding));
    if (!f.params.tied_head) run.tensors.push_back(longest_report(f, f.arch.head, 0, a.head));
    if (head_is_solved(f.params.tied_head ? a.embedding : a.head)) add_longest_solve(f, run.tensors.back());
    for (const WeightRow& row : f.arch.outer_weights) run.tensors.push_back(longest_report(f, row, 0, a.embedding));
    if (f.params.head_turn) run.tensors.push_back(longest_report(f, f.arch.head_turn, 0, a.embedding));
    for_block_weights(f, [&](size_t role, size_t layer) {
        run.tensors.push_back(longest_linear(f, f.arch.block_weights[role], layer, a.blocks[layer][role]));
    });
    // Words on a few tensors, as of damping that was raised.
    const size_t text = provenance_json(options, run).size();
    return text + text / 50;
}

void add(GqMeter& meter, const Parts& parts) {
    meter.add_tensor(parts.record, parts.bytes);
}

void add_vector(GqMeter& meter, const FileFrame& f, const WeightRow& row, size_t layer) {
    Parts parts{.record = {.name = packed_name(row, layer), .codes = "f32", .grid = "", .parts = {}}, .bytes = {}};
    parts.record.rows = 1;
    parts.record.cols = row.cols(f.params);
    parts.add("values", row.cols(f.params) * sizeof(float));
    add(meter, parts);
}

void add_sections(GqMeter& meter, const Sections& s, size_t provenance) {
    meter.add_section("model", s.model.size());
    meter.add_section("tokenizer", s.tokenizer.size());
    if (!s.chat_template.empty()) meter.add_section("chat_template", s.chat_template.size());
    meter.add_section("generation", s.generation.size());
    meter.add_section("provenance", provenance);
}

// What a plan decides: the linears, and embedding and head where they are chosen too.
struct Table {
    std::vector<PlanRow> rows;
    std::vector<std::vector<GridOptions>> grids;  // by row and choice

    void add(const GridOptions& grid, uint64_t bytes, double loss) {
        rows.back().push_back({bytes, loss});
        grids.back().push_back(grid);
    }
    void start_row() {
        rows.emplace_back();
        grids.emplace_back();
    }
};

bool chooses_outer(const FileFrame& f) {
    return f.options.embed_bits == chosen_bits;
}

Table table_of(const FileFrame& f, const SensitivityTable& sensitivities) {
    Table table;
    for (const Sensitivity& s : sensitivities.linears) {
        table.start_row();
        for (const ChoiceLoss& c : s.losses)
            table.add(c.grid, linear_parts(f, f.arch.block_weights[s.role], s.layer, c.grid).total(),
                      s.kl_of(c.measured));
    }
    if (!chooses_outer(f)) return table;
    for (size_t i = 0; i < sensitivities.outer.size(); ++i) {
        table.start_row();
        for (const WidthEffect& e : sensitivities.outer[i].effects)
            table.add(e.grid, outer_parts(f, i == 0 ? f.arch.embedding : f.arch.head, e.grid).total(), e.effect.kl);
    }
    return table;
}

void apply(const Table& table, const Plan& plan, const SensitivityTable& sensitivities, Assignment& assignment) {
    const size_t n_linears = sensitivities.linears.size();
    assignment.kl.clear();
    for (const auto& roles : assignment.blocks) assignment.kl.emplace_back(roles.size());
    for (size_t i = 0; i < plan.choice.size(); ++i) {
        const GridOptions& grid = table.grids[i][plan.choice[i]];
        if (i >= n_linears) {
            (i == n_linears ? assignment.embedding : assignment.head) = grid;
            continue;
        }
        const Sensitivity& s = sensitivities.linears[i];
        assignment.blocks[s.layer][s.role] = grid;
        assignment.kl[s.layer][s.role] = table.rows[i][plan.choice[i]].loss;
    }
}

uint64_t weights_of(const SensitivityTable& sensitivities) {
    uint64_t n = 0;
    for (const Sensitivity& s : sensitivities.linears) n += s.rows * s.cols;
    return n;
}

// Every matrix has a choice that loses least, and the target is far: it will not be reached.
void note_surplus(const Table& table, const Plan& plan, uint64_t budget) {
    if (static_cast<double>(plan.bytes) > 0.99 * static_cast<double>(budget)) return;
    for (size_t i = 0; i < table.rows.size(); ++i)
        for (const PlanChoice& choice : table.rows[i])
            if (choice.loss < table.rows[i][plan.choice[i]].loss) return;
    log_message(LogLevel::warning,
                "the target is more than any choice that loses less takes: the file will be smaller");
}

// The plan of least size says what is possible.
void check_bpw(const FileFrame& f, const Table& table, uint64_t n_weights) {
    const double least = static_cast<double>(least_bytes(table.rows)) * 8 / static_cast<double>(n_weights);
    if (f.options.target_bpw < least)
        fail(Status::invalid_argument, "target: at least %.4f bits a weight expected for this model, found %.4f", least,
             f.options.target_bpw);
}

void check_bytes(const FileFrame& f, const Table& table, const SensitivityTable& sensitivities, Assignment least) {
    apply(table, best_plan(table.rows, least_bytes(table.rows)), sensitivities, least);
    const uint64_t bytes = file_bytes(f, least);
    if (f.options.target_bytes < bytes)
        fail(Status::invalid_argument, "target: at least %llu bytes expected for this model%s, found %llu",
             static_cast<unsigned long long>(bytes), chooses_outer(f) ? "" : " and its embedding's width",
             static_cast<unsigned long long>(f.options.target_bytes));
}

// The table before anything was measured: sizes are known, losses are 0.
SensitivityTable unmeasured(const FileFrame& f, const SensitivityRequest& request) {
    Sensitivity linear, outer;
    for (const GridOptions& grid : request.choices) linear.losses.push_back({.grid = grid});
    for (const GridOptions& grid : request.outer) outer.effects.push_back({.grid = grid, .effect = {}});
    SensitivityTable table;
    table.outer.assign(f.params.tied_head ? 1 : 2, outer);
    for (size_t layer = 0; layer < f.params.n_layers; ++layer)
        for (size_t role = 0; role < f.arch.block_weights.size(); ++role) {
            const WeightRow& row = f.arch.block_weights[role];
            if (row.kind == WeightKind::vector) continue;
            linear.layer = layer;
            linear.role = static_cast<RoleId>(role);
            linear.rows = row.rows(f.params);
            linear.cols = row.cols(f.params);
            table.linears.push_back(linear);
        }
    return table;
}

void check_target(const FileFrame& f, const Table& table, const SensitivityTable& sensitivities,
                  const Assignment& start) {
    if (f.options.target_bpw > 0)
        check_bpw(f, table, weights_of(sensitivities));
    else
        check_bytes(f, table, sensitivities, start);
}

}  // namespace

Assignment::Assignment(const HyperParams& params, size_t n_roles, const GridOptions& linears, const GridOptions& outer)
    : embedding(outer), head(outer), blocks(params.n_layers, std::vector<GridOptions>(n_roles, linears)) {}

SensitivityRequest target_request(const QuantizeOptions& options) {
    SensitivityRequest request{.effects = {},
                               .choices = linear_choices(options),
                               .outer = {},
                               .solves_head = options.method == Method::gptq,
                               .solver = options.solver};
    const size_t group = options.group == chosen_group ? 64 : options.group;
    request.effects.push_back({probe_bits, group, uniform_grid(options)});
    if (options.embed_bits == chosen_bits) request.outer = outer_choices(options);
    return request;
}

uint64_t file_bytes(const FileFrame& f, const Assignment& a) {
    GqMeter meter;
    add(meter, outer_parts(f, f.arch.embedding, a.embedding));
    if (!f.params.tied_head) add(meter, outer_parts(f, f.arch.head, a.head));
    GridOptions small = a.embedding;
    if (small.bits != float_bits) small = {8, 128, small.grid};
    for (const WeightRow& row : f.arch.outer_weights) {
        if (row.kind == WeightKind::vector) {
            add_vector(meter, f, row, 0);
        } else {
            add(meter, outer_parts(f, row, small));
        }
    }
    if (f.params.head_turn) add(meter, outer_parts(f, f.arch.head_turn, small));
    for_block_weights(f, [&](size_t role, size_t layer) {
        const WeightRow& row = f.arch.block_weights[role];
        if (row.kind == WeightKind::vector) {
            add_vector(meter, f, row, layer);
        } else {
            add(meter, linear_parts(f, row, layer, a.blocks[layer][role]));
        }
    });
    add_sections(meter, f.sections, longest_provenance(f, a));
    return meter.file_bytes();
}

void check_target(const FileFrame& f, const SensitivityRequest& request, const Assignment& start) {
    const SensitivityTable sizes = unmeasured(f, request);
    check_target(f, table_of(f, sizes), sizes, start);
}

// Parts of a page or more begin at pages: how much that adds is known only of a whole assignment. So the budget shrinks
// until the file fits.
Assignment choose(const FileFrame& f, const SensitivityTable& sensitivities, Assignment start) {
    const Table table = table_of(f, sensitivities);
    const uint64_t n_weights = weights_of(sensitivities);
    check_target(f, table, sensitivities, start);
    if (f.options.target_bpw > 0) {
        const double bits = std::min(f.options.target_bpw, most_bpw);
        const auto budget = static_cast<uint64_t>(bits * static_cast<double>(n_weights) / 8);
        const Plan plan = best_plan(table.rows, budget);
        note_surplus(table, plan, budget);
        apply(table, plan, sensitivities, start);
        return start;
    }
    const uint64_t target = f.options.target_bytes, least = least_bytes(table.rows);
    uint64_t budget = target;
    for (;;) {
        const Plan plan = best_plan(table.rows, std::max(budget, least));
        apply(table, plan, sensitivities, start);
        const uint64_t bytes = file_bytes(f, start);
        start.provenance_bytes = longest_provenance(f, start);
        if (bytes <= target) {
            note_surplus(table, plan, target);
            return start;
        }
        const uint64_t excess = bytes - target;
        budget = plan.bytes > least + excess ? plan.bytes - excess : least;
    }
}

}  // namespace gq
