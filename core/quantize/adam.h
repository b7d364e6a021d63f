// Adam (Kingma & Ba, arXiv 1412.6980) over arrays of floats.
// In: gradients that somebody adds up, a rate. Out: moved numbers. Must not know what the numbers mean.
#pragma once

#include <span>

#include "core/base/memory.h"

namespace gq {

// One step: both means corrected for their start. Adam's epsilon is `quiet` times the root mean square of a tensor's
// gradients: numbers that matter less than that move less than a step.
struct AdamStep {
    float rate, first_scale, second_scale, quiet;

    // steps are counted from 1.
    AdamStep(double step_rate, double quiet_share, size_t step);
};

// The rate of step 1 … n falls from its largest along half a cosine.
double cosine_share(size_t step, size_t n_steps);

// Numbers in training with their gradients; both zero at birth.
struct Trained {
    AlignedBuffer<float> value, gradient, first, second;

    Trained() = default;
    explicit Trained(size_t n) : value(n), gradient(n), first(n), second(n) {}

    // Moves numbers [begin, end), which stay within [low, high], and clears their gradients.
    void move(const AdamStep& step, float epsilon, float low, float high, size_t begin, size_t end);
};

// Σ of squares, in lanes that are added in order.
double sum_of_squares(const float* x, size_t n);

// Adam's epsilon from the sums of squares of n gradients.
float epsilon_of(std::span<const double> squares, size_t n, const AdamStep& step);

// A vector in training, a norm's weights, whose rate is relative to the root mean square that it began with.
struct TrainedVector {
    Trained weights;

    explicit TrainedVector(std::span<const float> start);
    void move(AdamStep step);

  private:
    float size_ = 0;
};

}  // namespace gq
