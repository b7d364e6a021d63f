// The walk as a whole: plan, calibration, progress. See walk.h.
// In: a checkpoint, options. Out: the order of work, what is told of it, the sections. Must not know how anything is
// rounded.
#include "core/quantize/walk.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/quantize/calibration_source.h"
#include "core/quantize/recipe.h"
#include "formats/hash.h"

namespace gq {

Walk::Walk(const Checkpoint& checkpoint, const QuantizeOptions& options, const Compute& compute, GqWriter& writer,
           const QuantizeCallback& progress)
    : checkpoint_(checkpoint),
      source_(checkpoint),
      options_(suited_to(source_, options, left_out_)),
      tokenizer_(Tokenizer::from_checkpoint(checkpoint)),
      rotated_(source_, compute, options_.rotate),
      sections_(make_sections(checkpoint, rotated_.params(), tokenizer_)),
      assignment_(source_.params(), source_.arch().block_weights.size(), linear_grid(), outer_grid()),
      compute_(compute),
      writer_(writer),
      progress_(progress) {}

void Walk::run() {
    plan();
    note_chat_error();
    if (!left_out_.empty()) note_run(left_out_);
    if (calibrated()) note_few_tokens();
    if (calibrated() || options_.judged > 0) prepare_calibration();
    if (has_target(options_)) choose_grids();
    write_outer();
    blocks_began_ = elapsed();
    for (size_t layer = 0; layer < source_.params().n_layers; ++layer) write_block(layer);
    if (refined()) refine();
    if (judge_) pass_verdict();
    if (n_done_ != n_total_)
        fail(Status::internal, "quantize: %zu tensors were planned, %zu written", n_total_, n_done_);
    write_sections(writer_, sections_, provenance_that_fits());
    writer_.finish();
}

GptqOptions Walk::gptq_options(const GridOptions& grid) const {
    GptqOptions o = options_.solver;
    o.grid = grid;
    return o;
}

GridOptions Walk::linear_grid() const {
    const Codes* codes = options_.codes.empty() ? nullptr : find_codes(options_.codes);
    return {codes ? codes->value_bits : options_.bits, options_.group, uniform_grid(options_), codes};
}

// Of a pass of the float model alone, to whose Hessians that many say enough.
std::span<const std::vector<int32_t>> Walk::float_windows() const {
    constexpr size_t most = 32;
    return std::span(windows_).first(std::min(options_.windows, most));
}

void Walk::choose_grids() {
    const FileFrame frame{.arch = source_.arch(),
                          .network = source_.network(),
                          .params = rotated_.params(),
                          .sections = sections_,
                          .run = run_,
                          .options = options_,
                          .float_codes = float_codes_for(source_.arch().embedding, 0)};
    const SensitivityRequest request = target_request(options_);
    check_target(frame, request, assignment_);
    const FloatModel model(source_, rotated_, compute_);
    const SensitivityTable table = measure_sensitivity(
        model, rotated_, float_windows(), compute_, request,
        [&](const Sensitivity& row, size_t n_done, size_t n_total) {
            tell({.tensor = row.name, .n_done = n_done, .n_total = n_total, .seconds = elapsed(), .note = "measured"});
        });
    assignment_ = choose(frame, table, assignment_);
}

std::string Walk::provenance() const {
    return provenance_json(options_, run_);
}

// A target leaves room for what each tensor is sure to be told, not for what is said of a few.
std::string Walk::provenance_that_fits() const {
    std::string text = provenance();
    const size_t most = assignment_.provenance_bytes;
    if (most == 0 || text.size() <= most) return text;
    RunReport terse = run_;
    for (TensorReport& tensor : terse.tensors) {
        tensor.note.clear();
        tensor.solve.damping_retries = tensor.solve.dead_columns = 0;
    }
    text = provenance_json(options_, terse);
    if (text.size() > most)
        fail(Status::internal, "provenance: at most %zu bytes expected for the target, found %zu", most, text.size());
    log_message(LogLevel::warning, "the file has no room for the notes on its tensors; a report beside it has them");
    return text;
}

void Walk::note_choice(TensorReport& report, const GridOptions& grid) const {
    if (!has_target(options_) && report.kept.empty()) return;
    report.grid = grid.bits == float_bits ? "" : grid.grid->name;
    report.group = grid.group;
}

// Of all windows, held-out ones too.
double Walk::tokens() const {
    return static_cast<double>((options_.windows + options_.held_out) * options_.window);
}

// Multiplications, roughly: the solve and a pass of every stream, or just passes.
double Walk::solve_cost(RoleId role, size_t layer) const {
    const WeightRow& row = source_.arch().block_weights[role];
    const double rows = static_cast<double>(row.rows(source_.params())),
                 cols = static_cast<double>(row.cols(source_.params()));
    if (!calibrated()) return rows * cols;
    const double passes = (compares() ? 2 : 1) * tokens();
    return rows * cols * (keeps(role, layer) ? passes : cols + passes);
}

// The Hessian (one triangle), the drift and the factorization.
double Walk::stage_cost(const StepList& steps, size_t layer, size_t stage) const {
    const std::vector<size_t> linears = steps.stage_linears(stage);
    if (!calibrated() || keeps_all(steps, linears, layer)) return 0;
    const WeightRow& row = source_.arch().block_weights[steps.steps[linears.front()].weight];
    const double d = static_cast<double>(row.cols(source_.params()));
    return d * d * (tokens() * (drifts_at(steps, stage) ? 1.5 : 0.5) + d / 3);
}

double Walk::weights_of_block() const {
    const HyperParams& params = source_.params();
    double weights = 0;
    for (const WeightRow& row : source_.arch().block_weights)
        weights += static_cast<double>(row.rows(params) * row.cols(params));
    return weights;
}

// Of one block: forward and back, and forward once more as it has become.
double Walk::distill_cost() const {
    if (!distilled()) return 0;
    return (3 * static_cast<double>(options_.distill_epochs) + 1) * weights_of_block() * tokens();
}

// Forward twice and back through all blocks and the head.
double Walk::refine_cost() const {
    if (!refined()) return 0;
    const HyperParams& params = source_.params();
    const double weights =
        static_cast<double>(params.vocab * params.hidden) + static_cast<double>(params.n_layers) * weights_of_block();
    return 4 * weights * tokens() * static_cast<double>(options_.refine_epochs);
}

// Narrow matrices take less than the rank that is asked for; where none takes it, it is a mistake.
void Walk::check_lorc_rank() const {
    size_t widest = 0;
    for (const WeightRow& row : source_.arch().block_weights)
        if (row.kind != WeightKind::vector)
            widest = std::max(widest, std::min(row.rows(source_.params()), row.cols(source_.params())));
    if (options_.lorc_rank > widest)
        fail(Status::invalid_argument, "lorc: a rank of at most %zu, the widest matrix of a block, expected, found %zu",
             widest, options_.lorc_rank);
}

void Walk::plan() {
    check_lorc_rank();
    take_over();
    tell_kept();
    const HyperParams& params = source_.params();
    const Arch& arch = source_.arch();
    n_total_ = 1 + (params.tied_head ? 0 : 1) + arch.outer_weights.size() + (rotated_.params().head_turn ? 1 : 0) +
               params.n_layers * arch.block_weights.size();
    for (size_t layer = 0; layer < params.n_layers; ++layer) {
        const StepList& block = source_.network().blocks[layer];
        for (size_t stage = 0; stage < block.stage_begin.size(); ++stage) {
            const std::vector<size_t> linears = block.stage_linears(stage);
            for (const size_t step : linears) cost_total_ += solve_cost(block.steps[step].weight, layer);
            cost_total_ += stage_cost(block, layer, stage);
        }
    }
    cost_total_ += static_cast<double>(params.n_layers) * distill_cost() + refine_cost();
    run_.source_name = checkpoint_.path().filename().empty() ? checkpoint_.path().parent_path().filename()
                                                             : checkpoint_.path().filename();
    run_.source_kind = checkpoint_.kind() == Checkpoint::Kind::gguf ? "gguf" : "safetensors";
    run_.architecture = params.arch;
}

void Walk::prepare_calibration() {
    const auto [text, name] =
        calibration_text(options_, checkpoint_, source_, tokenizer_, compute_, [&] { tell_activity(writing_text); });
    const HyperParams& p = source_.params();
    const size_t n_windows = options_.windows + options_.held_out;
    windows_ =
        cut_by_kind(tokenizer_, text, {options_.windows, options_.held_out, options_.judged}, options_.window, p.vocab);
    prepare_judge({windows_.begin() + static_cast<ptrdiff_t>(n_windows), windows_.end()});
    windows_.resize(n_windows);
    if (!calibrated()) return;
    run_.calibration_name = name;
    run_.calibration_hash = xxh64(std::as_bytes(std::span(text)));
    const auto make_stream = [&] {
        return std::make_unique<Stream>(source_.network(), float_kv_layer(p), compute_, n_windows, options_.window);
    };
    stream_ = make_stream();
    if (compares()) reference_ = make_stream();
}

namespace {

uint64_t hash_with(uint64_t before, std::span<const std::byte> bytes) {
    const uint64_t parts[2] = {before, xxh64(bytes)};
    return xxh64(std::as_bytes(std::span(parts)));
}

}  // namespace

void Walk::prepare_judge(std::vector<std::vector<int32_t>> windows) {
    if (windows.size() < options_.judged)
        note_run("judged by " + std::to_string(windows.size()) + " windows of " + std::to_string(options_.judged) +
                 ": the calibration text has no room for more that nothing is fitted to");
    if (windows.empty()) return;
    for (const std::vector<int32_t>& window : windows)
        run_.judged_hash = hash_with(run_.judged_hash, std::as_bytes(std::span(window)));
    judge_.emplace(compute_, source_, std::move(windows), [&] { tell_activity("the float model's predictions"); });
}

void Walk::pass_verdict() {
    tell_activity("the quantized model's predictions");
    AlignedBuffer<float> turn;
    try {
        run_.verdict = judge_->verdict(outer_, quantized_head(turn));
    } catch (const Error& error) {  // of a file that is well for all else
        if (error.status() != Status::numeric) throw;
        return note_run(error.what());
    }
    const Verdict& verdict = *run_.verdict;
    log_message(LogLevel::info,
                "model: KL %.5f from the float model, perplexity %.4f beside %.4f, on %zu unseen tokens", verdict.kl,
                verdict.ppl, verdict.float_ppl, verdict.tokens);
}

void Walk::note_source(const WeightRow& row, size_t layer) {
    run_.source_hash = hash_with(run_.source_hash, source_.tensor(row, layer).bytes);
}

void Walk::note_run(const std::string& note) {
    run_.note += (run_.note.empty() ? "" : "; ") + note;
    log_message(LogLevel::warning, "%s", note.c_str());
    tell({.n_total = n_total_, .seconds = elapsed(), .note = note});
}

void Walk::note_chat_error() {
    if (sections_.chat_error.empty()) return;
    note_run("chats can't be rendered with this model's template: " + sections_.chat_error);
}

// A Hessian's rank is at most the number of tokens.
void Walk::note_few_tokens() {
    const std::span<const WeightRow> rows = source_.arch().block_weights;
    size_t widest = 0;
    for (size_t layer = 0; layer < source_.params().n_layers; ++layer)
        for (size_t role = 0; role < rows.size(); ++role)
            if (rows[role].kind == WeightKind::linear && !keeps(static_cast<RoleId>(role), layer))
                widest = std::max(widest, rows[role].cols(source_.params()));
    const size_t n_tokens = options_.windows * options_.window;
    if (n_tokens >= widest) return;
    note_run("calibrated on " + std::to_string(n_tokens) + " tokens, fewer than the " + std::to_string(widest) +
             " inputs of a matrix: damping alone speaks for what they don't span");
}

void Walk::tell(const QuantizeProgress& progress) const {
    if (progress_ && progress_(progress))
        fail(Status::cancelled, "quantizing was cancelled after %zu of %zu tensors", n_done_, n_total_);
}

TensorReport Walk::report_of(const WeightRow& row, size_t layer, const char* codes) const {
    TensorReport tensor;
    tensor.name = packed_name(row, layer);
    tensor.codes = codes;
    tensor.rows = row.rows(source_.params());
    tensor.cols = row.cols(source_.params());
    return tensor;
}

void Walk::tell_activity(const std::string& activity) const {
    tell({.activity = activity,
          .n_done = n_done_,
          .n_total = n_total_,
          .seconds = elapsed(),
          .seconds_left = seconds_left()});
}

std::string Walk::place_of(size_t layer) const {
    return "block " + std::to_string(layer + 1) + " of " + std::to_string(source_.params().n_layers);
}

double Walk::seconds_left() const {
    if (cost_done_ <= 0) return -1;
    return (elapsed() - blocks_began_) / cost_done_ * std::max(0.0, cost_total_ - cost_done_);
}

void Walk::done(TensorReport tensor) {
    if (tensor.solved) tensor.note = note_of(tensor.solve);
    if (!tensor.lorc.note.empty()) tensor.note += (tensor.note.empty() ? "" : "; ") + tensor.lorc.note;
    ++n_done_;
    run_.tensors.push_back(std::move(tensor));
    const TensorReport& t = run_.tensors.back();
    if (!t.note.empty()) log_message(LogLevel::warning, "%s: %s", t.name.c_str(), t.note.c_str());
    tell({.tensor = t.name,
          .n_done = n_done_,
          .n_total = n_total_,
          .report = t.solved ? &t.solve : nullptr,
          .rows = t.rows,
          .seconds = elapsed(),
          .seconds_left = seconds_left(),
          .note = t.note});
}

// The 16-bit codes that keep a weight best: its own type when it has 16 bits, else f16, or bf16 where f16 would
// overflow.
const char* Walk::float_codes_for(const WeightRow& row, size_t layer) const {
    const ElementType type = source_.tensor(row, layer).type;
    bool fits = true;
    if (float_codes_for(type, true) != float_codes_for(type, false)) {
        rotated_.for_strips(row, layer, [&](size_t, size_t n, const float* values) {
            fits = fits && fits_f16(values, n * row.cols(source_.params()));
        });
    }
    return float_codes_for(type, fits);
}

const char* Walk::float_codes_for(ElementType type, bool fits) const {
    if (type == ElementType::f16 && !rotated_.turned()) return "f16";
    return type == ElementType::bf16 || !fits ? "bf16" : "f16";
}

}  // namespace gq
