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
#include "core/quantize/distill_model.h"
#include "core/quantize/packed_writer.h"
#include "core/quantize/quantize.h"
#include "core/quantize/report.h"
#include "core/quantize/sections.h"
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
          sections_(make_sections(checkpoint, source_.params(), tokenizer_)),
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
        std::vector<AlignedBuffer<float>> vectors;
        // By role, for training only, before which nothing of the block is written.
        std::vector<AlignedBuffer<float>> floats;
        std::vector<QuantizedMatrix> rounded;
        std::vector<TensorReport> reports;
        Matrix inputs, targets;
    };

    bool distilled() const { return options_.distill_epochs > 0 && options_.bits != float_bits; }
    bool refined() const { return options_.refine_epochs > 0 && options_.bits != float_bits; }
    bool trained() const { return distilled() || refined(); }  // a block is written when it has been
    bool calibrated() const { return options_.method == Method::gptq && options_.bits != float_bits; }
    void plan();
    void prepare_calibration();
    void write_outer();
    PackedTensor write_rounded(const WeightRow& row, unsigned bits);
    void for_strips(const WeightRow& row, size_t layer, FunctionRef<void(size_t, size_t, const float*)> work) const;
    const char* float_codes_for(const WeightRow& row, size_t layer) const;
    void write_block(size_t layer);
    void load_vectors(Block& block, size_t layer);
    void write_vectors(const Block& block, size_t layer);
    PackedMatrix float_matrix(const AlignedBuffer<float>& values, const WeightRow& row) const;
    void run_float_block(Block& block, size_t layer);
    void distill(Block& block, size_t layer);
    void refine();
    RefineBlock trainables(Block& block) const;
    void write_trained(Block& block, size_t layer);
    void write_stage(Block& block, size_t layer, size_t stage);
    void write_linear(Block& block, size_t layer, RoleId role, const Matrix* hessian, const PreparedHessian* prepared);
    void pack(Block& block, RoleId role);
    void write_tensor(const AlignedBuffer<float>& w, size_t layer, const WeightRow& row, const PackedTensor& packed,
                      TensorReport report);
    QuantizedMatrix quantize_linear(const AlignedBuffer<float>& w, const WeightRow& row, const Matrix* hessian,
                                    const PreparedHessian* prepared, SolveReport& report) const;

    void note_source(const WeightRow& row, size_t layer);
    void note_chat_error();
    TensorReport report_of(const WeightRow& row, size_t layer, const char* codes) const;
    void done(TensorReport tensor, double cost);
    void tell(const QuantizeProgress& progress) const;
    double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
    double solve_cost(const WeightRow& row) const;
    double stage_cost(size_t cols) const;
    double refine_cost() const;
    GptqOptions gptq_options() const;

    const Checkpoint& checkpoint_;
    SourceModel source_;
    Tokenizer tokenizer_;
    const Sections sections_;
    const QuantizeOptions& options_;
    const Compute compute_;
    GqWriter& writer_;
    const QuantizeCallback& progress_;
    std::unique_ptr<Stream> stream_;
    std::unique_ptr<Stream> float_stream_;  // the same windows through the float model; null where nothing asks for it
    std::vector<std::vector<int32_t>> windows_;
    // For refinement only:
    PackedTensor head_;
    Matrix embedded_;  // the quantized stream in front of the first block
    std::vector<Block> kept_;
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
    if (refined()) refine();
    if (n_done_ != n_total_)
        fail(Status::internal, "quantize: %zu tensors were planned, %zu written", n_total_, n_done_);
    write_sections(writer_, sections_, provenance_json(options_, run_));
    writer_.finish();
}

GptqOptions Walk::gptq_options() const {
    GptqOptions o;
    o.grid = {options_.bits, options_.group, find_grid(options_.grid)};
    o.act_order = options_.act_order;
    o.clip = options_.clip;
    return o;
}

// Multiplications, roughly: the solve, two passes over the weights and those of training, or just two passes.
double Walk::solve_cost(const WeightRow& row) const {
    const double rows = static_cast<double>(row.rows(source_.params())),
                 cols = static_cast<double>(row.cols(source_.params()));
    const double tokens = static_cast<double>(options_.windows * options_.window);
    const double epochs = static_cast<double>(options_.distill_epochs);
    return calibrated() ? rows * cols * (cols + tokens * (1 + 3 * epochs)) : rows * cols;
}

// The Hessian (one triangle) and its factorization.
double Walk::stage_cost(size_t cols) const {
    const double d = static_cast<double>(cols);
    return calibrated() ? d * d * (static_cast<double>(options_.windows * options_.window) / 2 + d / 3) : 0;
}

// Forward twice and back through all blocks and the head.
double Walk::refine_cost() const {
    if (!refined()) return 0;
    const HyperParams& params = source_.params();
    double weights = static_cast<double>(params.vocab * params.hidden);
    for (const WeightRow& row : source_.arch().block_weights)
        weights += static_cast<double>(params.n_layers * row.rows(params) * row.cols(params));
    return 4 * weights * static_cast<double>(options_.windows * options_.window * options_.refine_epochs);
}

void Walk::plan() {
    const HyperParams& params = source_.params();
    const Arch& arch = source_.arch();
    n_total_ = 2 + (params.tied_head ? 0 : 1) + params.n_layers * arch.block_weights.size();
    for (size_t layer = 0; layer < params.n_layers; ++layer) {
        const StepList& block = source_.network().blocks[layer];
        for (size_t stage = 0; stage < block.stage_begin.size(); ++stage) {
            const std::vector<size_t> linears = block.stage_linears(stage);
            for (const size_t step : linears) cost_total_ += solve_cost(arch.block_weights[block.steps[step].weight]);
            cost_total_ += stage_cost(arch.block_weights[block.steps[linears.front()].weight].cols(params));
        }
    }
    cost_total_ += refine_cost();
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
    stream_ = std::make_unique<Stream>(source_.network(), one_layer, compute_, options_.windows, options_.window);
    if (trained())
        float_stream_ =
            std::make_unique<Stream>(source_.network(), one_layer, compute_, options_.windows, options_.window);
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
    PackedTensor embedding = write_rounded(arch.embedding, options_.embed_bits);
    if (!source_.params().tied_head) head_ = write_rounded(arch.head, options_.embed_bits);
    note_source(arch.final_norm, 0);
    const AlignedBuffer<float> norm = source_.read(arch.final_norm, 0);
    write_vector(writer_, packed_name(arch.final_norm, 0), {norm.data(), norm.size()});
    done(report_of(arch.final_norm, 0, "f32"), 0);
    if (stream_) stream_->embed({.matrix = embedding.matrix}, windows_);
    if (float_stream_) {
        const AlignedBuffer<float> exact = source_.read(arch.embedding, 0);
        float_stream_->embed({.matrix = float_matrix(exact, arch.embedding)}, windows_);
    }
    if (refined()) embedded_ = stream_->rows(source_.network().residual);
    if (source_.params().tied_head) head_ = std::move(embedding);
    if (!refined()) head_ = {};
}

// Calls work(first_row, n_rows, values) for strips of a weight: a vocabulary's matrix is never held as floats whole.
void Walk::for_strips(const WeightRow& row, size_t layer, FunctionRef<void(size_t, size_t, const float*)> work) const {
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    AlignedBuffer<float> values(std::min(rows, strip_rows) * cols);
    for (size_t begin = 0; begin < rows; begin += strip_rows) {
        const size_t end = std::min(rows, begin + strip_rows);
        source_.read_rows(row, layer, begin, end, values.data());
        work(begin, end - begin, values.data());
    }
}

// The 16-bit codes that keep a weight best: its own type when it has 16 bits, else f16, or bf16 where f16 would
// overflow.
const char* Walk::float_codes_for(const WeightRow& row, size_t layer) const {
    const ElementType type = source_.tensor(row, layer).type;
    if (type == ElementType::f16) return "f16";
    if (type == ElementType::bf16) return "bf16";
    bool fits = true;
    for_strips(row, layer, [&](size_t, size_t n, const float* values) {
        fits = fits && fits_f16(values, n * row.cols(source_.params()));
    });
    return fits ? "f16" : "bf16";
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
    block.vectors.resize(block.weights.roles.size());
    load_vectors(block, layer);
    if (trained()) {
        run_float_block(block, layer);
    } else {
        write_vectors(block, layer);
    }
    if (stream_) stream_->run(steps, 0, steps.stage_begin.front(), block.weights);
    for (size_t stage = 0; stage < steps.stage_begin.size(); ++stage) write_stage(block, layer, stage);
    if (distilled()) distill(block, layer);
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
        block.vectors[role] = source_.read(row, layer);
        block.weights.roles[role].vector = block.vectors[role].data();
    }
}

void Walk::write_vectors(const Block& block, size_t layer) {
    for (size_t role = 0; role < block.vectors.size(); ++role) {
        const WeightRow& row = source_.arch().block_weights[role];
        if (row.kind != WeightKind::vector) continue;
        write_vector(writer_, packed_name(row, layer), {block.vectors[role].data(), block.vectors[role].size()});
        done(report_of(row, layer, "f32"), 0);
    }
}

PackedMatrix Walk::float_matrix(const AlignedBuffer<float>& values, const WeightRow& row) const {
    PackedMatrix matrix;
    matrix.codes = find_codes("f32");
    matrix.layout = PackedMatrix::Layout::row_major;
    matrix.rows = row.rows(source_.params());
    matrix.cols = row.cols(source_.params());
    matrix.code_bytes = reinterpret_cast<const std::byte*>(values.data());
    return matrix;
}

// What the block is trained on: the quantized stream in front of it, the float stream behind it.
void Walk::run_float_block(Block& block, size_t layer) {
    const StepList& steps = source_.network().blocks[layer];
    const size_t n_roles = block.weights.roles.size();
    BlockWeights weights = block.weights;
    block.floats.resize(n_roles);
    block.rounded.resize(n_roles);
    block.reports.resize(n_roles);
    for (size_t role = 0; role < n_roles; ++role) {
        const WeightRow& row = source_.arch().block_weights[role];
        if (row.kind == WeightKind::vector) continue;
        block.floats[role] = source_.read(row, layer);
        weights.roles[role].matrix = float_matrix(block.floats[role], row);
    }
    if (distilled()) block.inputs = stream_->rows(source_.network().residual);
    float_stream_->run(steps, 0, steps.steps.size(), weights);
    if (distilled()) block.targets = float_stream_->rows(source_.network().residual);
}

RefineBlock Walk::trainables(Block& block) const {
    RefineBlock result;
    for (size_t i = 0; i < block.weights.roles.size(); ++i) {
        const RoleId role = static_cast<RoleId>(i);
        if (block.vectors[i].size() > 0) {
            result.norms.push_back({role, block.vectors[i].data(), block.vectors[i].size()});
        } else {
            const float* weights = block.floats.empty() ? nullptr : block.floats[i].data();
            result.linears.push_back({role, weights, &block.rounded[i], gptq_options().grid});
        }
    }
    return result;
}

// The quantized stream goes through the block once more, as it has become.
void Walk::distill(Block& block, size_t layer) {
    const StepList& steps = source_.network().blocks[layer];
    const SlotId residual = source_.network().residual;
    const RefineBlock parts = trainables(block);
    DistillOptions options;
    options.epochs = options_.distill_epochs;
    options.between_windows = [&] { tell({.n_done = n_done_, .n_total = n_total_, .seconds = elapsed()}); };
    const DistillReport report = distill_block(compute_, source_.network(), steps, parts.linears, parts.norms,
                                               {block.inputs.view(), block.targets.view(), options_.window}, options);
    log_message(LogLevel::info, "block %zu: loss on held-out windows %.5f, %.5f after distillation (epoch %zu kept)",
                layer, report.before, report.after, report.kept_epoch);
    for (const DistillLinear& linear : parts.linears) pack(block, linear.role);
    stream_->set_rows(residual, block.inputs);
    stream_->run(steps, 0, steps.steps.size(), block.weights);
    block.inputs = {};
    block.targets = {};
}

void Walk::refine() {
    const HyperParams& params = source_.params();
    const Arch& arch = source_.arch();
    stream_.reset();  // the blocks' own outputs are not needed any more
    std::vector<RefineBlock> blocks;
    for (Block& block : kept_) blocks.push_back(trainables(block));
    const AlignedBuffer<float> exact = source_.read(params.tied_head ? arch.embedding : arch.head, 0),
                               norm = source_.read(arch.final_norm, 0);
    Matrix quantized(params.vocab, params.hidden);
    unpack_rows(head_.matrix, 0, params.vocab, quantized.data(), params.hidden);
    const Matrix targets = float_stream_->rows(source_.network().residual);
    RefineOptions options;
    options.epochs = options_.refine_epochs;
    const double share = refine_cost() / static_cast<double>(options_.windows * options_.refine_epochs);
    options.between_windows = [&] {
        cost_done_ += share;
        tell({.n_done = n_done_, .n_total = n_total_, .seconds = elapsed()});
    };
    const RefineReport report =
        refine_model(compute_, source_.network(), blocks,
                     {quantized.view(), {exact.data(), params.vocab, params.hidden, params.hidden}, norm.data()},
                     {embedded_.view(), targets.view(), options_.window}, options);
    log_message(LogLevel::info, "model: KL on held-out windows %.5f, %.5f after refinement (epoch %zu kept)",
                report.before, report.after, report.kept_epoch);
    for (size_t layer = 0; layer < kept_.size(); ++layer) {
        for (const DistillLinear& linear : blocks[layer].linears) pack(kept_[layer], linear.role);
        write_trained(kept_[layer], layer);
        kept_[layer] = {};
    }
}

// Hessian of the stage's input → its linears quantized → the stage run with them.
void Walk::write_stage(Block& block, size_t layer, size_t stage) {
    const StepList& steps = source_.network().blocks[layer];
    const std::vector<size_t> linears = steps.stage_linears(stage);
    Matrix hessian;
    PreparedHessian prepared;
    if (stream_) {
        const SlotId input = steps.steps[linears.front()].in[0];
        hessian = stream_->hessian(input);
        cost_done_ += stage_cost(hessian.cols());
        prepared = prepare_hessian(compute_, hessian, gptq_options());
        tell({.n_done = n_done_, .n_total = n_total_, .seconds = elapsed()});
    }
    for (const size_t step : linears)
        write_linear(block, layer, steps.steps[step].weight, stream_ ? &hessian : nullptr, &prepared);
    hessian = {};
    prepared = {};
    if (stream_) stream_->run(steps, steps.stage_begin[stage], steps.stage_end(stage), block.weights);
}

void Walk::write_linear(Block& block, size_t layer, RoleId role, const Matrix* hessian,
                        const PreparedHessian* prepared) {
    const WeightRow& row = source_.arch().block_weights[role];
    note_source(row, layer);
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    const AlignedBuffer<float> read = trained() ? AlignedBuffer<float>() : source_.read(row, layer);
    const AlignedBuffer<float>& w = trained() ? block.floats[role] : read;
    SolveReport solve;
    PackedTensor& packed = block.packed[role];
    if (options_.bits == float_bits) {
        packed = room_for_floats(rows, cols, float_codes_for(row, layer));
        pack_float_strip(compute_, w.data(), rows, 0, packed);
    } else {
        QuantizedMatrix rounded = quantize_linear(w, row, hessian, prepared, solve);
        packed = room_for_codes(rows, cols, gptq_options().grid);
        pack_strip(compute_, rounded, 0, packed);
        if (trained()) block.rounded[role] = std::move(rounded);
    }
    block.weights.roles[role].matrix = packed.matrix;
    TensorReport report = report_of(row, layer, packed.matrix.codes->name);
    report.solved = hessian != nullptr;
    report.solve = std::move(solve);
    if (trained()) {
        block.reports[role] = std::move(report);
    } else {
        write_tensor(w, layer, row, packed, std::move(report));
    }
}

void Walk::pack(Block& block, RoleId role) {
    PackedTensor& packed = block.packed[role];
    packed = room_for_codes(block.rounded[role].rows, block.rounded[role].cols, gptq_options().grid);
    pack_strip(compute_, block.rounded[role], 0, packed);
    block.weights.roles[role].matrix = packed.matrix;
}

void Walk::write_trained(Block& block, size_t layer) {
    write_vectors(block, layer);
    for (size_t role = 0; role < block.packed.size(); ++role) {
        const WeightRow& row = source_.arch().block_weights[role];
        if (row.kind == WeightKind::vector) continue;
        write_tensor(source_.read(row, layer), layer, row, block.packed[role], std::move(block.reports[role]));
    }
}

void Walk::write_tensor(const AlignedBuffer<float>& w, size_t layer, const WeightRow& row, const PackedTensor& packed,
                        TensorReport report) {
    write_packed(writer_, packed_name(row, layer), packed);
    RoundingError error;
    error.add_strip(compute_, w.data(), packed.matrix.rows, 0, packed);
    report.error = error.relative();
    done(std::move(report), solve_cost(row));
}

QuantizedMatrix Walk::quantize_linear(const AlignedBuffer<float>& w, const WeightRow& row, const Matrix* hessian,
                                      const PreparedHessian* prepared, SolveReport& report) const {
    const size_t rows = row.rows(source_.params()), cols = row.cols(source_.params());
    const GptqOptions o = gptq_options();
    if (!hessian) return round_to_nearest(compute_, w.data(), rows, cols, o.grid);
    return gptq_solve(compute_, w.data(), rows, cols, *hessian, *prepared, o, report);
}

// Integers as wide as some codes are, and floats.
void check_width(const char* option, unsigned bits) {
    if (bits == float_bits || find_integer_codes(bits)) return;
    std::string known;
    for (unsigned width = 1; width < float_bits; ++width)
        if (find_integer_codes(width)) known += (known.empty() ? "" : ", ") + std::to_string(width);
    fail(Status::invalid_argument, "%s: expected %s or %u, found %u", option, known.c_str(), float_bits, bits);
}

void check_grid(const std::string& name) {
    if (find_grid(name)) return;
    std::string known;
    for (const Grid* grid : all_grids()) known += (known.empty() ? "" : ", ") + std::string(grid->name);
    fail(Status::invalid_argument, "grid: expected %s, found '%s'", known.c_str(), name.c_str());
}

// A file that is read while the output is written, or was read to make it, is no place for a result.
void refuse_replacing(const char* what, const std::filesystem::path& target, const Checkpoint& checkpoint,
                      const QuantizeOptions& options) {
    std::vector<std::filesystem::path> inputs = checkpoint.files();
    if (!options.calibration.empty()) inputs.push_back(options.calibration);
    for (const std::filesystem::path& input : inputs) {
        std::error_code ignored;  // a target that does not exist yet is none of them
        if (std::filesystem::equivalent(target, input, ignored))
            fail(Status::invalid_argument, "%s %s: expected another file than the source's own %s", what,
                 target.c_str(), input.c_str());
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
    check_grid(o.grid);
    if (o.group % tile_cols != 0)
        fail(Status::invalid_argument, "group: expected a multiple of %zu, or row, found %zu", tile_cols, o.group);
    if (o.distill_epochs + o.refine_epochs > 0 && (o.method != Method::gptq || o.windows < 2))
        fail(Status::invalid_argument, "distill and refine: expected method gptq and at least 2 calibration windows");
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
