// Speed of attention when decoding at depth: one token of a layer shaped as Llama-3.2-1B's (32 heads, 8 of keys and
// values, 64 dimensions), for every type of the cache, beside the machine's read bandwidth measured in the same run.
// In: thread counts as arguments (default 1 and 2). Out: one line per depth and type on stdout. Not a test: it asserts
// nothing. Every figure is the best of several rounds in which the types alternate, since the machine may be shared.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/base/memory.h"
#include "core/kernels/compute.h"
#include "core/kernels/kv.h"
#include "core/kernels/read_bandwidth.h"
#include "core/kernels/stopwatch.h"
#include "tests/kernels/kernel_cases.h"

namespace {

using namespace gq;

constexpr AttentionShape shape{32, 8, 64, 0, 0.125f};
constexpr size_t q_width = shape.n_heads * shape.head_dim, kv_width = shape.n_kv_heads * shape.head_dim;
constexpr size_t depths[] = {128, 2048, 8192, 32768};
constexpr size_t bytes_between = size_t{48} << 20;  // read before a layer is read again, so that no cache holds it
constexpr size_t rounds = 5;

// Pages of as many layers as keep a cache from helping, full of random keys and values.
class FullCache {
  public:
    FullCache(const KvType& type, size_t depth, test::Random& random)
        : geometry_{1, shape.n_kv_heads, shape.head_dim, &type, &type}, n_pages_(depth / kv_page_positions) {
        n_layers_ = bytes_between / layer_bytes() + 1;
        geometry_.n_layers = n_layers_;
        AlignedBuffer<std::byte> first(geometry_.page_bytes());
        for (size_t layer = 0; layer < n_layers_; ++layer)
            for (size_t head = 0; head < shape.n_kv_heads; ++head) fill(first.data(), layer, head, random);
        for (size_t i = 0; i < n_pages_; ++i) {
            memory_.emplace_back(geometry_.page_bytes());
            std::copy(first.begin(), first.end(), memory_.back().begin());
            table_.push_back(memory_.back().data());
        }
    }
    size_t layer_bytes() const { return n_pages_ * geometry_.layer_bytes(); }

    // Seconds of one layer's decode of the last position.
    double decode(Backend& backend, std::vector<float>& q, std::vector<float>& k, std::vector<float>& out) const {
        const size_t layers = std::min<size_t>(n_layers_, 64);
        const Segment segment{0, 1, n_pages_ * kv_page_positions - 1, table_.data()};
        const double start = seconds_now();
        for (size_t layer = 0; layer < layers; ++layer)
            backend.attention({q.data(), q_width, q_width}, {k.data(), kv_width, kv_width},
                              {k.data(), kv_width, kv_width}, {&segment, 1}, geometry_, layer, shape,
                              {out.data(), q_width, q_width});
        return (seconds_now() - start) / static_cast<double>(layers);
    }

  private:
    void fill(std::byte* page, size_t layer, size_t head, test::Random& random) {
        for (size_t position = 0; position < kv_page_positions; ++position) {
            const std::vector<float> x = test::random_floats(shape.head_dim, random);
            geometry_.k_type->store_k(x.data(), shape.head_dim, position, page + geometry_.k_offset(layer, head));
            geometry_.v_type->store_v(x.data(), shape.head_dim, position, page + geometry_.v_offset(layer, head));
        }
    }

    KvGeometry geometry_;
    size_t n_pages_, n_layers_ = 1;
    std::vector<AlignedBuffer<std::byte>> memory_;
    std::vector<std::byte*> table_;
};

void measure(size_t n_threads) {
    ThreadPool pool(n_threads);
    const std::unique_ptr<Backend> backend = make_cpu_backend({pool, kernel_table()});
    test::Random random(1);
    std::vector<float> q = test::random_floats(q_width, random), k = test::random_floats(kv_width, random),
                       out(q_width);
    for (const size_t depth : depths) {
        std::vector<FullCache> caches;
        for (const KvType* type : all_kv_types()) caches.emplace_back(*type, depth, random);
        std::vector<double> best(caches.size(), 1e9);
        const double bandwidth = read_bandwidth(pool, 0.1);
        for (size_t round = 0; round < rounds; ++round)
            for (size_t i = 0; i < caches.size(); ++i)
                best[i] = std::min(best[i], caches[i].decode(*backend, q, k, out));
        for (size_t i = 0; i < caches.size(); ++i) {
            const double rate = static_cast<double>(caches[i].layer_bytes()) / best[i];
            std::printf("%7zu  %-5s %7zu %10.1f us %8.2f GB/s  %5.1f GB/s  %3.0f %%\n", n_threads,
                        all_kv_types()[i]->name, depth, best[i] * 1e6, rate * 1e-9, bandwidth * 1e-9,
                        100 * rate / bandwidth);
        }
        std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::printf("kernels %s\nthreads  type    depth  a layer, token    keys and values  read bandwidth\n",
                kernel_table().isa);
    if (argc == 1)
        for (const size_t n_threads : {1, 2}) measure(n_threads);
    for (int i = 1; i < argc; ++i) measure(static_cast<size_t>(std::atoi(argv[i])));
}
