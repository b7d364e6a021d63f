// Grid k: its bits by hand, blocks of GGUF's K-quants value for value, and what a unit of groups settles on.
// In: numbers, golden blocks and the floats that gguf-py makes of them. Out: checks. Must not know kernels.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/packing/packing.h"
#include "formats/element_type.h"
#include "tests/golden/gguf_blocks.inc"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

const Grid& grid = *find_grid("k");

// One super-block of 256 inputs as logical weights: a row.
struct SuperBlock {
    size_t group;
    float d, dmin;
    uint8_t s[16], m[16], codes[256];
};

float half_at(const uint8_t* bytes) {
    return f16_to_f32(static_cast<uint16_t>(bytes[0] | bytes[1] << 8));
}

// d, dmin, 12 bytes of 6-bit numbers: of Q4_K and Q5_K.
SuperBlock read_scales(const uint8_t* block) {
    SuperBlock super = {.group = 32, .d = half_at(block), .dmin = half_at(block + 2), .s = {}, .m = {}, .codes = {}};
    const uint8_t* sc = block + 4;
    for (size_t j = 0; j < 8; ++j) {
        super.s[j] = static_cast<uint8_t>(j < 4 ? sc[j] & 63 : (sc[j + 4] & 15) | (sc[j - 4] >> 6) << 4);
        super.m[j] = static_cast<uint8_t>(j < 4 ? sc[j + 4] & 63 : (sc[j + 4] >> 4) | (sc[j] >> 6) << 4);
    }
    return super;
}

SuperBlock read_q4_k(const uint8_t* block) {
    SuperBlock super = read_scales(block);
    for (size_t i = 0; i < 256; ++i) {
        const uint8_t byte = block[16 + i / 64 * 32 + i % 32];
        super.codes[i] = static_cast<uint8_t>(i % 64 < 32 ? byte & 15 : byte >> 4);
    }
    return super;
}

SuperBlock read_q5_k(const uint8_t* block) {
    SuperBlock super = read_scales(block);
    for (size_t i = 0; i < 256; ++i) {
        const uint8_t byte = block[48 + i / 64 * 32 + i % 32];
        const int low = i % 64 < 32 ? byte & 15 : byte >> 4, high = block[16 + i % 32] >> (i / 32) & 1;
        super.codes[i] = static_cast<uint8_t>(low | high << 4);
    }
    return super;
}

SuperBlock read_q2_k(const uint8_t* block) {
    SuperBlock super = {
        .group = 16, .d = half_at(block + 80), .dmin = half_at(block + 82), .s = {}, .m = {}, .codes = {}};
    for (size_t j = 0; j < 16; ++j) {
        super.s[j] = block[j] & 15;
        super.m[j] = block[j] >> 4;
    }
    for (size_t i = 0; i < 256; ++i) super.codes[i] = block[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    return super;
}

// Packs a super-block as a matrix of one row and gives its weights.
std::vector<float> through_packing(const SuperBlock& super, const Codes& codes) {
    PackedCase c = shape_case(codes, &grid, 1, 256, super.group);
    for (size_t g = 0; g < 256 / super.group; ++g) {
        c.scales.push_back(super.d * super.s[g]);
        c.offsets.push_back(0.0f - super.dmin * super.m[g]);
    }
    c.logical = {.rows = 1,
                 .cols = 256,
                 .group = super.group,
                 .codes = super.codes,
                 .scales = c.scales.data(),
                 .offsets = c.offsets.data()};
    pack_panels(c.logical, codes, grid, 0, 1, c.code_bytes.data(), c.scale_bytes.data(), c.zero_bytes.data());
    std::vector<float> values(256);
    unpack_rows(c.matrix, 0, 1, values.data(), 256);
    return values;
}

void check_blocks(const char* codes, SuperBlock (*read)(const uint8_t*), std::span<const uint8_t> blocks,
                  size_t block_bytes, std::span<const uint32_t> floats) {
    CAPTURE(std::string(codes));
    REQUIRE(blocks.size() / block_bytes * 256 == floats.size());
    for (size_t b = 0; b < blocks.size() / block_bytes; ++b) {
        const std::vector<float> values = through_packing(read(&blocks[b * block_bytes]), *find_codes(codes));
        // By value: GGUF subtracts a minimum, here an offset is added, and that gives a zero the other sign.
        for (size_t i = 0; i < 256; ++i) REQUIRE(values[i] == std::bit_cast<float>(floats[b * 256 + i]));
    }
}

}  // namespace

TEST_SUITE("packing") {
    TEST_CASE("k: where the bits of a unit stand") {
        GroupParams groups[2] = {};
        // Row 5: d = 0.5, S = 63 and 43 (10 1011 in bits); dmin = 0.25, M = 63 and 22 (01 0110).
        groups[0].scale[5] = 0.5f * 63;
        groups[1].scale[5] = 0.5f * 43;
        groups[0].offset[5] = -0.25f * 63;
        groups[1].offset[5] = -0.25f * 22;
        REQUIRE(grid.scale_bytes == 64);
        REQUIRE(grid.zero_bytes(4) == 24);
        std::byte scales[64], steps[48];
        grid.pack_unit(groups, 2, 4, scales, steps);
        CHECK(std::to_integer<int>(scales[11]) == 0x38);       // 0.5 as a half
        CHECK(std::to_integer<int>(scales[32 + 11]) == 0x34);  // 0.25
        const std::byte* second = steps + 24;
        for (int i = 0; i < 24; ++i) {
            const int expected = i == 2        ? 11 << 4
                                 : i == 8 + 2  ? 6 << 4
                                 : i == 16 + 1 ? 2 << 2
                                 : i == 20 + 1 ? 1 << 2
                                               : 0;
            CHECK(std::to_integer<int>(second[i]) == expected);
        }
        GroupParams out = {};
        grid.unpack_group(scales, second, 4, out);
        CHECK(out.scale[5] == 21.5f);
        CHECK(out.offset[5] == -5.5f);
        CHECK(out.scale[4] == 0);
        CHECK_FALSE(std::signbit(out.offset[4]));
    }

    TEST_CASE("k: blocks of Q4_K, Q5_K and Q2_K have the values that gguf-py gives them") {
        check_blocks("int4", read_q4_k, golden::q4_k_blocks, 144, golden::q4_k_floats);
        check_blocks("int5", read_q5_k, golden::q5_k_blocks, 176, golden::q5_k_floats);
        check_blocks("int2", read_q2_k, golden::q2_k_blocks, 84, golden::q2_k_floats);
    }

    TEST_CASE("k: units are 256 inputs of 16 or 32, and 8 groups of more") {
        CHECK(grid.unit_groups(16) == 16);
        for (const size_t group : {0, 32, 64, 128}) CHECK(grid.unit_groups(group) == 8);
    }

    TEST_CASE("k: what a unit settles on is near what its groups want, and is stored exactly") {
        Random random(8);
        for (int round = 0; round < 500; ++round) {
            const size_t n = 1 + random.below(16);
            GroupGrid wanted[16], groups[16];
            float largest = 0, deepest = 0;
            for (size_t g = 0; g < n; ++g) {
                const float low = random.below(4) == 0 ? 0.0f : random.uniform(-1.0f, 0.0f);
                groups[g] = wanted[g] = grid.span(low, random.uniform(0.0f, 1.0f), 4);
                largest = std::max(largest, wanted[g].scale);
                deepest = std::max(deepest, -wanted[g].offset);
            }
            grid.settle(groups, n, 4);
            for (size_t g = 0; g < n; ++g) {
                // Half a step of 1/43 at the most, and 2^-11 of a half; a small scale becomes a whole step.
                CHECK(std::abs(groups[g].scale - wanted[g].scale) <= largest * (1.0f / 43 + 0x1p-10f));
                CHECK(std::abs(groups[g].offset - wanted[g].offset) <= deepest * (0.5f / 43 + 0x1p-10f));
                CHECK(groups[g].scale > 0);
                CHECK(groups[g].offset <= 0);
                CHECK_FALSE((groups[g].offset == 0 && std::signbit(groups[g].offset)));
            }
            GroupParams params[16] = {}, out = {};
            for (size_t g = 0; g < n; ++g) {
                params[g].scale[9] = groups[g].scale;
                params[g].offset[9] = groups[g].offset;
            }
            std::byte scales[64], steps[16 * 24];
            grid.pack_unit(params, n, 4, scales, steps);
            for (size_t g = 0; g < n; ++g) {
                grid.unpack_group(scales, steps + 24 * g, 4, out);
                REQUIRE(out.scale[9] == groups[g].scale);
                REQUIRE(out.offset[9] == groups[g].offset);
            }
        }
    }

    TEST_CASE("k: groups of zeros take no part; what no half holds has no finite scale") {
        GroupGrid groups[3] = {grid.span(-1, 1, 4), grid.span(0, 0, 4), grid.span(-0.9f, 1, 4)};
        GroupGrid alone[2] = {groups[0], groups[2]};
        grid.settle(groups, 3, 4);
        grid.settle(alone, 2, 4);
        CHECK(groups[0].scale == alone[0].scale);
        CHECK(groups[2].offset == alone[1].offset);
        CHECK(groups[1].value(0) == 0);
        CHECK(std::isinf(grid.span(0, 65504.0f * 63 * 16, 4).scale));
        CHECK(std::isinf(grid.span(-65504.0f * 64, 0, 8).scale));
    }
}
