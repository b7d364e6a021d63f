// The knapsack. See plan.h.
// In: rows of choices, a budget. Out: one choice a row, the same on every machine: ties go to the earlier row and
// choice. Must not know what the choices mean.
#include "core/quantize/plan.h"

#include <algorithm>
#include <numeric>

#include "core/base/status.h"

namespace gq {
namespace {

size_t smallest(const PlanRow& row) {
    const auto less = [](const PlanChoice& a, const PlanChoice& b) {
        return a.bytes != b.bytes ? a.bytes < b.bytes : a.loss < b.loss;
    };
    return static_cast<size_t>(std::min_element(row.begin(), row.end(), less) - row.begin());
}

// Loss saved by a byte between two choices.
double slope(const PlanChoice& from, const PlanChoice& to) {
    return (from.loss - to.loss) / static_cast<double>(to.bytes - from.bytes);
}

// The corners of the lower convex hull, ascending in bytes and descending in loss, from the smallest choice.
std::vector<size_t> hull(const PlanRow& row) {
    std::vector<size_t> corners{smallest(row)};
    for (;;) {
        const PlanChoice& from = row[corners.back()];
        size_t next = row.size();
        for (size_t i = 0; i < row.size(); ++i) {
            if (row[i].bytes <= from.bytes || row[i].loss >= from.loss) continue;
            const double gain = slope(from, row[i]), best = next < row.size() ? slope(from, row[next]) : 0;
            if (next == row.size() || gain > best || (gain == best && row[i].bytes > row[next].bytes)) next = i;
        }
        if (next == row.size()) return corners;
        corners.push_back(next);
    }
}

struct Edge {
    size_t row, to;
    double gain;  // the λ at which the row moves along it
};

std::vector<Edge> edges_of(std::span<const PlanRow> rows) {
    std::vector<Edge> edges;
    for (size_t r = 0; r < rows.size(); ++r) {
        const std::vector<size_t> corners = hull(rows[r]);
        for (size_t i = 1; i < corners.size(); ++i)
            edges.push_back({r, corners[i], slope(rows[r][corners[i - 1]], rows[r][corners[i]])});
    }
    std::stable_sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.gain > b.gain; });
    return edges;
}

// Spends what is left: each time the change that fits and saves most for its bytes. Choices that cost nothing more and
// lose less come first.
void fill(std::span<const PlanRow> rows, uint64_t budget, Plan& plan) {
    for (;;) {
        size_t best_row = rows.size(), best_to = 0;
        double best = 0;
        for (size_t r = 0; r < rows.size(); ++r) {
            const PlanChoice& from = rows[r][plan.choice[r]];
            for (size_t i = 0; i < rows[r].size(); ++i) {
                const PlanChoice& to = rows[r][i];
                if (to.loss >= from.loss || plan.bytes - from.bytes + to.bytes > budget) continue;
                const double cost = to.bytes > from.bytes ? static_cast<double>(to.bytes - from.bytes) : 0.5;
                if ((from.loss - to.loss) / cost <= best) continue;
                best = (from.loss - to.loss) / cost;
                best_row = r;
                best_to = i;
            }
        }
        if (best_row == rows.size()) return;
        plan.bytes = plan.bytes - rows[best_row][plan.choice[best_row]].bytes + rows[best_row][best_to].bytes;
        plan.choice[best_row] = best_to;
    }
}

}  // namespace

uint64_t least_bytes(std::span<const PlanRow> rows) {
    return std::accumulate(rows.begin(), rows.end(), uint64_t{0},
                           [](uint64_t sum, const PlanRow& row) { return sum + row[smallest(row)].bytes; });
}

Plan best_plan(std::span<const PlanRow> rows, uint64_t budget) {
    Plan plan{.choice = {}, .bytes = least_bytes(rows)};
    if (plan.bytes > budget)
        fail(Status::invalid_argument, "budget: at least %llu bytes expected, found %llu",
             static_cast<unsigned long long>(plan.bytes), static_cast<unsigned long long>(budget));
    for (const PlanRow& row : rows) plan.choice.push_back(smallest(row));
    for (const Edge& edge : edges_of(rows)) {
        const uint64_t more = rows[edge.row][edge.to].bytes - rows[edge.row][plan.choice[edge.row]].bytes;
        if (plan.bytes + more > budget) break;
        plan.bytes += more;
        plan.choice[edge.row] = edge.to;
    }
    fill(rows, budget, plan);
    for (size_t r = 0; r < rows.size(); ++r) plan.loss += rows[r][plan.choice[r]].loss;
    return plan;
}

}  // namespace gq
