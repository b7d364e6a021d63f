// One run of the quantizer over one model: embedding and head first, then block by block, stage by stage; every input
// comes from quantized predecessors, inside of a block only where it is true-sequential. In: a checkpoint, options.
// Out: tensors on disk as soon as they are done. Peak memory: a block's packed weights and floats, one stage's Hessian,
// and the slots that are live at a cut; refinement keeps all packed blocks. Source of the order: GPTQ §3 and its
// reference's --true-sequential. Must not know option names or terminals. walk.cpp: the whole; walk_outer.cpp:
// embedding and head; walk_block.cpp: one block; walk_keep.cpp: what stays as a GGUF holds it; walk_train.cpp:
// distillation and refinement.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "core/quantize/calibrate.h"
#include "core/quantize/choose.h"
#include "core/quantize/distill_model.h"
#include "core/quantize/held_out.h"
#include "core/quantize/judge.h"
#include "core/quantize/kept_blocks.h"
#include "core/quantize/outer_rounding.h"
#include "core/quantize/packed_writer.h"
#include "core/quantize/quantize.h"
#include "core/quantize/report.h"
#include "core/quantize/rotate.h"
#include "core/quantize/sections.h"

namespace gq {

inline constexpr unsigned float_bits = 16;  // no integers: floats are kept

// One run over one model.
class Walk {
  public:
    Walk(const Checkpoint& checkpoint, const QuantizeOptions& options, const Compute& compute, GqWriter& writer,
         const QuantizeCallback& progress);

    void run();
    double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
    // What there is to tell of the run so far, as JSON (report.h).
    std::string provenance() const;
    // Behind the last block: as quantize_model returns it.
    const std::optional<Verdict>& verdict() const { return run_.verdict; }

  private:
    using Clock = std::chrono::steady_clock;

    // All vectors by role.
    struct Block {
        BlockWeights weights;
        std::vector<PackedTensor> packed;  // what weights' views point into
        std::vector<PackedLowRank> low_rank;
        std::vector<AlignedBuffer<float>> vectors;
        BlockWeights float_weights;                // the reference stream's, without effect where there is none
        std::vector<AlignedBuffer<float>> floats;  // by role, as long as the reference stream or training needs them
        size_t reference_step = 0;                 // of the block's steps, where the reference stream stands
        // For training, before which nothing of the block is written.
        std::vector<QuantizedMatrix> rounded;
        std::vector<TensorReport> reports;
        Matrix inputs;  // the quantized stream's residual in front of the block
    };
    // What the solves of a stage share.
    struct StageInput {
        Matrix hessian;
        PreparedHessian prepared;
        std::optional<PreparedDrift> drift;  // with a reference stream
        std::optional<HeldOut> held_out;
    };

    bool distilled() const { return options_.distill_epochs > 0 && options_.bits != float_bits; }
    bool refined() const { return options_.refine_epochs > 0 && options_.bits != float_bits; }
    bool trained() const { return distilled() || refined(); }  // a block is written when it has been
    bool keeps_head() const { return refined() || judge_; }    // in memory, until the blocks are done
    bool drifts() const { return options_.solver.qep > 0 || options_.solver.gptaq > 0; }
    // Whether the float model runs beside the quantized one, on the same tokens.
    bool compares() const { return calibrated() && (drifts() || trained()); }
    bool calibrated() const {
        return options_.method == Method::gptq && options_.bits != float_bits && rounds_linears_;
    }
    GridOptions linear_grid() const;
    GridOptions outer_grid() const;
    const GridOptions& choice_of(RoleId role, size_t layer) const { return assignment_.blocks[layer][role]; }
    bool keeps(RoleId role, size_t layer) const;
    bool keeps_outer(const WeightRow& row) const;
    bool keeps_all(const StepList& steps, const std::vector<size_t>& linears, size_t layer) const;
    void take_over();
    void tell_kept() const;
    QuantizedMatrix kept_rows(const WeightRow& row, size_t layer, size_t row_begin, size_t row_end) const;
    void set_error(TensorReport& report, const RoundingError& error) const;
    void plan();
    void prepare_calibration();
    void prepare_judge(std::vector<std::vector<int32_t>> windows);
    std::span<const std::vector<int32_t>> float_windows() const;
    void choose_grids();
    std::string provenance_that_fits() const;
    void note_choice(TensorReport& report, const GridOptions& grid) const;
    void write_outer();
    PackedTensor write_rounded(const WeightRow& row, const GridOptions& grid, const HeadSolver* solver);
    bool solves_head() const;
    std::optional<HeadSolver> head_solver();
    void write_outer_weight(const WeightRow& row);
    PackedTensor write_small(const WeightRow& row, const AlignedBuffer<float>& w, const char* float_codes);
    const char* float_codes_for(const WeightRow& row, size_t layer) const;
    const char* float_codes_for(ElementType type, bool fits) const;
    void write_block(size_t layer);
    Block load_block(size_t layer);
    void load_vectors(Block& block, size_t layer);
    void write_vectors(const Block& block, size_t layer);
    void distill(Block& block, size_t layer);
    DistillRows trained_rows(const Matrix& inputs, const Matrix& targets) const;
    void refine();
    HeadRows quantized_head(AlignedBuffer<float>& turn) const;
    void pass_verdict();
    RefineBlock trainables(Block& block, size_t layer) const;
    void write_trained(Block& block, size_t layer);
    void write_stage(Block& block, size_t layer, size_t stage);
    void write_stages_at_once(Block& block, size_t layer);
    StageInput stage_input(const StepList& steps, size_t layer, size_t stage);
    double damping_of(const StageInput& input, const Matrix* drift, RoleId role, size_t layer);
    bool drifts_at(const StepList& steps, size_t stage) const;
    void load_floats(Block& block, size_t layer, RoleId role) const;
    void advance_reference(Block& block, size_t layer, size_t stage);
    void write_linear(Block& block, size_t layer, RoleId role, const StageInput* input);
    QuantizedMatrix quantize_linear(const AlignedBuffer<float>& w, size_t layer, RoleId role, const StageInput* input,
                                    SolveReport& report) const;
    void pack(Block& block, size_t layer, RoleId role);
    void write_tensor(const AlignedBuffer<float>& w, size_t layer, RoleId role, const Block& block,
                      TensorReport report);
    PackedLowRank correct(const AlignedBuffer<float>& w, const QuantizedMatrix& q, const StageInput* input,
                          LorcReport& report) const;
    void check_lorc_rank() const;

    void note_source(const WeightRow& row, size_t layer);
    void note_run(const std::string& note);
    void note_chat_error();
    void note_few_tokens();
    TensorReport report_of(const WeightRow& row, size_t layer, const char* codes) const;
    void done(TensorReport tensor);
    void tell(const QuantizeProgress& progress) const;
    void tell_activity(const std::string& activity) const;
    double seconds_left() const;
    std::string place_of(size_t layer) const;
    std::function<void()> counted_windows(double cost, size_t epochs, std::string activity);
    double solve_cost(RoleId role, size_t layer) const;
    double stage_cost(const StepList& steps, size_t layer, size_t stage) const;
    double tokens() const;
    double weights_of_block() const;
    double distill_cost() const;
    double refine_cost() const;
    GptqOptions gptq_options(const GridOptions& grid) const;

    const Checkpoint& checkpoint_;
    SourceModel source_;
    std::string left_out_;  // of the recipe
    const QuantizeOptions options_;
    Tokenizer tokenizer_;
    const RotatedSource rotated_;
    const Sections sections_;
    Assignment assignment_;
    bool rounds_linears_ = true;
    const Compute compute_;
    GqWriter& writer_;
    const QuantizeCallback& progress_;
    std::unique_ptr<Stream> stream_;     // through quantized predecessors
    std::unique_ptr<Stream> reference_;  // through the float model
    std::vector<std::vector<int32_t>> windows_;
    std::optional<Judge> judge_;
    PackedTensor head_, head_turn_;  // where keeps_head()
    // Of the prologue and the epilogue, as they are written, and what the views point into.
    BlockWeights outer_;
    std::vector<AlignedBuffer<float>> outer_vectors_;
    std::vector<PackedTensor> outer_tables_;
    // For refinement only:
    Matrix embedded_;  // the quantized stream in front of the first block
    std::vector<Block> kept_;
    RunReport run_;
    const Clock::time_point start_ = Clock::now();
    size_t n_done_ = 0, n_total_ = 0;
    double blocks_began_ = 0;  // seconds: what comes before them tells nothing of their pace
    double cost_done_ = 0, cost_total_ = 0;
};

}  // namespace gq
