// tests/gq_read.py, the reader written from formats/gq_file.md alone, gives the same floats as core/packing, bit by
// bit.
// In: tensors packed here. Out: checks of what the other reader prints. Must not fail where Python or NumPy is absent.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "core/quantize/packed_writer.h"
#include "tests/tiny_model.h"

namespace {

using namespace gq;

// The floats of a NumPy file of version 1: a header of 10 + n bytes, then little-endian data.
std::vector<float> read_npy(const std::filesystem::path& path) {
    const std::string bytes = file_bytes(path);
    REQUIRE(bytes.size() > 10);
    const size_t header =
        10 + static_cast<uint8_t>(bytes[8]) + 256 * static_cast<size_t>(static_cast<uint8_t>(bytes[9]));
    std::vector<float> values((bytes.size() - header) / sizeof(float));
    std::memcpy(values.data(), bytes.data() + header, values.size() * sizeof(float));
    return values;
}

std::vector<float> random_values(size_t n) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 0.05f);
    std::vector<float> values(n);
    for (float& v : values) v = normal(random);
    return values;
}

std::string python_with_numpy() {
    for (const std::string python : {"python3", "/usr/bin/python3"})
        if (std::system((python + " -c 'import numpy' 2>/dev/null").c_str()) == 0) return python;
    return {};
}

void check_same(const std::string& python, const PackedTensor& tensor, const std::string& name) {
    const TemporaryPath file(name + ".gq"), floats(name + ".npy");
    GqWriter writer(file.path());
    write_packed(writer, name, tensor);
    writer.finish();
    const std::string command = python + " tests/gq_read.py '" + file.path().string() + "' --dequantize " + name +
                                " '" + floats.path().string() + "'";
    REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
    const std::vector<float> theirs = read_npy(floats.path());
    std::vector<float> ours(tensor.matrix.rows * tensor.matrix.cols);
    unpack_rows(tensor.matrix, 0, tensor.matrix.rows, ours.data(), tensor.matrix.cols);
    REQUIRE(theirs.size() == ours.size());
    CAPTURE(name);
    CHECK(std::memcmp(theirs.data(), ours.data(), ours.size() * sizeof(float)) == 0);
}

// Both factors of a correction, and the weights beside it.
void check_low_rank(const std::string& python, const PackedTensor& tensor, const PackedLowRank& low_rank) {
    const TemporaryPath file("low_rank.gq"), w("w.npy"), u("u.npy"), v("v.npy");
    GqWriter writer(file.path());
    write_packed(writer, "name", tensor, low_rank);
    writer.finish();
    const std::string command = python + " tests/gq_read.py '" + file.path().string() + "' --dequantize name '" +
                                w.path().string() + "' --low-rank name '" + u.path().string() + "' '" +
                                v.path().string() + "'";
    REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
    const GqFile ours(file.path());
    const GqTensor& record = *ours.find("name");
    CHECK(record.grid == "zero_point+lorc");
    const LowRank bound = low_rank_view(record);
    CHECK(bound.rank() == 48);
    const std::pair<PackedMatrix, std::filesystem::path> pairs[] = {
        {packed_view(record), w.path()}, {bound.u, u.path()}, {bound.v, v.path()}};
    for (const auto& [matrix, path] : pairs) {
        const std::vector<float> theirs = read_npy(path);
        std::vector<float> floats(matrix.rows * matrix.cols);
        unpack_rows(matrix, 0, matrix.rows, floats.data(), matrix.cols);
        REQUIRE(theirs.size() == floats.size());
        CHECK(std::memcmp(theirs.data(), floats.data(), floats.size() * sizeof(float)) == 0);
    }
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("the second reader reads corrections of low rank") {
        const std::string python = python_with_numpy();
        if (python.empty()) {
            MESSAGE("SKIPPED: no python3 with numpy is here");
            return;
        }
        constexpr size_t rows = 37, cols = 200, rank = 35;
        const std::vector<float> values = random_values(rows * cols);
        ThreadPool pool(1);
        const Compute compute{pool, kernel_table()};
        const GridOptions grid{3, 64, find_grid("zero_point")};
        const QuantizedMatrix q = round_to_nearest(compute, values.data(), rows, cols, grid);
        PackedTensor tensor = room_for_codes(rows, cols, grid);
        pack_strip(compute, q, 0, tensor);
        LorcReport report;
        const RoundedFactors factors = correct_rounding(compute, values.data(), q, nullptr, {.rank = rank}, report);
        check_low_rank(python, tensor, pack_low_rank(compute, factors));
    }

    TEST_CASE("the second reader gives the same weights for every code and grid") {
        const std::string python = python_with_numpy();
        if (python.empty()) {
            MESSAGE("SKIPPED: no python3 with numpy is here");
            return;
        }
        constexpr size_t rows = 37, cols = 200;  // neither a multiple of a panel, a tile nor a group
        const std::vector<float> values = random_values(rows * cols);
        ThreadPool pool(1);
        const Compute compute{pool, kernel_table()};
        for (const Codes* codes : all_codes()) {
            if (codes->is_float) {
                PackedTensor tensor = room_for_floats(rows, cols, codes->name);
                pack_float_strip(compute, values.data(), rows, 0, tensor);
                check_same(python, tensor, codes->name);
                continue;
            }
            for (const Grid* grid : all_grids()) {
                const GridOptions options{codes->value_bits, codes->bits % 2 == 0 ? 64u : 16u, grid, codes};
                PackedTensor tensor = room_for_codes(rows, cols, options);
                pack_strip(compute, round_to_nearest(compute, values.data(), rows, cols, options), 0, tensor);
                check_same(python, tensor, std::string(codes->name) + "_" + grid->name);
            }
        }
    }
}
