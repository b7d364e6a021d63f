// The writer of .gq files: append-only, and the final name appears only when all is well.
// In: tensors and sections in the order in which they shall stand. Out: PATH, whose bytes depend on those calls only;
// on failure nothing. Parts are written as they come, unbuffered: they are large already. Must not know what codes
// mean, or keep more than the directory.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <set>
#include <system_error>
#include <utility>

#include "formats/format_error.h"
#include "formats/gq_directory.h"
#include "formats/gq_file.h"
#include "formats/hash.h"

namespace gq {

namespace {

namespace fs = std::filesystem;

constexpr auto malformed = FormatError::Kind::malformed;
constexpr auto io = FormatError::Kind::io;

std::string reason(int error) {
    return std::generic_category().message(error);
}

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// What is wrong with a target is said before hours of work, not after.
void check_target(const fs::path& path) {
    std::error_code ignored;
    const fs::path folder = folder_of(path);
    if (!fs::is_directory(folder, ignored)) {
        format_fail(io, "%s: an existing folder expected for %s, %s found", folder.c_str(), path.c_str(),
                    fs::exists(folder, ignored) ? "something else" : "nothing");
    }
    const auto type = fs::status(path, ignored).type();
    if (type == fs::file_type::directory || !path.has_filename()) {
        format_fail(io, "%s: the name of a file to write expected, a folder found", path.c_str());
    }
    if (type != fs::file_type::regular && type != fs::file_type::not_found) {
        format_fail(io, "%s: a regular file or nothing expected, a device, pipe or socket found", path.c_str());
    }
}

// PATH.partial, locked while it is written; removed unless it is committed to PATH.
class PartialFile {
  public:
    explicit PartialFile(const fs::path& target) : target_(target), partial_(target) {
        check_target(target);
        partial_ += ".partial";
        open_locked();
        if (::ftruncate(fd_, 0) != 0) fail_io("emptying", errno);
    }
    ~PartialFile() { discard(); }
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;

    bool is_open() const { return fd_ >= 0; }

    // Gaps between the ranges written read as zero.
    void write(std::span<const std::byte> bytes, uint64_t offset) {
        for (size_t done = 0; done < bytes.size();) {
            const ssize_t n =
                ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail_write(bytes.size() - done, offset + done, errno);
            done += static_cast<size_t>(n);
        }
    }

    // The data is on the disk before the name is, and the name before this returns.
    void commit() {
        if (::fsync(fd_) != 0) fail_io("flushing to disk", errno);
        if (::rename(partial_.c_str(), target_.c_str()) != 0) fail_io("renaming to the final name", errno);
        ::close(fd_);
        fd_ = -1;
        sync_folder();
    }

  private:
    // The lock outlives no process, so a file that can be locked belongs to nobody and may be replaced. Between open
    // and lock another writer may have renamed or removed the file: then the lock is on the wrong one, and it starts
    // again.
    void open_locked() {
        for (;;) {
            fd_ = ::open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
            if (fd_ < 0) format_fail(io, "%s: cannot create: %s", partial_.c_str(), reason(errno).c_str());
            if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) fail_lock(errno);
            struct stat locked, named;
            if (::fstat(fd_, &locked) == 0 && ::lstat(partial_.c_str(), &named) == 0 && locked.st_dev == named.st_dev &&
                locked.st_ino == named.st_ino) {
                return;
            }
            ::close(fd_);
            fd_ = -1;
        }
    }

    void discard() {
        if (!is_open()) return;
        ::unlink(partial_.c_str());  // while the lock holds
        ::close(fd_);
        fd_ = -1;
    }

    void sync_folder() const {
        const fs::path folder = folder_of(target_);
        const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        // EINVAL: this kind of folder has nothing to sync.
        const bool synced = folder_fd >= 0 && (::fsync(folder_fd) == 0 || errno == EINVAL);
        const int error = errno;
        if (folder_fd >= 0) ::close(folder_fd);
        if (!synced) {
            format_fail(io, "%s: written, but its folder could not be flushed to disk: %s", target_.c_str(),
                        reason(error).c_str());
        }
    }

    [[noreturn]] void fail_lock(int error) {
        ::close(fd_);  // somebody else's file: it stays
        fd_ = -1;
        format_fail(io, "%s: cannot lock: %s", partial_.c_str(),
                    error == EWOULDBLOCK ? "another writer is writing it" : reason(error).c_str());
    }

    [[noreturn]] void fail_io(const char* action, int error) {
        discard();
        format_fail(io, "%s: %s failed: %s", partial_.c_str(), action, reason(error).c_str());
    }

    [[noreturn]] void fail_write(size_t n_bytes, uint64_t offset, int error) {
        struct statvfs disk = {};
        const bool known = ::fstatvfs(fd_, &disk) == 0;
        const uint64_t free = known ? uint64_t{disk.f_bavail} * disk.f_frsize : 0;
        discard();
        format_fail(io,
                    "%s: writing %zu bytes at byte %" PRIu64 " failed: %s (%zu more bytes needed, %" PRIu64
                    " free on the disk)",
                    partial_.c_str(), n_bytes, offset, reason(error).c_str(), n_bytes, free);
    }

    fs::path target_, partial_;
    int fd_ = -1;
};

uint64_t align_up(uint64_t offset, uint64_t alignment) {
    return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace

struct GqWriter::State {
    explicit State(const fs::path& path) : where(path.string()), file(path) {}

    std::string where;
    PartialFile file;
    uint64_t end = sizeof(GqHeader);  // of what is written
    uint32_t n_records = 0;
    std::vector<std::byte> records;
    std::set<std::string> tensor_names, section_names;

    void check_open() const {
        if (!file.is_open()) {
            format_fail(malformed, "%s: a writer at work expected, it has finished or failed before", where.c_str());
        }
    }

    // Offset of the bytes in the file.
    uint64_t append(std::span<const std::byte> bytes) {
        const uint64_t offset = align_up(end, bytes.size() >= gq_page_threshold ? gq_page : gq_alignment);
        file.write(bytes, offset);
        end = offset + bytes.size();
        return offset;
    }

    void add_record(const std::vector<std::byte>& record) {
        records.insert(records.end(), record.begin(), record.end());
        ++n_records;
    }

    static void check_new(std::set<std::string>& names, const std::string& name, const char* what,
                          const std::string& where) {
        if (!names.insert(name).second) {
            format_fail(malformed, "%s: unique %s names expected, %s added twice", where.c_str(), what,
                        gq::quoted(name).c_str());
        }
    }
};

GqWriter::GqWriter(const fs::path& path) : state_(std::make_unique<State>(path)) {}
GqWriter::~GqWriter() = default;

void GqWriter::add_tensor(const GqTensor& tensor) {
    state_->check_open();
    check_gq_tensor(tensor, state_->where);
    State::check_new(state_->tensor_names, tensor.name, "tensor", state_->where);
    GqTensor written = tensor;
    std::vector<uint64_t> offsets;
    for (GqPart& part : written.parts) {
        part.hash = xxh64(part.bytes);
        offsets.push_back(state_->append(part.bytes));
    }
    state_->add_record(encode_gq_tensor(written, offsets));
}

void GqWriter::add_section(std::string name, std::span<const std::byte> bytes) {
    state_->check_open();
    const GqSection section{std::move(name), bytes, xxh64(bytes)};
    check_gq_section(section, state_->where);
    State::check_new(state_->section_names, section.name, "section", state_->where);
    state_->add_record(encode_gq_section(section, state_->append(bytes)));
}

void GqWriter::finish() {
    state_->check_open();
    const uint32_t head[2] = {state_->n_records, 0};
    const auto head_bytes = std::as_bytes(std::span(head));
    std::vector<std::byte> directory(head_bytes.begin(), head_bytes.end());
    directory.insert(directory.end(), state_->records.begin(), state_->records.end());
    const uint64_t offset = state_->append(directory);
    const GqHeader header = make_gq_header(offset, directory);
    state_->file.write(std::as_bytes(std::span(&header, 1)), 0);
    state_->file.commit();
}

uint64_t GqWriter::bytes_written() const {
    return state_->end;
}

}  // namespace gq
