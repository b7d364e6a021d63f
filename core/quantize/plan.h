// Which choice for which tensor: the least Σ loss whose Σ bytes fit a budget. Pure: it knows no model, grid or file.
// In: for each tensor its choices, each with bytes and loss. Out: one choice a tensor.
// Method: Lagrange's multiplier λ, the loss that a byte is worth: for each λ every tensor takes the choice that
// minimises loss + λ bytes, a corner of its lower convex hull. From the smallest file on, λ falls through the slopes of
// all hulls; where it has to stop, the bytes that are left are spent one change at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gq {

struct PlanChoice {
    uint64_t bytes = 0;
    double loss = 0;  // finite
};

// One tensor's; not empty.
using PlanRow = std::vector<PlanChoice>;

struct Plan {
    std::vector<size_t> choice;  // by row: the index of its choice
    uint64_t bytes = 0;
    double loss = 0;
};

// Σ over the rows of their smallest choices.
uint64_t least_bytes(std::span<const PlanRow> rows);

// At least as good as the hulls' corners allow, and the least there is where the budget is met exactly by them.
// Error(invalid_argument) naming least_bytes() where the budget is below it.
Plan best_plan(std::span<const PlanRow> rows, uint64_t budget);

}  // namespace gq
