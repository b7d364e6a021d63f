// The walk: embedding and head first, then block by block, stage by stage; every input comes from quantized
// predecessors. In: a checkpoint, options. Out: tensors on disk as soon as they are done. Peak memory: a block's packed
// weights, one stage's Hessian and floats, and the slots that are live at a cut. Source of the order: GPTQ §3 and its
// reference's --true-sequential.
#include <algorithm>
#include <chrono>
#include <optional>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/quantize/calibrate.h"
#include "core/quantize/calibration_text.h"
#include "core/quantize/packed_writer.h"
#include "core/quantize/quantize.h"
#include "core/quantize/report.h"
#include "core/quantize/rotate.h"
#include "core/quantize/sections.h"
#include "core/quantize/solver_options.h"
#include "formats/format_error.h"
#include "formats/hash.h"
#include "formats/output_file.h"

namespace gq {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t strip_rows = 4096;      // of a vocabulary's matrix, read and packed at a time; a multiple of 16
constexpr unsigned float_bits = 16;      // no integers: floats are kept
constexpr size_t embedding_group = 128;  // at most: one scale for a whole row costs the embedding too much

// One run over one model.
class Walk {
  public:
    Walk(const Checkpoint& checkpoint, const QuantizeOptions& options, const Compute& compute, GqWriter& writer,
         const QuantizeCallback& progress)
        : checkpoint_(checkpoint),
          source_(checkpoint),
          tokenizer_(Tokenizer::from_checkpoint(checkpoint)),
          rotated_(source_, compute, options.rotate),
          sections_(make_sections(checkpoint, rotated_.params(), tokenizer_)),
          options_(options),
          compute_(compute),
          writer_(writer),
          progress_(progress) {}

    void run();
    std::string report() const { return report_json(options_, run_, elapsed()); }

  private:
    struct Block {
        BlockWeights weights;
        std::vector<PackedTensor> packed;  // by role: what weights' views point into
        std::vector<PackedLowRank> low_rank;
        std::vector<AlignedBuffer<float>> vectors;
        BlockWeights float_weights;                // the reference stream's, empty without one
        std::vector<AlignedBuffer<float>> floats;  // by role: what float_weights' views point into
    };
    // What the solves of a stage share.
    struct StageInput {
        Matrix hessian;
        PreparedHessian prepared;
        std::optional<PreparedDrift> drift;  // with a reference stream
    };

    // Whether the float model runs beside the quantized one, on the same tokens.
    bool compares() const { return calibrated() && (options_.solver.qep > 0 || options_.solver.gptaq > 0); }
    bool calibrated() const { return options_.method == Method::gptq && options_.bits != float_bits; }
    void plan();
    void prepare_calibration();
    void write_outer();
    PackedTensor write_rounded(const WeightRow& row, unsigned bits);
    void write_head_turn();
    void for_strips(const WeightRow& row, size_t layer, FunctionRef<void(size_t, size_t, const float*)> work) const;
    const char* float_codes_for(const WeightRow& row, size_t layer) const;
    const char* float_codes_for(ElementType type, bool fits) const;
    void write_block(size_t layer);
    void load_vectors(Block& block, size_t layer);
    void write_stage(Block& block, size_t layer, size_t stage);
    StageInput stage_input(const StepList& steps, size_t stage);
    void run_streams(const StepList& steps, size_t begin, size_t end, const Block& block);
    void write_linear(Block& block, size_t layer, RoleId role, const StageInput* input);
    QuantizedMatrix quantize_linear(const AlignedBuffer<float>& w, const WeightRow& row, const StageInput* input,
                                    SolveReport& report) const;
    PackedLowRank correct(const AlignedBuffer<float>& w, const QuantizedMatrix& q, const StageInput* input,
                          LorcReport& report) const;
    void check_lorc_rank() const;

    void note_source(const WeightRow& row, size_t layer);
    void note_chat_error();
    TensorReport report_of(const WeightRow& row, size_t layer, const char* codes) const;
    void done(TensorReport tensor, double cost);
    void tell(const QuantizeProgress& progress) const;
    double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
    double solve_cost(const WeightRow& row) const;
    double stage_cost(size_t cols) const;
    GptqOptions gptq_options() const;

    const Checkpoint& checkpoint_;
    SourceModel source_;
    Tokenizer tokenizer_;
    const RotatedSource rotated_;
    const Sections sections_;
    const QuantizeOptions& options_;
    const Compute compute_;
    GqWriter& writer_;
    const QuantizeCallback& progress_;
    std::unique_ptr<Stream> stream_;     // through quantized predecessors
    std::unique_ptr<Stream> reference_;  // through the float model
    std::vector<std::vector<int32_t>> windows_;
    RunReport run_;
    const Clock::time_point start_ = Clock::now();
    size_t n_done_ = 0, n_total_ = 0;
    double cost_done_ = 0, cost_total_ = 0;
};

void Walk::run() {
    plan();
    note_chat_error();
    if (calibrated()) prepare_calibration();
    write_outer();
    for (size_t layer = 0; layer < source_.params().n_layers; ++layer) write_block(layer);
    if (n_done_ != n_total_)
        fail(Status::internal, "quantize: %zu tensors were planned, %zu written", n_total_, n_done_);
    write_sections(writer_, sections_, provenance_json(options_, run_));
    writer_.finish();
}

GptqOptions Walk::gptq_options() const {
    GptqOptions o = options_.solver;
    const Codes* codes = options_.codes.empty() ? nullptr : find_codes(options_.codes);
    o.grid = {codes ? codes->value_bits : options_.bits, options_.group, find_grid(options_.grid), codes};
    return o;
}

// Multiplications, roughly: the solve and two passes over the weights, or just the latter.
double Walk::solve_cost(const WeightRow& row) const {
    const double rows = static_cast<double>(row.rows(source_.params())),
                 cols = static_cast<double>(row.cols(source_.params()));
    const double tokens = static_cast<double>(options_.windows * options_.window);
    return calibrated() ? rows * cols * (cols + tokens) : rows * cols;
}

// The Hessian (one triangle) and its factorization.
double Walk::stage_cost(size_t cols) const {
    const double d = static_cast<double>(cols);
    return calibrated() ? d * d * (static_cast<double>(options_.windows * options_.window) / 2 + d / 3) : 0;
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
    const HyperParams& params = source_.params();
    const Arch& arch = source_.arch();
    n_total_ = 2 + (params.tied_head ? 0 : 1) + (rotated_.params().head_turn ? 1 : 0) +
               params.n_layers * arch.block_weights.size();
    for (size_t layer = 0; layer < params.n_layers; ++layer) {
        const StepList& block = source_.network().blocks[layer];
        for (size_t stage = 0; stage < block.stage_begin.size(); ++stage) {
            const std::vector<size_t> linears = block.stage_linears(stage);
            for (const size_t step : linears) cost_total_ += solve_cost(arch.block_weights[block.steps[step].weight]);
            cost_total_ += stage_cost(arch.block_weights[block.steps[linears.front()].weight].cols(params));
        }
    }
    run_.source_name = checkpoint_.path().filename().empty() ? checkpoint_.path().parent_path().filename()
                                                             : checkpoint_.path().filename();
    run_.source_kind = checkpoint_.kind() == Checkpoint::Kind::gguf ? "gguf" : "safetensors";
    run_.architecture = params.arch;
}

void Walk::prepare_calibration() {
    const bool built_in = options_.calibration.empty();
    const std::string text =
        built_in ? std::string(builtin_calibration_text()) : read_calibration_text(options_.calibration);
    run_.calibration_name = built_in ? "built-in" : options_.calibration.filename().string();
    run_.calibration_hash = xxh64(std::as_bytes(std::span(text)));
    const HyperParams& p = source_.params();
    windows_ = cut_windows(tokenizer_, text, options_.windows, options_.window, p.vocab);
    const KvGeometry one_layer{1, p.n_kv_heads, p.head_dim, KvType::f32};
    const auto make_stream = [&] {
        return std::make_unique<Stream>(source_.network(), one_layer, compute_, options_.windows, options_.window);
    };
    stream_ = make_stream();
    if (compares()) reference_ = make_stream();
}

void Walk::note_source(const WeightRow& row, size_t layer) {
    const uint64_t parts[2] = {run_.source_hash, xxh64(source_.tensor(row, layer).bytes)};
    run_.source_hash = xxh64(std::as_bytes(std::span(parts)));
}

void Walk::note_chat_error() {
    if (sections_.chat_error.empty()) return;
    run_.note = "chats can't be rendered with this model's template: " + sections_.chat_error;
    log_message(LogLevel::warning, "%s", run_.note.c_str());
    tell({.n_total = n_total_, .seconds = elapsed(), .note = run_.note});
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

void Walk::done(TensorReport tensor, double cost) {
    if (tensor.solved) tensor.note = note_of(tensor.solve);
    if (!tensor.lorc.note.empty()) tensor.note += (tensor.note.empty() ? "" : "; ") + tensor.lorc.note;
    ++n_done_;
    cost_done_ += cost;
    const double left = cost_done_ > 0 ? elapsed() / cost_done_ * std::max(0.0, cost_total_ - cost_done_) : -1;
    run_.tensors.push_back(std::move(tensor));
    const TensorReport& t = run_.tensors.back();
    if (!t.note.empty()) log_message(LogLevel::warning, "%s: %s", t.name.c_str(), t.note.c_str());
    tell({.tensor = t.name,
          .n_done = n_done_,
          .n_total = n_total_,
          .report = t.solved ? &t.solve : nullptr,
          .rows = t.rows,
          .seconds = elapsed(),
          .seconds_left = left,
          .note = t.note});
}

// Embedding, head and final norm. Calibration starts from the embedding's rounded rows.
void Walk::write_outer() {
    const Arch& arch = source_.arch();
    const PackedTensor embedding = write_rounded(arch.embedding, options_.embed_bits);
    if (!source_.params().tied_head) write_rounded(arch.head, options_.embed_bits);
    note_source(arch.final_norm, 0);
    const AlignedBuffer<float> norm = rotated_.read(arch.final_norm, 0);
    write_vector(writer_, packed_name(arch.final_norm, 0), {norm.data(), norm.size()});
    done(report_of(arch.final_norm, 0, "f32"), 0);
    if (rotated_.params().head_turn) write_head_turn();
    if (stream_) stream_->embed({.matrix = embedding.matrix}, windows_);
    if (!reference_) return;
    UsedRows used(windows_, source_.params().hidden);
    for_strips(arch.embedding, 0, [&](size_t first, size_t n, const float* values) { used.take(first, n, values); });
    reference_->embed(used.weight(), used.windows);
}

// It is small, and every logit goes through it: 8 bits at least.
void Walk::write_head_turn() {
    const WeightRow& row = source_.arch().head_turn;
    const size_t n = source_.params().hidden;
    const AlignedBuffer<float> w = rotated_.head_turn();
    const bool floats = options_.embed_bits == float_bits;
    const GridOptions grid{8, embedding_group, find_grid(options_.grid)};
    PackedTensor packed = floats ? room_for_floats(n, n, "f16") : room_for_codes(n, n, grid);
    if (floats) {
        pack_float_strip(compute_, w.data(), n, 0, packed);
    } else {
        pack_strip(compute_, round_to_nearest(compute_, w.data(), n, n, grid), 0, packed);
    }
    write_packed(writer_, packed_name(row, 0), packed);
    TensorReport report = report_of(row, 0, packed.matrix.codes->name);
    RoundingError error;
    error.add_strip(compute_, w.data(), n, 0, packed);
    report.error = error.relative();
    done(std::move(report), 0);
}

// Calls work(first_row, n_rows, values) for strips of a weight: a vocabulary's matrix is never held as floats whole.
void Walk::for_strips(const WeightRow& row, size_t layer, FunctionRef<void(size_t, size_t, const float*)> work) const {
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    AlignedBuffer<float> values(std::min(rows, strip_rows) * cols);
    for (size_t begin = 0; begin < rows; begin += strip_rows) {
        const size_t end = std::min(rows, begin + strip_rows);
        rotated_.read_rows(row, layer, begin, end, values.data());
        work(begin, end - begin, values.data());
    }
}

// The 16-bit codes that keep a weight best: its own type when it has 16 bits, else f16, or bf16 where f16 would
// overflow.
const char* Walk::float_codes_for(const WeightRow& row, size_t layer) const {
    const ElementType type = source_.tensor(row, layer).type;
    bool fits = true;
    if (float_codes_for(type, true) != float_codes_for(type, false)) {
        for_strips(row, layer, [&](size_t, size_t n, const float* values) {
            fits = fits && fits_f16(values, n * row.cols(source_.params()));
        });
    }
    return float_codes_for(type, fits);
}

const char* Walk::float_codes_for(ElementType type, bool fits) const {
    if (type == ElementType::f16 && !rotated_.turned()) return "f16";
    return type == ElementType::bf16 || !fits ? "bf16" : "f16";
}

PackedTensor Walk::write_rounded(const WeightRow& row, unsigned bits) {
    note_source(row, 0);
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    const size_t group = options_.group == 0 ? embedding_group : std::min(options_.group, embedding_group);
    const GridOptions grid{bits, group, find_grid(options_.grid)};
    PackedTensor packed =
        bits == float_bits ? room_for_floats(rows, cols, float_codes_for(row, 0)) : room_for_codes(rows, cols, grid);
    RoundingError error;
    for_strips(row, 0, [&](size_t first, size_t n, const float* values) {
        if (bits == float_bits) {
            pack_float_strip(compute_, values, n, first, packed);
        } else {
            pack_strip(compute_, round_to_nearest(compute_, values, n, cols, grid), first, packed);
        }
        error.add_strip(compute_, values, n, first, packed);
    });
    write_packed(writer_, packed_name(row, 0), packed);
    TensorReport report = report_of(row, 0, packed.matrix.codes->name);
    report.error = error.relative();
    done(std::move(report), 0);
    return packed;
}

void Walk::write_block(size_t layer) {
    const StepList& steps = source_.network().blocks[layer];
    Block block;
    block.weights.roles.resize(source_.arch().block_weights.size());
    block.packed.resize(block.weights.roles.size());
    block.low_rank.resize(block.weights.roles.size());
    block.vectors.resize(block.weights.roles.size());
    block.floats.resize(block.weights.roles.size());
    load_vectors(block, layer);
    run_streams(steps, 0, steps.stage_begin.front(), block);
    for (size_t stage = 0; stage < steps.stage_begin.size(); ++stage) write_stage(block, layer, stage);
}

void Walk::load_vectors(Block& block, size_t layer) {
    for (size_t role = 0; role < block.weights.roles.size(); ++role) {
        const WeightRow& row = source_.arch().block_weights[role];
        if (row.kind != WeightKind::vector) continue;
        note_source(row, layer);
        block.vectors[role] = rotated_.read(row, layer);
        block.weights.roles[role].vector = block.vectors[role].data();
        write_vector(writer_, packed_name(row, layer), {block.vectors[role].data(), block.vectors[role].size()});
        done(report_of(row, layer, "f32"), 0);
    }
    block.float_weights = block.weights;  // vectors are the same
}

void Walk::run_streams(const StepList& steps, size_t begin, size_t end, const Block& block) {
    if (stream_) stream_->run(steps, begin, end, block.weights);
    if (reference_) reference_->run(steps, begin, end, block.float_weights);
}

// What the float model's inputs were is not for the last stage of a block: its input is made by the block itself, and
// matching it there overfits (QEP, arXiv 2504.09629, leaves down_proj out).
Walk::StageInput Walk::stage_input(const StepList& steps, size_t stage) {
    const SlotId slot = steps.steps[steps.stage_linears(stage).front()].in[0];
    StageInput input;
    input.hessian = stream_->hessian(slot);
    cost_done_ += stage_cost(input.hessian.cols());
    input.prepared = prepare_hessian(compute_, input.hessian, gptq_options());
    if (reference_ && stage + 1 < steps.stage_begin.size() && input.prepared.usable)
        input.drift = prepare_drift(compute_, stream_->drift(*reference_, slot), input.prepared, gptq_options());
    tell({.n_done = n_done_, .n_total = n_total_, .seconds = elapsed()});
    return input;
}

// Statistics of the stage's input → its linears quantized → the stage run with them.
void Walk::write_stage(Block& block, size_t layer, size_t stage) {
    const StepList& steps = source_.network().blocks[layer];
    std::optional<StageInput> input;
    if (stream_) input = stage_input(steps, stage);
    for (const size_t step : steps.stage_linears(stage))
        write_linear(block, layer, steps.steps[step].weight, input ? &*input : nullptr);
    input.reset();
    run_streams(steps, steps.stage_begin[stage], steps.stage_end(stage), block);
}

void Walk::write_linear(Block& block, size_t layer, RoleId role, const StageInput* input) {
    const WeightRow& row = source_.arch().block_weights[role];
    note_source(row, layer);
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    AlignedBuffer<float> w = rotated_.read(row, layer);
    TensorReport report = report_of(row, layer, "");
    report.solved = input != nullptr;
    PackedTensor& packed = block.packed[role];
    if (options_.bits == float_bits) {
        const bool fits = fits_f16(w.data(), rows * cols);
        packed = room_for_floats(rows, cols, float_codes_for(source_.tensor(row, layer).type, fits));
        pack_float_strip(compute_, w.data(), rows, 0, packed);
    } else {
        const QuantizedMatrix q = quantize_linear(w, row, input, report.solve);
        packed = room_for_codes(rows, cols, gptq_options().grid);
        pack_strip(compute_, q, 0, packed);
        if (options_.lorc_rank > 0) block.low_rank[role] = correct(w, q, input, report.lorc);
    }
    block.weights.roles[role].matrix = packed.matrix;
    block.weights.roles[role].low_rank = block.low_rank[role].view();
    write_packed(writer_, packed_name(row, layer), packed, block.low_rank[role]);
    RoundingError error;
    error.add_strip(compute_, w.data(), rows, 0, packed);
    report.codes = packed.matrix.codes->name;
    report.error = error.relative();
    if (reference_) {
        block.floats[role] = std::move(w);
        block.float_weights.roles[role].matrix = row_major_f32(block.floats[role].data(), rows, cols);
    }
    done(std::move(report), solve_cost(row));
}

QuantizedMatrix Walk::quantize_linear(const AlignedBuffer<float>& w, const WeightRow& row, const StageInput* input,
                                      SolveReport& report) const {
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    const GptqOptions o = gptq_options();
    if (!input) return round_to_nearest(compute_, w.data(), rows, cols, o.grid);
    const PreparedDrift* drift = input->drift ? &*input->drift : nullptr;
    return gptq_solve(compute_, w.data(), rows, cols, input->hessian, drift, input->prepared, o, report);
}

PackedLowRank Walk::correct(const AlignedBuffer<float>& w, const QuantizedMatrix& q, const StageInput* input,
                            LorcReport& report) const {
    const bool usable = input && input->prepared.usable, eora = options_.lorc_method == LorcMethod::eora;
    const RoundedFactors factors = correct_rounding(compute_, w.data(), q, usable ? &input->hessian : nullptr,
                                                    {.rank = options_.lorc_rank, .by_outputs = eora}, report);
    return pack_low_rank(compute_, factors);
}

// Integers as wide as some codes are, and floats.
void check_width(const char* option, unsigned bits) {
    if (bits == float_bits || find_integer_codes(bits)) return;
    std::string known;
    for (unsigned width = 1; width < float_bits; ++width)
        if (find_integer_codes(width)) known += (known.empty() ? "" : ", ") + std::to_string(width);
    fail(Status::invalid_argument, "%s: expected %s or %u, found %u", option, known.c_str(), float_bits, bits);
}

void check_codes(const QuantizeOptions& o) {
    const Codes* codes = find_codes(o.codes);
    if (o.codes.empty() || (codes && !codes->is_float && o.bits != float_bits)) return;
    std::string known;
    for (const Codes* other : all_codes())
        if (!other->is_float) known += (known.empty() ? "" : ", ") + std::string(other->name);
    fail(Status::invalid_argument, "codes: expected %s, and not bits %u, found '%s' and bits %u", known.c_str(),
         float_bits, o.codes.c_str(), o.bits);
}

void check_grid(const std::string& name) {
    if (find_grid(name)) return;
    std::string known;
    for (const Grid* grid : all_grids()) known += (known.empty() ? "" : ", ") + std::string(grid->name);
    fail(Status::invalid_argument, "grid: expected %s, found '%s'", known.c_str(), name.c_str());
}

// A file that is read while the output is written, or was read to make it, is no place for a result, nor for the
// PATH.partial that a result is written to.
void refuse_replacing(const char* what, const std::filesystem::path& target, const Checkpoint& checkpoint,
                      const QuantizeOptions& options) {
    std::vector<std::filesystem::path> inputs = checkpoint.files();
    if (!options.calibration.empty()) inputs.push_back(options.calibration);
    for (const std::filesystem::path& input : inputs) {
        std::error_code ignored;  // a target that does not exist yet is none of them
        if (std::filesystem::equivalent(target, input, ignored))
            fail(Status::invalid_argument, "%s %s: expected another file than the source's own %s", what,
                 target.c_str(), input.c_str());
        if (std::filesystem::equivalent(target.string() + ".partial", input, ignored))
            fail(Status::invalid_argument,
                 "%s %s: expected another name, since it is written as %s.partial, which is the source's own %s", what,
                 target.c_str(), target.c_str(), input.c_str());
    }
}

// The output and the report are two files, and each is PATH.partial while it is written.
void refuse_clash(const std::filesystem::path& output, const std::filesystem::path& report) {
    const std::string out = std::filesystem::weakly_canonical(output), rep = std::filesystem::weakly_canonical(report);
    if (out == rep || out + ".partial" == rep || out == rep + ".partial")
        fail(Status::invalid_argument, "report %s: expected another file than the output %s and its .partial",
             report.c_str(), output.c_str());
}

void write_report(OutputFile& file, const std::string& text, const std::filesystem::path& output) {
    try {
        file.write(std::as_bytes(std::span(text)), 0);
        file.commit();
    } catch (const FormatError& error) {
        fail(Status::io, "%s is complete, its report is not: %s", output.c_str(), error.what());
    }
}

}  // namespace

void check_options(const QuantizeOptions& o) {
    check_width("bits", o.bits);
    check_width("embed bits", o.embed_bits);
    check_codes(o);
    check_grid(o.grid);
    check_solver_options(o.solver);
    if (o.lorc_rank > 0 && o.bits == float_bits)
        fail(Status::invalid_argument, "lorc: a rank of 0 expected with bits 16, which round nothing, found %zu",
             o.lorc_rank);
    if (!is_group(o.group)) fail(Status::invalid_argument, "group: expected %s, found %zu", group_words, o.group);
    if (o.windows == 0 || o.window < 2)
        fail(Status::invalid_argument, "calibration: expected at least 1 window of 2 tokens, found %zu of %zu",
             o.windows, o.window);
}

void quantize_model(const std::filesystem::path& source, const std::filesystem::path& output,
                    const QuantizeOptions& options, const Compute& compute, const QuantizeCallback& progress) {
    check_options(options);
    const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(source);
    refuse_replacing("output", output, *checkpoint, options);
    refuse_replacing("report", options.report, *checkpoint, options);
    if (!options.report.empty()) refuse_clash(output, options.report);
    GqWriter writer(output);
    std::optional<OutputFile> report;
    if (!options.report.empty()) report.emplace(options.report);
    Walk walk(*checkpoint, options, compute, writer, progress);
    walk.run();
    if (report) write_report(*report, walk.report(), output);
}

}  // namespace gq
