// One safetensors file: what is read, and one damaged file for each rule.
// In: files built byte by byte. Out: checks of tensors; of each refusal, what was expected, what was found and where.
// Must not use a writer of gq: there is none.
#include "formats/safetensors.h"

#include <doctest/doctest.h>

#include "tests/formats/format_test.h"

namespace {

using namespace gq;
using test::check_contains;

std::string file_of(std::string_view header, size_t data_bytes) {
    test::Bytes file;
    file.number(uint64_t{header.size()}).raw(header);
    for (size_t i = 0; i < data_bytes; i++) file.number(static_cast<uint8_t>(i));
    return file.data;
}

std::vector<SourceTensor> parse(std::string_view file) {
    return parse_safetensors(std::as_bytes(std::span(file)), "m.safetensors");
}
std::string error_of_file(std::string_view file) {
    return test::error_of([&] { parse(file); });
}
std::string error(std::string_view header, size_t data_bytes) {
    return error_of_file(file_of(header, data_bytes));
}

// A header of one tensor "a".
std::string one(std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return R"({"a":{"dtype":")" + std::string(dtype) + R"(","shape":)" + std::string(shape) + R"(,"data_offsets":)" +
           std::string(offsets) + "}}";
}

TEST_SUITE("formats") {
    TEST_CASE("safetensors: tensors come in the order of their bytes, with type, shape and place") {
        const std::string header = R"({"__metadata__":{"format":"pt"},)"
                                   R"("second":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
                                   R"("scalar":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                                   R"("nothing":{"dtype":"F32","shape":[0,7],"data_offsets":[8,8],"unknown":1},)"
                                   R"("last":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[20,24]}}  )";
        const std::string file = file_of(header, 24);
        const auto tensors = parse(file);
        REQUIRE(tensors.size() == 4);
        CHECK(tensors[0].name == "scalar");
        CHECK(tensors[0].shape.empty());
        CHECK(tensors[1].name == "nothing");
        CHECK(tensors[1].bytes.empty());
        CHECK(tensors[2].name == "second");
        CHECK(tensors[2].type == ElementType::bf16);
        CHECK(tensors[2].shape == std::vector<size_t>{2, 3});
        CHECK(tensors[2].bytes.size() == 12);
        CHECK(tensors[2].bytes[0] == std::byte{8});
        CHECK(tensors[2].where == "byte " + std::to_string(8 + header.size() + 8) + " of m.safetensors");
        CHECK(tensors[3].type == ElementType::f8_e4m3);
    }

    TEST_CASE("safetensors: a file without tensors is legal") {
        CHECK(parse(file_of("{}", 0)).empty());
    }

    TEST_CASE("safetensors: every element type has its size") {
        const std::pair<const char*, size_t> types[] = {
            {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"BOOL", 1}, {"I8", 1},      {"U8", 1},     {"I16", 2},
            {"U16", 2}, {"I32", 4}, {"U32", 4},  {"I64", 8}, {"U64", 8},  {"F8_E4M3", 1}, {"F8_E5M2", 1}};
        for (const auto& [name, bytes] : types) {
            const std::string file = file_of(one(name, "[3]", "[0," + std::to_string(3 * bytes) + "]"), 3 * bytes);
            CHECK(error_of_file(file) == "no error");
            CHECK(traits(parse(file)[0].type).name == std::string(name));
        }
    }

    TEST_CASE("safetensors: damage to length and header") {
        const std::string good = file_of(one("F32", "[2]", "[0,8]"), 8);
        CHECK(error_of_file(good) == "no error");
        CHECK(error_of_file("") == "malformed: m.safetensors: expected at least 8 bytes, the header's length, found 0");
        check_contains(error_of_file(good.substr(0, 7)), "found 7");
        check_contains(error_of_file(good.substr(0, 20)),
                       "expected a header of at most 12 bytes, found the length 54 at byte 0");
        check_contains(error_of_file("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}"), "found the length 18446744073709551615");
        check_contains(error_of_file(std::string(9, '\0')),
                       "byte 8: expected '{', the start of the header, found an empty header");
        CHECK(error("[]", 0) == "malformed: m.safetensors: byte 8: expected '{', the start of the header, found \"[\"");
        check_contains(error("{\"a\":1", 0), "m.safetensors (header): line 1, column 7: expected ',' or '}'");
        check_contains(error(R"({"a":[[[[[[[[1]]]]]]]]})", 0), "at most 8 arrays and objects");
        check_contains(error(R"({"a":{},"a":{}})", 0), "the key \"a\" twice");
        check_contains(error("{\"\xFF\":{}}", 0), "expected well-formed UTF-8");
        check_contains(error_of_file("version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
                       "found a Git LFS pointer");
    }

    TEST_CASE("safetensors: damage to an entry") {
        CHECK(error(one("F4", "[2]", "[0,1]"), 1) ==
              "unsupported: m.safetensors: tensor \"a\": expected a dtype such as F32, F16 or BF16, found \"F4\"");
        check_contains(error(R"({"a":1})", 0), "tensor \"a\": expected an object, found an integer");
        check_contains(error(R"({"a":{"dtype":"F32","shape":[1]}})", 0),
                       "expected the key \"data_offsets\", found none");
        check_contains(error(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4),
                       "expected the key \"dtype\", found none");
        check_contains(error(one("F32", "2", "[0,8]"), 8), "tensor \"a\": shape: expected an array, found an integer");
        check_contains(error(one("F32", "[-1]", "[0,8]"), 8), "shape: expected a size, found -1");
        check_contains(error(one("F32", "[1.5]", "[0,8]"), 8), "shape: expected an integer of 64 bits, found 1.5");
        check_contains(error(one("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1),
                       "shape: expected at most 8 dimensions, found 9");
        check_contains(error(one("F32", "[2]", "[0]"), 8), "data_offsets: expected 2 numbers, found 1");
        check_contains(error(one("F32", "[2]", "[8,0]"), 8),
                       "expected begin <= end <= 8, the bytes of data in the file, found [8, 0]");
        check_contains(error(R"({"__metadata__":{"a":1}})", 0),
                       "__metadata__.\"a\": expected a string, found an integer");
        check_contains(error("{\"" + std::string(1025, 'n') + "\":{}}", 0),
                       "expected a name of at most 1024 bytes, found 1025");
    }

    TEST_CASE("safetensors: sizes that contradict each other or overflow") {
        check_contains(error(one("F32", "[2]", "[0,8]"), 7),
                       "expected begin <= end <= 7, the bytes of data in the file, found [0, 8]");
        CHECK(error(one("F32", "[3]", "[0,8]"), 8) ==
              "malformed: m.safetensors: tensor \"a\": data_offsets: expected 12 bytes for F32 (3), found 8");
        check_contains(error(one("F32", "[4294967296,4294967296,2]", "[0,0]"), 0),
                       "expected a size below 2^64 bytes, found F32 (4294967296, 4294967296, 2)");
        check_contains(error(one("F32", "[4611686018427387904]", "[0,0]"), 0), "expected a size below 2^64 bytes");
        check_contains(error(one("F32", "[9223372036854775808]", "[0,0]"), 0), "expected an integer of 64 bits");
        CHECK(error(one("F32", "[9223372036854775807,0,9223372036854775807]", "[0,0]"), 0) == "no error");
    }

    TEST_CASE("safetensors: holes, overlaps and rests") {
        const auto two = [](const char* first, const char* second, size_t data_bytes) {
            return error(std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)") + first +
                             R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                         data_bytes);
        };
        CHECK(two("[0,4]", "[4,8]", 8) == "no error");
        CHECK(two("[4,8]", "[0,4]", 8) == "no error");
        CHECK(two("[0,4]", "[5,9]", 9) ==
              "malformed: m.safetensors: tensor \"b\": expected to begin at byte 4 of the data, where the one before "
              "it ends, found 5");
        check_contains(two("[0,4]", "[3,7]", 8), "tensor \"b\": expected to begin at byte 4");
        check_contains(two("[0,4]", "[0,4]", 4), "expected to begin at byte 4");
        check_contains(two("[1,5]", "[5,9]", 9), "tensor \"a\": expected to begin at byte 0");
        CHECK(two("[0,4]", "[4,8]", 9) ==
              "malformed: m.safetensors: expected 8 bytes of data, the end of the last tensor, found 9");
        check_contains(error("{}", 1), "expected 0 bytes of data");
    }

    TEST_CASE("safetensors: truncated anywhere, it is an error") {
        const std::string good = file_of(one("F32", "[2]", "[0,8]"), 8);
        for (size_t bytes = 0; bytes < good.size(); bytes++) {
            CHECK(error_of_file(good.substr(0, bytes)).starts_with("malformed: m.safetensors"));
        }
    }
}

}  // namespace
