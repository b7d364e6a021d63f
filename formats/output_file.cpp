// POSIX files: follow links, lock, write in place, fsync, rename. See output_file.h.
// In: bytes and where they stand. Out: a file under its final name. Must not know what the bytes mean.
#include "formats/output_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <string>
#include <system_error>

#include "formats/format_error.h"

namespace gq {

namespace {

namespace fs = std::filesystem;

constexpr auto io = FormatError::Kind::io;
constexpr int first_free_descriptor =
    3;  // a process may have closed its standard streams, and others still print there

std::string reason(int error) {
    return std::generic_category().message(error);
}

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// As errors call it.
std::string shown(const fs::path& name, const fs::path& file) {
    return name == file ? name.string() : name.string() + ", a link to " + file.string();
}

// What is wrong with a target is said before hours of work, not after.
void check_target(const fs::path& name, const fs::path& file) {
    std::error_code error, ignored;
    const std::string where = shown(name, file);
    const auto type = fs::status(name, error).type();
    if (type == fs::file_type::directory || !file.has_filename()) {
        format_fail(io, "%s: the name of a file to write expected, a folder found", where.c_str());
    }
    if (type == fs::file_type::none) {
        format_fail(io, "%s: a regular file or nothing expected, cannot be looked at: %s", where.c_str(),
                    error.message().c_str());
    }
    if (type != fs::file_type::regular && type != fs::file_type::not_found) {
        format_fail(io, "%s: a regular file or nothing expected, a device, pipe or socket found", where.c_str());
    }
    // The system's links to open files lead on after their names were removed.
    if (type == fs::file_type::regular && !fs::equivalent(name, file, ignored)) {
        format_fail(io, "%s: a file with a name expected, one that was removed found", where.c_str());
    }
    const fs::path folder = folder_of(file);
    if (!fs::is_directory(folder, ignored)) {
        format_fail(io, "%s: an existing folder expected for %s, %s found", folder.c_str(), where.c_str(),
                    fs::exists(folder, ignored) ? "something else" : "nothing");
    }
}

int open_above_streams(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0 || fd >= first_free_descriptor) return fd;
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, first_free_descriptor);
    const int error = errno;
    ::close(fd);
    errno = error;
    return moved;
}

// The name is on the disk when its folder is.
void sync_folder_of(const fs::path& target) {
    const fs::path folder = folder_of(target);
    const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // EINVAL: this kind of folder has nothing to sync.
    const bool synced = folder_fd >= 0 && (::fsync(folder_fd) == 0 || errno == EINVAL);
    const int error = errno;
    if (folder_fd >= 0) ::close(folder_fd);
    if (!synced) {
        format_fail(io, "%s: written, but its folder could not be flushed to disk: %s", target.c_str(),
                    reason(error).c_str());
    }
}

}  // namespace

fs::path followed(const fs::path& name) {
    constexpr int most_links = 40;  // as Linux follows
    fs::path file = name;
    for (int n = 0; n <= most_links; ++n) {
        std::error_code error;
        if (!fs::is_symlink(fs::symlink_status(file, error))) return file;
        const fs::path next = fs::read_symlink(file, error);
        if (error) format_fail(io, "%s: a link that can be read expected: %s", file.c_str(), error.message().c_str());
        file = file.parent_path() / next;  // an absolute one stands for itself
    }
    format_fail(io, "%s: a file, or links that lead to one, expected; more than %d links found", name.c_str(),
                most_links);
}

fs::path partial_of(const fs::path& file) {
    return file.string() + ".partial";
}

OutputFile::OutputFile(const fs::path& target) : target_(followed(target)), partial_(partial_of(target_)) {
    check_target(target, target_);
    open_locked();
    if (::ftruncate(fd_, 0) != 0) fail_io("emptying", errno);
}

void OutputFile::write(std::span<const std::byte> bytes, uint64_t offset) {
    for (size_t done = 0; done < bytes.size();) {
        const ssize_t n = ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_write(bytes.size() - done, offset + done, errno);
        done += static_cast<size_t>(n);
    }
}

void OutputFile::commit() {
    if (::fsync(fd_) != 0) fail_io("flushing to disk", errno);
    if (::rename(partial_.c_str(), target_.c_str()) != 0) fail_io("renaming to the final name", errno);
    ::close(fd_);
    fd_ = -1;
    sync_folder_of(target_);
}

// The lock outlives no process, so a file that can be locked belongs to nobody and may be replaced. Between open and
// lock another writer may have renamed or removed the file: then the lock is on the wrong one, and it starts again.
void OutputFile::open_locked() {
    for (;;) {
        fd_ = open_above_streams(partial_);
        if (fd_ < 0) format_fail(io, "%s: cannot create: %s", partial_.c_str(), reason(errno).c_str());
        if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) fail_lock(errno);
        struct stat locked, named;
        const bool known = ::fstat(fd_, &locked) == 0;
        if (known && !S_ISREG(locked.st_mode)) {
            ::close(fd_);  // nothing that a writer left: it stays
            fd_ = -1;
            format_fail(io, "%s: a regular file or nothing expected, a device, pipe or socket found", partial_.c_str());
        }
        if (known && ::lstat(partial_.c_str(), &named) == 0 && locked.st_dev == named.st_dev &&
            locked.st_ino == named.st_ino) {
            return;
        }
        ::close(fd_);
        fd_ = -1;
    }
}

void OutputFile::discard() {
    if (!is_open()) return;
    ::unlink(partial_.c_str());  // while the lock holds
    ::close(fd_);
    fd_ = -1;
}

void OutputFile::fail_lock(int error) {
    ::close(fd_);  // somebody else's file: it stays
    fd_ = -1;
    format_fail(io, "%s: cannot lock: %s", partial_.c_str(),
                error == EWOULDBLOCK ? "another writer is writing it" : reason(error).c_str());
}

void OutputFile::fail_io(const char* action, int error) {
    discard();
    format_fail(io, "%s: %s failed: %s", partial_.c_str(), action, reason(error).c_str());
}

void OutputFile::fail_write(size_t n_bytes, uint64_t offset, int error) {
    struct statvfs disk = {};
    const bool known = ::fstatvfs(fd_, &disk) == 0;
    const uint64_t free = known ? uint64_t{disk.f_bavail} * disk.f_frsize : 0;
    discard();
    format_fail(io,
                "%s: writing %zu bytes at byte %" PRIu64 " failed: %s (%zu more bytes needed, %" PRIu64
                " free on the disk)",
                partial_.c_str(), n_bytes, offset, reason(error).c_str(), n_bytes, free);
}

void move_file(const fs::path& from, const fs::path& to) {
    const fs::path file = followed(to);
    if (::rename(from.c_str(), file.c_str()) != 0)
        format_fail(io, "%s: cannot become %s: %s", from.c_str(), file.c_str(), reason(errno).c_str());
    sync_folder_of(file);
}

}  // namespace gq
