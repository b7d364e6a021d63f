// Whole matrices: sizes, refusals, padding, and every way back to floats.
// For all codes, grids and groups over odd shapes.
// In: random codes and floats. Out: checks of floats and messages. Must not know where a layout puts its bits.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/packing/packing.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

struct Shape {
    size_t rows, cols;
};
constexpr Shape shapes[] = {{1, 1}, {16, 32}, {17, 33}, {5, 100}, {31, 257}, {48, 64}, {33, 576}};
constexpr size_t groups[] = {16, 32, 64, 128, 0};

// Calls check(PackedCase) for every code, grid, group and shape.
template <class Check>
void for_all_cases(Check check) {
    Random random(4);
    for (const Codes* codes : all_codes()) {
        for (const Shape shape : shapes) {
            if (codes->is_float) {
                check(float_case(*codes, shape.rows, shape.cols, random));
                continue;
            }
            for (const Grid* grid : all_grids()) {
                for (const size_t group : groups)
                    check(integer_case(*codes, *grid, shape.rows, shape.cols, group, random));
            }
        }
    }
}

std::string refusal(const char* codes, const char* grid, size_t rows, size_t cols, size_t group) {
    try {
        packed_sizes(*find_codes(codes), grid ? find_grid(grid) : nullptr, rows, cols, group);
    } catch (const Error& error) {
        CHECK(error.status() == Status::invalid_argument);
        return error.what();
    }
    return "accepted";
}

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("packing") {
    TEST_CASE("integer codes are found by their width, floats are not") {
        size_t n_found = 0;
        for (const Codes* codes : all_codes()) {
            if (codes->is_float || codes->nearest) continue;
            CHECK(find_integer_codes(codes->bits) == codes);
            ++n_found;
        }
        CHECK(n_found >= 4);
        for (const unsigned bits : {0U, 16U, 32U}) CHECK(find_integer_codes(bits) == nullptr);
    }

    TEST_CASE("sizes of the parts") {
        const PackedSizes four = packed_sizes(*find_codes("int4"), find_grid("zero_point"), 17, 129, 64);
        CHECK(four.code_bytes == 2 * 5 * 256);  // 2 panels of 5 tiles
        CHECK(four.scale_bytes == 2 * 3 * 32);  // 3 groups, the last short
        CHECK(four.zero_bytes == 2 * 3 * 8);
        const PackedSizes row = packed_sizes(*find_codes("int8"), find_grid("zero_point"), 16, 576, 0);
        CHECK(row.scale_bytes == 32);
        CHECK(row.zero_bytes == 16);
        const PackedSizes half = packed_sizes(*find_codes("f16"), nullptr, 16, 32, 0);
        CHECK(half.code_bytes == 1024);
        CHECK(half.scale_bytes + half.zero_bytes == 0);
        CHECK(packed_sizes(*find_codes("int3"), find_grid("symmetric"), 1, 1, 32).zero_bytes == 0);
    }

    TEST_CASE("shapes that can't be packed are refused with what was expected and found") {
        CHECK(contains(refusal("int4", "symmetric", 0, 5, 32), "at least 1 row and 1 column, found 0 x 5"));
        CHECK(contains(refusal("int4", "symmetric", 5, 0, 32), "found 5 x 0"));
        CHECK(contains(refusal("int4", "symmetric", 5, 5, 48),
                       "expected 16, a multiple of 32, or 0 for the whole row, found 48"));
        CHECK(contains(refusal("int4", nullptr, 5, 5, 32), "a grid for codes int4, found none"));
        CHECK(contains(refusal("f16", "symmetric", 5, 5, 0), "no grid for codes f16, found symmetric"));
        CHECK(contains(refusal("f32", nullptr, size_t{1} << 40, size_t{1} << 40, 0), "overflows"));
        CHECK(contains(refusal("f32", nullptr, SIZE_MAX, 1, 0), "found 18446744073709551615 x 1"));
        CHECK(contains(refusal("int2", "zero_point", 1, SIZE_MAX - 5, 0), "found 1 x"));
        CHECK(contains(refusal("int8", "zero_point", size_t{1} << 35, size_t{1} << 29, 32), "overflows"));
        CHECK(refusal("int2", "zero_point", 1, 1, 0) == "accepted");
    }

    TEST_CASE("every weight comes back through unpack_rows, and nothing else is written") {
        for_all_cases([](const PackedCase& c) {
            const PackedMatrix& m = c.matrix;
            const size_t stride = m.cols + 3;
            std::vector<float> out(m.rows * stride, untouched), expected(out);
            for (size_t row = 0; row < m.rows; ++row) {
                for (size_t col = 0; col < m.cols; ++col) expected[row * stride + col] = c.value(row, col);
            }
            unpack_rows(m, 0, m.rows, out.data(), stride);
            INFO(describe(m));
            REQUIRE(first_difference(out, expected) == out.size());
            // One row in the middle, a run over a panel's border, an empty run.
            const size_t ranges[][2] = {
                {m.rows / 2, m.rows / 2 + 1}, {std::min(m.rows, size_t{10}), m.rows}, {m.rows, m.rows}};
            for (const auto& [begin, end] : ranges) {
                std::vector<float> part((end - begin) * stride, untouched);
                unpack_rows(m, begin, end, part.data(), stride);
                REQUIRE(first_difference(part.data(), expected.data() + begin * stride, part.size()) == part.size());
            }
        });
    }

    TEST_CASE("a panel comes back input by input, its padding as 0") {
        for_all_cases([](const PackedCase& c) {
            const PackedMatrix& m = c.matrix;
            const size_t k_padded = m.n_tiles() * tile_cols;
            std::vector<float> out(k_padded * panel_rows), expected(out);
            for (size_t panel = 0; panel < m.n_panels(); ++panel) {
                for (size_t i = 0; i < out.size(); ++i) {
                    const size_t row = panel * panel_rows + i % panel_rows, col = i / panel_rows;
                    expected[i] = row < m.rows && col < m.cols ? c.value(row, col) : 0.0f;
                }
                std::fill(out.begin(), out.end(), untouched);
                unpack_panel_f32(m, panel, out.data());
                INFO(describe(m), " panel ", panel);
                REQUIRE(first_difference(out, expected) == out.size());
            }
        });
    }

    TEST_CASE("row-major floats read as packed ones do") {
        Random random(5);
        for (const char* name : {"f16", "bf16", "f32"}) {
            for (const Shape shape : shapes) {
                const Codes& codes = *find_codes(name);
                const PackedCase packed = float_case(codes, shape.rows, shape.cols, random);
                std::vector<std::byte> bytes(packed.values.size() * codes.bits / 8);
                codes.pack_floats(packed.values.data(), packed.values.size(), bytes.data());
                const PackedMatrix rows{.codes = &codes,
                                        .layout = PackedMatrix::Layout::row_major,
                                        .rows = shape.rows,
                                        .cols = shape.cols,
                                        .code_bytes = bytes.data()};
                std::vector<float> a(shape.rows * shape.cols), b(a);
                unpack_rows(rows, 0, shape.rows, a.data(), shape.cols);
                unpack_rows(packed.matrix, 0, shape.rows, b.data(), shape.cols);
                INFO(describe(rows));
                REQUIRE(first_difference(a, b) == a.size());
                std::vector<float> p(rows.n_tiles() * tile_values, untouched), q(p);
                for (size_t panel = 0; panel < rows.n_panels(); ++panel) {
                    unpack_panel_f32(rows, panel, p.data());
                    unpack_panel_f32(packed.matrix, panel, q.data());
                    REQUIRE(first_difference(p, q) == p.size());
                }
            }
        }
    }

    TEST_CASE("panels packed one by one give the same bytes as all at once, and touch only their own") {
        for_all_cases([](const PackedCase& c) {
            const PackedMatrix& m = c.matrix;
            std::vector<std::byte> codes(c.code_bytes.size(), std::byte{0xaa}), scales(c.scale_bytes.size()),
                zeros(c.zero_bytes.size());
            for (size_t panel = m.n_panels(); panel-- > 0;) {
                if (m.codes->is_float) {
                    pack_float_panels(c.values.data(), m.cols, m.rows, m.cols, *m.codes, panel, panel + 1,
                                      codes.data());
                } else {
                    pack_panels(c.logical, *m.codes, *m.grid, panel, panel + 1, codes.data(), scales.data(),
                                zeros.data());
                }
            }
            INFO(describe(m));
            REQUIRE(std::equal(codes.begin(), codes.end(), c.code_bytes.begin()));
            REQUIRE(std::equal(scales.begin(), scales.end(), c.scale_bytes.begin()));
            REQUIRE(std::equal(zeros.begin(), zeros.end(), c.zero_bytes.begin()));
        });
    }

    TEST_CASE("padding: codes are the zero point, padding rows have scale 0") {
        Random random(6);
        for (const Grid* grid : all_grids()) {
            const PackedCase c = integer_case(*find_codes("int4"), *grid, 18, 40, 32, random);
            const PackedMatrix& m = c.matrix;
            for (size_t panel = 0; panel < 2; ++panel) {
                for (size_t tile = 0; tile < 2; ++tile) {
                    GroupParams params = {};
                    uint8_t codes[tile_values];
                    grid->unpack_group(m.group_scales(panel, tile), m.group_zeros(panel, tile), 4, params);
                    m.codes->unpack_codes(m.panel_codes(panel) + tile * m.codes->tile_bytes, codes);
                    for (size_t i = 0; i < tile_values; ++i) {
                        const size_t lane = i / tile_cols, row = panel * panel_rows + lane,
                                     col = tile * tile_cols + i % tile_cols;
                        INFO("grid ", std::string(grid->name), " row ", row, " col ", col);
                        if (row >= m.rows) REQUIRE(params.scale[lane] == 0.0f);
                        if (row >= m.rows) REQUIRE(params.offset[lane] == 0.0f);
                        if (row >= m.rows && grid->has_zeros) REQUIRE(params.zero_point[lane] == 0);
                        if (row >= m.rows || col >= m.cols) REQUIRE(codes[i] == params.zero_point[lane]);
                    }
                }
            }
        }
    }
}
