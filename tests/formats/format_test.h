// What the tests of formats/ share: files built byte by byte, and a folder that goes away.
// In: values to lay out. Out: bytes, paths.
// Must not know which format is tested.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "tests/error_of.h"

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
