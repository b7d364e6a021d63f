// Steps of Adam. See adam.h. In: gradients. Out: moved numbers, each by itself, so threads may share an array.
// Must not know what the numbers mean.
#include "core/quantize/adam.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/kernels/math.h"

namespace gq {
namespace {

constexpr float first_decay = 0.9f, second_decay = 0.99f;  // the usual .999 outlasts the few hundred steps here

float start_correction(float decay, size_t step) {
    double power = 1;
    for (size_t i = 0; i < step; ++i) power *= static_cast<double>(decay);
    return static_cast<float>(1 / (1 - power));
}

}  // namespace

AdamStep::AdamStep(double step_rate, double quiet_share, size_t step)
    : rate(static_cast<float>(step_rate)),
      first_scale(start_correction(first_decay, step)),
      second_scale(start_correction(second_decay, step)),
      quiet(static_cast<float>(quiet_share)) {}

double cosine_share(size_t step, size_t n_steps) {
    return (1 + sin_cos(std::numbers::pi * static_cast<double>(step - 1) / static_cast<double>(n_steps)).cos) / 2;
}

void Trained::move(const AdamStep& step, float epsilon, float low, float high, size_t begin, size_t end) {
    float *x = value.data(), *g = gradient.data(), *m = first.data(), *v = second.data();
    for (size_t i = begin; i < end; ++i) {
        m[i] = first_decay * m[i] + (1 - first_decay) * g[i];
        v[i] = second_decay * v[i] + (1 - second_decay) * g[i] * g[i];
        const float to = x[i] - step.rate * (m[i] * step.first_scale) / (std::sqrt(v[i] * step.second_scale) + epsilon);
        x[i] = std::min(std::max(to, low), high);
        g[i] = 0;
    }
}

double sum_of_squares(const float* x, size_t n) {
    constexpr size_t lanes = 16;
    double sums[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; ++l) sums[l] += static_cast<double>(x[i + l]) * static_cast<double>(x[i + l]);
    }
    for (; i < n; ++i) sums[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    double sum = 0;
    for (const double s : sums) sum += s;
    return sum;
}

float epsilon_of(std::span<const double> squares, size_t n, const AdamStep& step) {
    double sum = 0;
    for (const double s : squares) sum += s;
    constexpr double never_zero = 1e-30;
    return static_cast<float>(std::sqrt(sum / static_cast<double>(n)) * static_cast<double>(step.quiet) + never_zero);
}

TrainedVector::TrainedVector(std::span<const float> start)
    : weights(start.size()),
      size_(static_cast<float>(
          std::sqrt(sum_of_squares(start.data(), start.size()) / static_cast<double>(start.size())))) {
    std::copy(start.begin(), start.end(), weights.value.begin());
}

void TrainedVector::move(AdamStep step) {
    const size_t n = weights.value.size();
    const double squares = sum_of_squares(weights.gradient.data(), n);
    step.rate *= size_;
    constexpr float anywhere = 1e30f;
    weights.move(step, epsilon_of({&squares, 1}, n, step), -anywhere, anywhere, 0, n);
}

}  // namespace gq
