// Distillation of a tiny block: what it gains, that it never loses, and that its result is what a file can hold.
#include "core/quantize/distill.h"

#include <algorithm>
#include <cstring>

#include "formats/element_type.h"
#include "tests/near.h"
#include "tests/quantize/block_test.h"
#include "tests/quantize/walk_test.h"

using namespace gq;
using namespace gq::test;

namespace {

constexpr size_t window = 32, n_windows = 20;

// A tiny block whose linears were rounded to nearest, with the rows it is trained on.
struct Student {
    TinyBlock block{0, 21};
    GridOptions grid;
    std::vector<float> inputs = random_floats(window * n_windows * block.hidden(), 31), targets;
    std::vector<QuantizedMatrix> rounded;
    std::vector<std::vector<float>> norms;
    std::vector<DistillLinear> linears;
    std::vector<DistillNorm> trained_norms;

    explicit Student(unsigned bits, const char* grid_name = "zero_point") : grid{bits, 0, find_grid(grid_name)} {
        const Doubles y = DoubleForward(block, window).run(block.doubles(), {inputs.begin(), inputs.end()});
        targets.assign(y.begin(), y.end());
        Machine machine;
        rounded.resize(block.weights.size());
        norms.resize(block.weights.size());
        for (size_t i = 0; i < block.weights.size(); ++i) {
            const RoleId role = static_cast<RoleId>(i);
            const WeightRow& row = block.rows()[i];
            if (row.kind == WeightKind::vector) {
                norms[i] = block.weights[i];
                trained_norms.push_back({role, norms[i].data(), norms[i].size()});
            } else {
                rounded[i] = round_to_nearest(machine.compute, block.weights[i].data(), row.rows(block.params),
                                              row.cols(block.params), grid);
                linears.push_back({role, block.weights[i].data(), &rounded[i], grid});
            }
        }
    }
    DistillReport train(Machine& machine, const DistillOptions& options, size_t windows = n_windows) {
        const size_t rows = windows * window, width = block.hidden();
        const DistillRows data{{inputs.data(), rows, width, width}, {targets.data(), rows, width, width}, window};
        return distill_block(machine.compute, block.network, block.steps(), linears, trained_norms, data, options);
    }
    // The loss on some windows by the reference in double.
    double loss(std::span<const size_t> windows) const {
        std::vector<Doubles> weights = block.doubles();
        for (size_t i = 0; i < weights.size(); ++i) {
            const QuantizedMatrix& q = rounded[i];
            for (size_t k = 0; k < weights[i].size(); ++k)
                weights[i][k] = q.rows == 0 ? norms[i][k] : q.value(k / q.cols, k % q.cols);
        }
        const size_t width = block.hidden();
        const Doubles y = DoubleForward(block, window).run(weights, {inputs.begin(), inputs.end()});
        double sum = 0;
        for (const size_t w : windows)
            for (size_t r = w * window; r < (w + 1) * window; ++r) {
                double error = 0, size = 0;
                for (size_t i = r * width; i < (r + 1) * width; ++i) {
                    const double t = static_cast<double>(targets[i]);
                    error += (y[i] - t) * (y[i] - t);
                    size += t * t;
                }
                sum += error / size;
            }
        return sum / static_cast<double>(windows.size() * window);
    }
};

DistillOptions many_epochs() {
    DistillOptions options;
    options.epochs = 6;
    return options;
}

bool same_codes(const Student& a, const Student& b) {
    bool same = true;
    for (size_t i = 0; i < a.rounded.size(); ++i) {
        same = same && std::equal(a.rounded[i].codes.begin(), a.rounded[i].codes.end(), b.rounded[i].codes.begin(),
                                  b.rounded[i].codes.end());
        same = same && std::equal(a.rounded[i].scales.begin(), a.rounded[i].scales.end(), b.rounded[i].scales.begin(),
                                  b.rounded[i].scales.end());
        same = same && a.norms[i] == b.norms[i];
    }
    return same;
}

}  // namespace

TEST_SUITE("distill") {
    TEST_CASE("a rounded block comes nearer to the float one, by the loss that is reported") {
        for (const unsigned bits : {2u, 3u}) {
            Student student(bits);
            Machine machine(2);
            const DistillReport report = student.train(machine, many_epochs());
            CHECK(report.kept_epoch > 0);
            // Of the loss that rounding leaves, training takes two fifths at 2 bits and a quarter at 3.
            CHECK(report.after < 0.8 * report.before);
            const size_t held_out[] = {5, 15};  // a tenth of 20, evenly spread
            // The block runs in float: 1e-7 a step, of either sign.
            CHECK(Student(bits).loss(held_out) == near(report.before, 1e-5));
            CHECK(student.loss(held_out) == near(report.after, 1e-5));  // of what was returned
        }
    }

    TEST_CASE("the result is on the grid as it is stored") {
        for (const Grid* grid : all_grids()) {
            CAPTURE(grid->name);
            Student student(3, grid->name);
            const Student before(3, grid->name);
            Machine machine(2);
            CHECK(student.train(machine, many_epochs()).kept_epoch > 0);
            for (const DistillLinear& linear : student.linears) {
                const QuantizedMatrix &q = *linear.rounded, &old = before.rounded[linear.role];
                CHECK(*std::max_element(q.codes.begin(), q.codes.end()) <= 7);
                std::vector<GroupGrid> stored(q.n_groups());
                for (size_t row = 0; row < q.rows; ++row) {
                    const size_t at = row * q.n_groups();
                    for (size_t g = 0; g < q.n_groups(); ++g) {
                        const GroupGrid found = q.grid(at + g);
                        stored[g] = grid->nearest(found.scale, found.offset - found.scale * found.zero_point, 3);
                    }
                    if (grid->settle) continue;  // what is settled once may settle otherwise again
                    for (size_t g = 0; g < q.n_groups(); ++g) {
                        CHECK(stored[g].scale == q.grid(at + g).scale);
                        CHECK(stored[g].offset == q.grid(at + g).offset);
                        CHECK(stored[g].zero_point == q.grid(at + g).zero_point);
                        CHECK(q.grid(at + g).zero_point == old.grid(at + g).zero_point);
                    }
                }
            }
        }
    }

    TEST_CASE("what would be worse is not returned") {
        Student student(3);
        const Student before(3);
        Machine machine(1);
        DistillOptions options;
        options.weight_rate = 3;  // codes jump from end to end
        const DistillReport report = student.train(machine, options);
        CHECK(report.kept_epoch == 0);
        CHECK(report.after == report.before);
        CHECK(same_codes(student, before));
    }

    TEST_CASE("distillation gives the same bits at any number of threads") {
        Student a(2), b(2);
        Machine one(1), three(3);
        const DistillReport report = a.train(one, many_epochs());
        CHECK(report.after == b.train(three, many_epochs()).after);
        CHECK(report.kept_epoch > 0);
        CHECK(same_codes(a, b));
    }

    TEST_CASE("one window is too few: none would be left to choose by") {
        Student student(3);
        Machine machine(1);
        CHECK(contains(error_of(Status::invalid_argument, [&] { student.train(machine, {}, 1); }),
                       "expected at least 2 windows of calibration, found 1"));
    }

    TEST_CASE("a model is distilled block by block, with the same bytes at any number of threads") {
        const TemporaryPath one("distilled_1.gq"), three("distilled_3.gq"), plain("plain.gq");
        QuantizeOptions options = tiny_options(3);
        quantize_tiny("tied", plain.path(), options);
        options.distill_epochs = 2;
        quantize_tiny("tied", one.path(), options);
        quantize_tiny("tied", three.path(), options, 3);
        CHECK(file_bytes(one.path()) == file_bytes(three.path()));
        CHECK(std::filesystem::file_size(one.path()) <= std::filesystem::file_size(plain.path()) + 64);
        CHECK(file_bytes(one.path()) != file_bytes(plain.path()));
        CHECK(LoadedModel::open(one.path(), true)->model.blocks.size() > 0);
    }
}
