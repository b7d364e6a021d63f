// .gq files read: what was written comes back in place, and damage to a file is found and named.
// In: files of the writer, then with bytes altered or cut. Out: checks of parts, sections and messages.
// Must not know what the parts mean to core/.
#include <doctest/doctest.h>

#include <cstring>

#include "formats/hash.h"
#include "tests/formats/gq_test.h"

using namespace gq;
using namespace gq::test;

TEST_SUITE("formats") {
    TEST_CASE("gq: what is written is read back, in place") {
        const TemporaryFolder folder;
        const fs::path path = folder.path() / "model.gq";
        const Example example;
        example.write(path);
        CHECK_FALSE(fs::exists(folder.path() / "model.gq.partial"));

        const GqFile file(path);
        CHECK(file.minor_version() == 1);
        CHECK(file.file_bytes() == fs::file_size(path));
        REQUIRE(file.tensors().size() == example.tensors.size());
        for (size_t i = 0; i < example.tensors.size(); ++i) {
            const GqTensor &wrote = example.tensors[i], &read = file.tensors()[i];
            CAPTURE(wrote.name);
            CHECK(read.name == wrote.name);
            CHECK(read.codes == wrote.codes);
            CHECK(read.grid == wrote.grid);
            CHECK(read.experts == wrote.experts);
            CHECK(read.rows == wrote.rows);
            CHECK(read.cols == wrote.cols);
            CHECK(read.group == wrote.group);
            CHECK(file.find(wrote.name) == &read);
            REQUIRE(read.parts.size() == wrote.parts.size());
            for (const GqPart& part : wrote.parts) {
                const GqPart* found = read.find(part.name);
                REQUIRE(found != nullptr);
                CHECK(equal(found->bytes, part.bytes));
                CHECK(found->hash == xxh64(part.bytes));
                CHECK(reinterpret_cast<uintptr_t>(found->bytes.data()) % 64 == 0);
            }
        }
        CHECK(reinterpret_cast<uintptr_t>(file.find("big")->find("values")->bytes.data()) % 4096 == 0);
        REQUIRE(file.section("model") != nullptr);
        CHECK(equal(file.section("model")->bytes, bytes_of(R"({"arch":"llama"})")));
        REQUIRE(file.section("chat_template") != nullptr);
        CHECK(file.section("chat_template")->bytes.empty());
        CHECK(file.sections().size() == 2);
        CHECK(file.find("absent") == nullptr);
        CHECK(file.section("absent") == nullptr);
        CHECK(file.tensors()[0].find("absent") == nullptr);
        file.verify();
    }

    TEST_CASE("gq: the same calls give the bytes of the second writer, every time") {
        const ByteVector once = example_bytes();
        CHECK(xxh64(once) == example_hash);
        CHECK(equal(once, example_bytes()));
    }

    TEST_CASE("gq: no tensors, and many") {
        const TemporaryFolder folder;
        {
            GqWriter writer(folder.path() / "empty.gq");
            writer.finish();
            CHECK(writer.bytes_written() == fs::file_size(folder.path() / "empty.gq"));
        }
        const GqFile empty(folder.path() / "empty.gq");
        CHECK(empty.tensors().empty());
        CHECK(empty.sections().empty());

        constexpr size_t n = 3000;
        GqWriter writer(folder.path() / "many.gq");
        for (size_t i = 0; i < n; ++i) {
            const ByteVector values = pattern(4 * (1 + i % 50), i);
            writer.add_tensor(small_tensor(std::to_string(i), values));
        }
        writer.finish();
        CHECK(writer.bytes_written() == fs::file_size(folder.path() / "many.gq"));
        const GqFile many(folder.path() / "many.gq");
        REQUIRE(many.tensors().size() == n);
        for (size_t i = 0; i < n; i += 271) {
            CHECK(equal(many.tensors()[i].parts[0].bytes, pattern(4 * (1 + i % 50), i)));
        }
        many.verify();
    }

    TEST_CASE("gq: each altered byte of header or directory is found at open") {
        ByteVector file = example_bytes();
        GqHeader header;
        std::memcpy(&header, file.data(), sizeof header);
        const auto flip_each = [&](size_t begin, size_t end) {
            for (size_t at = begin; at < end; ++at) {
                for (const auto mask : {std::byte{0x01}, std::byte{0xFF}}) {
                    CAPTURE(at);
                    file[at] ^= mask;
                    CHECK_THROWS_AS(parse(file), FormatError);
                    file[at] ^= mask;
                }
            }
        };
        flip_each(0, sizeof header);
        flip_each(header.directory_offset, file.size());
        CHECK(parse(file).tensors.size() == 4);

        file[20] ^= std::byte{1};
        check_fails([&] { parse(file); }, "malformed", {"m.gq", "header altered", "expected", "found"});
        file[20] ^= std::byte{1};
        file.back() ^= std::byte{1};
        check_fails([&] { parse(file); }, "malformed", {"m.gq", "directory altered", "expected", "found"});
    }

    TEST_CASE("gq: an altered weight is harmless at open and named by verify") {
        const TemporaryFolder folder;
        const fs::path path = folder.path() / "model.gq";
        ByteVector bytes = example_bytes();
        const std::byte* codes = parse(bytes).tensors[2].find("codes")->bytes.data();
        bytes[static_cast<size_t>(codes - bytes.data()) + 100] ^= std::byte{0x10};
        write_file(path, bytes);
        const GqFile file(path);
        check_fails([&] { file.verify(); }, "malformed",
                    {path.c_str(), "blocks.0.\u00e9t\u00e9", "\"codes\"", "expected", "found", "1024 bytes at byte"});

        bytes = example_bytes();
        bytes[64] ^= std::byte{0x10};
        write_file(path, bytes);
        const GqFile other(path);
        check_fails([&] { other.verify(); }, "malformed", {"section \"model\"", "16 bytes at byte 64"});
    }

    TEST_CASE("gq: truncated at any length, or longer than it says") {
        const TemporaryFolder folder;
        const fs::path path = folder.path() / "model.gq";
        const ByteVector values = pattern(300, 0);
        GqWriter writer(path);
        writer.add_tensor(small_tensor("a", values));
        writer.finish();
        const ByteVector small = read_file(path);
        CHECK(parse(small).tensors.size() == 1);
        for (size_t size = 0; size < small.size(); ++size) {
            CAPTURE(size);
            CHECK_THROWS_AS(parse(std::span(small).first(size)), FormatError);
        }
        const ByteVector whole = example_bytes();
        const std::string expected = std::to_string(whole.size()) + " bytes expected";
        for (const size_t size : {size_t{64}, size_t{100}, size_t{4096}, whole.size() / 2, whole.size() - 1}) {
            write_file(path, std::span(whole).first(size));
            const std::string found = std::to_string(size) + " found";
            check_fails([&] { GqFile file(path); }, "malformed", {path.c_str(), "truncated", expected, found});
        }
        write_file(path, std::span(whole).first(40));
        check_fails([&] { GqFile file(path); }, "malformed",
                    {"truncated", "header of 64 bytes expected", "40 bytes found"});
        ByteVector longer = whole;
        longer.resize(whole.size() + 3);
        write_file(path, longer);
        check_fails([&] { GqFile file(path); }, "malformed", {"longer than its header says", expected});
    }

    TEST_CASE("gq: files of other kinds are named") {
        const auto check_magic = [](std::string_view start, std::initializer_list<std::string_view> pieces) {
            std::string text(start);
            text.resize(200, 'x');
            const auto bytes = std::as_bytes(std::span(text));
            check_fails([&] { parse({bytes.begin(), bytes.end()}); }, "malformed", pieces);
        };
        check_magic("GGUF\3", {"magic \"\\x89GQ", "found", "\"GGUF\\x03", "GGUF file"});
        check_magic({"\x10\x20\0\0\0\0\0\0{\"__metadata__\"", 23}, {"\\x10 ", "safetensors"});
        check_magic("PK\3\4", {"PK\\x03\\x04", "PyTorch checkpoint (zip)"});
        check_magic("\x80\2", {"\\x80\\x02", "PyTorch checkpoint (pickle)"});
        check_magic("version https://git-lfs.github.com/spec/v1", {"git-lfs pointer"});
        check_magic("<!DOCTYPE html>", {"web page"});
        check_magic("something", {"\"somethin\"", "no .gq file"});
        check_magic(std::string_view("\0", 1), {"no .gq file"});
        check_fails([] { parse({}); }, "malformed", {"magic", "\"\" found"});
        check_fails([] { parse(ByteVector(5000)); }, "malformed", {"64 zero bytes", "never finished"});
    }
}
