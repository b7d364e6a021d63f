// Conversions of single values: all 65536 halves, and floats around every boundary of rounding, against slow references
// in double.
// In: bits. Out: checks of bits, NaNs included. Must not use the conversions as their own reference.
#include "formats/element_type.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace gq;

// The value of a 16-bit float with that many exponent bits, from its definition.
double value_of(uint16_t bits, int exponent_bits) {
    const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
    const double mantissa = bits & ((1 << mantissa_bits) - 1);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) return mantissa == 0 ? sign * INFINITY : NAN;
    if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

// The nearest 16-bit float, ties to even, by the spacing of its neighbours.
uint16_t nearest(float value, int exponent_bits) {
    const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const auto infinity = static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
    const double magnitude = std::fabs(static_cast<double>(value));
    if (magnitude == 0) return sign;
    const int exponent = std::max(std::ilogb(magnitude), 1 - bias);
    // In units of the last bit; nearbyint rounds ties to even, and its result may be the next power of two.
    const double units = std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent));
    const double bits = units + std::ldexp(exponent + bias - 1, mantissa_bits);
    return sign | (bits >= infinity ? infinity : static_cast<uint16_t>(bits));
}

bool is_nan16(uint16_t bits, int exponent_bits) {
    return std::isnan(value_of(bits, exponent_bits));
}

// Floats where rounding to 16 bits is decided: each 16-bit value, the middle to the next one, and both neighbours of
// each.
template <typename Visit>
void visit_boundaries(int exponent_bits, Visit visit) {
    for (uint32_t i = 0; i < 0x10000; i++) {
        const auto bits = static_cast<uint16_t>(i);
        const double here = value_of(bits, exponent_bits), next = value_of(static_cast<uint16_t>(i + 1), exponent_bits);
        if (!std::isfinite(here)) continue;
        const double middle = std::isfinite(next) ? (here + next) / 2 : here;
        for (const double center : {here, middle}) {
            const auto value = static_cast<float>(center);
            visit(std::nextafterf(value, -INFINITY));
            visit(value);
            visit(std::nextafterf(value, INFINITY));
        }
    }
}

TEST_SUITE("formats") {
    TEST_CASE("f16 to float is exact for every value") {
        size_t wrong = 0;
        for (uint32_t i = 0; i < 0x10000; i++) {
            const auto bits = static_cast<uint16_t>(i);
            const float value = f16_to_f32(bits);
            const double expected = value_of(bits, 5);
            if (std::isnan(expected)) {
                // The payload of a NaN moves with its mantissa.
                const uint32_t moved = (i & 0x8000) << 16 | 0x7F800000 | (i & 0x3FF) << 13;
                wrong += std::bit_cast<uint32_t>(value) != moved;
            } else {
                wrong += value != expected || std::signbit(value) != std::signbit(expected);
            }
        }
        CHECK(wrong == 0);
    }

    TEST_CASE("every f16 and bf16 survives the way through float") {
        size_t wrong = 0;
        for (uint32_t i = 0; i < 0x10000; i++) {
            const auto bits = static_cast<uint16_t>(i);
            // A signalling NaN comes back quiet.
            wrong += f32_to_f16(f16_to_f32(bits)) != (is_nan16(bits, 5) ? bits | 0x200 : bits);
            wrong += f32_to_bf16(bf16_to_f32(bits)) != (is_nan16(bits, 8) ? bits | 0x40 : bits);
        }
        CHECK(wrong == 0);
    }

    TEST_CASE("float to f16 and bf16 rounds to nearest, ties to even") {
        size_t wrong = 0, visited = 0;
        visit_boundaries(5, [&](float value) { wrong += f32_to_f16(value) != nearest(value, 5), visited++; });
        CHECK(wrong == 0);
        visit_boundaries(8, [&](float value) { wrong += f32_to_bf16(value) != nearest(value, 8), visited++; });
        CHECK(wrong == 0);
        CHECK(visited > 600'000);
    }

    TEST_CASE("float to f16 and bf16 on random bits") {
        std::mt19937 random(1);
        size_t wrong = 0;
        for (size_t i = 0; i < 2'000'000; i++) {
            const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
            if (std::isnan(value)) {
                wrong += !is_nan16(f32_to_f16(value), 5) || !is_nan16(f32_to_bf16(value), 8);
            } else {
                wrong += f32_to_f16(value) != nearest(value, 5) || f32_to_bf16(value) != nearest(value, 8);
            }
        }
        CHECK(wrong == 0);
    }

    TEST_CASE("the edges of f16") {
        CHECK(f32_to_f16(65504.0f) == 0x7BFF);
        CHECK(f32_to_f16(65519.996f) == 0x7BFF);
        CHECK(f32_to_f16(65520.0f) == 0x7C00);
        CHECK(f32_to_f16(-1e30f) == 0xFC00);
        CHECK(f32_to_f16(0x1p-25f) == 0x0000);                         // half of the smallest: a tie, to even
        CHECK(f32_to_f16(std::nextafterf(0x1p-25f, 1.0f)) == 0x0001);  // a little above: up
        CHECK(f32_to_f16(std::numeric_limits<float>::denorm_min()) == 0x0000);
        CHECK(f32_to_f16(-0.0f) == 0x8000);
        CHECK(f16_to_f32(0x0001) == 0x1p-24f);
        CHECK(f16_to_f32(0x3C00) == 1.0f);
    }

    TEST_CASE("plain types convert from bytes without alignment") {
        const float values[] = {1.5f, -2.25f, 1e-3f};
        std::vector<std::byte> bytes(1 + 8 * 3);
        float out[3];

        std::memcpy(bytes.data() + 1, values, sizeof values);
        traits(ElementType::f32).to_f32(bytes.data() + 1, 3, out);
        CHECK(std::memcmp(out, values, sizeof values) == 0);

        for (size_t i = 0; i < 3; i++) {
            const double value = values[i];
            std::memcpy(bytes.data() + 1 + 8 * i, &value, sizeof value);
        }
        traits(ElementType::f64).to_f32(bytes.data() + 1, 3, out);
        CHECK(std::memcmp(out, values, sizeof values) == 0);

        for (size_t i = 0; i < 3; i++) {
            const uint16_t half = f32_to_f16(values[i]);
            std::memcpy(bytes.data() + 1 + 2 * i, &half, sizeof half);
        }
        traits(ElementType::f16).to_f32(bytes.data() + 1, 3, out);
        CHECK(out[1] == -2.25f);
        CHECK(out[2] == f16_to_f32(f32_to_f16(1e-3f)));

        for (size_t i = 0; i < 3; i++) {
            const uint16_t brain = f32_to_bf16(values[i]);
            std::memcpy(bytes.data() + 1 + 2 * i, &brain, sizeof brain);
        }
        traits(ElementType::bf16).to_f32(bytes.data() + 1, 3, out);
        CHECK(out[0] == 1.5f);
        CHECK(out[2] == bf16_to_f32(f32_to_bf16(1e-3f)));
    }

    TEST_CASE("types without a conversion have their facts all the same") {
        CHECK((traits(ElementType::i32).to_f32 == nullptr));  // doctest can't print a function
        CHECK(traits(ElementType::i32).block_bytes == 4);
        CHECK(traits(ElementType::q8_k).block_bytes == 292);
        CHECK(std::string_view(traits(ElementType::f8_e4m3).name) == "F8_E4M3");
        CHECK(traits(ElementType::other).block_bytes == 0);
    }
}

}  // namespace
