// Hostile and newer .gq directories, built here byte by byte with right hashes, so that only the rule under test
// refuses them.
// In: bytes with one fault each. Out: checks of the message. Must not use the writer, which refuses to write them.
#include <doctest/doctest.h>

#include <cstring>

#include "formats/hash.h"
#include "tests/formats/gq_test.h"

using namespace gq;
using namespace gq::test;

namespace {

struct Raw {
    ByteVector bytes;

    Raw& add(std::span<const std::byte> more) {
        bytes.insert(bytes.end(), more.begin(), more.end());
        return *this;
    }
    template <typename Number>
    Raw& number(Number value) {
        return add(std::as_bytes(std::span(&value, 1)));
    }
    Raw& u32(uint64_t value) { return number(static_cast<uint32_t>(value)); }
    Raw& u64(uint64_t value) { return number(value); }
    Raw& text(std::string_view value) { return number(static_cast<uint8_t>(value.size())).add(bytes_of(value)); }
    Raw& record(uint32_t kind, const Raw& payload) { return u32(kind).u32(payload.bytes.size()).add(payload.bytes); }
};

struct RawPart {
    std::string name = "codes";
    uint64_t offset = 64, bytes = 64;

    Raw payload() const { return Raw().text(name).u64(offset).u64(bytes).u64(0); }
};

struct RawTensor {
    std::string name = "t", codes = "int4", grid = "symmetric";
    uint64_t experts = 1, rows = 1, cols = 1, group = 0;
    std::vector<RawPart> parts = {RawPart()};

    Raw payload() const {
        Raw raw;
        raw.text(name).text(codes).text(grid).u64(experts).u64(rows).u64(cols).u64(group).u32(parts.size());
        for (const RawPart& part : parts) raw.record(3, part.payload());
        return raw;
    }
};

Raw directory_of(const std::vector<RawTensor>& tensors, const std::vector<RawPart>& sections = {}) {
    Raw raw;
    raw.u32(tensors.size() + sections.size()).u32(0);
    for (const RawTensor& tensor : tensors) raw.record(1, tensor.payload());
    for (const RawPart& section : sections) raw.record(2, section.payload());
    return raw;
}

constexpr uint64_t raw_data_end = 64 + 1024;

// A file with right hashes: header, 1024 zero bytes, directory.
ByteVector file_with(const Raw& directory, uint16_t major = 1, uint16_t minor = 0, uint64_t offset = raw_data_end,
                     uint64_t extra_bytes = 0) {
    Raw file;
    file.add(std::as_bytes(std::span("\x89GQ\r\n\x1a\n", 8))).number(major).number(minor).u32(0).u64(offset);
    file.u64(directory.bytes.size()).u64(xxh64(directory.bytes));
    file.u64(raw_data_end + directory.bytes.size() + extra_bytes).u64(0);
    file.u64(xxh64(file.bytes)).add(ByteVector(1024)).add(directory.bytes).add(ByteVector(extra_bytes));
    return file.bytes;
}

void check_refused(const Raw& directory, std::initializer_list<std::string_view> pieces) {
    const ByteVector file = file_with(directory);
    check_fails([&] { parse(file); }, "malformed", pieces);
}

void check_tensor_refused(RawTensor tensor, std::initializer_list<std::string_view> pieces) {
    check_refused(directory_of({std::move(tensor)}), pieces);
}

}  // namespace

TEST_SUITE("formats") {
    TEST_CASE("gq: other versions") {
        const Raw directory = directory_of({RawTensor()});
        check_fails([&] { parse(file_with(directory, 2, 3)); }, "unsupported", {"1.x expected", "2.3 found"});
        check_fails([&] { parse(file_with(directory, 0, 9)); }, "unsupported", {"1.x expected", "0.9 found"});
        CHECK(parse(file_with(directory, 1, 65535)).minor_version == 65535);
    }

    TEST_CASE("gq: a newer minor version: longer records and unknown kinds are stepped over") {
        const Raw later = Raw().text("fields that 1.0 does not know").u64(~uint64_t{0});
        const Raw part = RawPart{"later_part", 128, 64}.payload().add(later.bytes);
        Raw tensor;
        tensor.text("t").text("later_codes").text("later_grid").u64(1).u64(2).u64(3).u64(0).u32(3);
        tensor.record(900, later).record(3, part).record(3, RawPart().payload()).add(later.bytes);
        const Raw section = RawPart{"later_section", 192, 10}.payload().add(later.bytes);
        Raw directory;
        directory.u32(4).u32(7).record(99, later).record(1, tensor).record(2, section).record(100, Raw());

        const GqDirectory read = parse(file_with(directory, 1, 4));
        CHECK(read.minor_version == 4);
        REQUIRE(read.tensors.size() == 1);
        CHECK(read.tensors[0].codes == "later_codes");
        REQUIRE(read.tensors[0].parts.size() == 2);
        CHECK(read.tensors[0].parts[0].name == "later_part");
        CHECK(read.tensors[0].find("codes")->bytes.size() == 64);
        REQUIRE(read.sections.size() == 1);
        CHECK(read.sections[0].name == "later_section");
        CHECK(read.sections[0].bytes.size() == 10);
    }

    TEST_CASE("gq: hostile headers with right hashes") {
        const Raw directory = directory_of({RawTensor()});
        for (const uint64_t offset : {uint64_t{0}, uint64_t{32}, raw_data_end - 64, raw_data_end + 64, raw_data_end + 1,
                                      uint64_t{1} << 40, ~uint64_t{0}, ~uint64_t{63}}) {
            CAPTURE(offset);
            const std::string found = "offset " + std::to_string(offset);
            check_fails([&] { parse(file_with(directory, 1, 0, offset)); }, "malformed", {"directory", found});
        }
        check_fails([&] { parse(file_with(directory, 1, 0, raw_data_end, 5)); }, "malformed",
                    {"up to the end of the file"});
    }

    TEST_CASE("gq: hostile counts and sizes in the directory") {
        check_refused(Raw().u32(0xFFFFFFFF).u32(0), {"record count", "at most", "4294967295 found"});
        check_refused(Raw().u32(1).u32(0), {"record count", "1 found"});
        check_refused(Raw(), {"record count", "4 bytes expected", "0 left"});
        check_refused(Raw().u32(0).u32(0).u64(0), {"an end after 0 records", "8 bytes found"});
        check_refused(Raw().u32(1).u32(0).u32(1).u32(0xFFFFFFFF), {"4294967295 bytes expected", "0 left"});
        check_refused(Raw().u32(1).u32(0).u32(9).u32(1), {"1 bytes expected", "0 left"});
        check_refused(Raw().u32(1).u32(0).record(1, Raw().number(uint8_t{200}).u32(0)), {"tensor name", "200 bytes"});
        Raw parts;
        parts.text("t").text("int4").text("").u64(1).u64(1).u64(1).u64(0).u32(0x40000000);
        check_refused(Raw().u32(1).u32(0).record(1, parts), {"record 0", "part count", "1073741824 found"});
        const ByteVector whole = RawTensor().payload().bytes;
        for (size_t size = 0; size < whole.size(); ++size) {
            Raw cut;
            cut.bytes.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            CAPTURE(size);
            check_refused(Raw().u32(1).u32(0).record(1, cut), {"directory record 0", "expected"});
        }
    }

    TEST_CASE("gq: hostile offsets") {
        const auto check_part = [](uint64_t offset, uint64_t bytes, const char* piece) {
            check_tensor_refused({.parts = {{"codes", offset, bytes}}}, {"record 0", "\"codes\"", piece});
            check_refused(directory_of({}, {{"codes", offset, bytes}}), {"record 0", "\"codes\"", piece});
        };
        check_part(0, 64, "64 bytes at 0 found");
        check_part(raw_data_end, 1, "1 bytes at 1088 found");
        check_part(64, 1025, "1025 bytes at 64 found");
        check_part(64, ~uint64_t{0}, "bytes at 64 found");
        check_part(128, ~uint64_t{0} - 127, "bytes at 128 found");
        check_part(~uint64_t{63}, 128, "128 bytes at 18446744073709551552 found");
        check_part(uint64_t{1} << 63, uint64_t{1} << 63, "bytes at 9223372036854775808 found");
        check_part(65, 1, "multiple of 64 expected, 65 found");
        CHECK(parse(file_with(directory_of({{.parts = {{"codes", raw_data_end, 0}}}}))).tensors.size() == 1);
    }

    TEST_CASE("gq: overlapping parts") {
        check_tensor_refused({.parts = {{"codes", 128, 64}, {"zeros", 64, 65}}},
                             {"overlap", "part \"zeros\" (from byte 64)", "part \"codes\" (from byte 128)"});
        check_tensor_refused({.parts = {{"codes", 64, 64}, {"zeros", 64, 64}}}, {"overlap"});
        check_refused(directory_of({{.parts = {{"codes", 64, 1024}}}}, {{"model", 512, 1}}),
                      {"tensor \"t\", part \"codes\"", "section \"model\" (from byte 512)"});
        const RawTensor neighbours{.parts = {{"codes", 128, 64}, {"empty", 128, 0}, {"zeros", 64, 64}}};
        CHECK(parse(file_with(directory_of({neighbours}))).tensors[0].parts.size() == 3);
    }

    TEST_CASE("gq: names that are double, empty, or no text") {
        check_refused(directory_of({{.parts = {}}, {.parts = {}}}), {"unique tensor names", "\"t\" found twice"});
        check_tensor_refused({.parts = {{"a", 64, 1}, {"b", 128, 1}, {"a", 192, 1}}},
                             {"tensor \"t\"", "unique part names", "\"a\" found twice"});
        check_refused(directory_of({}, {{"model", 64, 1}, {"model", 128, 1}}), {"unique section names", "\"model\""});
        check_tensor_refused({.name = ""}, {"tensor name of 1 to 255 bytes expected, 0 found"});
        check_tensor_refused({.codes = ""}, {"tensor \"t\"", "codes of 1 to 255 bytes"});
        check_tensor_refused({.parts = {{"", 64, 1}}}, {"part name of 1 to 255 bytes"});
        check_refused(directory_of({}, {{"", 64, 1}}), {"section name of 1 to 255 bytes"});
        check_tensor_refused({.name = "a\nb"}, {"without control characters", "byte 1 of \"a\\x0Ab\" is 0x0a"});
        check_tensor_refused({.name = std::string("a\0b", 3)}, {"byte 1 of", "is 0x00"});
        check_tensor_refused({.grid = "a\xC2\x85"}, {"grid in UTF-8", "byte 1", "is 0xc2"});
        check_tensor_refused({.codes = "\x7F"}, {"codes in UTF-8", "is 0x7f"});
        check_tensor_refused({.name = "ab\xFF"}, {"byte 2 of \"ab\\xFF\" is 0xff"});
        check_tensor_refused({.name = "\xC0\xAF"}, {"byte 0"});
        check_tensor_refused({.name = "\xED\xA0\x80"}, {"byte 0"});
        check_tensor_refused({.name = "a\xE2\x82"}, {"byte 1"});
        const RawTensor longest{.name = std::string(255, 'x'), .grid = ""};
        CHECK(parse(file_with(directory_of({longest}))).tensors[0].name.size() == 255);
    }

    TEST_CASE("gq: zero and huge dimensions") {
        check_tensor_refused({.rows = 0}, {"tensor \"t\"", "rows of 1 to 1099511627776 expected, 0 found"});
        check_tensor_refused({.cols = 0}, {"cols of 1 to"});
        check_tensor_refused({.experts = 0}, {"experts of 1 to"});
        check_tensor_refused({.rows = (uint64_t{1} << 40) + 1}, {"rows", "1099511627777 found"});
        check_tensor_refused({.group = ~uint64_t{0}}, {"group of 0 to", "18446744073709551615 found"});
        check_tensor_refused({.rows = uint64_t{1} << 32, .cols = uint64_t{1} << 32},
                             {"below 2^64", "4294967296 x 4294967296"});
        check_tensor_refused({.experts = 1 << 24, .rows = 1 << 20, .cols = 1 << 20},
                             {"below 2^64", "16777216 x 1048576"});
        const RawTensor largest{.rows = uint64_t{1} << 40, .cols = (1 << 24) - 1, .group = 1 << 20};
        CHECK(parse(file_with(directory_of({largest}))).tensors[0].cols == (1 << 24) - 1);
    }

    TEST_CASE("gq: scales that are not finite fp16 numbers are found at open") {
        const RawTensor tensor{.name = "w", .parts = {{"scales", 128, 900}}};
        ByteVector file = file_with(directory_of({tensor}));
        CHECK(parse(file).tensors.size() == 1);
        const auto check_value = [&](size_t index, uint16_t value, std::initializer_list<std::string_view> pieces) {
            std::memcpy(file.data() + 128 + 2 * index, &value, 2);
            check_fails([&] { parse(file); }, "malformed", pieces);
            std::memset(file.data() + 128 + 2 * index, 0, 2);
        };
        check_value(0, 0x7C00, {"tensor \"w\"", "\"scales\"", "value 0 of 450", "inf", "0x7c00"});
        check_value(449, 0xFC00, {"value 449 of 450", "-inf", "0xfc00"});
        check_value(7, 0x7E01, {"value 7 of 450", "nan", "0x7e01"});
        for (const uint16_t finite : {uint16_t{0x7BFF}, uint16_t{0xFBFF}, uint16_t{0x0001}, uint16_t{0x8000}}) {
            std::memcpy(file.data() + 128, &finite, 2);
            CHECK(parse(file).tensors.size() == 1);
        }
        check_tensor_refused({.parts = {{"scales", 64, 3}}}, {"\"scales\"", "fp16", "3 bytes found"});

        // Beyond one block of the search, and in a writer.
        std::vector<uint16_t> scales(10000, 0x3C00);
        scales[9999] = 0x7C01;
        scales[5000] = 0xFFFF;
        const TemporaryFolder folder;
        GqWriter writer(folder.path() / "model.gq");
        const GqTensor bad{"w", "int4", "symmetric", 1, 1, 1, 0, {{"scales", std::as_bytes(std::span(scales))}}};
        check_fails([&] { writer.add_tensor(bad); }, "malformed", {"value 5000 of 10000", "0xffff"});
    }
}
