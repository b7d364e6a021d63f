// The products of attention and of its gradients, for blocks of queries against the keys that they see.
// In: rows of q, k, v of one window. Out: rows of out, or of the gradients. A task is a window and a key head with all
// its query heads; a thread takes it whole and its blocks in ascending order, so no sum depends on the number of
// threads. See window_attention.h.
#include "core/quantize/window_attention.h"

#include <algorithm>
#include <limits>

#include "core/base/status.h"
#include "core/kernels/math.h"

namespace gq {

namespace {

constexpr size_t block_rows = 288;  // of (query head, query): two tiles of gemm, few keys beyond the diagonal

}  // namespace

// What a thread needs: products on its own, and a block of queries of all heads that share keys.
struct WindowAttention::Worker {
    std::unique_ptr<ThreadPool> alone = std::make_unique<ThreadPool>(1);
    GemmWorkspace workspace;
    AlignedBuffer<float> q, out, scores, d_scores;
};

// Queries [begin, end) of one window under one key head, and the keys [first_key, end) that any of them sees.
struct WindowAttention::Block {
    ConstMatrixView q, k, v, d_out;
    MatrixView out, d_q, d_k, d_v;
    size_t first_row = 0, kv_head = 0;
    size_t begin = 0, end = 0, first_key = 0;

    size_t queries() const { return end - begin; }
    size_t keys() const { return end - first_key; }
};

WindowAttention::WindowAttention(const Compute& compute, const AttentionShape& shape, size_t window)
    : compute_(compute),
      shape_(shape),
      window_(window),
      falls_(shape.alibi ? alibi_falls(shape.n_heads, shape.scale) : std::vector<float>()),
      workers_(compute.pool.size()) {}
WindowAttention::~WindowAttention() = default;
WindowAttention::WindowAttention(WindowAttention&&) noexcept = default;

namespace {

// Rows [row, row + n) of each of `heads` heads from `head` on, one head after another.
void gather_heads(const ConstMatrixView& from, size_t row, size_t n, size_t head, size_t heads, size_t dim, float* to) {
    for (size_t h = 0; h < heads; ++h) {
        for (size_t r = 0; r < n; ++r, to += dim) std::copy_n(&from(row + r, (head + h) * dim), dim, to);
    }
}

void scatter_heads(const float* from, size_t row, size_t n, size_t head, size_t heads, size_t dim, bool add,
                   const MatrixView& to) {
    for (size_t h = 0; h < heads; ++h) {
        for (size_t r = 0; r < n; ++r, from += dim) {
            float* out = &to(row + r, (head + h) * dim);
            for (size_t d = 0; d < dim; ++d) out[d] = add ? out[d] + from[d] : from[d];
        }
    }
}

constexpr size_t lanes = 16;

// The largest of n values, in lanes so that the loop vectorises.
float largest(const float* x, size_t n) {
    float top[lanes];
    std::fill_n(top, lanes, -std::numeric_limits<float>::infinity());
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; ++l) top[l] = x[i + l] > top[l] ? x[i + l] : top[l];
    }
    for (; i < n; ++i) top[i % lanes] = x[i] > top[i % lanes] ? x[i] : top[i % lanes];
    return *std::max_element(top, top + lanes);
}

// Σ x y, by lanes that are added in order.
float dot(const float* x, const float* y, size_t n) {
    float sums[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; ++l) sums[l] += x[i + l] * y[i + l];
    }
    for (; i < n; ++i) sums[i % lanes] += x[i] * y[i];
    float sum = 0;
    for (const float s : sums) sum += s;
    return sum;
}

// softmax(scale * x) in place over [first, last) of n; 0 elsewhere.
void softmax_row(float* x, size_t first, size_t last, size_t n, float scale) {
    std::fill(x, x + first, 0.0f);
    std::fill(x + last, x + n, 0.0f);
    for (size_t i = first; i < last; ++i) x[i] *= scale;
    const float top = largest(x + first, last - first);
    for (size_t i = first; i < last; ++i) x[i] = exp_f32(x[i] - top);
    float sums[lanes] = {}, sum = 0;
    size_t i = first;
    for (; i + lanes <= last; i += lanes) {
        for (size_t l = 0; l < lanes; ++l) sums[l] += x[i + l];
    }
    for (; i < last; ++i) sums[i % lanes] += x[i];
    for (const float s : sums) sum += s;
    const float inverse = 1 / sum;
    for (i = first; i < last; ++i) x[i] *= inverse;
}

// A block's work on one worker.
template <class Worker, class Block>
struct Pass {
    const KernelTable& kernels;
    const AttentionShape& shape;
    std::span<const float> falls;
    Worker& worker;
    const Block& block;

    size_t heads() const { return shape.n_heads / shape.n_kv_heads; }
    size_t rows() const { return heads() * block.queries(); }
    size_t dim() const { return shape.head_dim; }
    MatrixView queries() const { return {worker.q.data(), rows(), dim(), dim()}; }
    MatrixView outs() const { return {worker.out.data(), rows(), dim(), dim()}; }
    MatrixView scores() const { return {worker.scores.data(), rows(), block.keys(), block.keys()}; }
    MatrixView d_scores() const { return {worker.d_scores.data(), rows(), block.keys(), block.keys()}; }
    // This head's part of k or v, or of their gradients: the rows of the keys.
    template <class View>
    auto keys_of(const View& view) const {
        return view.block(block.first_row + block.first_key, block.kv_head * dim(), block.keys(), dim());
    }
    void product(Update update, const ConstMatrixView& a, const ConstMatrixView& b, const MatrixView& c) const {
        gemm({*worker.alone, kernels}, worker.workspace, update, a, b, c);
    }
    void gather(const ConstMatrixView& from, float* to) const {
        gather_heads(from, block.first_row + block.begin, block.queries(), block.kv_head * heads(), heads(), dim(), to);
    }
    void scatter(const float* from, bool add, const MatrixView& to) const {
        scatter_heads(from, block.first_row + block.begin, block.queries(), block.kv_head * heads(), heads(), dim(),
                      add, to);
    }

    void reserve() const {
        worker.q.reserve_discard(rows() * dim());
        worker.out.reserve_discard(rows() * dim());
        worker.scores.reserve_discard(rows() * block.keys());
        worker.d_scores.reserve_discard(rows() * block.keys());
    }

    void probabilities() const {
        gather(block.q, worker.q.data());
        product(Update::set, queries(), keys_of(block.k).transposed(), scores());
        for (size_t r = 0; r < rows(); ++r) {
            const size_t query = block.begin + r % block.queries();
            const size_t oldest = shape.window > 0 && query >= shape.window ? query - shape.window + 1 : 0;
            if (!falls.empty())
                add_alibi(scores().row(r), block.keys(), falls[block.kv_head * heads() + r / block.queries()],
                          static_cast<ptrdiff_t>(block.first_key) - static_cast<ptrdiff_t>(query));
            softmax_row(scores().row(r), oldest - block.first_key, query + 1 - block.first_key, block.keys(),
                        shape.scale);
        }
    }

    void forward() const {
        reserve();
        probabilities();
        product(Update::set, scores(), keys_of(block.v), outs());
        scatter(worker.out.data(), false, block.out);
    }

    void backward() const {
        reserve();
        probabilities();
        gather(block.d_out, worker.out.data());
        product(Update::add, scores().transposed(), outs(), keys_of(block.d_v));
        product(Update::set, outs(), keys_of(block.v).transposed(), d_scores());
        for (size_t r = 0; r < rows(); ++r) {
            const float* p = scores().row(r);
            float* ds = d_scores().row(r);
            const float mean = dot(p, ds, block.keys());
            for (size_t j = 0; j < block.keys(); ++j) ds[j] = shape.scale * p[j] * (ds[j] - mean);
        }
        product(Update::add, d_scores().transposed(), queries(), keys_of(block.d_k));
        product(Update::set, d_scores(), keys_of(block.k), outs());
        scatter(worker.out.data(), true, block.d_q);
    }
};

}  // namespace

void WindowAttention::for_blocks(const Block& all, size_t n_windows, bool backward) {
    const size_t step = std::max<size_t>(1, block_rows / (shape_.n_heads / shape_.n_kv_heads));
    compute_.pool.for_each(n_windows * shape_.n_kv_heads, [&](size_t task, size_t thread) {
        Block block = all;
        block.first_row = task / shape_.n_kv_heads * window_;
        block.kv_head = task % shape_.n_kv_heads;
        for (block.begin = 0; block.begin < window_; block.begin = block.end) {
            block.end = std::min(window_, block.begin + step);
            block.first_key = shape_.window > 0 && block.begin >= shape_.window ? block.begin - shape_.window + 1 : 0;
            const Pass<Worker, Block> pass{compute_.kernels, shape_, falls_, workers_[thread], block};
            backward ? pass.backward() : pass.forward();
        }
    });
}

void WindowAttention::forward(const ConstMatrixView& q, const ConstMatrixView& k, const ConstMatrixView& v,
                              const MatrixView& out, size_t n_windows) {
    Block all;
    all.q = q, all.k = k, all.v = v, all.out = out;
    for_blocks(all, n_windows, false);
}

void WindowAttention::backward(const ConstMatrixView& q, const ConstMatrixView& k, const ConstMatrixView& v,
                               const ConstMatrixView& d_out, const MatrixView& d_q, const MatrixView& d_k,
                               const MatrixView& d_v, size_t n_windows) {
    Block all;
    all.q = q, all.k = k, all.v = v, all.d_out = d_out;
    all.d_q = d_q, all.d_k = d_k, all.d_v = d_v;
    for_blocks(all, n_windows, true);
}

}  // namespace gq
