// GGUF's block types against the Python package gguf, bit for bit (tests/golden/make_gguf_blocks.py).
// In: golden blocks and the floats that the package made of them. Out: checks by memcmp.
// Must not compute a reference itself.
#include "formats/gguf_blocks.h"

#include <doctest/doctest.h>

#include <cstring>
#include <span>
#include <vector>

#include "formats/element_type.h"
#include "tests/golden/gguf_blocks.inc"

namespace {

using namespace gq;

struct Golden {
    ElementType type;
    std::span<const uint8_t> blocks;
    std::span<const uint32_t> floats;  // their bits
};

const Golden goldens[] = {
    {ElementType::q4_0, golden::q4_0_blocks, golden::q4_0_floats},
    {ElementType::q4_1, golden::q4_1_blocks, golden::q4_1_floats},
    {ElementType::q5_0, golden::q5_0_blocks, golden::q5_0_floats},
    {ElementType::q5_1, golden::q5_1_blocks, golden::q5_1_floats},
    {ElementType::q8_0, golden::q8_0_blocks, golden::q8_0_floats},
    {ElementType::q2_k, golden::q2_k_blocks, golden::q2_k_floats},
    {ElementType::q3_k, golden::q3_k_blocks, golden::q3_k_floats},
    {ElementType::q4_k, golden::q4_k_blocks, golden::q4_k_floats},
    {ElementType::q5_k, golden::q5_k_blocks, golden::q5_k_floats},
    {ElementType::q6_k, golden::q6_k_blocks, golden::q6_k_floats},
    {ElementType::iq4_nl, golden::iq4_nl_blocks, golden::iq4_nl_floats},
    {ElementType::iq4_xs, golden::iq4_xs_blocks, golden::iq4_xs_floats},
};

TEST_SUITE("formats") {
    TEST_CASE("blocks of GGUF convert as gguf-py converts them, wherever they lie") {
        for (const Golden& golden : goldens) {
            const ElementTraits& type = traits(golden.type);
            CAPTURE(type.name);
            const size_t n_blocks = golden.blocks.size() / type.block_bytes;
            REQUIRE(n_blocks * type.block_bytes == golden.blocks.size());
            REQUIRE(n_blocks * type.block_elements == golden.floats.size());
            for (const size_t shift : {0, 1}) {
                std::vector<std::byte> bytes(shift + golden.blocks.size());
                std::memcpy(bytes.data() + shift, golden.blocks.data(), golden.blocks.size());
                std::vector<float> out(golden.floats.size());
                type.to_f32(bytes.data() + shift, n_blocks, out.data());
                CHECK(std::memcmp(out.data(), golden.floats.data(), golden.floats.size_bytes()) == 0);
            }
        }
    }

    TEST_CASE("every block type with a conversion has a golden") {
        size_t convertible = 0;
        for (auto i = static_cast<size_t>(ElementType::q4_0); i < static_cast<size_t>(ElementType::other); i++) {
            convertible += traits(static_cast<ElementType>(i)).to_f32 != nullptr;
        }
        CHECK(convertible == std::size(goldens));
    }
}

}  // namespace
