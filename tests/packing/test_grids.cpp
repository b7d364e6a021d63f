// Every grid: the bytes of its scales and zero points, their sizes, and round trips.
// In: scales and zero points of one group. Out: checks of bytes.
// Must not know codes' layouts.
#include <doctest/doctest.h>

#include <string>
#include <vector>

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
        CHECK(names == "symmetric zero_point ");
        CHECK(find_grid("offset") == nullptr);
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
        grid.pack_group(params, 4, scales, zeros);
        CHECK(std::to_integer<int>(scales[0]) == 0x00);  // 1.0 as a half: 0x3c00
        CHECK(std::to_integer<int>(scales[1]) == 0x3c);
        CHECK(std::to_integer<int>(scales[31]) == 0x4c);  // 16.0: 0x4c00
        CHECK(std::to_integer<int>(zeros[0]) == 0xef);    // row 0 is 15 (low), row 1 is 14 (high)
        CHECK(std::to_integer<int>(zeros[7]) == 0x01);
        REQUIRE(grid.zero_bytes(5) == 16);
        grid.pack_group(params, 8, scales, zeros);
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
            grid.pack_group(params, bits, scales, nullptr);
            params = {};
            grid.unpack_group(scales, nullptr, bits, params);
            CHECK(params.scale[3] == -0.25f);
            for (const int32_t zero : params.zero_point) CHECK(zero == 1 << (bits - 1));
        }
    }

    TEST_CASE("groups come back as they went in") {
        Random random(3);
        for (const Grid* grid : all_grids()) {
            for (const Codes* codes : all_codes()) {
                if (codes->is_float) continue;
                GroupParams in, out;
                for (size_t row = 0; row < panel_rows; ++row) {
                    in.scale[row] = f16_to_f32(static_cast<uint16_t>(random.below(0x7c00)));
                    in.zero_point[row] = grid->has_zeros ? static_cast<int32_t>(random.below(size_t{1} << codes->bits))
                                                         : 1 << (codes->bits - 1);
                }
                std::vector<std::byte> scales(grid->scale_bytes), zeros(grid->zero_bytes(codes->bits));
                grid->pack_group(in, codes->bits, scales.data(), zeros.data());
                grid->unpack_group(scales.data(), zeros.data(), codes->bits, out);
                INFO("grid ", std::string(grid->name), " codes ", std::string(codes->name));
                for (size_t row = 0; row < panel_rows; ++row) {
                    CHECK(in.scale[row] == out.scale[row]);
                    CHECK(in.zero_point[row] == out.zero_point[row]);
                }
            }
        }
    }
}
