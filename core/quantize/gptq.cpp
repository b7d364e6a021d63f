// GPTQ's loop over columns, in three sizes. In: W, a PreparedHessian, options. Out: codes, scales, zero points, a
// report. See gptq.h.
//
//   block   128 columns: when it is done, its errors go to all columns after it, by one product that all threads share
//   step     16 columns: before they are rounded they take the errors of the block's earlier steps, by gemm_f32
//   column   of 32 rows in lanes: it is rounded, and its error goes to the step's columns after it
//
// So nearly all arithmetic is matrix products. Rows never meet: threads share them, and their number changes no bit.
// Must not know models, files or calibration.
#include "core/quantize/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/linalg/gemm.h"

namespace gq {

namespace {

// Rows side by side in the inner loops, padded to a multiple; loops of 16 GCC unrolls before it vectorises.
constexpr size_t lanes = 32;
static_assert(half_tile_cols % panel_cols == 0);  // a step is one panel of gemm_f32, and divides every block and group
// Rows that go through a block together: their block of W and of errors stays in the L2 cache.
constexpr size_t chunk_rows = 64;
constexpr size_t max_sample = 32;  // rows that the report measures

// What gptq_solve is given.
struct Problem {
    const Compute& compute;
    const float* w;
    size_t rows, cols;
    const Matrix& h;
    const PreparedHessian& prepared;
    const GptqOptions& options;
};

// Grids while they are worked with: (groups, rows), so that lanes load them side by side.
struct GridTable {
    size_t rows;
    AlignedBuffer<float> scale, zero_point, offset;

    GridTable(size_t n_groups, size_t n_rows)
        : rows(n_rows), scale(checked_mul(n_groups, n_rows, "grids")), zero_point(scale.size()), offset(scale.size()) {
        std::fill(scale.begin(), scale.end(), 1.0f);
    }
    void set(size_t group, size_t row, const GroupGrid& grid) {
        scale[group * rows + row] = grid.scale;
        zero_point[group * rows + row] = grid.zero_point;
        offset[group * rows + row] = grid.offset;
    }
    GroupGrid get(size_t group, size_t row) const {
        const size_t at = group * rows + row;
        return {scale[at], static_cast<uint8_t>(zero_point[at]), offset[at]};
    }
};

// A step of 32 rows: columns outside, rows inside.
using Tile = float[panel_cols][lanes];

template <size_t rows, size_t cols>
void transpose(const float* __restrict in, size_t in_stride, float* __restrict out, size_t out_stride) {
    for (size_t j = 0; j < cols; ++j) {
        for (size_t i = 0; i < rows; ++i) out[j * out_stride + i] = in[i * in_stride + j];
    }
}

// One column of 32 rows: codes, −(w − q) / U_jj, and twice its loss. No pointer meets another.
void round_lanes(const float* __restrict w, const float* __restrict scale, const float* __restrict zero_point,
                 const float* __restrict offset, float top_code, float u_jj, uint8_t* __restrict codes,
                 float* __restrict error, float* __restrict loss) {
    for (size_t lane = 0; lane < lanes; ++lane) {
        const float code = nearest_code(w[lane] - offset[lane], scale[lane], zero_point[lane], top_code);
        error[lane] = (scale[lane] * (code - zero_point[lane]) + offset[lane] - w[lane]) / u_jj;
        loss[lane] += error[lane] * error[lane];
        codes[lane] = static_cast<uint8_t>(static_cast<int>(code));
    }
}

// Columns [begin, end) of the solve's order.
struct Block {
    size_t begin, end;
};

// One solve. Columns are in the order of the solve everywhere but in `out`.
class Solver {
  public:
    explicit Solver(const Problem& problem)
        : compute_(problem.compute),
          prepared_(problem.prepared),
          options_(problem.options),
          rows_(problem.rows),
          cols_(problem.cols),
          padded_rows_(round_up(rows_, lanes)),
          block_cols_(std::min(options_.block, round_up(cols_, tile_cols))),
          out_(rows_, cols_, options_.grid),
          grids_(options_.grid.n_groups(cols_), padded_rows_),
          weights_(padded_rows_, round_up(cols_, panel_cols)),
          errors_(padded_rows_, block_cols_),
          panels_(checked_mul(block_cols_, block_cols_, "block")),
          row_loss_(padded_rows_),
          importance_(cols_) {
        for (size_t c = 0; c < cols_; ++c) importance_[c] = problem.h(c, c);
        load(problem.w);
    }

    void solve();
    const AlignedBuffer<double>& row_loss() const { return row_loss_; }
    QuantizedMatrix take_result();

  private:
    void load(const float* w);
    void find_grids(const float* weights, size_t n, size_t row, size_t col);
    size_t block_end(size_t begin) const;
    void pack_block(const Block& block);
    void solve_chunk(const Block& block, size_t row_begin, size_t row_end);
    void take_errors(const Block& block, size_t row_begin, size_t row_end, size_t from, size_t col, size_t col_end);
    void fit_grids(size_t row_begin, size_t row_end, size_t col);
    void solve_step(const Block& block, size_t row, size_t col, size_t n);

    const Compute& compute_;
    const PreparedHessian& prepared_;
    const GptqOptions& options_;
    const size_t rows_, cols_, padded_rows_, block_cols_;
    QuantizedMatrix out_;
    GridTable grids_;
    Matrix weights_;  // (padded rows, padded cols): not yet rounded; the errors of finished blocks are in them
    Matrix errors_;   // (padded rows, block): −(w − q) / U_jj of the block's columns
    AlignedBuffer<float> panels_;      // the block's U in gemm_f32's order: (block / 16, block, 16)
    AlignedBuffer<double> row_loss_;   // (padded rows)
    AlignedBuffer<float> importance_;  // (cols): the Hessian's diagonal
};

// W in the solve's order, dead columns 0; with act_order also the grids, of the original groups.
void Solver::load(const float* w) {
    compute_.pool.for_ranges(rows_, 1, [&](size_t begin, size_t end, size_t) {
        AlignedBuffer<float> row(cols_);
        for (size_t r = begin; r < end; ++r) {
            for (size_t c = 0; c < cols_; ++c) row[c] = prepared_.dead[c] ? 0.0f : w[r * cols_ + c];
            for (size_t c = 0; c < cols_ && options_.act_order; c = options_.grid.unit_end(c, cols_))
                find_grids(&row[c], options_.grid.unit_end(c, cols_) - c, r, c);
            float* to = weights_.row(r);
            for (size_t c = 0; c < cols_; ++c) to[c] = row[prepared_.order[c]];
        }
    });
}

// Of the unit of n weights from (row, col) on; groups are of the original columns in either order.
void Solver::find_grids(const float* weights, size_t n, size_t row, size_t col) {
    std::vector<GroupGrid> found(options_.grid.group == 0 ? 1 : div_up(n, options_.grid.group));
    find_unit(weights, options_.clip ? &importance_[col] : nullptr, n, options_.grid, row, col, found.data());
    for (size_t g = 0; g < found.size(); ++g) grids_.set(options_.grid.group_of(col) + g, row, found[g]);
}

// A block never ends inside a unit that starts inside it: then the unit's columns have all errors when its grids are
// found.
size_t Solver::block_end(size_t begin) const {
    const size_t end = std::min(begin + block_cols_, cols_), unit = options_.grid.unit();
    if (options_.act_order || options_.stale_grids || unit == 0 || end == cols_) return end;
    const size_t last_start = end / unit * unit;
    return last_start > begin ? last_start : end;
}

void Solver::solve() {
    GemmWorkspace workspace;
    for (size_t begin = 0; begin < cols_;) {
        const Block block{begin, block_end(begin)};
        const size_t n = block.end - begin, n_after = cols_ - block.end;
        pack_block(block);
        compute_.pool.for_ranges(padded_rows_, lanes, [&](size_t row_begin, size_t row_end, size_t) {
            for (size_t row = row_begin; row < row_end; row += chunk_rows) {
                solve_chunk(block, row, std::min(row + chunk_rows, row_end));
            }
        });
        if (n_after != 0) {
            gemm(compute_, workspace, Update::add, errors_.view().block(0, 0, padded_rows_, n),
                 prepared_.u.view().block(begin, block.end, n, n_after),
                 weights_.view().block(0, block.end, padded_rows_, n_after));
        }
        begin = block.end;
    }
}

void Solver::pack_block(const Block& block) {
    for (size_t col = block.begin; col < block.end; col += panel_cols) {
        const size_t n = std::min(panel_cols, block.end - col);
        float* panel = panels_.data() + (col - block.begin) * block_cols_;
        for (size_t k = block.begin; k < col; ++k, panel += panel_cols) std::copy_n(prepared_.u.row(k) + col, n, panel);
    }
}

void Solver::solve_chunk(const Block& block, size_t row_begin, size_t row_end) {
    size_t taken = block.begin;  // the block's errors before this column are in the step's columns already
    for (size_t col = block.begin; col < block.end; col += panel_cols) {
        const size_t step_end = std::min(col + panel_cols, block.end);
        if (!options_.act_order && options_.grid.starts_unit(col)) {
            if (options_.stale_grids) fit_grids(row_begin, row_end, col);
            take_errors(block, row_begin, row_end, block.begin, col,
                        std::min(options_.grid.unit_end(col, cols_), block.end));
            if (!options_.stale_grids) fit_grids(row_begin, row_end, col);
            taken = col;
        } else {
            take_errors(block, row_begin, row_end, taken, col, step_end);
        }
        for (size_t row = row_begin; row < row_end; row += lanes) solve_step(block, row, col, step_end - col);
    }
}

// W[:, col … col_end) += errors of the columns from … col, times U.
void Solver::take_errors(const Block& block, size_t row_begin, size_t row_end, size_t from, size_t col,
                         size_t col_end) {
    if (from == col) return;
    const float* u = panels_.data() + (col - block.begin) * block_cols_ + (from - block.begin) * panel_cols;
    compute_.kernels.gemm_f32({.a = errors_.row(row_begin) + (from - block.begin),
                               .a_stride = errors_.cols(),
                               .panels = u,
                               .panel_stride = block_cols_ * panel_cols,
                               .c = weights_.row(row_begin) + col,
                               .c_stride = weights_.cols(),
                               .m = row_end - row_begin,
                               .n_cols = col_end - col,
                               .k = col - from,
                               .accumulate = true});
}

void Solver::fit_grids(size_t row_begin, size_t row_end, size_t col) {
    const size_t n = options_.grid.unit_end(col, cols_) - col;
    for (size_t row = row_begin; row < std::min(row_end, rows_); ++row)
        find_grids(weights_.row(row) + col, n, row, col);
}

// Rounds columns col … col + n of 32 rows, each with the errors of those before it.
void Solver::solve_step(const Block& block, size_t row, size_t col, size_t n) {
    Tile w, error = {};
    uint8_t codes[panel_cols][lanes];
    float loss[lanes] = {};
    transpose<lanes, panel_cols>(weights_.row(row) + col, weights_.cols(), w[0], lanes);
    for (size_t j = 0; j < n; ++j) {
        const size_t grid = options_.grid.group_of(prepared_.order[col + j]) * padded_rows_ + row;
        const float* u = prepared_.u.row(col + j) + col;
        round_lanes(w[j], &grids_.scale[grid], &grids_.zero_point[grid], &grids_.offset[grid], options_.grid.top_code(),
                    u[j], codes[j], error[j], loss);
        for (size_t k = j + 1; k < n; ++k) {
            for (size_t lane = 0; lane < lanes; ++lane) w[k][lane] += error[j][lane] * u[k];
        }
    }
    transpose<panel_cols, lanes>(error[0], lanes, errors_.row(row) + (col - block.begin), errors_.cols());
    for (size_t lane = 0; lane < std::min(lanes, rows_ - row); ++lane) {
        uint8_t* out = out_.codes.data() + (row + lane) * cols_;
        for (size_t j = 0; j < n; ++j) out[prepared_.order[col + j]] = codes[j][lane];
        row_loss_[row + lane] += static_cast<double>(loss[lane]) / 2;
    }
}

QuantizedMatrix Solver::take_result() {
    const size_t n_groups = out_.n_groups();
    for (size_t row = 0; row < rows_; ++row) {
        for (size_t group = 0; group < n_groups; ++group) out_.set_grid(row * n_groups + group, grids_.get(group, row));
    }
    return std::move(out_);
}

// Evenly spread rows of W, which the report measures.
struct Sample {
    std::vector<size_t> rows;
    Matrix weights;  // (rows.size(), cols)

    explicit Sample(const Problem& problem)
        : rows(std::min(problem.rows, max_sample)), weights(rows.size(), problem.cols) {
        for (size_t i = 0; i < rows.size(); ++i) {
            rows[i] = i * problem.rows / rows.size();
            std::copy_n(problem.w + rows[i] * problem.cols, problem.cols, weights.row(i));
        }
    }
};

// Q − W of one row. Dead inputs cost nothing whatever their weights are: 0.
void row_errors(const QuantizedMatrix& q, size_t row, const float* w, const std::vector<uint8_t>& dead, float* errors) {
    for (size_t c = 0; c < q.cols; ++c) errors[c] = dead[c] ? 0.0f : q.value(row, c) - w[c];
}

// Fills in the losses of q and of plain rounding, and the self-check: tr(E Hd Eᵀ)/2 = tr(E H Eᵀ)/2 + added · |E|²/2.
// row_loss: the solver's account. What a sample tells is scaled up by loss / the sample's part of it: a row's losses go
// together.
void measure(const Problem& problem, const Sample& sample, const QuantizedMatrix& q,
             const AlignedBuffer<double>& row_loss, SolveReport& report) {
    const size_t n = sample.rows.size();
    const QuantizedMatrix rounded =
        round_to_nearest(problem.compute, sample.weights.data(), n, q.cols, problem.options.grid);
    Matrix errors(2 * n, q.cols);  // of q, then of plain rounding
    for (size_t i = 0; i < n; ++i) {
        row_errors(q, sample.rows[i], sample.weights.row(i), problem.prepared.dead, errors.row(i));
        row_errors(rounded, i, sample.weights.row(i), problem.prepared.dead, errors.row(n + i));
    }
    const std::vector<double> losses = hessian_losses(problem.compute, errors, problem.h);
    double account = 0, squares = 0;
    for (size_t i = 0; i < n; ++i) {
        account += row_loss[sample.rows[i]];
        squares += std::inner_product(errors.row(i), errors.row(i) + q.cols, errors.row(i), 0.0);
    }
    const double solved = std::accumulate(losses.begin(), losses.begin() + n, 0.0);
    const double scale = account > 0 ? report.loss / account : static_cast<double>(q.rows) / static_cast<double>(n);
    report.true_loss = solved * scale;
    report.rtn_loss = std::accumulate(losses.begin() + n, losses.end(), 0.0) * scale;
    report.check_error = account > 0 ? std::abs((solved + problem.prepared.added * squares / 2) / account - 1) : 0;
}

void check_arguments(const Problem& problem) {
    const size_t cols = problem.cols, factor = problem.prepared.usable ? problem.prepared.u.rows() : cols;
    if (problem.h.rows() != cols || problem.h.cols() != cols || factor != cols ||
        problem.prepared.dead.size() != cols) {
        fail(Status::invalid_argument,
             "gptq: expected Hessians of %zu inputs, found one of %zu x %zu, prepared for %zu", cols, problem.h.rows(),
             problem.h.cols(), problem.prepared.dead.size());
    }
    const size_t block = problem.options.block;
    if (block == 0 || block % tile_cols != 0) {
        fail(Status::invalid_argument, "gptq block: expected a multiple of %zu, found %zu", tile_cols, block);
    }
}

}  // namespace

QuantizedMatrix gptq_solve(const Compute& compute, const float* w, size_t rows, size_t cols, const Matrix& h,
                           const PreparedHessian& prepared, const GptqOptions& options, SolveReport& report) {
    const Problem problem{compute, w, rows, cols, h, prepared, options};
    check_arguments(problem);
    report = SolveReport();
    report.damping = prepared.damping;
    report.damping_retries = prepared.retries;
    report.dead_columns = static_cast<size_t>(std::count(prepared.dead.begin(), prepared.dead.end(), uint8_t{1}));
    report.reason = prepared.reason;
    if (prepared.usable) {
        Solver solver(problem);
        solver.solve();
        report.loss = std::accumulate(solver.row_loss().begin(), solver.row_loss().end(), 0.0);
        if (std::isfinite(report.loss)) {
            QuantizedMatrix q = solver.take_result();
            measure(problem, Sample(problem), q, solver.row_loss(), report);
            return q;
        }
        report.reason = "the solve left the finite numbers";
    }
    report.fell_back_to_rtn = true;
    QuantizedMatrix q = round_to_nearest(compute, w, rows, cols, options.grid);
    measure(problem, Sample(problem), q, AlignedBuffer<double>(rows), report);
    if (!std::isfinite(report.rtn_loss)) report.rtn_loss = 0;
    report.loss = report.true_loss = report.rtn_loss;
    return q;
}

}  // namespace gq
