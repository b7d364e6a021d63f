// Finds the half that the numbers of a unit share. See half_steps.h.
// In: products that were made from one half, or numbers that shall be. Out: the half and their steps.
// Must not know grids.
#include "core/packing/half_steps.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/status.h"
#include "core/packing/half_scales.h"

namespace gq {
namespace {

bool is_half(float value) {
    return f16_to_f32(f32_to_f16(value)) == value;
}

bool are_multiples(const float* products, size_t n, float unit, StepRange range) {
    const auto is_multiple = [&](float product) {
        const float multiple = std::nearbyint(product / unit);
        return multiple >= static_cast<float>(range.lowest) && multiple <= static_cast<float>(range.highest) &&
               multiple * unit == product;
    };
    return std::all_of(products, products + n, is_multiple);
}

// The step for a value.
float step_for(float value, float unit, StepRange range) {
    return std::clamp(std::nearbyint(value / unit), static_cast<float>(range.lowest),
                      static_cast<float>(range.highest));
}

}  // namespace

size_t half_step_groups(size_t group) {
    return group == half_tile_cols ? 16 : 8;
}

float common_half(const float* products, size_t n, StepRange range, const char* grid, int8_t* steps) {
    float largest = 0;
    for (size_t i = 0; i < n; ++i) largest = std::abs(products[i]) > std::abs(largest) ? products[i] : largest;
    std::fill_n(steps, n, int8_t{0});
    if (largest == 0) return 0;
    for (int size = std::max(-range.lowest, range.highest); size > 0; --size) {
        for (const int step : {size, -size}) {
            if (step < range.lowest || step > range.highest) continue;
            const float unit = largest / static_cast<float>(step);
            if (!is_half(unit) || unit == 0 || !are_multiples(products, n, unit, range)) continue;
            for (size_t i = 0; i < n; ++i) steps[i] = static_cast<int8_t>(std::nearbyint(products[i] / unit));
            return unit;
        }
    }
    fail(Status::internal, "grid %s: numbers of one unit expected that are %d to %d times one half, found %g among %zu",
         grid, range.lowest, range.highest, static_cast<double>(largest), n);
}

void round_to_steps(float* values, size_t n, StepRange range) {
    constexpr int half_steps = 40;  // down to a largest step of 20 less
    const float largest = *std::max_element(values, values + n);
    float best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int i = 0; i <= half_steps && largest > 0; ++i) {
        const float unit =
            stored_half_scale(largest / (static_cast<float>(range.highest) - 0.5f * static_cast<float>(i)));
        double error = 0;
        for (size_t g = 0; g < n; ++g) {
            const double off = unit * step_for(values[g], unit, range) - values[g];
            if (values[g] > next_to_nothing) error += off * off;
        }
        if (!(error < least)) continue;  // nor is an infinite unit's
        least = error;
        best = unit;
    }
    for (size_t g = 0; g < n; ++g) values[g] = best == 0 ? 0.0f : best * step_for(values[g], best, range);
}

}  // namespace gq
