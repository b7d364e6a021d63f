// One GGUF file: what is read, and one damaged file for each rule.
// In: files built byte by byte. Out: checks of values and tensors; of each refusal, what was expected, found and where.
// Must not use a writer of gq: there is none.
#include "formats/gguf.h"

#include <doctest/doctest.h>

#include "tests/formats/format_test.h"

namespace {

using namespace gq;
using test::Bytes;
using test::check_contains;

// Numbers of value types and of tensor types in the file.
enum : uint32_t { u8 = 0, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
enum : uint32_t { tensor_f32 = 0, tensor_f16 = 1, tensor_q4_0 = 2, tensor_iq2_xxs = 16, tensor_bf16 = 30 };

Bytes& put(Bytes& bytes, std::string_view text) {
    return bytes.number(uint64_t{text.size()}).raw(text);
}

// A GGUF file in the making; every number of it can be wrong.
struct Gguf {
    uint32_t version = 3;
    uint64_t n_tensors = 0, n_pairs = 0;
    size_t alignment = 32, data_bytes = 0;
    Bytes pairs, tensors;

    Bytes& key(std::string_view name, uint32_t type) {
        n_pairs++;
        return put(pairs, name).number(type);
    }
    // ne in the file's order, fastest first.
    Gguf& tensor(std::string_view name, std::vector<int64_t> ne, uint32_t type, uint64_t offset) {
        n_tensors++;
        put(tensors, name).number(static_cast<uint32_t>(ne.size()));
        for (const int64_t n : ne) tensors.number(n);
        tensors.number(type).number(offset);
        return *this;
    }
    std::string file() const {
        Bytes out;
        out.raw("GGUF").number(version).number(n_tensors).number(n_pairs).raw(pairs.data).raw(tensors.data);
        while (out.data.size() % alignment != 0) out.raw("\xCC");
        for (size_t i = 0; i < data_bytes; i++) out.number(static_cast<uint8_t>(i));
        return out.data;
    }
};

GgufContents parse(std::string_view file) {
    return parse_gguf(std::as_bytes(std::span(file)), "m.gguf");
}
std::string error(std::string_view file) {
    return test::error_of([&] { parse(file); });
}
void fails(const Gguf& gguf, std::string_view message) {
    check_contains(error(gguf.file()), message);
}

Gguf two_tensors() {
    Gguf gguf;
    gguf.tensor("a", {3, 2}, tensor_f16, 0).tensor("b", {32, 2}, tensor_q4_0, 32);
    gguf.data_bytes = 32 + 36;
    return gguf;
}

TEST_SUITE("formats") {
    TEST_CASE("gguf: values of every type become JSON") {
        for (const uint32_t version : {2, 3}) {
            Gguf gguf;
            gguf.version = version;
            gguf.key("u8", u8).number(uint8_t{200});
            gguf.key("i8", i8).number(int8_t{-100});
            gguf.key("u16", u16).number(uint16_t{60000});
            gguf.key("i16", i16).number(int16_t{-30000});
            gguf.key("u32", u32).number(uint32_t{4000000000});
            gguf.key("i32", i32).number(int32_t{-2000000000});
            gguf.key("f32", f32).number(1.5f);
            gguf.key("bool", boolean).number(uint8_t{1});
            put(gguf.key("string", string), "Ġa");
            put(put(gguf.key("strings", array).number(uint32_t{string}).number(uint64_t{2}), "x"), "");
            gguf.key("floats", array).number(uint32_t{f32}).number(uint64_t{2}).number(0.5f).number(-1.0f);
            gguf.key("empty", array).number(uint32_t{i32}).number(uint64_t{0});
            gguf.key("u64", u64).number(uint64_t{1} << 40).raw("");
            gguf.key("huge", u64).number(uint64_t{1} << 63);
            gguf.key("i64", i64).number(int64_t{-5});
            gguf.key("f64", f64).number(0.1);
            CHECK(
                parse(gguf.file()).metadata.dump() ==
                R"({"u8":200,"i8":-100,"u16":60000,"i16":-30000,"u32":4000000000,"i32":-2000000000,"f32":1.5,"bool":true,)"
                R"("string":"Ġa","strings":["x",""],"floats":[0.5,-1.0],"empty":[],"u64":1099511627776,)"
                R"("huge":9223372036854775808.0,"i64":-5,"f64":0.1})");
        }
    }

    TEST_CASE("gguf: tensors have their bytes, place and shape, slowest dimension first") {
        const std::string file = two_tensors().file();
        const auto contents = parse(file);
        REQUIRE(contents.tensors.size() == 2);
        const SourceTensor &a = contents.tensors[0], &b = contents.tensors[1];
        CHECK(a.name == "a");
        CHECK(a.type == ElementType::f16);
        CHECK(a.shape == std::vector<size_t>{2, 3});
        CHECK(a.bytes.size() == 12);
        CHECK(a.bytes[1] == std::byte{1});
        CHECK(b.type == ElementType::q4_0);
        CHECK(b.shape == std::vector<size_t>{2, 32});
        CHECK(b.bytes.size() == 36);
        CHECK(b.bytes[0] == std::byte{32});
        const size_t data_begin = file.size() - 68;
        CHECK(a.where == "byte " + std::to_string(data_begin) + " of m.gguf");
    }

    TEST_CASE("gguf: general.alignment moves the data and the tensors") {
        Gguf gguf;
        gguf.alignment = 8;
        gguf.key("general.alignment", u32).number(uint32_t{8});
        gguf.tensor("a", {3}, tensor_f32, 0).tensor("b", {}, tensor_f32, 16);
        gguf.data_bytes = 20;
        const std::string file = gguf.file();
        const auto contents = parse(file);
        CHECK(contents.tensors[1].bytes[0] == std::byte{16});
        CHECK(contents.tensors[1].shape.empty());
    }

    TEST_CASE("gguf: a type that can't be converted is known by name and does not hinder the rest") {
        Gguf gguf;
        gguf.tensor("a", {256}, tensor_iq2_xxs, 0).tensor("b", {1}, tensor_bf16, 96);
        gguf.data_bytes = 98;
        const std::string file = gguf.file();
        const auto tensors = parse(file).tensors;
        CHECK(tensors[0].type == ElementType::other);
        CHECK(tensors[0].bytes.size() == 66);
        CHECK(tensors[0].where.ends_with("of m.gguf (type IQ2_XXS)"));
        CHECK(tensors[1].bytes[0] == std::byte{96});
        float out[256];
        CHECK(test::error_of([&] {
                  Checkpoint::read_rows(tensors[0], 0, 256, out);
              }).starts_with("unsupported: tensor \"a\" at byte "));
    }

    TEST_CASE("gguf: magic and version") {
        CHECK(error("") ==
              "malformed: m.gguf: byte 0: expected the magic of 4 bytes, found 0 bytes before the end of the file");
        CHECK(error("GGML....") == "malformed: m.gguf: byte 0: expected \"GGUF\", found \"GGML\"");
        Gguf gguf;
        for (const uint32_t version : {0, 1, 4}) {
            gguf.version = version;
            fails(gguf, "byte 4: expected GGUF version 2 or 3, found " + std::to_string(version));
        }
        gguf.version = 3u << 24;
        fails(gguf, "expected GGUF version 2 or 3, found a big-endian file of version 3");
    }

    TEST_CASE("gguf: counts that the file can't hold") {
        Gguf gguf;
        gguf.n_tensors = uint64_t{1} << 63;
        fails(gguf, "byte 8: expected at most 0 tensors, found 9223372036854775808");
        gguf = Gguf();
        gguf.n_pairs = 0xFFFFFFFFFFFFFFFF;
        fails(gguf, "key-value pairs, found 18446744073709551615");
        gguf = Gguf();
        gguf.key("k", array).number(uint32_t{u8}).number(uint64_t{1} << 62);
        fails(gguf, "elements in the value of \"k\", found 4611686018427387904");
        gguf = Gguf();
        gguf.key("k", array).number(uint32_t{string}).number(uint64_t{20});
        fails(gguf, "expected at most ");
        gguf = Gguf();
        gguf.key("k", string).number(uint64_t{1} << 62);
        fails(gguf, "bytes in the value of \"k\", found 4611686018427387904");
        gguf = Gguf();
        gguf.n_pairs = 1;
        gguf.pairs.number(uint64_t{0xFFFFFFFFFFFFFFFF}).raw("some more bytes");
        fails(gguf, "bytes in a key, found 18446744073709551615");
    }

    TEST_CASE("gguf: arrays can't make the reader allocate without limit") {
        Gguf gguf;
        gguf.key("few", array).number(uint32_t{u8}).number(uint64_t{1000}).raw(std::string(1000, '\0'));
        const size_t most = size_t{1} << 22;  // of a whole file
        gguf.key("k", array).number(uint32_t{u8}).number(uint64_t{most}).raw(std::string(most, '\0'));
        fails(gguf, "expected at most 4193304 elements in the value of \"k\", found 4194304");
    }

    TEST_CASE("gguf: damage to keys and values") {
        Gguf gguf;
        gguf.key("k", 13);
        fails(gguf, "expected a value type from 0 to 12 for the value of \"k\", found 13");
        gguf = Gguf();
        gguf.key("k", array).number(uint32_t{array}).number(uint64_t{0});
        fails(gguf, "expected numbers or strings in the array the value of \"k\", found arrays");
        gguf = Gguf();
        gguf.key("", u8).number(uint8_t{0});
        fails(gguf, "byte 24: expected a key, found an empty string");
        gguf = Gguf();
        gguf.key("k\xFF", u8).number(uint8_t{0});
        fails(gguf, "byte 24: expected UTF-8 in a key, found \"k\\xFF\"");
        gguf = Gguf();
        put(gguf.key("k", string), "\xC3");
        fails(gguf, "expected UTF-8 in the value of \"k\", found \"\\xC3\"");
        gguf = Gguf();
        gguf.key("k", u8).number(uint8_t{0});
        gguf.key("k", u8).number(uint8_t{0});
        fails(gguf, "expected keys that differ, found \"k\" twice");
    }

    TEST_CASE("gguf: alignments that are none") {
        for (const uint32_t alignment : {0, 24}) {
            Gguf gguf;
            gguf.key("general.alignment", u32).number(alignment);
            fails(gguf, "general.alignment: expected a power of two of type u32, found \"" + std::to_string(alignment) +
                            "\"");
        }
        Gguf gguf;
        gguf.key("general.alignment", u64).number(uint64_t{32});
        fails(gguf, "general.alignment: expected a power of two of type u32, found \"32\" of value type 10");
        // The largest one: legal, and no data can follow.
        gguf = Gguf();
        gguf.key("general.alignment", u32).number(uint32_t{1} << 31);
        CHECK(error(gguf.file()) == "no error");
        gguf.tensor("a", {1}, tensor_f32, 0);
        fails(gguf, "tensor \"a\": expected 4 bytes at byte 2147483648, found the end of the file");
    }

    TEST_CASE("gguf: damage to a tensor's record") {
        const auto one = [](std::string_view name, std::vector<int64_t> ne, uint32_t type, std::string_view message) {
            fails(Gguf().tensor(name, std::move(ne), type, 0), message);
        };
        one("", {1}, tensor_f32, "expected a tensor's name, found an empty string");
        one(std::string(64, 'n'), {1}, tensor_f32, "expected at most 63 bytes in a tensor's name, found 64");
        one("a", {1, 1, 1, 1, 1}, tensor_f32, "expected at most 4 dimensions for tensor \"a\", found 5");
        one("a", {4, 0}, tensor_f32, "expected a dimension of at least 1 for tensor \"a\", found 0");
        one("a", {-1}, tensor_f32, "expected a dimension of at least 1 for tensor \"a\", found -1");
        one("a", {1}, 4, "expected a known tensor type for tensor \"a\", found number 4");
        one("a", {1}, 999, "expected a known tensor type for tensor \"a\", found number 999");
        one("a", {33}, tensor_q4_0,
            "tensor \"a\": expected a first dimension of whole blocks of 32 for Q4_0, found 33");
        one("a", {1}, tensor_q4_0, "expected a first dimension of whole blocks of 32");
        const int64_t big = int64_t{1} << 62;
        one("a", {big, 4}, tensor_f16,
            "tensor \"a\": expected a size below 2^64 bytes, found F16 (4, 4611686018427387904)");
        one("a", {big, 2}, tensor_f32, "expected a size below 2^64 bytes");
        one("a", {big}, tensor_f16,
            "expected 9223372036854775808 bytes at byte 64, found the end of the file at byte 64");
    }

    TEST_CASE("gguf: offsets are the running sum of the padded sizes") {
        Gguf gguf;
        gguf.data_bytes = 96;
        gguf.tensor("a", {3}, tensor_f32, 0).tensor("b", {3}, tensor_f32, 12);
        fails(gguf, "tensor \"b\": expected the offset 32, the padded sizes before it, found 12");
        gguf = Gguf();
        gguf.tensor("a", {3}, tensor_f32, 0xFFFFFFFFFFFFFFE0);
        fails(gguf, "tensor \"a\": expected the offset 0, the padded sizes before it, found 18446744073709551584");
    }

    TEST_CASE("gguf: truncated anywhere, it is an error") {
        Gguf gguf = two_tensors();
        gguf.key("general.name", string).number(uint64_t{3}).raw("abc");
        gguf.key("list", array).number(uint32_t{u16}).number(uint64_t{2}).number(uint32_t{7});
        const std::string good = gguf.file();
        CHECK(error(good) == "no error");
        for (size_t bytes = 0; bytes < good.size(); bytes++) {
            CHECK(error(good.substr(0, bytes)).starts_with("malformed: m.gguf"));
        }
    }

    TEST_CASE("gguf: one part of a split model is refused") {
        Gguf gguf;
        gguf.key("split.count", u16).number(uint16_t{3});
        fails(gguf, "split.count: expected a whole model in one file, found one of 3 parts");
    }

    TEST_CASE("gguf: a file is opened as a checkpoint") {
        const test::TemporaryFolder folder;
        Gguf gguf = two_tensors();
        gguf.key("general.architecture", string).number(uint64_t{5}).raw("llama");
        const auto path = folder.write("m.gguf", gguf.file());
        const auto checkpoint = open_checkpoint(path);
        CHECK(checkpoint->kind() == Checkpoint::Kind::gguf);
        CHECK(checkpoint->path() == path);
        CHECK(checkpoint->metadata().at("general.architecture", "m").as_string("a") == "llama");
        REQUIRE(checkpoint->find("b") != nullptr);
        CHECK(checkpoint->find("b") == &checkpoint->tensors()[1]);
        CHECK(checkpoint->find("c") == nullptr);
        checkpoint->forget(*checkpoint->find("b"));
        float row[32];
        Checkpoint::read_rows(*checkpoint->find("b"), 1, 2, row);
        // Block 1 begins at byte 50 of the data: d = 0x3332, then q = nibbles of 52, 53, …
        CHECK(row[0] == f16_to_f32(0x3332) * ((52 & 15) - 8));
        CHECK(row[31] == f16_to_f32(0x3332) * ((67 >> 4) - 8));

        gguf.tensor("a", {1}, tensor_f32, 96);
        gguf.data_bytes = 100;
        const auto twice = folder.write("twice.gguf", gguf.file());
        check_contains(test::error_of([&] { open_checkpoint(twice); }),
                       "expected tensors whose names differ, found \"a\" twice: at byte ");
    }
}

}  // namespace
