// What the tests of formats/ share: files built byte by byte, a folder that goes away, and the message of a
// FormatError.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "formats/format_error.h"

namespace gq::test {

// Little-endian bytes in the making.
struct Bytes {
    std::string data;

    template <typename T>
    Bytes& number(T value) {
        data.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    Bytes& raw(std::string_view text) {
        data += text;
        return *this;
    }
    std::span<const std::byte> span() const { return std::as_bytes(std::span(data)); }
};

// "malformed: …", "unsupported: …" or "io: …" of the FormatError that the call throws; "no error" when it throws none.
template <typename Call>
std::string error_of(Call call) {
    try {
        call();
    } catch (const FormatError& error) {
        const char* const kinds[] = {"malformed: ", "unsupported: ", "io: "};
        return std::string(kinds[static_cast<size_t>(error.kind())]) + error.what();
    }
    return "no error";
}

inline void check_contains(const std::string& text, std::string_view part) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, "expected \"", std::string(part), "\" in \"", text, "\"");
}

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "gq_test_XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path write(const std::string& name, std::string_view content) const {
        std::ofstream(path_ / name, std::ios::binary)
            .write(content.data(), static_cast<std::streamsize>(content.size()));
        return path_ / name;
    }

  private:
    std::filesystem::path path_;
};

}  // namespace gq::test
