// Every grid: the bytes of its scales and zero points, their sizes, and round trips.
// In: scales and zero points of one group. Out: checks of bytes.
// Must not know codes' layouts.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "core/packing/packing.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

TEST_SUITE("packing") {
    TEST_CASE("grids are found by name, in the order of their files") {
        std::string names;
        for (const Grid* grid : all_grids()) {
            names += std::string(grid->name) + " ";
            CHECK(find_grid(grid->name) == grid);
        }
        CHECK(names == "k k_signed offset symmetric zero_point ");
        CHECK(find_grid("q") == nullptr);
    }

    TEST_CASE("zero_point: nibbles up to 4 bits, bytes above") {
        const Grid& grid = *find_grid("zero_point");
        GroupParams params;
        for (int row = 0; row < 16; ++row) {
            params.scale[row] = static_cast<float>(row + 1);
            params.zero_point[row] = 15 - row;
        }
        std::byte scales[32], zeros[16];
        REQUIRE(grid.scale_bytes == 32);
        REQUIRE(grid.zero_bytes(4) == 8);
        grid.pack_unit(&params, 1, 4, scales, zeros);
        CHECK(std::to_integer<int>(scales[0]) == 0x00);  // 1.0 as a half: 0x3c00
        CHECK(std::to_integer<int>(scales[1]) == 0x3c);
        CHECK(std::to_integer<int>(scales[31]) == 0x4c);  // 16.0: 0x4c00
        CHECK(std::to_integer<int>(zeros[0]) == 0xef);    // row 0 is 15 (low), row 1 is 14 (high)
        CHECK(std::to_integer<int>(zeros[7]) == 0x01);
        REQUIRE(grid.zero_bytes(5) == 16);
        grid.pack_unit(&params, 1, 8, scales, zeros);
        for (int row = 0; row < 16; ++row) CHECK(std::to_integer<int>(zeros[row]) == 15 - row);
    }

    TEST_CASE("symmetric stores no zeros and implies 2^(bits - 1)") {
        const Grid& grid = *find_grid("symmetric");
        CHECK_FALSE(grid.has_zeros);
        for (const unsigned bits : {2u, 3u, 4u, 8u}) {
            CHECK(grid.zero_bytes(bits) == 0);
            GroupParams params{};
            params.scale[3] = -0.25f;
            std::byte scales[32];
            grid.pack_unit(&params, 1, bits, scales, nullptr);
            params = {};
            grid.unpack_group(scales, nullptr, bits, params);
            CHECK(params.scale[3] == -0.25f);
            for (const int32_t zero : params.zero_point) CHECK(zero == 1 << (bits - 1));
        }
    }

    TEST_CASE("offset: 16 halves of scales, then 16 of offsets") {
        const Grid& grid = *find_grid("offset");
        REQUIRE(grid.scale_bytes == 64);
        CHECK(grid.zeros_part == nullptr);
        GroupParams params = {};
        params.scale[1] = 1.0f;
        params.offset[15] = -2.0f;
        std::byte scales[64];
        grid.pack_unit(&params, 1, 4, scales, nullptr);
        CHECK(std::to_integer<int>(scales[3]) == 0x3c);
        CHECK(std::to_integer<int>(scales[63]) == 0xc0);
        // What spans a range has its ends as values; what can't be stored has no finite scale.
        const GroupGrid span = grid.span(-0.5f, 1.0f, 2);
        CHECK(span.value(0) == -0.5f);
        CHECK(span.value(3) == 1.0f);
        CHECK(std::isinf(grid.span(-65520.0f, 0, 8).scale));
        CHECK(std::isfinite(grid.span(-65504.0f, 0, 8).scale));
    }

    TEST_CASE("k_signed: 16 halves of a unit, 16 signed bytes of each of its groups") {
        const Grid& grid = *find_grid("k_signed");
        REQUIRE(grid.scale_bytes == 32);
        REQUIRE(grid.zero_bytes(6) == 16);
        CHECK(grid.unit_groups(16) == 16);
        CHECK(grid.unit_groups(32) == 8);
        GroupParams groups[3] = {};
        groups[0].scale[2] = -0.5f * -128;
        groups[1].scale[2] = -0.5f * 127;
        std::byte scales[32], steps[48];
        grid.pack_unit(groups, 3, 6, scales, steps);
        CHECK(std::to_integer<int>(scales[5]) == 0xb8);  // -0.5 as a half, for -128 has no positive twin
        CHECK(std::to_integer<int>(steps[2]) == 0x80);
        CHECK(std::to_integer<int>(steps[16 + 2]) == 127);
        CHECK(std::to_integer<int>(steps[32 + 2]) == 0);
        GroupParams out = {};
        grid.unpack_group(scales, steps + 16, 6, out);
        CHECK(out.scale[2] == -63.5f);
        CHECK(out.scale[3] == 0);
        for (const int32_t zero : out.zero_point) CHECK(zero == 32);
        CHECK(std::isinf(grid.nearest(65504.0f * 128, 0, 4).scale));
        GroupGrid settled[2] = {grid.span(-1, 1, 4), grid.span(-0.001f, 0, 4)};
        grid.settle(settled, 2, 4);
        CHECK(std::abs(settled[0].scale - 2.0f / 15) < 2.0f / 15 / 128);
        CHECK(settled[1].scale > 0);  // a whole step at least
    }

    TEST_CASE("units of groups come back as they went in") {
        Random random(3);
        for (const Grid* grid : all_grids()) {
            for (const Codes* codes : all_codes()) {
                if (codes->is_float) continue;
                for (const size_t group : {size_t{16}, size_t{32}, size_t{128}, size_t{0}}) {
                    const PackedCase c = integer_case(*codes, *grid, 16, 700, group, random);
                    INFO(describe(c.matrix));
                    for (size_t g = 0; g < c.matrix.n_groups(); ++g) {
                        GroupParams out = {};
                        grid->unpack_group(c.matrix.group_scales(0, g), c.matrix.group_zeros(0, g), codes->value_bits,
                                           out);
                        for (size_t row = 0; row < panel_rows; ++row) {
                            const GroupGrid in = c.grid(row, g);
                            CHECK(in.scale == out.scale[row]);
                            CHECK(in.zero_point == out.zero_point[row]);
                            CHECK(in.offset == out.offset[row]);
                        }
                    }
                }
            }
        }
    }
}
