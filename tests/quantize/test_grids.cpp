// The solver on every grid with all codes: what it gives is what is stored, feedback helps, richer grids lose less.
// In: small problems. Out: checks. Must not know how a grid stores its numbers.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "core/quantize/packed_writer.h"
#include "tests/quantize/gptq_problem.h"

using namespace gq;
using namespace gq::test;

namespace {

// The weights as a reader of the packed matrix finds them.
std::vector<float> packed_values(const Compute& compute, const QuantizedMatrix& q, const GridOptions& options) {
    PackedTensor tensor = room_for_codes(q.rows, q.cols, options);
    pack_strip(compute, q, 0, tensor);
    std::vector<float> values(q.rows * q.cols);
    unpack_rows(tensor.matrix, 0, q.rows, values.data(), q.cols);
    return values;
}

void check_solve(const Problem& problem, const Codes& codes, const Grid& grid, size_t group) {
    const Machine machine;
    const GridOptions options{codes.value_bits, group, &grid, &codes};
    CAPTURE(std::string(codes.name));
    CAPTURE(std::string(grid.name));
    CAPTURE(group);
    const Solved solved = solve(problem, {.grid = options, .search = GridSearch::clip}, machine);
    const std::vector<float> stored = packed_values(machine.compute, solved.q, options);
    for (size_t i = 0; i < stored.size(); ++i) REQUIRE(solved.q.value(i / problem.cols, i % problem.cols) == stored[i]);
    CHECK(solved.report.check_error < 1e-4);
    CHECK(solved.report.true_loss < solved.report.rtn_loss);
}

double clipped_loss(const Problem& problem, const char* codes, const char* grid, size_t group) {
    const Codes& c = *find_codes(codes);
    return loss_of(problem,
                   solve(problem, {.grid = {c.value_bits, group, find_grid(grid), &c}, .search = GridSearch::clip}).q);
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("GPTQ on every grid with all codes: as stored, better than rounding, its account right") {
        const Problem problem = make_problem(20, 304, 512, 41);  // no multiple of panels, tiles, groups or units
        for (const Codes* codes : all_codes()) {
            if (codes->is_float) continue;
            for (const Grid* grid : all_grids())
                for (const size_t group : {size_t{16}, size_t{32}, size_t{0}})
                    check_solve(problem, *codes, *grid, group);
        }
    }

    TEST_CASE("finer grids lose less: groups of 16, more bits, a table made for bell-shaped weights") {
        Problem problem = make_problem(64, 512, 1024, 43);
        // Sums of four are bell-shaped.
        for (size_t i = 0; i < problem.w.size(); ++i) {
            float sum = 0;
            for (size_t k = 0; k < 4; ++k) sum += problem.w[(i * 7 + k * 131) % problem.w.size()];
            problem.w[i] = sum;
        }
        CHECK(clipped_loss(problem, "int3", "k", 16) < clipped_loss(problem, "int3", "k", 64));
        CHECK(clipped_loss(problem, "table4", "symmetric", 32) < clipped_loss(problem, "int4", "symmetric", 32));
        // Scales and offsets of 6 bits cost some percent beside those of 16, for fewer bits a weight.
        for (const char* bits : {"int4", "int5", "int6"})
            CHECK(clipped_loss(problem, bits, "k", 32) < 1.1 * clipped_loss(problem, bits, "offset", 32));
        // A bit more halves the step and quarters its square; the grids' own rounding stays.
        CHECK(clipped_loss(problem, "int5", "k", 32) < clipped_loss(problem, "int4", "k", 32) / 3);
        CHECK(clipped_loss(problem, "int6", "k", 32) < clipped_loss(problem, "int5", "k", 32) / 3);
    }
}
