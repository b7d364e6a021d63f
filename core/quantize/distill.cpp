// Parameters of a block in training, and the loop over them. See distill.h.
// In: gradients of plain weights, from a Tape. Out: codes and grids. Every sum is owned by one thread, row by row.
// Must not know how a Tape finds its gradients.
#include "core/quantize/distill.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "core/base/status.h"
#include "core/quantize/trained_grids.h"

namespace gq {
namespace {

constexpr float cell = 0.49f;  // how far from its code a weight starts at most: inside of what rounds to it

// One linear: its weights v in codes, and its grids.
class TrainedLinear {
  public:
    TrainedLinear(const Compute& compute, const DistillLinear& linear);

    RoleValues values() const { return {.matrix = values_.view()}; }
    RoleGradients gradients() { return {.matrix = {codes_.gradient.data(), rows(), cols(), cols()}}; }
    void move(const AdamStep& codes, const AdamStep& grids);
    QuantizedMatrix result() const;

  private:
    size_t rows() const { return start_.rows; }
    size_t cols() const { return start_.cols; }
    void for_rows(FunctionRef<void(size_t)> work) {
        compute_.pool.for_ranges(rows(), 1, [&](size_t begin, size_t end, size_t) {
            for (size_t row = begin; row < end; ++row) work(row);
        });
    }
    void start_row(size_t row);
    void round_row(size_t row);

    const Compute compute_;
    const DistillLinear linear_;
    const QuantizedMatrix& start_;
    Matrix values_;  // ŵ, exactly as result() is stored
    Trained codes_;  // (rows, cols): v
    TrainedGrids grids_;
    std::vector<double> squares_;  // of gradients, by row
};

TrainedLinear::TrainedLinear(const Compute& compute, const DistillLinear& linear)
    : compute_(compute),
      linear_(linear),
      start_(*linear.rounded),
      values_(start_.rows, start_.cols),
      codes_(start_.rows * start_.cols),
      grids_(start_, linear.grid),
      squares_(start_.rows) {
    for_rows([&](size_t row) {
        start_row(row);
        round_row(row);
    });
}

// v is the weight in codes, as near to it as rounding to the code that was chosen allows.
void TrainedLinear::start_row(size_t row) {
    for (size_t c = 0; c < cols(); ++c) {
        const size_t at = row * cols() + c;
        const GroupGrid grid = grids_.row(row)[linear_.grid.group_of(c)];
        const float code = start_.codes[at];
        const float v = (linear_.weights[at] - grid.offset) / grid.scale + static_cast<float>(grid.zero_point);
        codes_.value[at] = std::min(std::max(v, code - cell), code + cell);
    }
}

// v never leaves [-cell, top + cell], so that it rounds to a code.
void TrainedLinear::round_row(size_t row) {
    constexpr float rounder = 0x1.8p+23f;
    const float* v = codes_.value.data() + row * cols();
    float* w = values_.row(row);
    for (size_t c = 0; c < cols(); ++c) w[c] = (v[c] + rounder) - rounder;
    values_on_grids(w, cols(), linear_.grid, grids_.row(row), w);
}

// dL/dv is dL/dŵ but for a factor of the group, which Adam takes out.
void TrainedLinear::move(const AdamStep& codes, const AdamStep& grids) {
    for_rows([&](size_t row) {
        const float* d = codes_.gradient.data() + row * cols();
        squares_[row] = sum_of_squares(d, cols());
        grids_.add_gradients(row, d, values_.row(row));
    });
    const float epsilon = epsilon_of(squares_, rows() * cols(), codes);
    grids_.move(compute_, grids);
    for_rows([&](size_t row) {
        codes_.move(codes, epsilon, -cell, linear_.grid.top_code() + cell, row * cols(), (row + 1) * cols());
        round_row(row);
    });
}

QuantizedMatrix TrainedLinear::result() const {
    QuantizedMatrix out(rows(), cols(), linear_.grid);
    for (size_t i = 0; i < out.codes.size(); ++i)
        out.codes[i] = static_cast<uint8_t>(static_cast<int>(std::nearbyint(codes_.value[i])));
    for (size_t at = 0; at < grids_.all().size(); ++at) out.set_grid(at, grids_.all()[at]);
    return out;
}

class Distiller {
  public:
    Distiller(const Compute& compute, const Network& network, const StepList& steps,
              std::span<const DistillLinear> linears, std::span<const DistillNorm> norms, const DistillRows& rows,
              const DistillOptions& options);
    DistillReport run();

  private:
    struct Kept {
        std::vector<QuantizedMatrix> linears;
        std::vector<std::vector<float>> norms;
    };
    // Output of some windows; their loss, and its gradient where the way back follows.
    double forward(size_t window, bool with_gradient);
    double held_out_loss();
    double train_epoch(size_t epoch);
    void move(size_t step);
    Kept keep() const;
    void give(Kept kept);

    const Compute compute_;
    const std::span<const DistillLinear> given_linears_;
    const std::span<const DistillNorm> given_norms_;
    const DistillRows rows_;
    const DistillOptions options_;
    Tape tape_;
    std::vector<std::unique_ptr<TrainedLinear>> linears_;
    std::vector<TrainedVector> norms_;
    std::vector<RoleValues> values_;
    std::vector<RoleGradients> gradients_;
    std::vector<size_t> training_, held_out_;  // windows
    std::vector<double> row_losses_;           // of the windows under way
    size_t n_steps_ = 0;                       // taken so far
};

size_t n_roles(std::span<const DistillLinear> linears, std::span<const DistillNorm> norms) {
    size_t n = 0;
    for (const DistillLinear& linear : linears) n = std::max<size_t>(n, linear.role + size_t{1});
    for (const DistillNorm& norm : norms) n = std::max<size_t>(n, norm.role + size_t{1});
    return n;
}

Distiller::Distiller(const Compute& compute, const Network& network, const StepList& steps,
                     std::span<const DistillLinear> linears, std::span<const DistillNorm> norms,
                     const DistillRows& rows, const DistillOptions& options)
    : compute_(compute),
      given_linears_(linears),
      given_norms_(norms),
      rows_(rows),
      options_(options),
      tape_(network, steps, network.residual, network.residual, rows.window, 1, compute),
      values_(n_roles(linears, norms)),
      gradients_(values_.size()),
      row_losses_(rows.window) {
    for (const DistillLinear& linear : linears) {
        TrainedLinear& trained = *linears_.emplace_back(std::make_unique<TrainedLinear>(compute, linear));
        values_[linear.role] = trained.values();
        gradients_[linear.role] = trained.gradients();
    }
    for (const DistillNorm& norm : norms) {
        TrainedVector& trained = norms_.emplace_back(std::span(norm.weights, norm.n));
        values_[norm.role].vector = trained.weights.value.data();
        gradients_[norm.role].vector = trained.weights.gradient.data();
    }
    split_windows(rows_, options_.held_out, training_, held_out_);
}

double Distiller::forward(size_t window, bool with_gradient) {
    const size_t width = rows_.inputs.cols, first = window * rows_.window;
    const MatrixView x = tape_.input(1);
    compute_.pool.for_ranges(x.rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t r = begin; r < end; ++r) std::copy_n(&rows_.inputs(first + r, 0), width, x.row(r));
    });
    const ConstMatrixView y = tape_.forward(values_, 1);
    const MatrixView dy = tape_.output_gradient();
    compute_.pool.for_ranges(x.rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t r = begin; r < end; ++r) {
            const float *out = &y(r, 0), *target = &rows_.targets(first + r, 0);
            const double size = sum_of_squares(target, width) + 1e-30;
            float* d = dy.row(r);
            for (size_t i = 0; i < width; ++i) d[i] = out[i] - target[i];
            row_losses_[r] = sum_of_squares(d, width) / size;
            const float factor = static_cast<float>(2 / (size * static_cast<double>(x.rows)));
            for (size_t i = 0; with_gradient && i < width; ++i) d[i] *= factor;
        }
    });
    double sum = 0;
    for (size_t r = 0; r < x.rows; ++r) sum += row_losses_[r];
    return sum;
}

double Distiller::held_out_loss() {
    double sum = 0;
    for (const size_t window : held_out_) sum += forward(window, false);
    return sum / static_cast<double>(held_out_.size() * rows_.window);
}

double Distiller::train_epoch(size_t epoch) {
    const std::vector<size_t> order = shuffled(training_, epoch);
    double sum = 0;
    for (const size_t window : order) {
        sum += forward(window, true);
        tape_.backward(values_, gradients_);
        move(++n_steps_);
        if (options_.between_windows) options_.between_windows();
    }
    return sum / static_cast<double>(order.size() * rows_.window);
}

void Distiller::move(size_t step) {
    const double fall = cosine_share(step, options_.epochs * training_.size());
    const AdamStep weight(options_.weight_rate * fall, options_.quiet, step);
    const AdamStep scale(options_.scale_rate * fall, options_.quiet, step);
    for (const auto& linear : linears_) linear->move(weight, scale);
    for (TrainedVector& norm : norms_) norm.move({options_.norm_rate * fall, options_.quiet, step});
}

Distiller::Kept Distiller::keep() const {
    Kept kept;
    for (const auto& linear : linears_) kept.linears.push_back(linear->result());
    for (const TrainedVector& norm : norms_)
        kept.norms.emplace_back(norm.weights.value.begin(), norm.weights.value.end());
    return kept;
}

void Distiller::give(Kept kept) {
    for (size_t i = 0; i < kept.linears.size(); ++i) *given_linears_[i].rounded = std::move(kept.linears[i]);
    for (size_t i = 0; i < kept.norms.size(); ++i)
        std::copy(kept.norms[i].begin(), kept.norms[i].end(), given_norms_[i].weights);
}

DistillReport Distiller::run() {
    DistillReport report;
    report.before = report.after = held_out_loss();
    Kept best;
    for (size_t epoch = 1; epoch <= options_.epochs; ++epoch) {
        report.training = train_epoch(epoch);
        const double loss = held_out_loss();
        if (!(loss < report.after)) continue;
        report.after = loss;
        report.kept_epoch = epoch;
        best = keep();
    }
    if (report.kept_epoch > 0) give(std::move(best));
    return report;
}

}  // namespace

void split_windows(const DistillRows& rows, double share, std::vector<size_t>& training,
                   std::vector<size_t>& held_out) {
    const size_t n = rows.inputs.rows / rows.window;
    if (n < 2 || rows.unseen >= n)
        fail(Status::invalid_argument,
             "distillation: expected at least 2 windows of calibration, found %zu, %zu of them unseen", n, rows.unseen);
    if (rows.unseen > 0) {
        for (size_t w = 0; w < n; ++w) (w + rows.unseen < n ? training : held_out).push_back(w);
        return;
    }
    const size_t n_held = std::clamp<size_t>(static_cast<size_t>(static_cast<double>(n) * share), 1, n - 1);
    for (size_t w = 0, held = 0; w < n; ++w) {
        const bool hold = held < n_held && w >= (2 * held + 1) * n / (2 * n_held);
        (hold ? held_out : training).push_back(w);
        held += hold;
    }
}

std::vector<size_t> shuffled(std::vector<size_t> windows, size_t epoch) {
    std::mt19937 random(static_cast<uint32_t>(epoch));
    for (size_t i = windows.size(); i > 1; --i) std::swap(windows[i - 1], windows[random() % i]);
    return windows;
}

DistillReport distill_block(const Compute& compute, const Network& network, const StepList& steps,
                            std::span<const DistillLinear> linears, std::span<const DistillNorm> norms,
                            const DistillRows& rows, const DistillOptions& options) {
    return Distiller(compute, network, steps, linears, norms, rows, options).run();
}

}  // namespace gq
