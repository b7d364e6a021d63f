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

// A field of the mapping at this address, by the kernel's own account of this process; 0 where there is none.
size_t account_kib(const void* address, const std::string& field) {
    std::ifstream smaps("/proc/self/smaps");
    char wanted[32];
    std::snprintf(wanted, sizeof wanted, "%lx-", reinterpret_cast<unsigned long>(address));
    std::string line;
    while (std::getline(smaps, line) && !line.starts_with(wanted)) {
    }
    while (std::getline(smaps, line)) {
        if (line.starts_with(field)) return std::stoul(line.substr(field.size()));
    }
    return 0;
}

size_t resident_kib(const void* address) {
    return account_kib(address, "Rss:");
}

size_t locked_kib(const void* address) {
    return account_kib(address, "Locked:");
}

// Whether mlock locks and the kernel gives an account of it: sanitizers replace it by nothing.
bool mlock_is_real() {
    constexpr size_t bytes = 1 << 16;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    const bool real = mlock(memory, bytes) == 0 && locked_kib(memory) >= bytes / 1024;
    munmap(memory, bytes);
    return real;
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

    TEST_CASE("a copy has the file's bytes, whatever becomes of the file, and forgets none") {
        const test::TemporaryFolder folder;
        const std::string content(3 << 20, 'x');
        const MappedFile copy(folder.write("a", content), FileMemory::copied);
        folder.write("a", "shorter");
        copy.forget(copy.bytes());
        CHECK(text_of(copy) == content);
        MappedFile other(folder.write("b", "mapped"));
        other = MappedFile(folder.write("c", "copied"), FileMemory::copied);
        other.forget(other.bytes());
        CHECK(text_of(other) == "copied");
        CHECK(MappedFile(folder.write("empty", ""), FileMemory::copied).bytes().empty());
        CHECK(error_of([&] {
                  MappedFile file(folder.path() / "absent", FileMemory::copied);
              }).ends_with("absent: No such file or directory"));
    }

    TEST_CASE("locked bytes are held, or the refusal names the limit") {
        const test::TemporaryFolder folder;
        for (const FileMemory memory : {FileMemory::mapped, FileMemory::copied}) {
            const MappedFile file(folder.write("a", std::string(1 << 16, 'x')), memory);
            const std::string refusal = file.lock();
            if (!refusal.empty())
                CHECK(refusal.find("RLIMIT_MEMLOCK") != std::string::npos);
            else if (mlock_is_real())
                CHECK(locked_kib(file.bytes().data()) >= 64);
            else
                MESSAGE("SKIPPED: mlock does nothing here, as under a sanitizer");
            CHECK(text_of(file) == std::string(1 << 16, 'x'));
        }
        CHECK(MappedFile().lock().empty());
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
