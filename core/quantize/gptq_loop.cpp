// GPTQ's loop over columns, in three sizes. In: W, a PreparedHessian, options. Out: codes, scales, zero points, and
// what each row lost. See gptq_loop.h.
//
//   block   128 columns: when it is done, its errors go to all columns after it, by one product that all threads share
//   step     16 columns: before they are rounded they take the errors of the block's earlier steps, by gemm_f32
//   column   of 32 rows in lanes: it is rounded, and its error goes to the step's columns after it
//
// So nearly all arithmetic is matrix products. Rows never meet: threads share them, and their number changes no bit.
// Must not know models, files or calibration.
//
// FOEM: a column is first pulled back to its start w₀ by β, and β (w − w₀) is taken off the error that it hands on. The
// published code forgets the former for the first column of a block; here blocks change rounding errors only.
// GPTAQ: a column hands on w P as well, w its value before it is rounded. The published code's update behind a block
// uses rounded values; here blocks change rounding errors only.
#include "core/quantize/gptq_loop.h"

#include <algorithm>
#include <cmath>

#include "core/linalg/gemm.h"
#include "core/quantize/gptq_lanes.h"

namespace gq {

namespace {

// One column of 32 rows: codes, −(w − q) / U_jj, and twice its loss. No pointer meets another. Without a table the
// loop vectorises.
template <bool has_table>
void round_lanes(const float* __restrict w, const float* __restrict scale, const float* __restrict zero_point,
                 const float* __restrict offset, float top_code, const uint8_t* __restrict table, float u_jj,
                 uint8_t* __restrict codes, float* __restrict error, float* __restrict loss) {
    for (size_t lane = 0; lane < lanes; ++lane) {
        const float nearest = nearest_code(w[lane] - offset[lane], scale[lane], zero_point[lane], top_code);
        const float code = has_table ? existing_code(nearest, table) : nearest;
        error[lane] = (scale[lane] * (code - zero_point[lane]) + offset[lane] - w[lane]) / u_jj;
        loss[lane] += error[lane] * error[lane];
        codes[lane] = static_cast<uint8_t>(static_cast<int>(code));
    }
}

// after[k] += amount · factor[k] for n columns. No pointer meets another.
void hand_on(const float* __restrict amount, const float* __restrict factor, size_t n,
             float (*__restrict after)[lanes]) {
    for (size_t k = 0; k < n; ++k) {
        for (size_t lane = 0; lane < lanes; ++lane) after[k][lane] += amount[lane] * factor[k];
    }
}

// Columns [begin, end) of the solve's order.
struct Block {
    size_t begin, end;
};

// One solve. Columns are in the order of the solve everywhere but in `out`.
class Solver {
  public:
    explicit Solver(const SolveProblem& problem)
        : compute_(problem.compute),
          prepared_(problem.prepared),
          options_(problem.options),
          pull_(problem.drift && problem.drift->pull.rows() != 0 ? &problem.drift->pull : nullptr),
          rows_(problem.rows),
          cols_(problem.cols),
          padded_rows_(round_up(rows_, lanes)),
          block_cols_(std::min(options_.block, round_up(cols_, tile_cols))),
          out_(rows_, cols_, options_.grid),
          grids_(options_.grid.n_groups(cols_), padded_rows_),
          weights_(padded_rows_, round_up(cols_, panel_cols)),
          errors_(padded_rows_, block_cols_),
          panels_(checked_mul(block_cols_, block_cols_, "block")),
          pull_panels_(pull_ ? panels_.size() : 0),
          row_loss_(padded_rows_),
          importance_(cols_) {
        for (size_t c = 0; c < cols_; ++c) importance_[c] = problem.h(c, c);
        load(problem.w);
        if (options_.foem > 0) {
            start_ = Matrix(weights_.rows(), weights_.cols());
            std::copy_n(weights_.data(), weights_.rows() * weights_.cols(), start_.data());
        }
    }

    void solve();
    LoopResult take_result();

  private:
    void load(const float* w);
    void find_grids(const float* weights, size_t n, size_t row, size_t col);
    size_t block_end(size_t begin) const;
    void finish_block(GemmWorkspace& workspace, const Block& block);
    void solve_chunk(const Block& block, size_t row_begin, size_t row_end);
    void take_errors(const Block& block, size_t row_begin, size_t row_end, size_t from, size_t col, size_t col_end);
    void fit_grids(size_t row_begin, size_t row_end, size_t col);
    void solve_step(const Block& block, size_t row, size_t col, size_t n);
    void round_column(size_t row, size_t col, const float* start, float* w, uint8_t* codes, float* error, float* loss);

    const Compute& compute_;
    const PreparedHessian& prepared_;
    const GptqOptions& options_;
    const Matrix* pull_;  // GPTAQ's P, or null
    const size_t rows_, cols_, padded_rows_, block_cols_;
    QuantizedMatrix out_;
    GridTable grids_;
    Matrix weights_;  // (padded rows, padded cols): not yet rounded; the errors of finished blocks are in them
    Matrix start_;    // FOEM: the same as they were at first
    Matrix errors_;   // (padded rows, block): −(w − q) / U_jj of the block's columns
    AlignedBuffer<float> panels_;       // the block's U in gemm_f32's order: (block / 16, block, 16)
    AlignedBuffer<float> pull_panels_;  // the same of P
    AlignedBuffer<double> row_loss_;    // (padded rows)
    AlignedBuffer<float> importance_;   // (cols): the Hessian's diagonal
};

// W in the solve's order, dead columns 0; with static grids also the grids, of the original groups.
void Solver::load(const float* w) {
    compute_.pool.for_ranges(rows_, 1, [&](size_t begin, size_t end, size_t) {
        AlignedBuffer<float> row(cols_);
        for (size_t r = begin; r < end; ++r) {
            for (size_t c = 0; c < cols_; ++c) row[c] = prepared_.dead[c] ? 0.0f : w[r * cols_ + c];
            for (size_t c = 0; c < cols_ && options_.static_grids(); c = options_.grid.unit_end(c, cols_))
                find_grids(&row[c], options_.grid.unit_end(c, cols_) - c, r, c);
            float* to = weights_.row(r);
            for (size_t c = 0; c < cols_; ++c) to[c] = row[prepared_.order[c]];
        }
    });
}

// Of the unit of n weights from (row, col) on; groups are of the original columns in either order.
void Solver::find_grids(const float* weights, size_t n, size_t row, size_t col) {
    std::vector<GroupGrid> found(options_.grid.group == 0 ? 1 : div_up(n, options_.grid.group));
    find_unit(options_.search, weights, &importance_[col], n, options_.grid, row, col, found.data());
    for (size_t g = 0; g < found.size(); ++g) grids_.set(options_.grid.group_of(col) + g, row, found[g]);
}

// A block never ends inside a unit that starts inside it: then the unit's columns have all errors when its grids are
// found.
size_t Solver::block_end(size_t begin) const {
    const size_t end = std::min(begin + block_cols_, cols_), unit = options_.grid.unit();
    if (options_.static_grids() || options_.stale_grids || unit == 0 || end == cols_) return end;
    const size_t last_start = end / unit * unit;
    return last_start > begin ? last_start : end;
}

void Solver::solve() {
    GemmWorkspace workspace;
    for (size_t begin = 0; begin < cols_;) {
        const Block block{begin, block_end(begin)};
        pack_steps(prepared_.u.view(), begin, block.end, block_cols_, panels_.data());
        if (pull_) pack_steps(pull_->view(), begin, block.end, block_cols_, pull_panels_.data());
        compute_.pool.for_ranges(padded_rows_, lanes, [&](size_t row_begin, size_t row_end, size_t) {
            for (size_t row = row_begin; row < row_end; row += chunk_rows) {
                solve_chunk(block, row, std::min(row + chunk_rows, row_end));
            }
        });
        finish_block(workspace, block);
        begin = block.end;
    }
}

// What the block hands on to all columns after it.
void Solver::finish_block(GemmWorkspace& workspace, const Block& block) {
    const size_t n = block.end - block.begin, n_after = cols_ - block.end;
    if (n_after == 0) return;
    const MatrixView after = weights_.view().block(0, block.end, padded_rows_, n_after);
    gemm(compute_, workspace, Update::add, errors_.view().block(0, 0, padded_rows_, n),
         prepared_.u.view().block(block.begin, block.end, n, n_after), after);
    if (pull_) {
        gemm(compute_, workspace, Update::add, weights_.view().block(0, block.begin, padded_rows_, n),
             pull_->view().block(block.begin, block.end, n, n_after), after);
    }
}

void Solver::solve_chunk(const Block& block, size_t row_begin, size_t row_end) {
    size_t taken = block.begin;  // the block's errors before this column are in the step's columns already
    for (size_t col = block.begin; col < block.end; col += panel_cols) {
        const size_t step_end = std::min(col + panel_cols, block.end);
        if (!options_.static_grids() && options_.grid.starts_unit(col)) {
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

// W[:, col … col_end) += errors of the columns from … col, times U; and GPTAQ's part.
void Solver::take_errors(const Block& block, size_t row_begin, size_t row_end, size_t from, size_t col,
                         size_t col_end) {
    if (from == col) return;
    const size_t at = (col - block.begin) * block_cols_ + (from - block.begin) * panel_cols;
    GemmF32Args work{.a = errors_.row(row_begin) + (from - block.begin),
                     .a_stride = errors_.cols(),
                     .panels = panels_.data() + at,
                     .panel_stride = block_cols_ * panel_cols,
                     .c = weights_.row(row_begin) + col,
                     .c_stride = weights_.cols(),
                     .m = row_end - row_begin,
                     .n_cols = col_end - col,
                     .k = col - from,
                     .accumulate = true};
    compute_.kernels.gemm_f32(work);
    if (!pull_) return;
    work.a = weights_.row(row_begin) + from;
    work.a_stride = weights_.cols();
    work.panels = pull_panels_.data() + at;
    compute_.kernels.gemm_f32(work);
}

void Solver::fit_grids(size_t row_begin, size_t row_end, size_t col) {
    const size_t n = options_.grid.unit_end(col, cols_) - col;
    for (size_t row = row_begin; row < std::min(row_end, rows_); ++row)
        find_grids(weights_.row(row) + col, n, row, col);
}

// One column of 32 rows from `row` on. start: where FOEM's column was at first, else null.
void Solver::round_column(size_t row, size_t col, const float* start, float* w, uint8_t* codes, float* error,
                          float* loss) {
    const size_t grid = options_.grid.group_of(prepared_.order[col]) * padded_rows_ + row;
    const float u_jj = prepared_.u(col, col), beta = static_cast<float>(options_.foem);
    if (start) {
        for (size_t lane = 0; lane < lanes; ++lane) w[lane] -= beta * (w[lane] - start[lane]);
    }
    const bool dead = prepared_.dead[prepared_.order[col]] != 0;
    float nothing[lanes] = {};  // a dead input costs nothing, also where the grid has no value 0
    const auto round = options_.grid.table() ? round_lanes<true> : round_lanes<false>;
    round(w, &grids_.scale[grid], &grids_.zero_point[grid], &grids_.offset[grid], options_.grid.top_code(),
          options_.grid.table(), u_jj, codes, error, dead ? nothing : loss);
    if (dead) std::fill_n(error, lanes, 0.0f);
    if (start && !dead) {
        for (size_t lane = 0; lane < lanes; ++lane) error[lane] += beta * (w[lane] - start[lane]) / u_jj;
    }
}

// Rounds columns col … col + n of 32 rows, each with the errors of those before it.
void Solver::solve_step(const Block& block, size_t row, size_t col, size_t n) {
    Tile w, start, error = {};
    uint8_t codes[panel_cols][lanes];
    float loss[lanes] = {};
    const bool foem = options_.foem > 0;
    transpose<lanes, panel_cols>(weights_.row(row) + col, weights_.cols(), w[0], lanes);
    if (foem) transpose<lanes, panel_cols>(start_.row(row) + col, start_.cols(), start[0], lanes);
    for (size_t j = 0; j < n; ++j) {
        round_column(row, col + j, foem ? start[j] : nullptr, w[j], codes[j], error[j], loss);
        hand_on(error[j], prepared_.u.row(col + j) + col + j + 1, n - j - 1, w + j + 1);
        if (pull_) hand_on(w[j], pull_->row(col + j) + col + j + 1, n - j - 1, w + j + 1);
    }
    if (pull_) transpose<panel_cols, lanes>(w[0], lanes, weights_.row(row) + col, weights_.cols());
    transpose<panel_cols, lanes>(error[0], lanes, errors_.row(row) + (col - block.begin), errors_.cols());
    for (size_t lane = 0; lane < std::min(lanes, rows_ - row); ++lane) {
        uint8_t* out = out_.codes.data() + (row + lane) * cols_;
        for (size_t j = 0; j < n; ++j) out[prepared_.order[col + j]] = codes[j][lane];
        row_loss_[row + lane] += static_cast<double>(loss[lane]) / 2;
    }
}

LoopResult Solver::take_result() {
    const size_t n_groups = out_.n_groups();
    for (size_t row = 0; row < rows_; ++row) {
        for (size_t group = 0; group < n_groups; ++group) out_.set_grid(row * n_groups + group, grids_.get(group, row));
    }
    return {std::move(out_), std::move(row_loss_)};
}

}  // namespace

LoopResult gptq_loop(const SolveProblem& problem) {
    Solver solver(problem);
    solver.solve();
    return solver.take_result();
}

}  // namespace gq
