// Every code layout: the exact place of every bit against gq_file.md's table, and round trips.
// In: codes and floats. Out: checks of bytes.
// Must not use bit_plane.h, which it tests.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/packing/packing.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

// Where bit `bit` of the code of (row, k) stands: written from the specification, not from bit_plane.h.
struct BitPlace {
    size_t byte;
    unsigned bit;
};

BitPlace place_of(unsigned bits, size_t row, size_t k, unsigned bit) {
    const size_t word = row * 4;
    switch (bits) {
        case 8:
            return {k / 4 * 64 + word + k % 4, bit};
        case 4:
            return {k % 16 / 4 * 64 + word + k % 4, bit + (k < 16 ? 0u : 4u)};
        case 2:
            return {k % 8 / 4 * 64 + word + k % 4, bit + 2 * static_cast<unsigned>(k / 8)};
        case 3:
            return bit < 2 ? place_of(2, row, k, bit) : BitPlace{128 + word + k % 4, static_cast<unsigned>(k / 4)};
        case 5:
            return bit < 4 ? place_of(4, row, k, bit) : BitPlace{256 + word + k % 4, static_cast<unsigned>(k / 4)};
        case 6: {
            if (bit < 4) return place_of(4, row, k, bit);
            const BitPlace high = place_of(2, row, k, bit - 4);
            return {256 + high.byte, high.bit};
        }
        default:
            FAIL("a code width without a picture in this test: ", bits);
            return {};
    }
}

std::vector<const Codes*> integer_codes() {
    std::vector<const Codes*> list;
    for (const Codes* codes : all_codes()) {
        if (!codes->is_float) list.push_back(codes);
    }
    return list;
}

}  // namespace

TEST_SUITE("packing") {
    TEST_CASE("codes are found by name, in the order of their files") {
        std::string names;
        for (const Codes* codes : all_codes()) {
            names += std::string(codes->name) + " ";
            CHECK(find_codes(codes->name) == codes);
        }
        CHECK(names == "bf16 f16 f32 int2 int3 int4 int5 int6 int8 table4 ");
        CHECK(find_codes("int7") == nullptr);
        CHECK(find_codes("") == nullptr);
    }

    TEST_CASE("a tile holds 512 weights of the stated width") {
        for (const Codes* codes : all_codes()) {
            INFO("codes ", std::string(codes->name));
            CHECK(codes->tile_bytes * 8 == tile_values * codes->bits);
            CHECK((codes->pack_codes == nullptr) == codes->is_float);
            CHECK((codes->unpack_codes == nullptr) == codes->is_float);
            CHECK((codes->pack_floats != nullptr) == codes->is_float);
            CHECK((codes->unpack_floats != nullptr) == codes->is_float);
        }
    }

    TEST_CASE("every bit of every code stands where the specification says") {
        for (const Codes* codes : integer_codes()) {
            if (codes->nearest) continue;  // bits choose from a table: below
            for (size_t i = 0; i < tile_values * codes->bits; ++i) {
                const size_t at = i / codes->bits;
                const unsigned bit = static_cast<unsigned>(i % codes->bits);
                uint8_t in[tile_values] = {};
                in[at] = static_cast<uint8_t>(1u << bit);
                std::vector<std::byte> tile(codes->tile_bytes, std::byte{0xff}), expected(codes->tile_bytes);
                codes->pack_codes(in, tile.data());
                const BitPlace place = place_of(codes->bits, at / tile_cols, at % tile_cols, bit);
                expected[place.byte] = std::byte(1u << place.bit);
                INFO("codes ", std::string(codes->name), " row ", at / tile_cols, " input ", at % tile_cols, " bit ",
                     bit);
                REQUIRE(tile == expected);
            }
        }
    }

    TEST_CASE("table4: the indices of int4, the values of IQ4_NL, the nearest one of any number") {
        const int values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
        const Codes &table = *find_codes("table4"), &int4 = *find_codes("int4");
        uint8_t indices[tile_values], codes[tile_values];
        Random random(7);
        for (size_t i = 0; i < tile_values; ++i) {
            indices[i] = static_cast<uint8_t>(random.below(16));
            codes[i] = static_cast<uint8_t>(values[indices[i]] + 128);
        }
        std::vector<std::byte> tile(table.tile_bytes), expected(int4.tile_bytes);
        table.pack_codes(codes, tile.data());
        int4.pack_codes(indices, expected.data());
        CHECK(tile == expected);
        for (int code = 0; code < 256; ++code) {
            int best = values[0];
            for (const int value : values)
                if (std::abs(value + 128 - code) < std::abs(best + 128 - code)) best = value;
            CHECK(table.nearest[code] == best + 128);
        }
    }

    TEST_CASE("integer codes come back as they went in") {
        Random random(1);
        for (const Codes* codes : integer_codes()) {
            uint8_t in[tile_values], out[tile_values];
            std::vector<std::byte> tile(codes->tile_bytes);
            for (int round = 0; round < 20; ++round) {
                for (uint8_t& code : in) {
                    code = static_cast<uint8_t>(random.below(size_t{1} << codes->value_bits));
                    if (codes->nearest) code = codes->nearest[code];
                }
                std::memset(out, 0xee, sizeof out);
                codes->pack_codes(in, tile.data());
                codes->unpack_codes(tile.data(), out);
                INFO("codes ", std::string(codes->name));
                REQUIRE(std::memcmp(in, out, sizeof in) == 0);
            }
        }
    }

    TEST_CASE("all bytes of a tile unpack to codes in range and pack to the same bytes") {
        Random random(2);
        for (const Codes* codes : integer_codes()) {
            std::vector<std::byte> tile(codes->tile_bytes), again(codes->tile_bytes);
            for (std::byte& byte : tile) byte = std::byte(random.below(256));
            uint8_t out[tile_values];
            codes->unpack_codes(tile.data(), out);
            codes->pack_codes(out, again.data());
            INFO("codes ", std::string(codes->name));
            CHECK(tile == again);
            for (const uint8_t code : out) REQUIRE(code < 1u << codes->value_bits);
        }
    }

    TEST_CASE("float codes hold the value rounded to nearest even") {
        const auto round_trip = [](const char* name, float value) {
            const Codes& codes = *find_codes(name);
            std::byte element[4];
            float out;
            codes.pack_floats(&value, 1, element);
            codes.unpack_floats(element, 1, &out);
            return out;
        };
        CHECK(round_trip("f32", 0.1f) == 0.1f);
        CHECK(round_trip("f16", 1.0f + 0x1p-11f) == 1.0f);  // a tie goes to the even neighbour
        CHECK(round_trip("f16", 1.0f + 0x3p-11f) == 1.0f + 0x1p-9f);
        CHECK(round_trip("f16", -0x1p-24f) == -0x1p-24f);  // the smallest subnormal half
        CHECK(round_trip("bf16", 1.0f + 0x1p-8f) == 1.0f);
        CHECK(round_trip("bf16", 1.0f + 0x3p-8f) == 1.0f + 0x1p-6f);
        CHECK(std::signbit(round_trip("f16", -0.0f)));
        for (const char* name : {"f16", "bf16", "f32"}) {
            CHECK(std::isinf(round_trip(name, std::numeric_limits<float>::infinity())));
            CHECK(std::isnan(round_trip(name, std::numeric_limits<float>::quiet_NaN())));
        }
    }

    TEST_CASE("every half that is not a NaN comes back with the same bits") {
        const Codes& codes = *find_codes("f16");
        for (uint32_t bits = 0; bits < 0x10000; ++bits) {
            const uint16_t half = static_cast<uint16_t>(bits);
            if ((half & 0x7fff) > 0x7c00) continue;
            float value;
            uint16_t again;
            codes.unpack_floats(reinterpret_cast<const std::byte*>(&half), 1, &value);
            codes.pack_floats(&value, 1, reinterpret_cast<std::byte*>(&again));
            REQUIRE(again == half);
        }
    }
}
