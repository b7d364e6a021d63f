// A whole file as read-only memory.
// In: a path. Out: its bytes, mapped or, where that is asked for, copied; valid while the object lives.
// Must not know what they mean.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace gq {

enum class FileMemory : bool {
    mapped,  // the page cache's pages, read when they are touched, shared by all processes
    copied,  // memory of its own, read at once, in huge pages where the system has them
};

class MappedFile {
  public:
    MappedFile() = default;
    // Throws FormatError(io) with the path and the system's reason. An empty file gives an empty span.
    explicit MappedFile(const std::filesystem::path& path, FileMemory memory = FileMemory::mapped);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return {data_, size_}; }

    // Keeps the bytes in memory while the object lives. Empty, or why the system refuses, its limit among the words;
    // then all is as before.
    std::string lock() const;

    // Tells the kernel that this range (of bytes()) is not needed soon: its pages leave the resident set, the content
    // stays readable. A range that lies outside the mapping is left alone, and so is a copy.
    void forget(std::span<const std::byte> range) const;

  private:
    void map(int fd, const std::filesystem::path& path);
    void copy(int fd, const std::filesystem::path& path);

    const std::byte* data_ = nullptr;
    size_t size_ = 0;
    FileMemory memory_ = FileMemory::mapped;
};

}  // namespace gq
