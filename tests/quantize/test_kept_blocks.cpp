// Blocks of every GGUF type that are taken over have the values, bit by bit, that the same blocks convert to.
// In: random blocks. Out: checks by memcmp of packed against converted floats. Must not know where bits of blocks stand
// but the halves.
#include <doctest/doctest.h>

#include <cstring>

#include "core/base/status.h"
#include "core/quantize/kept_blocks.h"
#include "core/quantize/packed_writer.h"
#include "tests/kernels/kernel_cases.h"
#include "tests/quantize/walk_test.h"

using namespace gq;
using namespace gq::test;

namespace {

struct TypeRow {
    ElementType type;
    std::vector<size_t> halves;  // byte offsets of the fp16 numbers of a block
    const char* form;
};
const TypeRow type_rows[] = {
    {ElementType::q4_0, {0}, "int4 symmetric g32"},     {ElementType::q4_1, {0, 2}, "int4 offset g32"},
    {ElementType::q5_0, {0}, "int5 symmetric g32"},     {ElementType::q5_1, {0, 2}, "int5 offset g32"},
    {ElementType::q8_0, {0}, "int8 symmetric g32"},     {ElementType::q2_k, {80, 82}, "int2 k g16"},
    {ElementType::q3_k, {108}, "int3 k_signed g16"},    {ElementType::q4_k, {0, 2}, "int4 k g32"},
    {ElementType::q5_k, {0, 2}, "int5 k g32"},          {ElementType::q6_k, {208}, "int6 k_signed g16"},
    {ElementType::iq4_nl, {0}, "table4 symmetric g32"}, {ElementType::iq4_xs, {0}, "table4 k_signed g32"},
};

// Both zeros, subnormals, the largest half, both signs; the rest of the size that weights have.
uint16_t random_half(Random& random) {
    constexpr uint16_t special[] = {0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0xFBFF};
    const size_t pick = random.below(12);
    return pick < std::size(special) ? special[pick] : f32_to_f16(random.uniform(-0.1f, 0.1f));
}

std::vector<std::byte> random_blocks(const TypeRow& row, size_t n, Random& random) {
    const size_t block_bytes = traits(row.type).block_bytes;
    std::vector<std::byte> blocks(n * block_bytes);
    for (std::byte& byte : blocks) byte = static_cast<std::byte>(random.next());
    for (size_t i = 0; i < n; ++i) {
        for (const size_t at : row.halves) {
            const uint16_t half = random_half(random);
            std::memcpy(&blocks[i * block_bytes + at], &half, sizeof half);
        }
    }
    return blocks;
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("kept blocks of every type: the values they convert to, bit by bit, in any order of rows") {
        Random random(12);
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        constexpr size_t rows = 37, first = 16, cols = 768;
        const auto other_way = [](size_t r) { return rows - 1 - r; };
        for (const TypeRow& row : type_rows) {
            const ElementTraits& type = traits(row.type);
            CAPTURE(std::string(type.name));
            const std::vector<std::byte> blocks = random_blocks(row, rows * cols / type.block_elements, random);
            std::vector<float> converted(rows * cols), kept(rows * cols);
            type.to_f32(blocks.data(), rows * cols / type.block_elements, converted.data());
            const SourceTensor tensor{
                .name = "w", .type = row.type, .shape = {rows, cols}, .bytes = blocks, .where = ""};
            const GridOptions grid = *grid_of_blocks(row.type);
            CHECK(form_of(grid) == row.form);
            PackedTensor packed = room_for_codes(rows, cols, grid);
            pack_strip(compute, read_blocks(compute, tensor, 0, first, other_way), 0, packed);
            const QuantizedMatrix rest = read_blocks(compute, tensor, first, rows, other_way);
            pack_strip(compute, rest, first, packed);
            unpack_rows(packed.matrix, 0, rows, kept.data(), cols);
            for (std::vector<float>* values : {&converted, &kept})
                for (float& value : *values) value += 0.0f;  // zeros lose their signs
            for (size_t r = 0; r < rows; ++r) {
                CAPTURE(r);
                REQUIRE(std::memcmp(&kept[r * cols], &converted[other_way(r) * cols], cols * sizeof(float)) == 0);
            }
            CHECK(rest.value(3, 70) == kept[(first + 3) * cols + 70]);
        }
    }

    TEST_CASE("every block type that converts to float is kept, and nothing else") {
        size_t n = 0;
        for (auto i = size_t{0}; i <= static_cast<size_t>(ElementType::other); ++i) {
            const auto type = static_cast<ElementType>(i);
            const bool is_block = traits(type).block_elements > 1 && traits(type).to_f32;
            CHECK(grid_of_blocks(type).has_value() == is_block);
            CHECK((traits(type).parts != nullptr) == is_block);
            n += is_block;
        }
        CHECK(n == std::size(type_rows));
    }

    TEST_CASE("what changes weights excludes keeping them; floats have no blocks") {
        QuantizeOptions keep = tiny_options(4);
        keep.keep_blocks = true;
        keep.rotate = true;
        CHECK(refuse(golden_path("tiny_llama_tied"), keep).says("blocks as a GGUF holds them"));
        keep.rotate = false;
        keep.keep_outer = true;
        const TemporaryPath kept("kept.gq"), plain("plain.gq");
        quantize_tiny("tied", kept.path(), keep);
        quantize_tiny("tied", plain.path(), tiny_options(4));
        const GqFile a(kept.path()), b(plain.path());
        const auto codes = [](const GqFile& file) { return file.find("blocks.0.attn_q")->parts.at(0).bytes; };
        CHECK(std::equal(codes(a).begin(), codes(a).end(), codes(b).begin(), codes(b).end()));
    }
}
