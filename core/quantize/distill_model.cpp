// One window at a time: forward through all blocks keeping the residuals between them, then back, each block computed
// again. See distill_model.h.
// In: codes, grids in training. Out: grids. Must not know how a Tape finds its gradients.
#include "core/quantize/distill_model.h"

#include <algorithm>
#include <memory>

#include "core/quantize/trained_grids.h"

namespace gq {
namespace {

class Refiner {
  public:
    Refiner(const Compute& compute, const Network& network, std::span<const RefineBlock> blocks, const RefineHead& head,
            const DistillRows& rows, const RefineOptions& options);
    RefineReport run();

  private:
    struct Block {
        const RefineBlock* given = nullptr;
        Tape* tape = nullptr;
        std::vector<TrainedGrids> grids;   // by linear
        std::vector<TrainedVector> norms;  // by norm
    };

    Tape* tape_for(const StepList& steps);
    void bind(Block& block);
    void forward(size_t window);
    double predict(size_t window, bool with_gradient);
    void backward();
    void take_gradients(Block& block);
    void move(Block& block);
    double held_out_loss();
    double train_epoch(size_t epoch);
    void keep();
    void give();

    const Compute compute_;
    const Network& network_;
    std::vector<RoleValues> outer_;
    const DistillRows rows_;
    const RefineOptions options_;
    std::vector<std::unique_ptr<Tape>> tapes_;  // one for blocks with the same steps
    std::vector<const StepList*> tape_steps_;
    Tape epilogue_;
    HeadDivergence divergence_;
    std::vector<Block> blocks_;
    std::vector<RoleValues> values_;  // of the block under way
    std::vector<RoleGradients> gradients_;
    std::vector<AlignedBuffer<float>> value_memory_, gradient_memory_;  // by role
    std::vector<Matrix> residuals_;                                     // in front of each block, and behind the last
    Matrix gradient_;                                                   // of the residual, on the way back
    Matrix exact_hidden_;                                               // what the float model's head reads
    std::vector<size_t> training_, held_out_;                           // windows
    size_t n_steps_ = 0;
    std::vector<std::vector<GroupGrid>> kept_grids_;
    std::vector<std::vector<float>> kept_norms_;
};

// How many steps a group's range has; a table of 8-bit numbers has as many as it has entries.
double last_code(const GridOptions& grid) {
    return static_cast<double>((1u << (grid.codes ? grid.codes->bits : grid.bits)) - 1);
}

size_t roles_of(std::span<const RefineBlock> blocks) {
    size_t n = 0;
    for (const RefineBlock& block : blocks) {
        for (const DistillLinear& linear : block.linears) n = std::max<size_t>(n, linear.role + size_t{1});
        for (const DistillNorm& norm : block.norms) n = std::max<size_t>(n, norm.role + size_t{1});
    }
    return n;
}

Refiner::Refiner(const Compute& compute, const Network& network, std::span<const RefineBlock> blocks,
                 const RefineHead& head, const DistillRows& rows, const RefineOptions& options)
    : compute_(compute),
      network_(network),
      rows_(rows),
      options_(options),
      epilogue_(network, network.epilogue, network.selected, network.head_input, rows.window, 1, compute),
      divergence_(compute, head.quantized, head.exact, rows.window, rows.inputs.cols),
      values_(roles_of(blocks)),
      gradients_(values_.size()),
      value_memory_(values_.size()),
      gradient_memory_(values_.size()),
      gradient_(rows.window, rows.inputs.cols),
      exact_hidden_(rows.window, rows.inputs.cols) {
    for (size_t i = 0; i < blocks.size(); ++i) {
        Block& block = blocks_.emplace_back();
        block.given = &blocks[i];
        block.tape = tape_for(network.blocks[i]);
        for (const DistillLinear& linear : blocks[i].linears) block.grids.emplace_back(*linear.rounded, linear.grid);
        for (const DistillNorm& norm : blocks[i].norms) block.norms.emplace_back(std::span(norm.weights, norm.n));
    }
    for (size_t i = 0; i <= blocks.size(); ++i) residuals_.emplace_back(rows.window, rows.inputs.cols);
    for (const Weight& weight : head.outer) outer_.push_back({.matrix = {}, .vector = weight.vector});
    split_windows(rows_, options_.held_out, training_, held_out_);
}

Tape* Refiner::tape_for(const StepList& steps) {
    for (size_t i = 0; i < tapes_.size(); ++i)
        if (tape_steps_[i]->steps == steps.steps) return tapes_[i].get();
    tape_steps_.push_back(&steps);
    tapes_.push_back(
        std::make_unique<Tape>(network_, steps, network_.residual, network_.residual, rows_.window, 1, compute_));
    return tapes_.back().get();
}

// Plain weights of a block, and zeroed room for their gradients.
void Refiner::bind(Block& block) {
    for (size_t i = 0; i < block.grids.size(); ++i) {
        const DistillLinear& linear = block.given->linears[i];
        const QuantizedMatrix& q = *linear.rounded;
        value_memory_[linear.role].reserve_discard(q.rows * q.cols);
        gradient_memory_[linear.role].reserve_discard(q.rows * q.cols);
        const MatrixView w{value_memory_[linear.role].data(), q.rows, q.cols, q.cols};
        const MatrixView d{gradient_memory_[linear.role].data(), q.rows, q.cols, q.cols};
        compute_.pool.for_ranges(q.rows, 1, [&](size_t begin, size_t end, size_t) {
            for (size_t row = begin; row < end; ++row) {
                values_on_grids(q.codes.data() + row * q.cols, q.cols, linear.grid, block.grids[i].row(row),
                                w.row(row));
                std::fill_n(d.row(row), q.cols, 0.0f);
            }
        });
        values_[linear.role].matrix = w;
        gradients_[linear.role].matrix = d;
    }
    for (size_t i = 0; i < block.norms.size(); ++i) {
        const RoleId role = block.given->norms[i].role;
        values_[role].vector = block.norms[i].weights.value.data();
        gradients_[role].vector = block.norms[i].weights.gradient.data();
    }
}

void copy_rows(const ConstMatrixView& from, const MatrixView& to) {
    for (size_t r = 0; r < to.rows; ++r) std::copy_n(&from(r, 0), to.cols, to.row(r));
}

void Refiner::forward(size_t window) {
    copy_rows(rows_.inputs.block(window * rows_.window, 0, rows_.window, rows_.inputs.cols), residuals_[0].view());
    for (size_t i = 0; i < blocks_.size(); ++i) {
        bind(blocks_[i]);
        copy_rows(residuals_[i].view(), blocks_[i].tape->input(1));
        copy_rows(blocks_[i].tape->forward(values_, 1), residuals_[i + 1].view());
    }
}

// The loss of a window that went forward, summed over its rows; with_gradient: gradient_ behind the last block.
double Refiner::predict(size_t window, bool with_gradient) {
    copy_rows(rows_.targets.block(window * rows_.window, 0, rows_.window, rows_.targets.cols), epilogue_.input(1));
    copy_rows(epilogue_.forward(outer_, 1), exact_hidden_.view());
    copy_rows(residuals_.back().view(), epilogue_.input(1));
    const ConstMatrixView hidden = epilogue_.forward(outer_, 1);
    if (!with_gradient) return divergence_.of(exact_hidden_.view(), hidden);
    const float share = 1 / static_cast<float>(rows_.window);
    const double sum = divergence_.with_gradient(exact_hidden_.view(), hidden, share, epilogue_.output_gradient());
    copy_rows(epilogue_.backward(outer_, std::vector<RoleGradients>(outer_.size())), gradient_.view());
    return sum;
}

void Refiner::backward() {
    ++n_steps_;
    for (size_t i = blocks_.size(); i-- > 0;) {
        Block& block = blocks_[i];
        bind(block);
        copy_rows(residuals_[i].view(), block.tape->input(1));
        block.tape->forward(values_, 1);
        copy_rows(gradient_.view(), block.tape->output_gradient());
        copy_rows(block.tape->backward(values_, gradients_), gradient_.view());
        take_gradients(block);
        move(block);
    }
}

void Refiner::take_gradients(Block& block) {
    for (size_t i = 0; i < block.grids.size(); ++i) {
        const RoleId role = block.given->linears[i].role;
        const ConstMatrixView w = values_[role].matrix;
        const MatrixView d = gradients_[role].matrix;
        compute_.pool.for_ranges(d.rows, 1, [&](size_t begin, size_t end, size_t) {
            for (size_t row = begin; row < end; ++row) block.grids[i].add_gradients(row, d.row(row), &w(row, 0));
        });
    }
}

void Refiner::move(Block& block) {
    const double fall = cosine_share(n_steps_, options_.epochs * training_.size());
    const AdamStep norm(options_.norm_rate * fall, options_.quiet, n_steps_);
    for (size_t i = 0; i < block.grids.size(); ++i) {
        const double rate = options_.grid_rate / last_code(block.given->linears[i].grid);
        block.grids[i].move(compute_, AdamStep(rate * fall, options_.quiet, n_steps_));
    }
    for (TrainedVector& norms : block.norms) norms.move(norm);
}

double Refiner::held_out_loss() {
    double sum = 0;
    for (const size_t window : held_out_) {
        forward(window);
        sum += predict(window, false);
    }
    return sum / static_cast<double>(held_out_.size() * rows_.window);
}

double Refiner::train_epoch(size_t epoch) {
    const std::vector<size_t> order = shuffled(training_, epoch);
    double sum = 0;
    for (const size_t window : order) {
        forward(window);
        sum += predict(window, true);
        backward();
        if (options_.between_windows) options_.between_windows();
    }
    return sum / static_cast<double>(order.size() * rows_.window);
}

void Refiner::keep() {
    kept_grids_.clear();
    kept_norms_.clear();
    for (const Block& block : blocks_) {
        for (const TrainedGrids& grids : block.grids) kept_grids_.push_back(grids.all());
        for (const TrainedVector& norm : block.norms)
            kept_norms_.emplace_back(norm.weights.value.begin(), norm.weights.value.end());
    }
}

void Refiner::give() {
    size_t next_grids = 0, next_norm = 0;
    for (const Block& block : blocks_) {
        for (const DistillLinear& linear : block.given->linears) {
            const std::vector<GroupGrid>& grids = kept_grids_[next_grids++];
            for (size_t at = 0; at < grids.size(); ++at) linear.rounded->set_grid(at, grids[at]);
        }
        for (const DistillNorm& norm : block.given->norms) {
            std::copy(kept_norms_[next_norm].begin(), kept_norms_[next_norm].end(), norm.weights);
            ++next_norm;
        }
    }
}

RefineReport Refiner::run() {
    RefineReport report;
    report.before = report.after = held_out_loss();
    for (size_t epoch = 1; epoch <= options_.epochs; ++epoch) {
        report.training = train_epoch(epoch);
        const double loss = held_out_loss();
        if (!(loss < report.after)) continue;
        report.after = loss;
        report.kept_epoch = epoch;
        keep();
    }
    if (report.kept_epoch > 0) give();
    return report;
}

}  // namespace

RefineReport refine_model(const Compute& compute, const Network& network, std::span<const RefineBlock> blocks,
                          const RefineHead& head, const DistillRows& rows, const RefineOptions& options) {
    return Refiner(compute, network, blocks, head, rows, options).run();
}

}  // namespace gq
