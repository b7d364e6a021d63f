// What stands outside of blocks: embedding, head, the weights of prologue and epilogue. The head is solved where that
// shows. See walk.h. In: the source's rows, strip by strip. Out: their tensors, and the streams' first hidden states.
// Must not know blocks.
#include "core/quantize/head_hessian.h"
#include "core/quantize/walk.h"

namespace gq {

GridOptions Walk::outer_grid() const {
    return {options_.embed_bits, outer_group(options_.group), uniform_grid(options_)};
}

bool Walk::solves_head() const {
    const bool tied = source_.params().tied_head;
    return calibrated() && head_is_solved(tied ? assignment_.embedding : assignment_.head) &&
           !keeps_outer(tied ? source_.arch().embedding : source_.arch().head);
}

// For what the float model's head is given: the quantized stream does not exist yet. None where the head is not solved.
std::optional<HeadSolver> Walk::head_solver() {
    if (!solves_head()) return std::nullopt;
    const bool tied = source_.params().tied_head;
    const auto seen = float_windows();
    std::vector<std::vector<int32_t>> windows(seen.begin(), seen.end());
    windows.insert(windows.end(), windows_.begin() + static_cast<ptrdiff_t>(options_.windows), windows_.end());
    HeadHessians found = head_hessians(compute_, source_, rotated_, windows, options_.held_out,
                                       [&] { tell_activity("inputs of the head"); });
    return std::optional<HeadSolver>(std::in_place, compute_, std::move(found.solved), std::move(found.held_out), tied,
                                     gptq_options(tied ? assignment_.embedding : assignment_.head));
}

// Embedding, head, and what prologue and epilogue read. Calibration starts from the embedding's rounded rows.
void Walk::write_outer() {
    const Arch& arch = source_.arch();
    const bool tied = source_.params().tied_head;
    std::optional<HeadSolver> solver = head_solver();
    const HeadSolver* of_head = solver ? &*solver : nullptr;
    PackedTensor embedding = write_rounded(arch.embedding, assignment_.embedding, tied ? of_head : nullptr);
    if (!tied) head_ = write_rounded(arch.head, assignment_.head, of_head);
    solver.reset();
    for (const WeightRow& row : arch.outer_weights) write_outer_weight(row);
    if (rotated_.params().head_turn) head_turn_ = write_small(arch.head_turn, rotated_.head_turn(), "f16");
    if (!keeps_head()) head_turn_ = {};
    if (stream_) stream_->embed({.matrix = embedding.matrix}, outer_, windows_);
    if (reference_) embed_floats(*reference_, source_, rotated_, windows_);
    if (refined()) embedded_ = stream_->rows(source_.network().residual);
    if (judge_) judge_->embed({.matrix = embedding.matrix}, outer_);
    if (tied) head_ = std::move(embedding);
    if (!keeps_head()) head_ = {};
}

void Walk::write_outer_weight(const WeightRow& row) {
    note_source(row, 0);
    AlignedBuffer<float> w = rotated_.read(row, 0);
    Weight& weight = outer_.roles.emplace_back();
    if (row.kind != WeightKind::vector) {
        weight.matrix = outer_tables_.emplace_back(write_small(row, w, float_codes_for(row, 0))).matrix;
        return;
    }
    write_vector(writer_, packed_name(row, 0), {w.data(), w.size()});
    done(report_of(row, 0, "f32"));
    weight.vector = outer_vectors_.emplace_back(std::move(w)).data();
}

// Small, and every token goes through it: 8 bits at least.
PackedTensor Walk::write_small(const WeightRow& row, const AlignedBuffer<float>& w, const char* float_codes) {
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    const bool floats = options_.embed_bits == float_bits;
    const GridOptions grid{8, outer_group(0), uniform_grid(options_)};
    PackedTensor packed = floats ? room_for_floats(rows, cols, float_codes) : room_for_codes(rows, cols, grid);
    if (floats) {
        pack_float_strip(compute_, w.data(), rows, 0, packed);
    } else {
        pack_strip(compute_, round_to_nearest(compute_, w.data(), rows, cols, grid), 0, packed);
    }
    write_packed(writer_, packed_name(row, 0), packed);
    TensorReport report = report_of(row, 0, packed.matrix.codes->name);
    RoundingError error;
    error.add_strip(compute_, w.data(), rows, 0, packed);
    report.error = error.relative();
    done(std::move(report));
    return packed;
}

// solver: null rounds to nearest.
PackedTensor Walk::write_rounded(const WeightRow& row, const GridOptions& grid, const HeadSolver* solver) {
    note_source(row, 0);
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    const bool floats = grid.bits == float_bits, kept = keeps_outer(row);
    PackedTensor packed =
        floats ? room_for_floats(rows, cols, float_codes_for(row, 0)) : room_for_codes(rows, cols, grid);
    TensorReport report = report_of(row, 0, packed.matrix.codes->name);
    report.solved = solver != nullptr;
    RoundingError error;
    const auto rounded = [&](size_t n, const float* values) {
        return naming(packed_name(row, 0), [&] {
            return solver ? solver->solve(values, n, report.solve) : round_to_nearest(compute_, values, n, cols, grid);
        });
    };
    rotated_.for_strips(row, 0, [&](size_t first, size_t n, const float* values) {
        if (floats) {
            pack_float_strip(compute_, values, n, first, packed);
        } else if (kept) {
            pack_strip(compute_, kept_rows(row, 0, first, first + n), first, packed);
        } else {
            pack_strip(compute_, rounded(n, values), first, packed);
        }
        error.add_strip(compute_, values, n, first, packed);
    });
    write_packed(writer_, packed_name(row, 0), packed);
    if (kept) report.kept = traits(source_.tensor(row, 0).type).name;
    note_choice(report, grid);
    set_error(report, error);
    done(std::move(report));
    return packed;
}

}  // namespace gq
