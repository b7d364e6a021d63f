// Refinement of a whole tiny model: the loss that is reported, that it falls and never rises, codes that stay.
#include "core/quantize/distill_model.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/near.h"
#include "tests/quantize/block_test.h"
#include "tests/quantize/walk_test.h"

using namespace gq;
using namespace gq::test;

namespace {

constexpr size_t window = 24, n_windows = 20, vocab = 50;

// One block between an embedding that is given and a head; its linears rounded to 2 bits.
struct Student {
    TinyBlock block{0, 41};
    GridOptions grid{2, 0, find_grid("zero_point")};
    std::vector<float> inputs = random_floats(window * n_windows * block.hidden(), 43), targets;
    std::vector<float> head = random_floats(vocab * block.hidden(), 47),
                       norm = std::vector<float>(block.hidden(), 0.5f);
    std::vector<QuantizedMatrix> rounded;
    std::vector<std::vector<float>> norms;
    RefineBlock parts;

    Student() {
        const Doubles y = DoubleForward(block, window).run(block.doubles(), {inputs.begin(), inputs.end()});
        targets.assign(y.begin(), y.end());
        Machine machine;
        rounded.resize(block.weights.size());
        norms = block.weights;
        for (size_t i = 0; i < block.weights.size(); ++i) {
            const RoleId role = static_cast<RoleId>(i);
            const WeightRow& row = block.rows()[i];
            if (row.kind == WeightKind::vector) {
                parts.norms.push_back({role, norms[i].data(), norms[i].size()});
            } else {
                rounded[i] = round_to_nearest(machine.compute, block.weights[i].data(), row.rows(block.params),
                                              row.cols(block.params), grid);
                parts.linears.push_back({role, nullptr, &rounded[i], grid});
            }
        }
    }
    RefineReport train(Machine& machine, const RefineOptions& options, size_t unseen = 0) {
        const size_t rows = n_windows * window, width = block.hidden();
        const HeadRows rows_of_head{vocab,
                                    [&](size_t begin, size_t end, float* out) {
                                        std::copy(head.data() + begin * width, head.data() + end * width, out);
                                    },
                                    {}};
        const Weight outer{.matrix = {}, .vector = norm.data()};
        return refine_model(machine.compute, block.network, {&parts, 1}, {rows_of_head, rows_of_head, {&outer, 1}},
                            {{inputs.data(), rows, width, width}, {targets.data(), rows, width, width}, window, unseen},
                            options);
    }
    // log softmax of head · norm(x), in double.
    Doubles predictions(const Doubles& x, size_t row) const {
        const size_t n = block.hidden();
        double squares = 0, top = -1e300, sum = 0;
        for (size_t i = 0; i < n; ++i) squares += x[row * n + i] * x[row * n + i];
        const double rms = std::sqrt(squares / static_cast<double>(n) + static_cast<double>(block.network.norm_eps));
        Doubles y(vocab);
        for (size_t o = 0; o < vocab; ++o) {
            for (size_t i = 0; i < n; ++i)
                y[o] += x[row * n + i] / rms * static_cast<double>(norm[i]) * static_cast<double>(head[o * n + i]);
            top = std::max(top, y[o]);
        }
        for (const double v : y) sum += std::exp(v - top);
        for (double& v : y) v -= top + std::log(sum);
        return y;
    }
    double divergence(std::span<const size_t> windows) const {
        std::vector<Doubles> weights = block.doubles();
        for (size_t i = 0; i < weights.size(); ++i) {
            const QuantizedMatrix& q = rounded[i];
            for (size_t k = 0; k < weights[i].size(); ++k)
                weights[i][k] = q.rows == 0 ? norms[i][k] : q.value(k / q.cols, k % q.cols);
        }
        const Doubles y = DoubleForward(block, window).run(weights, {inputs.begin(), inputs.end()}),
                      exact(targets.begin(), targets.end());
        double sum = 0;
        for (const size_t w : windows)
            for (size_t r = w * window; r < (w + 1) * window; ++r) {
                const Doubles p = predictions(exact, r), q = predictions(y, r);
                for (size_t o = 0; o < vocab; ++o) sum += std::exp(p[o]) * (p[o] - q[o]);
            }
        return sum / static_cast<double>(windows.size() * window);
    }
};

bool same(const Student& a, const Student& b, bool grids_too) {
    bool all = true;
    for (size_t i = 0; i < a.rounded.size(); ++i) {
        const QuantizedMatrix &x = a.rounded[i], &y = b.rounded[i];
        all = all && std::equal(x.codes.begin(), x.codes.end(), y.codes.begin(), y.codes.end());
        if (!grids_too) continue;
        all = all && std::equal(x.scales.begin(), x.scales.end(), y.scales.begin(), y.scales.end());
        all = all && a.norms[i] == b.norms[i];
    }
    return all;
}

RefineOptions many_epochs() {
    RefineOptions options;
    options.epochs = 8;
    options.grid_rate = 0.03;
    return options;
}

}  // namespace

TEST_SUITE("distill") {
    TEST_CASE("refinement lowers the KL divergence that it reports, and leaves codes as they are") {
        Student student;
        const Student before;
        Machine machine(2);
        const RefineReport report = student.train(machine, many_epochs());
        const size_t held_out[] = {5, 15};  // a tenth of 20, evenly spread
        // Block and logits in float: 1e-7 a step, of either sign.
        CHECK(before.divergence(held_out) == near(report.before, 1e-5));
        CHECK(student.divergence(held_out) == near(report.after, 1e-5));
        Student other;
        const size_t last[] = {17, 18, 19};
        const RefineReport by_unseen = other.train(machine, many_epochs(), 3);
        CHECK(before.divergence(last) == near(by_unseen.before, 1e-5));
        CHECK(other.divergence(last) == near(by_unseen.after, 1e-5));
        CHECK(by_unseen.after < 0.9 * by_unseen.before);
        CHECK(report.kept_epoch > 0);
        // Scales and norms alone take a fifth here; codes hold the rest.
        CHECK(report.after < 0.9 * report.before);
        CHECK(same(student, before, false));
        CHECK_FALSE(same(student, before, true));
    }

    TEST_CASE("refinement gives the same bits at any number of threads, and nothing that is worse") {
        Student a, b, c;
        Machine one(1), three(3);
        CHECK(a.train(one, many_epochs()).kept_epoch > 0);
        b.train(three, many_epochs());
        CHECK(same(a, b, true));
        RefineOptions wild;
        wild.grid_rate = 6;
        wild.norm_rate = 2;
        const RefineReport report = c.train(one, wild);
        CHECK(report.kept_epoch == 0);
        CHECK(report.after == report.before);
        CHECK(same(c, Student(), true));
    }

    TEST_CASE("a model is distilled and refined, with the same bytes at any number of threads") {
        for (const char* name : {"tied", "untied", "opt", "bloom"}) {
            const TemporaryPath one("refined_1.gq"), three("refined_3.gq"), plain("refined_not.gq");
            QuantizeOptions options = tiny_options(3);
            quantize_tiny(name, plain.path(), options);
            options.refine_epochs = 2;
            options.distill_epochs = 1;
            options.rotate = name == std::string("tied");  // its turn of the head stands behind the blocks too
            quantize_tiny(name, one.path(), options);
            quantize_tiny(name, three.path(), options, 3);
            CHECK(file_bytes(one.path()) == file_bytes(three.path()));
            CHECK(file_bytes(one.path()) != file_bytes(plain.path()));
            CHECK(LoadedModel::open(one.path(), true)->model.blocks.size() > 0);
        }
    }

    TEST_CASE("training asks for GPTQ and for windows to hold out") {
        QuantizeOptions options = tiny_options(4);
        options.method = Method::rtn;
        options.refine_epochs = 1;
        CHECK(refuse(golden_path("tiny_llama_tied"), options).says("expected method gptq and at least 2"));
        options = tiny_options(4);
        options.distill_epochs = 1;
        options.windows = 1;
        CHECK(refuse(golden_path("tiny_llama_tied"), options).says("expected method gptq and at least 2"));
        options = tiny_options(4);
        options.distill_epochs = 1;
        options.lorc_rank = 4;
        CHECK(refuse(golden_path("tiny_llama_tied"), options).says("expected a lorc rank of 0"));
    }

    TEST_CASE("what goes on is told, and what is left falls to nothing") {
        const TemporaryPath out("told.gq");
        QuantizeOptions options = tiny_options(4);
        options.refine_epochs = 2;
        options.distill_epochs = 1;
        options.solver.qep = 0.5;
        options.held_out = 3;
        ThreadPool pool(1);
        std::map<std::string, size_t> activities;
        QuantizeProgress last;
        quantize_model(golden_path("tiny_llama_tied"), out.path(), options, {pool, kernel_table()},
                       [&](const QuantizeProgress& p) {
                           CHECK(p.tensor.empty() != p.activity.empty());
                           ++activities[p.activity];
                           if (!p.activity.empty() && !p.activity.starts_with("block 1")) CHECK(p.seconds_left > 0);
                           last = p;
                           return false;
                       });
        const size_t n = options.windows;        // those that are held out are no lesson
        CHECK(activities["block 1 of 2"] == 4);  // stages
        CHECK(activities["training of block 2 of 2"] == n);
        CHECK(activities["training of scales and norms"] == 2 * n);
        CHECK(last.n_done == last.n_total);
        CHECK(last.seconds_left >= 0);
        CHECK(last.seconds_left < 1e-6);  // sums of costs, which differ by rounding
    }

    TEST_CASE("training can be cancelled between windows") {
        const TemporaryPath out("cancelled.gq");
        QuantizeOptions options = tiny_options(4);
        options.refine_epochs = 50;
        ThreadPool pool(1);
        size_t calls = 0;  // some 10 before the refinement, and nothing but the embedding and the last norm written
        CHECK_THROWS_WITH_AS(quantize_model(golden_path("tiny_llama_tied"), out.path(), options, {pool, kernel_table()},
                                            [&](const QuantizeProgress&) { return ++calls == 30; }),
                             doctest::Contains("cancelled after 2 of"), Error);
        CHECK_FALSE(std::filesystem::exists(out.path()));
    }
}
