// Grids by least squares. In: a result, its errors E, H. Out: scales, and offsets where the grid has them, that lose
// less with the same codes. Must not know how those were found.
//
// A row's value is Σ scale[g] basis[g] + offset[g] one[g], with basis[g] = code − zero point inside group g and 0
// elsewhere, one[g] = 1 inside g. Changing the coefficients by δ changes the loss by rhs δ + δᵀ G δ / 2, with
// rhs = (E Hd) Bᵀ and G = B Hd Bᵀ for the rows B of all basis[g] and one[g]: G δ = −rhs is the minimum. What is stored
// is near it; that is taken where it loses less.
#include <algorithm>
#include <cmath>

#include "core/linalg/gemm.h"
#include "core/quantize/gptq_refine.h"

namespace gq {

namespace {

// Rows whose normal equations are held at a time, within this much memory for the latter.
constexpr size_t max_rows = 256, max_bytes = size_t{64} << 20;
constexpr double ridge = 1e-6;  // of the mean diagonal: groups whose codes are all zero points have no say

// G δ = rhs of one row, order n, symmetric positive definite but for the ridge. δ in place of rhs.
void solve_normal(const double* gram, size_t n, std::vector<double>& factor, std::vector<double>& rhs) {
    double mean = 0;
    for (size_t i = 0; i < n; ++i) mean += gram[i * n + i] / static_cast<double>(n);
    factor.assign(n * n, 0.0);
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j <= i; ++j) {
            double x = gram[i * n + j] + (i == j ? ridge * mean + 1e-300 : 0.0);
            for (size_t k = 0; k < j; ++k) x -= factor[i * n + k] * factor[j * n + k];
            factor[i * n + j] = i == j ? std::sqrt(std::max(x, 1e-300)) : x / factor[j * n + j];
        }
    }
    for (size_t i = 0; i < n; ++i) {
        for (size_t k = 0; k < i; ++k) rhs[i] -= factor[i * n + k] * rhs[k];
        rhs[i] /= factor[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; ++k) rhs[i] -= factor[k * n + i] * rhs[k];
        rhs[i] /= factor[i * n + i];
    }
}

class Refit {
  public:
    explicit Refit(RefineState& state)
        : state_(state),
          q_(state.q),
          compute_(state.problem.compute),
          h_(state.problem.h),
          grid_(state.problem.options.grid),
          added_(state.problem.prepared.added),
          n_groups_(q_.n_groups()),
          order_(n_groups_ * (grid_.grid->has_offsets ? 2 : 1)),
          chunk_(std::clamp(max_bytes / (order_ * order_ * sizeof(double)), size_t{16}, max_rows)),
          basis_(chunk_, q_.cols),
          pull_(chunk_, q_.cols),
          product_(chunk_, q_.cols),
          gram_(checked_mul(chunk_, order_ * order_, "normal equations")),
          rhs_(chunk_ * order_) {
        if (grid_.grid->has_offsets) sum_groups();
    }

    void run() {
        for (size_t first = 0; first < q_.rows; first += chunk_) run_rows(first, std::min(chunk_, q_.rows - first));
    }

  private:
    size_t group_begin(size_t g) const { return g * grid_.group; }
    size_t group_end(size_t g) const { return grid_.group_end(group_begin(g), q_.cols); }
    bool dead(size_t col) const { return state_.problem.prepared.dead[col] != 0; }
    double& gram(size_t i, size_t a, size_t b) { return gram_[(i * order_ + a) * order_ + b]; }

    void sum_groups();
    void run_rows(size_t first, size_t n);
    void load_row(size_t i, size_t row);
    void add_group(size_t i, size_t g);
    void add_offsets(size_t i);
    void fit_row(size_t i, size_t row);
    void propose(const double* delta, size_t row, std::vector<GroupGrid>& grids) const;
    void find_changes(size_t row, const std::vector<GroupGrid>& grids, std::vector<double>& delta) const;
    double change_of(size_t i, const std::vector<double>& delta);

    RefineState& state_;
    QuantizedMatrix& q_;
    const Compute& compute_;
    const Matrix& h_;
    const GridOptions& grid_;
    const double added_;
    const size_t n_groups_, order_, chunk_;
    Matrix basis_, pull_, product_;  // (chunk, cols)
    Matrix group_sums_;              // (groups, cols): Σ H(i, j) over i in the group; with offsets only
    AlignedBuffer<double> gram_, rhs_;
    GemmWorkspace workspace_;
};

void Refit::sum_groups() {
    group_sums_ = Matrix(n_groups_, q_.cols);
    compute_.pool.for_each(n_groups_, [&](size_t g, size_t) {
        std::vector<double> sums(q_.cols);
        for (size_t i = group_begin(g); i < group_end(g); ++i) {
            for (size_t j = 0; j < q_.cols; ++j) sums[j] += h_(i, j);
        }
        for (size_t j = 0; j < q_.cols; ++j) group_sums_(g, j) = static_cast<float>(sums[j]);
    });
}

void Refit::run_rows(size_t first, size_t n) {
    gemm(compute_, workspace_, Update::set, state_.errors.view().block(first, 0, n, q_.cols), h_.view(),
         pull_.view().block(0, 0, n, q_.cols));
    compute_.pool.for_each(n, [&](size_t i, size_t) { load_row(i, first + i); });
    for (size_t g = 0; g < n_groups_; ++g) {
        const size_t begin = group_begin(g), size = group_end(g) - begin, after = q_.cols - begin;
        gemm(compute_, workspace_, Update::set, basis_.view().block(0, begin, n, size),
             h_.view().block(begin, begin, size, after), product_.view().block(0, begin, n, after));
        compute_.pool.for_each(n, [&](size_t i, size_t) { add_group(i, g); });
    }
    compute_.pool.for_each(n, [&](size_t i, size_t) {
        if (grid_.grid->has_offsets) add_offsets(i);
        fit_row(i, first + i);
    });
}

// The basis, the pull of the damped H, the row's loss and its right-hand side.
void Refit::load_row(size_t i, size_t row) {
    const float* e = state_.errors.row(row);
    double loss = 0;
    std::fill_n(&rhs_[i * order_], order_, 0.0);
    for (size_t c = 0; c < q_.cols; ++c) {
        const size_t g = grid_.group_of(c);
        const float zero_point = q_.zero_points[row * n_groups_ + g];
        basis_(i, c) = dead(c) ? 0.0f : static_cast<float>(q_.codes[row * q_.cols + c]) - zero_point;
        const double pull = dead(c) ? 0.0 : pull_(i, c) + added_ * e[c];
        loss += pull * e[c] / 2;
        rhs_[i * order_ + g] += pull * basis_(i, c);
        if (grid_.grid->has_offsets) rhs_[i * order_ + n_groups_ + g] += pull;
    }
    state_.row_loss[row] = loss;
}

// G of group g's basis with those of the groups from g on.
void Refit::add_group(size_t i, size_t g) {
    for (size_t other = g; other < n_groups_; ++other) {
        double sum = 0;
        for (size_t c = group_begin(other); c < group_end(other); ++c)
            sum += static_cast<double>(product_(i, c)) * basis_(i, c);
        if (other == g) {
            for (size_t c = group_begin(g); c < group_end(g); ++c)
                sum += added_ * static_cast<double>(basis_(i, c)) * basis_(i, c);
        }
        gram(i, g, other) = gram(i, other, g) = sum;
    }
}

// G of the offsets with everything.
void Refit::add_offsets(size_t i) {
    for (size_t g = 0; g < n_groups_; ++g) {
        for (size_t other = 0; other < n_groups_; ++other) {
            double with_basis = 0, with_ones = 0;
            for (size_t c = group_begin(other); c < group_end(other); ++c) {
                const double sum = group_sums_(g, c) + (other == g && !dead(c) ? added_ : 0.0);
                with_basis += sum * basis_(i, c);
                with_ones += sum;
            }
            gram(i, n_groups_ + g, other) = gram(i, other, n_groups_ + g) = with_basis;
            gram(i, n_groups_ + g, n_groups_ + other) = with_ones;
        }
    }
}

void Refit::fit_row(size_t i, size_t row) {
    std::vector<double> factor, delta(order_);
    for (size_t k = 0; k < order_; ++k) delta[k] = -rhs_[i * order_ + k];
    solve_normal(&gram_[i * order_ * order_], order_, factor, delta);
    std::vector<GroupGrid> grids(n_groups_);
    propose(delta.data(), row, grids);
    find_changes(row, grids, delta);
    const double change = change_of(i, delta);
    if (!(change < 0)) return;
    for (size_t g = 0; g < n_groups_; ++g) q_.set_grid(row * n_groups_ + g, grids[g]);
    state_.row_loss[row] += change;
    find_errors(state_, row);
}

// The stored grids nearest to the changed ones.
void Refit::propose(const double* delta, size_t row, std::vector<GroupGrid>& grids) const {
    const Grid& grid = *grid_.grid;
    for (size_t g = 0; g < n_groups_; ++g) {
        const GroupGrid old = q_.grid(row * n_groups_ + g);
        const double scale = old.scale + delta[g];
        const double offset = old.offset + (grid.has_offsets ? delta[n_groups_ + g] : 0.0);
        grids[g] = stored_or(old, scale, offset, grid_);
    }
    if (!grid.settle) return;
    const size_t unit = grid.unit_groups(grid_.group);
    for (size_t g = 0; g < n_groups_; g += unit) grid.settle(&grids[g], std::min(unit, n_groups_ - g), grid_.bits);
}

// δ of the stored grids: value = scale (code − old zero point) + offset.
void Refit::find_changes(size_t row, const std::vector<GroupGrid>& grids, std::vector<double>& delta) const {
    for (size_t g = 0; g < n_groups_; ++g) {
        const GroupGrid old = q_.grid(row * n_groups_ + g);
        const double zero_moved = static_cast<double>(old.zero_point) - grids[g].zero_point;
        delta[g] = static_cast<double>(grids[g].scale) - old.scale;
        if (grid_.grid->has_offsets)
            delta[n_groups_ + g] = static_cast<double>(grids[g].offset) - old.offset + grids[g].scale * zero_moved;
    }
}

double Refit::change_of(size_t i, const std::vector<double>& delta) {
    double change = 0;
    for (size_t a = 0; a < order_; ++a) {
        double bend = 0;
        for (size_t b = 0; b < order_; ++b) bend += gram(i, a, b) * delta[b];
        change += delta[a] * (rhs_[i * order_ + a] + bend / 2);
    }
    return change;
}

}  // namespace

void refit_grids(RefineState& state) {
    Refit(state).run();
}

}  // namespace gq
