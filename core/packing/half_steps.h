// What the K grids share: numbers of several groups as small integers, steps, of one IEEE half.
// In: numbers of the groups of a unit. Out: the half and their steps, exactly or as near as steps come.
// Must not know what the numbers mean, nor how halves and steps are stored.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gq {

inline constexpr float next_to_nothing = 0x1p-24f;  // the scale that a group of zeros asks for: the smallest half

// Groups of 16 inputs fill a unit of 256; others come in eights.
size_t half_step_groups(size_t group);

struct StepRange {
    int lowest, highest;  // both int8, highest > 0
};

// The half of which all n products are multiples in the range, and these; of several the smallest. Error(internal)
// where there is none, for the caller has settled or read them so.
float common_half(const float* products, size_t n, StepRange range, const char* grid, int8_t* steps);

// n numbers >= 0 of one unit become steps in [lowest, highest] of the half that serves them best: of those near
// 1/highest, 1/(highest - 0.5), … of the largest the one with the least sum of squared errors, for what rounding costs
// goes with scale². Groups of zeros take no part, for they are right in any step.
void round_to_steps(float* values, size_t n, StepRange range);

}  // namespace gq
