// A whole file as read-only memory, by POSIX mmap.
// In: a path. Out: its bytes. Must not know what they mean. A file that another process shortens while it is mapped
// gives SIGBUS on access; that can't be caught here, so files are to be replaced by rename, never rewritten in place.
#include "formats/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "formats/format_error.h"

namespace gq {
namespace {

struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

[[noreturn]] void fail_with_reason(const char* what, const std::filesystem::path& path) {
    format_fail(FormatError::Kind::io, "can't %s %s: %s", what, path.c_str(), std::strerror(errno));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
    // O_NONBLOCK: a named pipe must not hang before it can be refused.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.fd < 0) fail_with_reason("open", path);
    struct stat facts {};
    if (::fstat(file.fd, &facts) != 0) fail_with_reason("read the size of", path);
    if (!S_ISREG(facts.st_mode)) {
        format_fail(FormatError::Kind::io, "can't map %s: expected a regular file, found %s", path.c_str(),
                    S_ISDIR(facts.st_mode) ? "a folder" : "something else");
    }
    if (facts.st_size == 0) return;
    const auto size = static_cast<size_t>(facts.st_size);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (data == MAP_FAILED) fail_with_reason("map", path);
    data_ = static_cast<const std::byte*>(data);
    size_ = size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::forget(std::span<const std::byte> range) const {
    const auto base = reinterpret_cast<uintptr_t>(data_), begin = reinterpret_cast<uintptr_t>(range.data());
    if (range.empty() || begin < base || begin - base > size_ || range.size() > size_ - (begin - base)) return;
    // Whole pages, outward: a neighbour's share of an edge page is read back from the file when it is touched.
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t first = (begin - base) / page * page;
    const size_t last = begin - base + range.size();
    ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

}  // namespace gq
