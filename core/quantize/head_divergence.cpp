// Logits of both heads, row by row of a softmax, and back. See head_divergence.h.
// In: hidden rows, strips of heads. Out: sums in a fixed order, whatever the number of threads. Must not know blocks.
#include "core/quantize/head_divergence.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/math.h"
#include "core/quantize/packed_writer.h"

namespace gq {
namespace {

constexpr size_t head_rows = 256;  // of a window at a time: a head is read once for each
constexpr size_t lanes = 16;

// x[i] = exp(x[i] - max x), whose sum is returned with the maximum.
struct SoftmaxSum {
    float max = 0;
    double sum = 0;
};
SoftmaxSum exponentials(float* x, size_t n) {
    const float top = *std::max_element(x, x + n);
    for (size_t i = 0; i < n; ++i) x[i] = exp_f32(x[i] - top);
    double sums[lanes] = {}, sum = 0;
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; ++l) sums[l] += static_cast<double>(x[i + l]);
    }
    for (; i < n; ++i) sums[0] += static_cast<double>(x[i]);
    for (const double s : sums) sum += s;
    return {top, sum};
}

// Σ x (a - b), by lanes that are added in order.
double weighted_difference(const float* x, const float* a, const float* b, size_t n) {
    double sums[lanes] = {}, sum = 0;
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; ++l)
            sums[l] += static_cast<double>(x[i + l]) * (static_cast<double>(a[i + l]) - static_cast<double>(b[i + l]));
    }
    for (; i < n; ++i) sums[0] += static_cast<double>(x[i]) * (static_cast<double>(a[i]) - static_cast<double>(b[i]));
    for (const double s : sums) sum += s;
    return sum;
}

// KL(p ‖ q) of two rows of logits, and their losses of a target, 0 without one. q becomes share · dKL/d(logits of q) =
// share · (q - p); p is lost.
HeadLosses divergence_row(float* p, float* q, size_t n, const int32_t* target, float share, float* scratch) {
    std::copy_n(p, n, scratch);
    const double logit_p = target ? static_cast<double>(p[*target]) : 0,
                 logit_q = target ? static_cast<double>(q[*target]) : 0;
    const SoftmaxSum of_p = exponentials(p, n);
    const double linear = weighted_difference(p, scratch, q, n) / of_p.sum;  // Σ p (logit_p - logit_q)
    const SoftmaxSum of_q = exponentials(q, n);
    const float p_scale = static_cast<float>(1 / of_p.sum), q_scale = static_cast<float>(1 / of_q.sum);
    for (size_t i = 0; i < n; ++i) q[i] = (q[i] * q_scale - p[i] * p_scale) * share;
    const double all_p = static_cast<double>(of_p.max) + log_f64(of_p.sum),
                 all_q = static_cast<double>(of_q.max) + log_f64(of_q.sum);
    return {linear - all_p + all_q, target ? all_q - logit_q : 0, target ? all_p - logit_p : 0};
}

Matrix room_for_turned(const HeadRows& head, size_t window, size_t hidden) {
    return head.turn.data ? Matrix(window, hidden) : Matrix();
}

}  // namespace

HeadDivergence::HeadDivergence(const Compute& compute, HeadRows quantized, HeadRows exact, size_t window, size_t hidden)
    : compute_(compute),
      quantized_(std::move(quantized)),
      exact_(std::move(exact)),
      hidden_(hidden),
      exact_turned_(room_for_turned(exact_, window, hidden)),
      turned_(room_for_turned(quantized_, window, hidden)),
      turned_gradient_(room_for_turned(quantized_, window, hidden)),
      logits_(std::min(head_rows, window), quantized_.vocab),
      exact_logits_(std::min(head_rows, window), exact_.vocab),
      strip_(checked_mul(std::min(strip_rows, quantized_.vocab), hidden, "a strip of the head")),
      scratch_(compute.pool.size()),
      losses_(window) {
    for (AlignedBuffer<float>& memory : scratch_) memory = AlignedBuffer<float>(quantized_.vocab);
}

// Calls each(first_row, rows of the head from there on).
template <class EachStrip>
void HeadDivergence::for_strips(const HeadRows& head, EachStrip each) {
    for (size_t begin = 0; begin < head.vocab; begin += strip_rows) {
        const size_t n = std::min(strip_rows, head.vocab - begin);
        head.read(begin, begin + n, strip_.data());
        each(begin, ConstMatrixView(strip_.data(), n, hidden_, hidden_));
    }
}

ConstMatrixView HeadDivergence::turned(const HeadRows& head, const ConstMatrixView& hidden, Matrix& room) {
    if (!head.turn.data) return hidden;
    const MatrixView out = room.view().block(0, 0, hidden.rows, hidden.cols);
    gemm(compute_, workspace_, Update::set, hidden, head.turn.transposed(), out);
    return out;
}

void HeadDivergence::predict(const HeadRows& head, const ConstMatrixView& hidden, const MatrixView& logits) {
    for_strips(head, [&](size_t first, const ConstMatrixView& strip) {
        gemm(compute_, workspace_, Update::set, hidden, strip.transposed(),
             logits.block(0, first, logits.rows, strip.rows));
    });
}

// gradient = slopes (rows, vocab) · head.
void HeadDivergence::pull_back(const ConstMatrixView& slopes, const MatrixView& gradient) {
    for_strips(quantized_, [&](size_t first, const ConstMatrixView& strip) {
        gemm(compute_, workspace_, first == 0 ? Update::set : Update::add,
             slopes.block(0, first, slopes.rows, strip.rows), strip, gradient);
    });
}

double HeadDivergence::of(const ConstMatrixView& exact_hidden, const ConstMatrixView& hidden) {
    return compare(exact_hidden, hidden, {}, 0, {}).kl;
}

HeadLosses HeadDivergence::losses(const ConstMatrixView& exact_hidden, const ConstMatrixView& hidden,
                                  std::span<const int32_t> targets) {
    return compare(exact_hidden, hidden, targets, 0, {});
}

double HeadDivergence::with_gradient(const ConstMatrixView& exact_hidden, const ConstMatrixView& hidden, float share,
                                     const MatrixView& gradient) {
    return compare(exact_hidden, hidden, {}, share, gradient).kl;
}

HeadLosses HeadDivergence::compare(const ConstMatrixView& exact_hidden, const ConstMatrixView& hidden,
                                   std::span<const int32_t> targets, float share, const MatrixView& gradient) {
    const ConstMatrixView exact = turned(exact_, exact_hidden, exact_turned_),
                          ours = turned(quantized_, hidden, turned_);
    const MatrixView slopes =
        quantized_.turn.data ? turned_gradient_.view().block(0, 0, hidden.rows, hidden_) : gradient;
    for (size_t begin = 0; begin < hidden.rows; begin += head_rows) {
        const size_t n = std::min(head_rows, hidden.rows - begin);
        const MatrixView p = exact_logits_.view().block(0, 0, n, exact_.vocab),
                         q = logits_.view().block(0, 0, n, quantized_.vocab);
        predict(exact_, exact.block(begin, 0, n, hidden.cols), p);
        predict(quantized_, ours.block(begin, 0, n, hidden.cols), q);
        compute_.pool.for_ranges(n, 1, [&](size_t first, size_t end, size_t thread) {
            for (size_t r = first; r < end; ++r)
                losses_[begin + r] =
                    divergence_row(p.row(r), q.row(r), q.cols, targets.empty() ? nullptr : &targets[begin + r], share,
                                   scratch_[thread].data());
        });
        if (gradient.data) pull_back(q, slopes.block(begin, 0, n, hidden.cols));
    }
    if (gradient.data && quantized_.turn.data)
        gemm(compute_, workspace_, Update::set, slopes, quantized_.turn, gradient);
    HeadLosses sum;
    for (const HeadLosses& row : std::span(losses_).first(hidden.rows)) {
        sum.kl += row.kl;
        sum.loss += row.loss;
        sum.exact_loss += row.exact_loss;
    }
    return sum;
}

}  // namespace gq
