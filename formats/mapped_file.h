// A whole file as read-only memory.
// In: a path. Out: its bytes, mapped and never copied, valid while the object lives.
// Must not know what they mean.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace gq {

class MappedFile {
  public:
    MappedFile() = default;
    // Throws FormatError(io) with the path and the system's reason. An empty file gives an empty span.
    explicit MappedFile(const std::filesystem::path& path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return {data_, size_}; }

    // Tells the kernel that this range (of bytes()) is not needed soon: its pages leave the resident set, the content
    // stays readable. A range that lies outside the mapping is left alone.
    void forget(std::span<const std::byte> range) const;

  private:
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace gq
