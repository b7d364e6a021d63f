// A file on its way: written beside its name, and under it only when all is well.
// In: a path, bytes. Out: PATH, complete and on the disk, or nothing; a symbolic link stays, and what it names is
// written. Two writers of one path, of whatever process, are one too many. Must not know what is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace gq {

// The file that is written for a name: the name, or what it leads to as a symbolic link, be it there already or not.
// FormatError(io) where links lead round in a circle.
std::filesystem::path followed(const std::filesystem::path& name);

// What stands beside a file that followed() gave while it is written.
std::filesystem::path partial_of(const std::filesystem::path& file);

// PATH.partial, where PATH is followed(target), locked while it is written; removed unless it is committed to PATH. All
// throw FormatError(io) that names the path.
class OutputFile {
  public:
    // Refuses at once what could not be committed later: a folder, device, pipe or socket under the name or where it
    // leads, a missing folder around it, another writer at work.
    explicit OutputFile(const std::filesystem::path& target);
    ~OutputFile() { discard(); }
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    bool is_open() const { return fd_ >= 0; }
    // Gaps between the ranges written read as zero.
    void write(std::span<const std::byte> bytes, uint64_t offset);
    // The data is on the disk before the name is, and the name before this returns.
    void commit();

  private:
    void open_locked();
    void discard();
    [[noreturn]] void fail_lock(int error);
    [[noreturn]] void fail_io(const char* action, int error);
    [[noreturn]] void fail_write(size_t n_bytes, uint64_t offset, int error);

    std::filesystem::path target_, partial_;
    int fd_ = -1;
};

// Gives a finished file the name followed(to), replacing what had it; the name is on the disk before this returns.
// FormatError(io) naming both.
void move_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace gq
