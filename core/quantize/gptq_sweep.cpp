// Coordinate descent over codes, at the speed of matrix products. In: a result, its errors E, H. Out: codes that lose
// less. Must not know how they were found.
//
// With the pull p = E Hd, the best value of weight j, all others given, is v_j − p_j / Hd_jj, and moving it by m
// changes the loss by m p_j + m² Hd_jj / 2. A block of columns takes its pull from E by one product; inside it goes as
// in the loop of GPTQ (gptq_loop.cpp): steps of 16 columns take what earlier steps moved by gemm_f32.
#include <algorithm>

#include "core/linalg/gemm.h"
#include "core/quantize/gptq_lanes.h"
#include "core/quantize/gptq_refine.h"

namespace gq {

namespace {

constexpr size_t block_cols = 128;

// One column of 32 rows. value: of the codes, becomes that of the new ones. moved: by how much. gain: what the loss
// changes by, summed up. No pointer meets another.
template <bool has_table>
void move_lanes(const float* __restrict pull, float h_jj, const float* __restrict scale,
                const float* __restrict zero_point, const float* __restrict offset, float top_code,
                const uint8_t* __restrict table, float* __restrict codes, float* __restrict moved,
                float* __restrict gain) {
    for (size_t lane = 0; lane < lanes; ++lane) {
        const float s = scale[lane], z = zero_point[lane], o = offset[lane];
        const float value = s * (codes[lane] - z) + o;
        const float nearest = nearest_code(value - pull[lane] / h_jj - o, s, z, top_code);
        const float code = has_table ? existing_code(nearest, table) : nearest;
        const float move = s * (code - z) + o - value;
        const float change = move * pull[lane] + move * move * h_jj * 0.5f;
        const bool better = change < 0;
        codes[lane] = better ? code : codes[lane];
        moved[lane] = better ? move : 0.0f;
        gain[lane] += better ? change : 0.0f;
    }
}

class Sweep {
  public:
    explicit Sweep(RefineState& state)
        : state_(state),
          compute_(state.problem.compute),
          h_(state.problem.h),
          grid_(state.problem.options.grid),
          added_(static_cast<float>(state.problem.prepared.added)),
          rows_(state.q.rows),
          cols_(state.q.cols),
          grids_(grid_.n_groups(cols_), state.errors.rows()),
          pull_(state.errors.rows(), block_cols),
          moved_(state.errors.rows(), block_cols),
          panels_(block_cols * block_cols) {
        const size_t n_groups = state.q.n_groups();
        for (size_t row = 0; row < rows_; ++row) {
            for (size_t g = 0; g < n_groups; ++g) grids_.set(g, row, state.q.grid(row * n_groups + g));
        }
    }

    void run();

  private:
    void run_chunk(size_t begin, size_t end, size_t row_begin, size_t row_end);
    void take_moves(size_t begin, size_t col, size_t n, size_t row_begin, size_t row_end);
    void move_step(size_t begin, size_t row, size_t col, size_t n);

    RefineState& state_;
    const Compute& compute_;
    const Matrix& h_;
    const GridOptions& grid_;
    const float added_;
    const size_t rows_, cols_;
    GridTable grids_;
    Matrix pull_, moved_;          // (padded rows, block)
    AlignedBuffer<float> panels_;  // the block's H, for its later columns
};

void Sweep::run() {
    GemmWorkspace workspace;
    for (size_t begin = 0; begin < cols_; begin += block_cols) {
        const size_t end = std::min(begin + block_cols, cols_), n = end - begin;
        gemm(compute_, workspace, Update::set, state_.errors.view().block(0, 0, state_.errors.rows(), cols_),
             h_.view().block(0, begin, cols_, n), pull_.view().block(0, 0, pull_.rows(), n));
        pack_steps(h_.view(), begin, end, block_cols, panels_.data());
        compute_.pool.for_ranges(state_.errors.rows(), lanes, [&](size_t row_begin, size_t row_end, size_t) {
            for (size_t row = row_begin; row < row_end; row += chunk_rows)
                run_chunk(begin, end, row, std::min(row + chunk_rows, row_end));
        });
    }
    compute_.pool.for_each(rows_, [&](size_t row, size_t) { find_errors(state_, row); });
}

void Sweep::run_chunk(size_t begin, size_t end, size_t row_begin, size_t row_end) {
    for (size_t col = begin; col < end; col += panel_cols) {
        const size_t n = std::min(panel_cols, end - col);
        if (col != begin) take_moves(begin, col, n, row_begin, row_end);
        for (size_t row = row_begin; row < row_end; row += lanes) move_step(begin, row, col, n);
    }
}

// The pull of columns col … col + n takes what the block's earlier columns moved.
void Sweep::take_moves(size_t begin, size_t col, size_t n, size_t row_begin, size_t row_end) {
    compute_.kernels.gemm_f32({.a = moved_.row(row_begin),
                               .a_stride = moved_.cols(),
                               .panels = panels_.data() + (col - begin) * block_cols,
                               .panel_stride = block_cols * panel_cols,
                               .c = pull_.row(row_begin) + (col - begin),
                               .c_stride = pull_.cols(),
                               .m = row_end - row_begin,
                               .n_cols = n,
                               .k = col - begin,
                               .accumulate = true});
}

void Sweep::move_step(size_t begin, size_t row, size_t col, size_t n) {
    Tile pull, error, codes = {}, moved = {};
    float gain[lanes] = {};
    const size_t n_rows = row < rows_ ? std::min(lanes, rows_ - row) : 0;
    transpose<lanes, panel_cols>(pull_.row(row) + (col - begin), pull_.cols(), pull[0], lanes);
    transpose<lanes, panel_cols>(state_.errors.row(row) + col, state_.errors.cols(), error[0], lanes);
    for (size_t lane = 0; lane < n_rows; ++lane) {
        for (size_t j = 0; j < n; ++j) codes[j][lane] = state_.q.codes[(row + lane) * cols_ + col + j];
    }
    for (size_t j = 0; j < n; ++j) {
        if (state_.problem.prepared.dead[col + j]) continue;
        const size_t grid = grid_.group_of(col + j) * grids_.rows + row;
        const float* h = h_.row(col + j) + col;
        for (size_t lane = 0; lane < lanes; ++lane) pull[j][lane] += added_ * error[j][lane];
        const auto move = grid_.table() ? move_lanes<true> : move_lanes<false>;
        move(pull[j], h[j] + added_, &grids_.scale[grid], &grids_.zero_point[grid], &grids_.offset[grid],
             grid_.top_code(), grid_.table(), codes[j], moved[j], gain);
        for (size_t k = j + 1; k < n; ++k) {
            for (size_t lane = 0; lane < lanes; ++lane) pull[k][lane] += moved[j][lane] * h[k];
        }
    }
    transpose<panel_cols, lanes>(moved[0], lanes, moved_.row(row) + (col - begin), moved_.cols());
    for (size_t lane = 0; lane < n_rows; ++lane) {
        float* errors = state_.errors.row(row + lane) + col;
        for (size_t j = 0; j < n; ++j) {
            state_.q.codes[(row + lane) * cols_ + col + j] = static_cast<uint8_t>(static_cast<int>(codes[j][lane]));
            errors[j] += moved[j][lane];
        }
        state_.row_loss[row + lane] += static_cast<double>(gain[lane]);
    }
}

}  // namespace

void sweep_codes(RefineState& state) {
    Sweep(state).run();
}

}  // namespace gq
