// One block: its stages' statistics, its linears rounded, both streams run. See walk.h.
// In: the streams in front of the block. Out: its tensors, written or kept for training, and the streams behind it.
// Must not know embedding and head.
#include <algorithm>

#include "core/base/status.h"
#include "core/quantize/walk.h"

namespace gq {

Walk::Block Walk::load_block(size_t layer) {
    const size_t n_roles = source_.arch().block_weights.size();
    Block block;
    block.weights.roles.resize(n_roles);
    block.packed.resize(n_roles);
    block.low_rank.resize(n_roles);
    block.vectors.resize(n_roles);
    block.floats.resize(n_roles);
    block.rounded.resize(n_roles);
    block.reports.resize(n_roles);
    load_vectors(block, layer);
    return block;
}

void Walk::write_block(size_t layer) {
    const StepList& steps = source_.network().blocks[layer];
    Block block = load_block(layer);
    if (!trained()) write_vectors(block, layer);
    if (distilled()) block.inputs = stream_->rows(source_.network().residual);
    if (stream_ && !options_.true_sequential) {
        write_stages_at_once(block, layer);
    } else {
        if (stream_) stream_->run(steps, 0, steps.stage_begin.front(), block.weights);
        for (size_t stage = 0; stage < steps.stage_begin.size(); ++stage) write_stage(block, layer, stage);
    }
    if (distilled()) distill(block, layer);
    if (judge_ && !refined()) judge_->run(steps, block.weights);
    if (refined()) {
        block.floats.clear();
        kept_.push_back(std::move(block));
    } else if (distilled()) {
        write_trained(block, layer);
    }
}

void Walk::load_vectors(Block& block, size_t layer) {
    for (size_t role = 0; role < block.weights.roles.size(); ++role) {
        const WeightRow& row = source_.arch().block_weights[role];
        if (row.kind != WeightKind::vector) continue;
        note_source(row, layer);
        block.vectors[role] = rotated_.read(row, layer);
        block.weights.roles[role].vector = block.vectors[role].data();
    }
    block.float_weights = block.weights;  // vectors are the same
}

void Walk::write_vectors(const Block& block, size_t layer) {
    for (size_t role = 0; role < block.vectors.size(); ++role) {
        const WeightRow& row = source_.arch().block_weights[role];
        if (row.kind != WeightKind::vector) continue;
        write_vector(writer_, packed_name(row, layer), {block.vectors[role].data(), block.vectors[role].size()});
        done(report_of(row, layer, "f32"));
    }
}

// What the float model's inputs were is not for the last stage of a block: its input is made by the block itself, and
// matching it there overfits (QEP, arXiv 2504.09629, leaves down_proj out).
bool Walk::drifts_at(const StepList& steps, size_t stage) const {
    return drifts() && stage + 1 < steps.stage_begin.size();
}

void Walk::load_floats(Block& block, size_t layer, RoleId role) const {
    if (block.floats[role].size() > 0) return;
    const WeightRow& row = source_.arch().block_weights[role];
    block.floats[role] = rotated_.read(row, layer);
    block.float_weights.roles[role].matrix =
        row_major_f32(block.floats[role].data(), row.rows(source_.params()), row.cols(source_.params()));
}

// Takes the reference stream to the front of the stage where it is looked at there; where not, on to the end of the
// block, so that neither its widest slot nor the block's floats are held while the last stage is solved.
void Walk::advance_reference(Block& block, size_t layer, size_t stage) {
    const StepList& steps = source_.network().blocks[layer];
    const size_t begin = block.reference_step,
                 end = drifts_at(steps, stage) ? steps.stage_begin[stage] : steps.steps.size();
    if (begin == end) return;
    for (size_t step = begin; step < end; ++step)
        if (steps.steps[step].op == Op::linear) load_floats(block, layer, steps.steps[step].weight);
    reference_->run(steps, begin, end, block.float_weights);
    block.reference_step = end;
    if (end == steps.steps.size() && !distilled())
        block.floats = std::vector<AlignedBuffer<float>>(block.floats.size());
}

Walk::StageInput Walk::stage_input(const StepList& steps, size_t layer, size_t stage) {
    const std::vector<size_t> linears = steps.stage_linears(stage);
    const auto rounded = [&](size_t step) { return !keeps(steps.steps[step].weight, layer); };
    const Step& first = steps.steps[*std::find_if(linears.begin(), linears.end(), rounded)];
    const SlotId slot = first.in[0];
    const bool drifts_here = drifts_at(steps, stage);
    const WindowRange seen{0, options_.windows}, unseen{options_.windows, options_.windows + options_.held_out};
    StageInput input;
    input.hessian = stream_->hessian(slot, seen);
    const Matrix drift = drifts_here ? stream_->drift(*reference_, slot, seen) : Matrix();
    if (options_.held_out > 0) {
        input.held_out.emplace();
        input.held_out->hessian = stream_->hessian(slot, unseen);
        if (drifts_here) input.held_out->drift = stream_->drift(*reference_, slot, unseen);
    }
    cost_done_ += stage_cost(steps, layer, stage);
    GptqOptions o = gptq_options(choice_of(first.weight, layer));
    if (options_.adaptive_damping) o.damping = damping_of(input, drifts_here ? &drift : nullptr, first.weight, layer);
    input.prepared = prepare_hessian(compute_, input.hessian, o);
    if (drifts_here && input.prepared.usable) input.drift = prepare_drift(compute_, drift, input.prepared, o);
    tell_activity(place_of(layer));
    return input;
}

// The damping that suits some evenly spread rows of a linear of the stage.
double Walk::damping_of(const StageInput& input, const Matrix* drift, RoleId role, size_t layer) {
    constexpr size_t most_rows = 64;
    const WeightRow& row = source_.arch().block_weights[role];
    const AlignedBuffer<float> w = rotated_.read(row, layer);
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    Matrix sample(std::min(rows, most_rows), cols);
    for (size_t i = 0; i < sample.rows(); ++i)
        std::copy_n(w.data() + i * rows / sample.rows() * cols, cols, sample.row(i));
    return best_damping(compute_, sample, input.hessian, drift, *input.held_out, gptq_options(choice_of(role, layer)));
}

// Statistics of the stage's input → its linears quantized → the stage run with them.
void Walk::write_stage(Block& block, size_t layer, size_t stage) {
    const StepList& steps = source_.network().blocks[layer];
    const std::vector<size_t> linears = steps.stage_linears(stage);
    std::optional<StageInput> input;
    if (reference_) advance_reference(block, layer, stage);
    if (stream_ && !keeps_all(steps, linears, layer)) input = stage_input(steps, layer, stage);
    for (const size_t step : linears) write_linear(block, layer, steps.steps[step].weight, input ? &*input : nullptr);
    input.reset();
    if (stream_) stream_->run(steps, steps.stage_begin[stage], steps.stage_end(stage), block.weights);
}

// Statistics of all stages' inputs, with the block's linears still floats → its linears quantized → the block run with
// them: what GPTQ's reference does without --true-sequential. Memory: what the solves of all stages share, the block's
// floats, and the residual stream once more.
void Walk::write_stages_at_once(Block& block, size_t layer) {
    const StepList& steps = source_.network().blocks[layer];
    const SlotId residual = source_.network().residual;
    const Matrix before = stream_->rows(residual);
    std::vector<std::optional<StageInput>> inputs(steps.stage_begin.size());
    stream_->run(steps, 0, steps.stage_begin.front(), block.weights);
    for (size_t stage = 0; stage < inputs.size(); ++stage) {
        if (reference_) advance_reference(block, layer, stage);
        if (!keeps_all(steps, steps.stage_linears(stage), layer)) inputs[stage] = stage_input(steps, layer, stage);
        for (const size_t step : steps.stage_linears(stage)) load_floats(block, layer, steps.steps[step].weight);
        stream_->run(steps, steps.stage_begin[stage], steps.stage_end(stage), block.float_weights);
    }
    for (size_t stage = 0; stage < inputs.size(); ++stage) {
        for (const size_t step : steps.stage_linears(stage))
            write_linear(block, layer, steps.steps[step].weight, inputs[stage] ? &*inputs[stage] : nullptr);
        inputs[stage].reset();
    }
    stream_->set_rows(residual, before);
    stream_->run(steps, 0, steps.steps.size(), block.weights);
}

void Walk::write_linear(Block& block, size_t layer, RoleId role, const StageInput* input) {
    const WeightRow& row = source_.arch().block_weights[role];
    note_source(row, layer);
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    load_floats(block, layer, role);
    const AlignedBuffer<float>& w = block.floats[role];
    TensorReport report = report_of(row, layer, "");
    const bool kept = keeps(role, layer);
    report.solved = input && !kept;
    if (kept) report.kept = traits(source_.tensor(row, layer).type).name;
    note_choice(report, choice_of(role, layer));
    if (has_target(options_)) report.expected_kl = assignment_.kl[layer][role];
    PackedTensor& packed = block.packed[role];
    if (choice_of(role, layer).bits == float_bits) {
        const bool fits = fits_f16(w.data(), rows * cols);
        packed = room_for_floats(rows, cols, float_codes_for(source_.tensor(row, layer).type, fits));
        pack_float_strip(compute_, w.data(), rows, 0, packed);
        block.weights.roles[role].matrix = packed.matrix;
    } else {
        block.rounded[role] = kept ? kept_rows(row, layer, 0, rows) : naming(packed_name(row, layer), [&] {
            return quantize_linear(w, layer, role, input, report.solve);
        });
        pack(block, layer, role);
        if (options_.lorc_rank > 0) block.low_rank[role] = correct(w, block.rounded[role], input, report.lorc);
        if (!trained()) block.rounded[role] = {};
    }
    cost_done_ += solve_cost(role, layer);
    block.weights.roles[role].low_rank = block.low_rank[role].view();
    report.codes = packed.matrix.codes->name;
    if (trained()) {
        block.reports[role] = std::move(report);
    } else {
        write_tensor(w, layer, role, block, std::move(report));
    }
    const bool awaited = reference_ && block.reference_step < source_.network().blocks[layer].steps.size();
    if (!awaited && !distilled()) block.floats[role] = {};
}

void Walk::pack(Block& block, size_t layer, RoleId role) {
    PackedTensor& packed = block.packed[role];
    packed = room_for_codes(block.rounded[role].rows, block.rounded[role].cols, choice_of(role, layer));
    pack_strip(compute_, block.rounded[role], 0, packed);
    block.weights.roles[role].matrix = packed.matrix;
}

// w: what the packed weights stand for.
void Walk::write_tensor(const AlignedBuffer<float>& w, size_t layer, RoleId role, const Block& block,
                        TensorReport report) {
    const WeightRow& row = source_.arch().block_weights[role];
    write_packed(writer_, packed_name(row, layer), block.packed[role], block.low_rank[role]);
    RoundingError error;
    error.add_strip(compute_, w.data(), block.packed[role].matrix.rows, 0, block.packed[role]);
    set_error(report, error);
    done(std::move(report));
}

QuantizedMatrix Walk::quantize_linear(const AlignedBuffer<float>& w, size_t layer, RoleId role, const StageInput* input,
                                      SolveReport& report) const {
    const WeightRow& row = source_.arch().block_weights[role];
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    const GptqOptions o = gptq_options(choice_of(role, layer));
    if (!input) return round_to_nearest(compute_, w.data(), rows, cols, o.grid);
    const PreparedDrift* drift = input->drift ? &*input->drift : nullptr;
    QuantizedMatrix q = gptq_solve(compute_, w.data(), rows, cols, input->hessian, drift, input->prepared, o, report);
    if (!input->held_out || report.fell_back_to_rtn) return q;
    return keep_better(compute_, w.data(), input->hessian, *input->held_out, o, std::move(q), report);
}

PackedLowRank Walk::correct(const AlignedBuffer<float>& w, const QuantizedMatrix& q, const StageInput* input,
                            LorcReport& report) const {
    const bool usable = input && input->prepared.usable, eora = options_.lorc_method == LorcMethod::eora;
    const LorcOptions options{.rank = options_.lorc_rank,
                              .by_outputs = eora,
                              .added = usable ? static_cast<float>(input->prepared.added) : 0};
    // Errors against the float weights would hold what the solve changed on purpose, and a correction would undo it.
    const Matrix aim = usable && input->drift ? solve_aim(compute_, w.data(), q.rows, *input->drift) : Matrix();
    const RoundedFactors factors = correct_rounding(compute_, aim.rows() > 0 ? aim.data() : w.data(), q,
                                                    usable ? &input->hessian : nullptr, options, report);
    return pack_low_rank(compute_, factors);
}

}  // namespace gq
