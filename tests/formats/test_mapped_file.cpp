// Mapped files: content, moves, forgotten pages, and what can't be mapped.
// In: files written here. Out: checks of bytes and messages.
// Must not know what the bytes mean.
#include "formats/mapped_file.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "tests/formats/format_test.h"

namespace {

using namespace gq;
using test::error_of;

std::string_view text_of(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// Memory that the mapping at this address holds, by the kernel's own account of this process.
size_t resident_kib(const void* address) {
    std::ifstream smaps("/proc/self/smaps");
    char wanted[32];
    std::snprintf(wanted, sizeof wanted, "%lx-", reinterpret_cast<unsigned long>(address));
    std::string line;
    while (std::getline(smaps, line) && !line.starts_with(wanted)) {
    }
    while (std::getline(smaps, line)) {
        if (line.starts_with("Rss:")) return std::stoul(line.substr(4));
    }
    return 0;
}

TEST_SUITE("formats") {
    TEST_CASE("a mapped file shows the file's bytes, and keeps them through moves") {
        const test::TemporaryFolder folder;
        MappedFile first(folder.write("a", "some bytes"));
        CHECK(text_of(first) == "some bytes");
        MappedFile second(std::move(first));
        CHECK(text_of(second) == "some bytes");
        MappedFile third(folder.write("b", "others"));
        third = std::move(second);
        CHECK(text_of(third) == "some bytes");
        CHECK(MappedFile().bytes().empty());
        CHECK(MappedFile(folder.write("empty", "")).bytes().empty());
    }

    TEST_CASE("forgotten pages leave memory and read the same again") {
        const test::TemporaryFolder folder;
        std::string content(1 << 20, '\0');
        for (size_t i = 0; i < content.size(); i++) content[i] = static_cast<char>(i / 4096 * 7 + i);
        const MappedFile file(folder.write("big", content));
        CHECK(text_of(file) == content);
        const size_t before = resident_kib(file.bytes().data());
        file.forget(file.bytes().subspan(4096, 512 * 1024));
        if (before == 0)
            MESSAGE("no /proc/self/smaps here: that pages leave memory is not checked");
        else
            CHECK(resident_kib(file.bytes().data()) + 512 <= before);
        CHECK(text_of(file) == content);

        // Ranges outside the mapping are left alone: this memory, on the heap below it and on the stack above it, would
        // lose its content.
        std::vector<std::byte> heap(1 << 16, std::byte{5});
        std::array<std::byte, 1 << 16> stack;
        stack.fill(std::byte{5});
        for (const std::span<const std::byte> own :
             {std::span<const std::byte>(heap), std::span<const std::byte>(stack)}) {
            file.forget(own);
            CHECK(std::count(own.begin(), own.end(), std::byte{5}) == 1 << 16);
        }
        file.forget({});
    }

    TEST_CASE("what can't be mapped is an error that names the path and the reason") {
        const test::TemporaryFolder folder;
        const auto open = [&](const char* name) { return error_of([&] { MappedFile file(folder.path() / name); }); };
        CHECK(open("absent") ==
              "io: can't open " + (folder.path() / "absent").string() + ": No such file or directory");
        CHECK(open(".") ==
              "io: can't map " + (folder.path() / ".").string() + ": expected a regular file, found a folder");
        REQUIRE(::mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
        CHECK(open("pipe").ends_with("expected a regular file, found something else"));
    }
}

}  // namespace
