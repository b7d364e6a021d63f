// Corrections of low rank on the CPU: V x joins the tasks that read x; then t = V x is prepared like any activations,
// and every thread adds its own panels' U t to y. In: tasks, y with W x and bias in it. Out: y += U t, the same bits
// at any thread count. Must not know instruction sets or where the factors come from.
#include "core/kernels/cpu_linear.h"

namespace gq {
namespace {

constexpr size_t sums_floats = 4096;  // of U t at a time, at least a pair of panels: stays in the first-level cache

bool has_low_rank(const LinearTask& task) {
    return task.low_rank && !task.low_rank->empty();
}

// Columns of t that a task takes: whole blocks of activations, so that no two tasks share one.
size_t t_columns(const LinearTask& task) {
    return has_low_rank(task) ? round_up(task.low_rank->rank(), tile_cols) : 0;
}

// Panels [begin, end) as a matrix of its own.
PackedMatrix panels_of(const PackedMatrix& matrix, size_t begin, size_t end) {
    PackedMatrix part = matrix;
    part.rows = std::min(matrix.rows, end * panel_rows) - begin * panel_rows;
    part.code_bytes = matrix.panel_codes(begin);
    part.scales = matrix.group_scales(begin, 0);
    part.zeros = matrix.group_zeros(begin, 0);
    return part;
}

}  // namespace

Activations CpuBackend::append_low_rank(std::vector<LinearTask>& tasks, size_t n_rows) {
    size_t width = 0;
    for (const LinearTask& task : tasks) width += t_columns(task);
    low_rank_.reserve_discard(n_rows * width);
    const Activations t{low_rank_.data(), width, width};
    size_t column = 0;
    for (size_t i = 0, n = tasks.size(); i < n; ++i) {
        if (!has_low_rank(tasks[i])) continue;
        const PackedMatrix& v = tasks[i].low_rank->v;
        const size_t columns = t_columns(tasks[i]);
        for (size_t r = 0; r < n_rows; ++r) std::fill(t.row(r) + column + v.rows, t.row(r) + column + columns, 0.0f);
        tasks.push_back({&v, nullptr, {t.data + column, t.stride, v.rows}});
        column += columns;
    }
    return t;
}

void CpuBackend::add_low_rank(std::span<const LinearTask> tasks, const Activations& t, size_t n_rows,
                              const ActivationMode& mode) {
    std::vector<LinearTask> products;  // U of each task that has one
    std::vector<InputPart> parts;      // its t
    size_t column = 0;
    for (const LinearTask& task : tasks) {
        if (has_low_rank(task)) {
            const PackedMatrix& u = task.low_rank->u;
            products.push_back({&u, nullptr, task.y});
            parts.push_back({column, u.cols, mode.span_blocks(u)});
        }
        column += t_columns(task);
    }
    const Prepared prepared = mode.prepare ? prepare(t, n_rows, parts, mode, low_rank_prepared_) : Prepared{};
    compute_.pool.for_ranges(count_panels(products), 1, [&](size_t begin, size_t end, size_t thread) {
        for_panels(products, begin, end, [&](size_t i, size_t from, size_t to) {
            const size_t block = parts[i].column / q8_block;
            const Activations part{t.data + parts[i].column, t.stride, parts[i].cols};
            add_panels({products[i], part, prepared.q8.at(0, block), n_rows, from, to}, thread);
            if (prepared.shifts.values)
                add_panels({products[i], part, prepared.shifts.at(0, block), n_rows, from, to}, thread);
        });
    });
}

// y of the range's rows += the range's linear.
void CpuBackend::add_panels(const PanelRange& range, size_t thread) {
    const size_t most = pairs_within(sums_floats, range.n_rows * panel_rows);
    sums_[thread].reserve_discard(most * panel_rows * range.n_rows);
    for (size_t begin = range.begin; begin < range.end; begin += most) {
        const size_t end = std::min(range.end, begin + most);
        const PackedMatrix part = panels_of(*range.task.weights, begin, end);
        const Activations sums{sums_[thread].data(), most * panel_rows, part.rows};
        const LinearTask task{&part, nullptr, sums};
        run_panels({task, range.x, range.q8, range.n_rows, 0, end - begin}, thread);
        for (size_t t = 0; t < range.n_rows; ++t) {
            float* y = range.task.y.row(t) + begin * panel_rows;
            for (size_t r = 0; r < part.rows; ++r) y[r] += sums.row(t)[r];
        }
    }
}

size_t CpuBackend::low_rank_bytes(const WorkSize& work) {
    if (work.low_rank == 0) return 0;
    const size_t t = checked_mul(work.n_rows, work.low_rank * sizeof(float), "low rank") + cache_line;
    return t + prepared_bytes(work, work.low_rank);
}

size_t CpuBackend::sums_bytes(const WorkSize& work) {
    if (work.low_rank == 0 && !activation_mode(work.precision).has_shifts) return 0;
    const size_t sums = std::max(sums_floats, panel_pair * work.n_rows * panel_rows) * sizeof(float);
    return checked_mul(work.n_threads, round_up(sums, cache_line), "sums");
}

}  // namespace gq
