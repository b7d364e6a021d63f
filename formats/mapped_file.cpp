// A whole file as read-only memory, by POSIX mmap or read.
// In: a path. Out: its bytes. Must not know what they mean. A file that another process shortens while it is mapped
// gives SIGBUS on access; that can't be caught here, so files are to be replaced by rename, never rewritten in place.
#include "formats/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

MappedFile::MappedFile(const std::filesystem::path& path, FileMemory memory) : memory_(memory) {
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
    size_ = static_cast<size_t>(facts.st_size);
    memory == FileMemory::mapped ? map(file.fd, path) : copy(file.fd, path);
}

void MappedFile::map(int fd, const std::filesystem::path& path) {
    void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) fail_with_reason("map", path);
    data_ = static_cast<const std::byte*>(data);
}

void MappedFile::copy(int fd, const std::filesystem::path& path) {
    MappedFile owner;  // gives the memory back where reading fails
    void* data = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) fail_with_reason("find memory for", path);
    owner.data_ = static_cast<const std::byte*>(data);
    owner.size_ = size_;
    ::madvise(data, size_, MADV_HUGEPAGE);  // a wish
    for (size_t done = 0; done < size_;) {
        const ssize_t n = ::read(fd, static_cast<std::byte*>(data) + done, size_ - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_with_reason("read", path);
        if (n == 0)
            format_fail(FormatError::Kind::io, "can't read %s: %zu bytes expected, it ended after %zu", path.c_str(),
                        size_, done);
        done += static_cast<size_t>(n);
    }
    ::mprotect(data, size_, PROT_READ);
    data_ = std::exchange(owner.data_, nullptr);
}

std::string MappedFile::lock() const {
    if (data_ == nullptr || ::mlock(data_, size_) == 0) return {};
    const int reason = errno;
    rlimit limit{};
    ::getrlimit(RLIMIT_MEMLOCK, &limit);
    return "mlock of " + std::to_string(size_) + " bytes: " + std::strerror(reason) + "; the limit RLIMIT_MEMLOCK is " +
           (limit.rlim_cur == RLIM_INFINITY ? "none" : std::to_string(limit.rlim_cur) + " bytes") +
           ", which `ulimit -l` shows and sets";
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), memory_(other.memory_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(memory_, other.memory_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::forget(std::span<const std::byte> range) const {
    if (memory_ == FileMemory::copied) return;  // there would be nothing to read it back from
    const auto base = reinterpret_cast<uintptr_t>(data_), begin = reinterpret_cast<uintptr_t>(range.data());
    if (range.empty() || begin < base || begin - base > size_ || range.size() > size_ - (begin - base)) return;
    // Whole pages, outward: a neighbour's share of an edge page is read back from the file when it is touched.
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t first = (begin - base) / page * page;
    const size_t last = begin - base + range.size();
    ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

}  // namespace gq
