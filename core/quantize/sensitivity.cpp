// The measurement, layer by layer beside a stream of the float model. See sensitivity.h.
// In: weights as floats, one matrix at a time. Out: rows of the table, the same at any number of threads. Must not know
// what is chosen by them.
#include "core/quantize/sensitivity.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/quantize/calibrate.h"
#include "core/quantize/outer_rounding.h"

namespace gq {
namespace {

constexpr size_t probe_windows = 4, probe_window = 128;
constexpr size_t sample_rows = 64;  // of a matrix, for solves: a width's loss differs little from row to row

std::vector<std::vector<int32_t>> probe_tokens(std::span<const std::vector<int32_t>> windows) {
    std::vector<std::vector<int32_t>> tokens;
    const size_t n = std::min(probe_windows, windows.size());
    for (size_t i = 0; i < n; ++i) {
        const std::vector<int32_t>& window = windows[i * windows.size() / n];
        tokens.emplace_back(window.begin(),
                            window.begin() + static_cast<ptrdiff_t>(std::min(probe_window, window.size())));
    }
    return tokens;
}

double sum(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

// Rounds to nearest on the grids that cost least under h.
QuantizedMatrix round_clipped(const Compute& compute, const Matrix& w, const Matrix& h, const GridOptions& grid) {
    std::vector<float> importance(w.cols());
    for (size_t c = 0; c < w.cols(); ++c) importance[c] = h(c, c);
    return round_to_nearest(compute, w.data(), w.rows(), w.cols(), grid, GridSearch::clip, importance.data());
}

Matrix sample_of(const Matrix& w) {
    Matrix sample(std::min(w.rows(), sample_rows), w.cols());
    for (size_t i = 0; i < sample.rows(); ++i)
        std::copy_n(w.row(i * w.rows() / sample.rows()), w.cols(), sample.row(i));
    return sample;
}

// Σ over rows and columns of s² / (24 U_jj²), in units of tr(E H Eᵀ)/2 (arXiv 2507.18553).
double predicted_loss(const QuantizedMatrix& q, const PreparedHessian& prepared) {
    double loss = 0;
    for (size_t at = 0; at < q.cols; ++at) {
        const size_t col = prepared.order[at];
        if (prepared.dead[col]) continue;
        double squares = 0;
        for (size_t row = 0; row < q.rows; ++row) {
            const double s = q.scales[row * q.n_groups() + (q.group == 0 ? 0 : col / q.group)];
            squares += s * s;
        }
        const double u = prepared.u(at, at);
        loss += squares / (24 * u * u);
    }
    return loss;
}

class Measurement {
  public:
    Measurement(const FloatModel& model, const RotatedSource& rotated, std::span<const std::vector<int32_t>> windows,
                const Compute& compute, const SensitivityRequest& request, const SensitivityCallback& progress)
        : model_(model.model()),
          rotated_(rotated),
          compute_(compute),
          request_(request),
          progress_(progress),
          probe_(model_, compute, probe_tokens(windows)),
          stream_(model_.network, float_kv_layer(model_.params), compute, windows.size(), windows[0].size()) {
        stream_.embed(model_.embedding, model_.outer, windows);
        for (const WeightRow& row : model_.arch->block_weights) n_total_ += row.kind == WeightKind::linear;
        n_total_ = n_total_ * model_.params.n_layers + (model_.params.tied_head ? 1 : 2);
        request_.solver.qep = request_.solver.gptaq = 0;
        request_.solver.sweeps = 0;
        request_.solver.refit = false;
    }

    SensitivityTable run() {
        for (size_t layer = 0; layer < model_.params.n_layers; ++layer) add_layer(layer);
        if (!request_.outer.empty()) stream_.run_epilogue(model_.outer);
        add_outer(model_.arch->embedding, true);
        if (!model_.params.tied_head) add_outer(model_.arch->head, false);
        table_.float_loss = probe_.float_loss();
        table_.tokens = probe_.n_scored();
        return std::move(table_);
    }

  private:
    void done(const Sensitivity& row) {
        if (progress_) progress_(row, ++n_done_, n_total_);
    }
    Sensitivity row_of(const WeightRow& row, size_t layer) const {
        return {.name = packed_name(row, layer),
                .class_name = row.role,
                .layer = layer,
                .role = 0,
                .rows = row.rows(model_.params),
                .cols = row.cols(model_.params),
                .effects = {},
                .losses = {}};
    }

    // The stream stands in front of the head.
    void add_outer(const WeightRow& row, bool is_embedding) {
        Sensitivity& found = table_.outer.emplace_back(row_of(row, 0));
        const bool is_head = !is_embedding || model_.params.tied_head;
        std::optional<HeadSolver> solver;
        for (const GridOptions& grid : request_.outer) {
            const bool solved = is_head && request_.solves_head && head_is_solved(grid);
            if (solved) prepare_solver(grid, solver);
            RoundingError error;
            const PackedTensor packed =
                naming(found.name, [&] { return round_outer(row, grid, solved ? &*solver : nullptr, error); });
            const Weight changed{.matrix = packed.matrix};
            const Divergence effect =
                probe_.of_outer(is_embedding ? changed : model_.embedding, is_head ? changed : model_.head);
            found.effects.push_back({grid, error.relative(), effect});
        }
        done(found);
    }

    // The Hessian does not depend on the grid.
    void prepare_solver(const GridOptions& grid, std::optional<HeadSolver>& solver) {
        if (solver) return solver->set_grid(grid);
        GptqOptions options = request_.solver;
        options.grid = grid;
        solver.emplace(compute_, stream_.hessian(model_.network.head_input), Matrix(), model_.params.tied_head,
                       options);
    }

    // solver: null rounds to nearest.
    PackedTensor round_outer(const WeightRow& row, const GridOptions& grid, const HeadSolver* solver,
                             RoundingError& error) {
        const size_t rows = row.rows(model_.params), cols = row.cols(model_.params);
        PackedTensor packed = room_for_codes(rows, cols, grid);
        rotated_.for_strips(row, 0, [&](size_t first, size_t n, const float* values) {
            SolveReport unread;
            pack_strip(compute_,
                       solver ? solver->solve(values, n, unread) : round_to_nearest(compute_, values, n, cols, grid),
                       first, packed);
            error.add_strip(compute_, values, n, first, packed);
        });
        return packed;
    }

    void add_layer(size_t layer) {
        const StepList& steps = model_.network.blocks[layer];
        const BlockWeights& weights = model_.blocks[layer];
        stream_.run(steps, 0, steps.stage_begin.front(), weights);
        for (size_t stage = 0; stage < steps.stage_begin.size(); ++stage) {
            const std::vector<size_t> linears = steps.stage_linears(stage);
            const Matrix h = stream_.hessian(steps.steps[linears.front()].in[0]);
            GptqOptions solver = request_.solver;
            if (!request_.choices.empty()) solver.grid = request_.choices[0];
            const PreparedHessian prepared = prepare_hessian(compute_, h, solver);
            for (const size_t step : linears) add_linear(layer, steps.steps[step].weight, h, prepared);
            stream_.run(steps, steps.stage_begin[stage], steps.stage_end(stage), weights);
        }
        probe_.advance();
    }

    void add_linear(size_t layer, RoleId role, const Matrix& h, const PreparedHessian& prepared) {
        Sensitivity found = row_of(model_.arch->block_weights[role], layer);
        found.role = role;
        const AlignedBuffer<float> values = rotated_.read(model_.arch->block_weights[role], layer);
        Matrix w(found.rows, found.cols);
        std::copy_n(values.data(), found.rows * found.cols, w.data());
        const Matrix sample = sample_of(w);
        const double power = sum(hessian_losses(compute_, sample, h));
        naming(found.name, [&] {
            for (const GridOptions& grid : request_.effects)
                found.effects.push_back(effect_of(layer, role, w, sample, h, power, grid));
            for (const GridOptions& grid : request_.choices) {
                std::optional<ChoiceLoss> loss = storable_loss(found.name, sample, h, prepared, grid);
                if (!loss) continue;
                loss->predicted = power > 0 ? loss->predicted / power : 0;
                loss->measured = power > 0 ? loss->measured / power : 0;
                found.losses.push_back(*loss);
            }
        });
        done(found);
        table_.linears.push_back(std::move(found));
    }

    WidthEffect effect_of(size_t layer, RoleId role, const Matrix& w, const Matrix& sample, const Matrix& h,
                          double power, const GridOptions& grid) {
        Matrix errors(sample.rows(), sample.cols());
        const QuantizedMatrix some = round_clipped(compute_, sample, h, grid);
        for (size_t i = 0; i < errors.rows(); ++i)
            for (size_t c = 0; c < errors.cols(); ++c) errors(i, c) = some.value(i, c) - sample(i, c);
        PackedTensor packed = room_for_codes(w.rows(), w.cols(), grid);
        pack_strip(compute_, round_clipped(compute_, w, h, grid), 0, packed);
        BlockWeights changed = model_.blocks[layer];
        changed.roles[role].matrix = packed.matrix;
        const double rounding = power > 0 ? sum(hessian_losses(compute_, errors, h)) / power : 0;
        return {grid, rounding, probe_.of_block(changed)};
    }

    // None where the scales that this choice needs can't be stored: narrower codes have larger ones. The last choice is
    // the widest, without which the matrix has none.
    std::optional<ChoiceLoss> storable_loss(const std::string& name, const Matrix& sample, const Matrix& h,
                                            const PreparedHessian& prepared, const GridOptions& grid) const {
        try {
            return loss_of(sample, h, prepared, grid);
        } catch (const Error& error) {
            if (error.status() != Status::numeric || &grid == &request_.choices.back()) throw;
            log_message(LogLevel::warning, "%s: %u bits in groups of %zu are no choice: %s", name.c_str(), grid.bits,
                        grid.group, error.what());
            return std::nullopt;
        }
    }

    // In units of tr(E H Eᵀ)/2 of the sample.
    ChoiceLoss loss_of(const Matrix& sample, const Matrix& h, const PreparedHessian& prepared,
                       const GridOptions& grid) const {
        GptqOptions solver = request_.solver;
        solver.grid = grid;
        SolveReport report;
        gptq_solve(compute_, sample.data(), sample.rows(), sample.cols(), h, nullptr, prepared, solver, report);
        ChoiceLoss loss{.grid = grid, .predicted = report.true_loss, .measured = report.true_loss};
        if (!prepared.usable) return loss;
        const QuantizedMatrix rounded = round_to_nearest(compute_, sample.data(), sample.rows(), sample.cols(), grid);
        loss.predicted = predicted_loss(rounded, prepared);
        return loss;
    }

    const Model& model_;
    const RotatedSource& rotated_;
    const Compute compute_;
    SensitivityRequest request_;
    const SensitivityCallback& progress_;
    KlProbe probe_;
    Stream stream_;
    SensitivityTable table_;
    size_t n_done_ = 0, n_total_ = 0;
};

}  // namespace

double Sensitivity::kl_of(double loss) const {
    return effects.empty() || effects[0].rounding <= 0 ? 0 : loss * effects[0].effect.kl / effects[0].rounding;
}

SensitivityTable measure_sensitivity(const FloatModel& model, const RotatedSource& rotated,
                                     std::span<const std::vector<int32_t>> windows, const Compute& compute,
                                     const SensitivityRequest& request, const SensitivityCallback& progress) {
    return Measurement(model, rotated, windows, compute, request, progress).run();
}

}  // namespace gq
