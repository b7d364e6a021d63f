// Attention of the CPU backend, by itself: the same bits at any thread count and however rows are cut into calls, close
// to a plain reference in double precision, and types of the cache that keep to their steps.
// In: random rows, paged as a session would. Out: checks of bits and bounds. Must not know sessions or models.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>

#include "core/kernels/compute.h"
#include "core/kernels/kv.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

// Sequences of one layer, of the same length: q (rows, heads * dim), k and v (rows, kv_heads * dim), sequence by
// sequence.
struct Layer {
    AttentionShape shape;
    size_t n_positions, n_sequences;
    std::vector<float> q, k, v;

    Layer(const AttentionShape& of, size_t positions, size_t sequences, Random& random)
        : shape(of), n_positions(positions), n_sequences(sequences) {
        q = random_floats(rows() * shape.n_heads * shape.head_dim, random, 1.0f);
        k = random_floats(rows() * shape.n_kv_heads * shape.head_dim, random, 1.0f);
        v = random_floats(k.size(), random, 1.0f);
    }
    size_t rows() const { return n_positions * n_sequences; }
    size_t q_width() const { return shape.n_heads * shape.head_dim; }
    size_t kv_width() const { return shape.n_kv_heads * shape.head_dim; }
};

// One way of running a layer: threads, and the positions of each sequence that a call takes; beyond `last_alone`
// positions from the end they come one at a time.
struct Way {
    size_t n_threads, step, last_alone;
};

class Run {
  public:
    Run(const Layer& layer, const KvGeometry& geometry, const Way& way)
        : layer_(layer),
          geometry_(geometry),
          pool_(way.n_threads),
          backend_(make_cpu_backend({pool_, kernel_table()})),
          out_(layer.rows() * layer.q_width()) {
        const size_t n_pages = div_up(layer.n_positions, kv_page_positions);
        for (size_t s = 0; s < layer.n_sequences; ++s) {
            tables_.emplace_back();
            for (size_t i = 0; i < n_pages; ++i) {
                memory_.emplace_back(geometry.page_bytes());
                tables_.back().push_back(memory_.back().data());
            }
        }
        const size_t alone_from = layer.n_positions - std::min(way.last_alone, layer.n_positions);
        for (size_t begin = 0, end; begin < layer.n_positions; begin = end) {
            end = begin < alone_from ? std::min(begin + way.step, alone_from) : begin + 1;
            call(begin, end);
        }
    }
    const std::vector<float>& out() const { return out_; }

  private:
    // Rows [begin, end) of every sequence in one call.
    void call(size_t begin, size_t end) {
        const size_t n = end - begin, qw = layer_.q_width(), kw = layer_.kv_width();
        std::vector<float> q, k, v, out(n * layer_.n_sequences * qw);
        std::vector<Segment> segments;
        for (size_t s = 0; s < layer_.n_sequences; ++s) {
            const size_t row = s * layer_.n_positions + begin;
            const auto take = [&](const std::vector<float>& from, size_t width, std::vector<float>& to) {
                to.insert(to.end(), from.begin() + row * width, from.begin() + (row + n) * width);
            };
            take(layer_.q, qw, q), take(layer_.k, kw, k), take(layer_.v, kw, v);
            segments.push_back({s * n, n, begin, tables_[s].data()});
        }
        backend_->attention({q.data(), qw, qw}, {k.data(), kw, kw}, {v.data(), kw, kw}, segments, geometry_, 0,
                            layer_.shape, {out.data(), qw, qw});
        for (size_t s = 0; s < layer_.n_sequences; ++s)
            std::copy_n(out.begin() + s * n * qw, n * qw, out_.begin() + (s * layer_.n_positions + begin) * qw);
    }

    const Layer& layer_;
    KvGeometry geometry_;
    ThreadPool pool_;
    std::unique_ptr<Backend> backend_;
    std::vector<AlignedBuffer<std::byte>> memory_;
    std::vector<std::vector<std::byte*>> tables_;
    std::vector<float> out_;
};

std::vector<float> attend(const Layer& layer, const KvType& k_type, const KvType& v_type, const Way& way) {
    return Run(layer, {1, layer.shape.n_kv_heads, layer.shape.head_dim, &k_type, &v_type}, way).out();
}

// The first row where they differ, or the number of rows.
size_t first_different_row(const std::vector<float>& a, const std::vector<float>& b, size_t width) {
    size_t row = 0;
    while (row < a.size() / width && std::memcmp(&a[row * width], &b[row * width], width * sizeof(float)) == 0) ++row;
    return row;
}

void check_same_bits(const Layer& layer, const KvType& k_type, const KvType& v_type) {
    CAPTURE(std::string(k_type.name));
    CAPTURE(std::string(v_type.name));
    CAPTURE(layer.shape.n_heads);
    const std::vector<float> truth = attend(layer, k_type, v_type, {1, layer.n_positions, 0});
    for (const Way& way : {Way{1, 97, 3}, Way{2, 700, 0}, Way{3, 690, 10}, Way{7, 300, 5}}) {
        CAPTURE(way.n_threads);
        CAPTURE(way.step);
        const std::vector<float> found = attend(layer, k_type, v_type, way);
        CHECK(first_different_row(found, truth, layer.q_width()) == layer.rows());
    }
}

void store_and_widen(const KvType& type, bool keys, const std::vector<float>& x, size_t dim, std::vector<float>& out) {
    AlignedBuffer<std::byte> block(keys ? type.k_bytes(dim) : type.v_bytes(dim));
    for (size_t p = 0; p < kv_page_positions; ++p)
        (keys ? type.store_k : type.store_v)(&x[p * dim], dim, p, block.data());
    AlignedBuffer<float> wide(kv_page_positions * round_up(dim, panel_cols));
    const WidenKvFn widen = keys ? type.widen_k : type.widen_v;
    const float* floats = reinterpret_cast<const float*>(block.data());
    if (widen) widen(block.data(), dim, wide.data());
    if (widen) floats = wide.data();
    out.resize(x.size());
    for (size_t p = 0; p < kv_page_positions; ++p)
        for (size_t d = 0; d < dim; ++d)
            out[p * dim + d] = keys ? floats[(p / 16 * dim + d) * 16 + p % 16]
                                    : floats[(d / 16 * kv_page_positions + p) * 16 + d % 16];
}

// x (positions, heads * dim) as a cache gives it back, in the coordinates that it came in.
std::vector<float> as_kept(const KvType& type, bool keys, const std::vector<float>& x, size_t width, size_t dim) {
    std::vector<float> kept = x, block(kv_page_positions * dim), found;
    for (size_t first = 0; first * width < x.size(); first += kv_page_positions) {
        const size_t n = std::min(kv_page_positions, x.size() / width - first);
        for (size_t head = 0; head < width / dim; ++head) {
            const auto at = [&](size_t p) { return kept.begin() + (first + p) * width + head * dim; };
            for (size_t p = 0; p < n; ++p) {
                std::copy_n(at(p), dim, &block[p * dim]);
                if (type.is_rotated) rotate_head(&block[p * dim], dim);
            }
            store_and_widen(type, keys, block, dim, found);
            for (size_t p = 0; p < n; ++p) {
                if (type.is_rotated) rotate_head(&found[p * dim], dim);
                std::copy_n(&found[p * dim], dim, at(p));
            }
        }
    }
    return kept;
}

// softmax(scale q · k) v of one row and head, in double precision.
std::vector<double> reference(const Layer& layer, size_t position, size_t head) {
    const AttentionShape& shape = layer.shape;
    const size_t dim = shape.head_dim, first = head / (shape.n_heads / shape.n_kv_heads) * dim;
    const auto element = [&](const std::vector<float>& a, size_t i) { return static_cast<double>(a[i]); };
    const size_t oldest = shape.window > 0 && position >= shape.window ? position - shape.window + 1 : 0;
    std::vector<double> weights(position + 1), out(dim);
    double sum = 0;
    for (size_t j = oldest; j <= position; ++j) {
        double score = 0;
        for (size_t d = 0; d < dim; ++d)
            score += element(layer.q, position * layer.q_width() + head * dim + d) *
                     element(layer.k, j * layer.kv_width() + first + d);
        sum += weights[j] = std::exp(score * static_cast<double>(shape.scale));
    }
    for (size_t j = oldest; j <= position; ++j)
        for (size_t d = 0; d < dim; ++d)
            out[d] += weights[j] / sum * element(layer.v, j * layer.kv_width() + first + d);
    return out;
}

// What rounding of a group of 32 may leave, in steps of its scale: half a step; of q4, whose largest number gets -8,
// a whole one at the other end, which stops at 7. A thousandth is for the halves of the scales.
double steps_off(const KvType& type) {
    return std::string(type.name) == "q4" ? 1.001 : 0.501;
}

void check_groups(const KvType& type, double highest, bool keys, const std::vector<float>& x, size_t dim) {
    std::vector<float> found;
    store_and_widen(type, keys, x, dim, found);
    for (size_t p = 0; p < kv_page_positions; ++p) {
        for (size_t first = 0; first < dim; first += 32) {
            const size_t end = std::min(first + 32, dim);
            double most = 0, error = 0;
            for (size_t i = p * dim + first; i < p * dim + end; ++i) {
                most = std::fmax(most, std::fabs(static_cast<double>(x[i])));
                error = std::fmax(error, std::fabs(static_cast<double>(found[i]) - static_cast<double>(x[i])));
            }
            // A half of the scale's last place, and the smallest half where the scale is below the normal ones.
            const double step = most / highest * (1 + 0x1p-11) + 0x1p-25;
            CHECK(error <= steps_off(type) * step + highest * (most / highest * 0x1p-11 + 0x1p-25));
        }
    }
}

}  // namespace

TEST_SUITE("kernels") {
    TEST_CASE("types of the cache: what is stored comes back within their steps") {
        Random random(50);
        for (const size_t dim : {2, 30, 32, 64, 80, 100, 128}) {
            std::vector<float> x(kv_page_positions * dim);
            for (float& value : x) value = random.wide();
            for (const bool keys : {true, false}) {
                CAPTURE(dim);
                CAPTURE(keys);
                std::vector<float> found;
                store_and_widen(find_kv_type("f32"), keys, x, dim, found);
                CHECK(found == x);
                store_and_widen(find_kv_type("f16"), keys, x, dim, found);
                std::vector<float> halves = x;
                for (float& value : halves) value = f16_to_f32(f32_to_f16(value));
                CHECK(found == halves);
                check_groups(find_kv_type("q8"), 127, keys, x, dim);
                check_groups(find_kv_type("q4"), 8, keys, x, dim);
            }
        }
    }

    TEST_CASE("types of the cache: a position that is not finite leaves every other one as it is") {
        Random random(51);
        constexpr size_t dim = 80;
        const std::vector<float> x = random_floats(kv_page_positions * dim, random);
        for (const KvType* type : all_kv_types()) {
            for (const float bad : {HUGE_VALF, -HUGE_VALF, std::nanf(""), 3e38f}) {
                for (const bool keys : {true, false}) {
                    CAPTURE(std::string(type->name));
                    CAPTURE(bad);
                    std::vector<float> with = x, expected, found;
                    with[17 * dim + 40] = bad;
                    store_and_widen(*type, keys, x, dim, expected);
                    store_and_widen(*type, keys, with, dim, found);
                    CHECK((!std::isfinite(found[17 * dim + 40]) || found[17 * dim + 40] == bad));
                    for (size_t i = 17 * dim; i < 18 * dim; ++i) found[i] = expected[i];
                    CHECK(found == expected);
                }
            }
            std::vector<float> zeros(kv_page_positions * dim), tiny(zeros.size(), 1e-20f), found;
            for (const bool keys : {true, false}) {
                store_and_widen(*type, keys, zeros, dim, found);
                CHECK(found == zeros);
                store_and_widen(*type, keys, tiny, dim, found);
                for (const float value : found) CHECK((value == 0.0f || value == 1e-20f));
            }
        }
    }

    TEST_CASE("rotating a head twice gives it back, and products are kept") {
        Random random(52);
        for (const size_t dim : {2, 48, 64, 100, 128}) {
            const std::vector<float> a = random_floats(dim, random), b = random_floats(dim, random);
            std::vector<float> x = a, y = b;
            rotate_head(x.data(), dim);
            rotate_head(y.data(), dim);
            double before = 0, after = 0;
            for (size_t i = 0; i < dim; ++i) {
                before += static_cast<double>(a[i]) * static_cast<double>(b[i]);
                after += static_cast<double>(x[i]) * static_cast<double>(y[i]);
            }
            // Two times 7 sums and a product, each off by 2^-24 of values below sqrt(128).
            CHECK(std::fabs(before - after) <= 16 * 12 * static_cast<double>(dim) * 0x1p-24);
            rotate_head(x.data(), dim);
            for (size_t i = 0; i < dim; ++i) CHECK(std::fabs(x[i] - a[i]) <= 16 * 12 * 0x1p-24f);
        }
    }

    TEST_CASE("attention has the same bits at any thread count, in long runs and one by one, split over keys or not") {
        Random random(53);
        for (const KvType* type : all_kv_types())
            check_same_bits(Layer({6, 2, 64, 0, 0.125f}, 700, 1, random), *type, *type);
        // Two sequences whose heads threads don't share evenly; a window; a head_dim that fills no panel; one head of
        // keys for more of queries than a task has rows.
        const KvType &f32 = find_kv_type("f32"), &f16 = find_kv_type("f16"), &q8 = find_kv_type("q8"),
                     &q4 = find_kv_type("q4");
        check_same_bits(Layer({9, 3, 16, 0, 0.25f}, 500, 2, random), q8, f16);
        check_same_bits(Layer({4, 1, 32, 300, 0.2f}, 700, 1, random), q8, q4);
        check_same_bits(Layer({5, 5, 20, 0, 0.2f}, 500, 1, random), q4, f32);
        check_same_bits(Layer({71, 1, 16, 0, 0.25f}, 500, 1, random), f16, q8);
    }

    TEST_CASE("attention is softmax(q k) v of what the cache keeps, as double precision has it") {
        Random random(54);
        for (const size_t window : {0, 90}) {
            const Layer given({4, 2, 32, window, 0.2f}, 300, 1, random);
            for (const KvType* k_type : all_kv_types()) {
                for (const KvType* v_type : all_kv_types()) {
                    CAPTURE(std::string(k_type->name));
                    CAPTURE(std::string(v_type->name));
                    const std::vector<float> found = attend(given, *k_type, *v_type, {2, 290, 10});
                    Layer kept = given;
                    kept.k = as_kept(*k_type, true, given.k, given.kv_width(), 32);
                    kept.v = as_kept(*v_type, false, given.v, given.kv_width(), 32);
                    for (const size_t position : {0, 1, 63, 64, 200, 299}) {
                        for (size_t head = 0; head < 4; ++head) {
                            const std::vector<double> expected = reference(kept, position, head);
                            // Scores are sums of 32 products below 1, each off by 2^-24 of at most 32, times 0.2;
                            // outputs, below sqrt(32) where they are rotated, move by twice as much.
                            const double bound = 2 * 5.7 * 0.2 * 32 * 32 * 0x1p-24;
                            for (size_t d = 0; d < 32; ++d) {
                                const float y = found[position * given.q_width() + head * 32 + d];
                                CHECK(std::fabs(static_cast<double>(y) - expected[d]) <= bound);
                            }
                        }
                    }
                }
            }
        }
    }
}
