// The search for a grid over scales and the place of zero together. In: weights of a group, their importance. Out: a
// grid as it is stored. Must not know Hessians, models or files. See grid_search.h.
//
// Source: NeUQI (arXiv 2505.17595). For one scale s, the error as a function of the offset t,
//     F(t) = Σ h (s code(t) + t − w)²,   code(t) = clamp(round((w − t) / s), 0, top)
// is a parabola between the points where a code changes. Its least value is that of the best parabola: with codes fixed
// the minimum over t is S2 − S1² / S0, S0 = Σ h, S1 = Σ h (w − s code), S2 = Σ h (w − s code)², and at that t the
// nearest codes lose no more. As t grows by s, each weight's code falls by one, in the same order each time: the
// weights are sorted once a scale.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/quantize/grid_search.h"

namespace gq {

namespace {

struct Offset {
    double value = 0, error = std::numeric_limits<double>::infinity();
};

// The weights of a group with their importance, and room for one scale's work.
class Group {
  public:
    Group(const float* weights, const float* importance, size_t n, double top_code)
        : top_(top_code), items_(n), order_(n) {
        const auto [low, high] = std::minmax_element(weights, weights + n);
        low_ = *low;
        high_ = *high;
        for (size_t i = 0; i < n; ++i) {
            order_[i] = {.code = 0, .phase = 0, .w = weights[i], .h = importance[i]};
            total_ += importance[i];
        }
    }

    double low() const { return low_; }
    double high() const { return high_; }
    double total() const { return total_; }
    // Offsets outside of these ends lose more than one inside: all weights would be clipped on the same side.
    double least_offset(double scale) const { return std::min(low_, high_ - scale * top_) - scale; }
    double largest_offset(double scale) const { return std::max(low_, high_ - scale * top_) + scale; }
    Offset best_offset(double scale);

  private:
    struct Weight {
        double code;   // at the least offset, not clamped
        double phase;  // of a period, when it falls
        double w, h;
    };
    struct Item {
        double code, residual, step, h;
    };

    double top_, low_ = 0, high_ = 0, total_ = 0;
    std::vector<Item> items_;
    std::vector<Weight> order_;
};

Offset Group::best_offset(double scale) {
    const double first = least_offset(scale);
    const int periods = static_cast<int>(std::ceil((largest_offset(scale) - first) / scale));
    double s1 = 0, s2 = 0;
    for (Weight& x : order_) {
        const double steps = (x.w - first) / scale + 0.5;
        x.code = std::floor(steps);
        x.phase = steps - x.code;
    }
    std::sort(order_.begin(), order_.end(), [](const Weight& a, const Weight& b) { return a.phase < b.phase; });
    for (size_t i = 0; i < order_.size(); ++i) {
        const Weight& x = order_[i];
        const double residual = x.w - scale * std::clamp(x.code, 0.0, top_);
        items_[i] = {x.code, residual, x.h * scale, x.h};
        s1 += x.h * residual;
        s2 += x.h * residual * residual;
    }
    Offset best{s1 / total_, s2 - s1 * s1 / total_};
    const double part = 1 / total_;
    for (int period = 0; period < periods; ++period) {
        for (Item& x : items_) {
            const double code = x.code - period;
            if (code < 1 || code > top_) continue;
            s2 += x.step * (2 * x.residual + scale);
            s1 += x.step;
            x.residual += scale;
            const double error = s2 - s1 * s1 * part;
            if (error < best.error) best = {s1 * part, error};
        }
    }
    return best;
}

// The best stored grid so far.
struct Best {
    const float* weights;
    const float* importance;
    size_t n;
    const GridOptions& options;
    GroupGrid grid;
    double error;
    double last = 0;  // the least of the scale that was tried last

    // Whether the stored grid nearest to value = scale code + offset is better than what there was. `last` becomes its
    // error if that is less.
    bool take(double scale, double offset) {
        const GroupGrid found =
            options.grid->nearest(static_cast<float>(scale), static_cast<float>(offset), options.bits);
        if (!std::isfinite(found.scale) || !std::isfinite(found.offset) || !(found.scale > 0)) return false;
        const double now = weighted_error(weights, importance, n, found, options);
        last = std::min(last, now);
        if (!(now < error)) return false;
        error = now;
        grid = found;
        return true;
    }
};

// Tries a scale with its best offset; without offsets, with each zero point that may serve.
bool try_scale(Group& group, double scale, Best& best) {
    best.last = std::numeric_limits<double>::infinity();
    if (best.options.grid->has_offsets) return best.take(scale, group.best_offset(scale).value);
    const double top = best.options.top_code();
    const double last = std::min(top, std::floor(-group.least_offset(scale) / scale));
    bool better = false;
    for (double zero = std::max(0.0, std::ceil(-group.largest_offset(scale) / scale)); zero <= last; ++zero)
        better = best.take(scale, -scale * zero) || better;
    return better;
}

}  // namespace

GroupGrid joint_grid(const float* weights, const float* importance, size_t n, const GridOptions& options, size_t row,
                     size_t col) {
    Best best{weights, importance, n, options, clip_grid(weights, importance, n, options, row, col), 0, 0};
    if (options.table()) return best.grid;  // the parabolas are those of evenly spaced codes
    best.error = weighted_error(weights, importance, n, best.grid, options);
    Group group(weights, importance, n, options.top_code());
    const double zero = options.grid->has_offsets ? group.low() : 0;  // else a range holds it
    const double full = (std::max(group.high(), zero) - std::min(group.low(), zero)) / options.top_code();
    if (!(full > 0) || !(group.total() > 0)) return best.grid;
    // Percent of the full scale. More than all of it serves weights that matter and stand apart. Offsets cost more, the
    // more the narrower the scale: where one below the best loses much more, narrower ones won't do.
    constexpr int widest = 150, narrowest = 20;
    constexpr double hopeless = 3;
    const int coarse = options.grid->has_offsets ? 4 : 2;
    double share = best.grid.scale / full;
    for (int percent = widest; percent >= narrowest; percent -= coarse) {
        if (try_scale(group, percent * full / 100, best)) share = percent / 100.0;
        if (percent < 100 * share && best.last > hopeless * best.error) break;
    }
    for (const double step : {coarse * 0.0025, coarse * 0.000625}) {
        const double middle = share;
        for (const int i : {-3, -2, -1, 1, 2, 3}) {
            if (try_scale(group, (middle + i * step) * full, best)) share = middle + i * step;
        }
    }
    return best.grid;
}

}  // namespace gq
