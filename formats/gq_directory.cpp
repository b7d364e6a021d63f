// The structure of a .gq file: checks it and reads it; encodes its header and records. The layout is drawn in
// gq_file.md. In: bytes of a file (or tensors with their offsets). Out: tensors and sections that point into them (or
// the bytes of records). Every count, size and offset is held against the bytes that are there before it is used. Must
// not know disks, codes or grids.
#include "formats/gq_directory.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "formats/format_error.h"
#include "formats/hash.h"

namespace gq {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

namespace {

constexpr auto malformed = FormatError::Kind::malformed;
constexpr auto unsupported = FormatError::Kind::unsupported;

//  record: | u32 kind | u32 payload_bytes | payload |
//  Readers step over kinds that they don't know, and over what a payload holds behind the fields they know.
enum class RecordKind : uint32_t { tensor = 1, section = 2, part = 3 };
constexpr size_t record_head_bytes = 8;

// --- header --------------------------------------------------------------------------------------------------------

// What people hand over instead of a .gq file.
struct ForeignFormat {
    size_t offset;
    std::string_view magic;
    const char* description;
};
constexpr ForeignFormat foreign_formats[] = {
    {0, "GGUF", "this looks like a GGUF file; quantize it first"},
    {8, "{\"", "this looks like a safetensors file; quantize its folder first"},
    {0, "PK\3\4", "this looks like a PyTorch checkpoint (zip); convert it to safetensors, then quantize it"},
    {0, "\x80\2", "this looks like a PyTorch checkpoint (pickle); convert it to safetensors, then quantize it"},
    {0, "version https://git-lfs", "this is a git-lfs pointer; fetch the file that it stands for"},
    {0, "<", "this looks like a web page; the download went wrong"},
    {0, "{", "this looks like JSON text"},
};

[[noreturn]] void fail_magic(std::string_view file, const std::string& where) {
    const std::string_view head = file.substr(0, sizeof(GqHeader));
    if (head.size() == sizeof(GqHeader) && head.find_first_not_of('\0') == std::string_view::npos) {
        format_fail(malformed, "%s: a .gq header expected, 64 zero bytes found: its writer never finished",
                    where.c_str());
    }
    const char* description = "this is no .gq file";
    for (const ForeignFormat& format : foreign_formats) {
        if (file.size() >= format.offset && file.substr(format.offset).starts_with(format.magic)) {
            description = format.description;
            break;
        }
    }
    const std::string_view expected(reinterpret_cast<const char*>(GqHeader::expected_magic.data()), 8);
    format_fail(malformed, "%s: magic %s of .gq expected, %s found: %s", where.c_str(), gq::quoted(expected).c_str(),
                gq::quoted(head.substr(0, 8)).c_str(), description);
}

void check_hash(const char* what, uint64_t expected, std::span<const std::byte> bytes, const std::string& where) {
    const uint64_t found = xxh64(bytes);
    if (found != expected) {
        format_fail(malformed, "%s: %s altered: XXH64 %016" PRIx64 " expected, %016" PRIx64 " found", where.c_str(),
                    what, expected, found);
    }
}

// Magic and version come first: another major version may mean something else by all that follows.
GqHeader read_header(std::span<const std::byte> file, const std::string& where, HashCheck hashes) {
    GqHeader header;
    const size_t magic_bytes = std::min(file.size(), header.magic.size());
    if (file.empty() || std::memcmp(file.data(), header.magic.data(), magic_bytes) != 0) {
        fail_magic({reinterpret_cast<const char*>(file.data()), file.size()}, where);
    }
    if (file.size() < sizeof header) {
        format_fail(malformed, "%s: truncated: a header of %zu bytes expected, %zu bytes found", where.c_str(),
                    sizeof header, file.size());
    }
    std::memcpy(&header, file.data(), sizeof header);
    if (header.major_version != gq_major_version) {
        format_fail(unsupported, "%s: .gq version %u.x expected, %u.%u found", where.c_str(), gq_major_version,
                    header.major_version, header.minor_version);
    }
    if (hashes == HashCheck::on) {
        check_hash("header", header.header_hash, file.first(offsetof(GqHeader, header_hash)), where);
    }
    return header;
}

// The directory's bytes, once the header's sizes agree with the file and with each other.
std::span<const std::byte> locate_directory(const GqHeader& header, std::span<const std::byte> file,
                                            const std::string& where) {
    if (header.file_bytes != file.size()) {
        format_fail(malformed, "%s: %s: %" PRIu64 " bytes expected, %zu found", where.c_str(),
                    file.size() < header.file_bytes ? "truncated" : "longer than its header says", header.file_bytes,
                    file.size());
    }
    const uint64_t offset = header.directory_offset;
    if (offset < sizeof(GqHeader) || offset > file.size() || offset % gq_alignment != 0 ||
        header.directory_bytes != file.size() - offset) {
        format_fail(malformed,
                    "%s: a directory at a multiple of 64 up to the end of the file (byte %zu) expected, "
                    "offset %" PRIu64 " with %" PRIu64 " bytes found",
                    where.c_str(), file.size(), offset, header.directory_bytes);
    }
    return file.subspan(offset);
}

// --- records -------------------------------------------------------------------------------------------------------

// A position inside a piece of the directory; what: the field, for messages.
class Cursor {
  public:
    Cursor(std::span<const std::byte> bytes, const std::string& where) : left_(bytes), where_(where) {}

    size_t left() const { return left_.size(); }

    std::span<const std::byte> take(uint64_t n_bytes, const char* what) {
        if (n_bytes > left_.size()) {
            format_fail(malformed, "%s: %s: %" PRIu64 " bytes expected, %zu left in the record", where_.c_str(), what,
                        n_bytes, left_.size());
        }
        const auto taken = left_.first(n_bytes);
        left_ = left_.subspan(n_bytes);
        return taken;
    }

    template <typename Number>
    Number number(const char* what) {
        Number value;
        std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
        return value;
    }

    std::string text(const char* what) {
        const auto bytes = take(number<uint8_t>(what), what);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }

    // A number of records to come, each of at least a head.
    uint32_t record_count(const char* what) {
        const auto count = number<uint32_t>(what);
        if (count > left() / record_head_bytes) {
            format_fail(malformed, "%s: %s: at most %zu expected in %zu bytes, %u found", where_.c_str(), what,
                        left() / record_head_bytes, left(), count);
        }
        return count;
    }

  private:
    std::span<const std::byte> left_;
    const std::string& where_;
};

class DirectoryReader {
  public:
    // data: the file up to the directory.
    DirectoryReader(std::span<const std::byte> data, const std::string& where) : data_(data), where_(where) {}

    GqDirectory read(std::span<const std::byte> bytes) const {
        GqDirectory directory;
        Cursor cursor(bytes, where_);
        const uint32_t count = cursor.record_count("directory: record count");
        cursor.number<uint32_t>("directory: reserved word");
        for (uint32_t i = 0; i < count; ++i) {
            read_record(cursor, where_ + ": directory record " + std::to_string(i), directory);
        }
        if (cursor.left() != 0) {
            format_fail(malformed, "%s: directory: an end after %u records expected, %zu bytes found", where_.c_str(),
                        count, cursor.left());
        }
        return directory;
    }

  private:
    void read_record(Cursor& cursor, const std::string& record_where, GqDirectory& directory) const {
        const auto kind = static_cast<RecordKind>(cursor.number<uint32_t>("record kind"));
        const auto payload = cursor.take(cursor.number<uint32_t>("record size"), "record");
        if (kind == RecordKind::tensor) directory.tensors.push_back(read_tensor(payload, record_where));
        if (kind == RecordKind::section) directory.sections.push_back(read_blob<GqSection>(payload, record_where));
    }

    GqTensor read_tensor(std::span<const std::byte> payload, const std::string& record_where) const {
        GqTensor tensor;
        Cursor cursor(payload, record_where);
        tensor.name = cursor.text("tensor name");
        tensor.codes = cursor.text("codes");
        tensor.grid = cursor.text("grid");
        tensor.experts = cursor.number<uint64_t>("experts");
        tensor.rows = cursor.number<uint64_t>("rows");
        tensor.cols = cursor.number<uint64_t>("cols");
        tensor.group = cursor.number<uint64_t>("group");
        const uint32_t n_parts = cursor.record_count("part count");
        for (uint32_t i = 0; i < n_parts; ++i) {
            const auto kind = static_cast<RecordKind>(cursor.number<uint32_t>("part record kind"));
            const auto part = cursor.take(cursor.number<uint32_t>("part record size"), "part record");
            if (kind == RecordKind::part) tensor.parts.push_back(read_blob<GqPart>(part, record_where));
        }
        return tensor;
    }

    // A part or a section: a name and a range of the data.
    template <typename Blob>
    Blob read_blob(std::span<const std::byte> payload, const std::string& record_where) const {
        Blob blob;
        Cursor cursor(payload, record_where);
        blob.name = cursor.text("name");
        const auto offset = cursor.number<uint64_t>("offset");
        const auto n_bytes = cursor.number<uint64_t>("bytes");
        blob.hash = cursor.number<uint64_t>("hash");
        if (offset < sizeof(GqHeader) || offset > data_.size() || n_bytes > data_.size() - offset) {
            format_fail(
                malformed,
                "%s: %s: bytes between %zu and %zu of the file expected, %" PRIu64 " bytes at %" PRIu64 " found",
                record_where.c_str(), gq::quoted(blob.name).c_str(), sizeof(GqHeader), data_.size(), n_bytes, offset);
        }
        if (offset % gq_alignment != 0) {
            format_fail(malformed, "%s: %s: an offset that is a multiple of %" PRIu64 " expected, %" PRIu64 " found",
                        record_where.c_str(), gq::quoted(blob.name).c_str(), gq_alignment, offset);
        }
        blob.bytes = data_.subspan(offset, n_bytes);
        return blob;
    }

    std::span<const std::byte> data_;
    const std::string& where_;
};

// --- rules over the whole directory --------------------------------------------------------------------------------

struct Extent {
    std::span<const std::byte> bytes;
    const std::string* owner;  // name of the tensor; null for a section
    const std::string* name;

    std::string description() const {
        return (owner ? "tensor " + gq::quoted(*owner) + ", part " : "section ") + gq::quoted(*name);
    }
};

void check_overlap(const GqDirectory& directory, std::span<const std::byte> file, const std::string& where) {
    std::vector<Extent> extents;
    for (const GqTensor& tensor : directory.tensors) {
        for (const GqPart& part : tensor.parts) extents.push_back({part.bytes, &tensor.name, &part.name});
    }
    for (const GqSection& section : directory.sections) extents.push_back({section.bytes, nullptr, &section.name});
    std::erase_if(extents, [](const Extent& extent) { return extent.bytes.empty(); });
    std::sort(extents.begin(), extents.end(),
              [](const Extent& a, const Extent& b) { return a.bytes.data() < b.bytes.data(); });
    for (size_t i = 1; i < extents.size(); ++i) {
        const Extent &before = extents[i - 1], &after = extents[i];
        if (after.bytes.data() >= before.bytes.data() + before.bytes.size()) continue;
        format_fail(malformed,
                    "%s: parts that don't overlap expected, %s (from byte %td) reaches into %s (from byte %td)",
                    where.c_str(), before.description().c_str(), before.bytes.data() - file.data(),
                    after.description().c_str(), after.bytes.data() - file.data());
    }
}

// --- encoding ------------------------------------------------------------------------------------------------------

void put_bytes(std::vector<std::byte>& out, const void* from, size_t n_bytes) {
    const size_t end = out.size();
    out.resize(end + n_bytes);
    if (n_bytes > 0) std::memcpy(out.data() + end, from, n_bytes);
}

template <typename Number>
void put(std::vector<std::byte>& out, Number value) {
    put_bytes(out, &value, sizeof value);
}

void put_text(std::vector<std::byte>& out, const std::string& text) {
    put(out, static_cast<uint8_t>(text.size()));
    put_bytes(out, text.data(), text.size());
}

std::vector<std::byte> encode_record(RecordKind kind, const std::vector<std::byte>& payload) {
    std::vector<std::byte> record;
    put(record, static_cast<uint32_t>(kind));
    put(record, static_cast<uint32_t>(payload.size()));
    put_bytes(record, payload.data(), payload.size());
    return record;
}

template <typename Blob>
std::vector<std::byte> encode_blob(RecordKind kind, const Blob& blob, uint64_t offset) {
    std::vector<std::byte> payload;
    put_text(payload, blob.name);
    put<uint64_t>(payload, offset);
    put<uint64_t>(payload, blob.bytes.size());
    put<uint64_t>(payload, blob.hash);
    return encode_record(kind, payload);
}

}  // namespace

GqDirectory read_gq_directory(std::span<const std::byte> file, const std::string& where, HashCheck hashes) {
    const GqHeader header = read_header(file, where, hashes);
    const auto bytes = locate_directory(header, file, where);
    if (hashes == HashCheck::on) check_hash("directory", header.directory_hash, bytes, where);
    GqDirectory directory = DirectoryReader(file.first(header.directory_offset), where).read(bytes);
    directory.minor_version = header.minor_version;
    check_overlap(directory, file, where);  // first: it bounds the bytes that the checks of scales read
    for (const GqTensor& tensor : directory.tensors) check_gq_tensor(tensor, where);
    for (const GqSection& section : directory.sections) check_gq_section(section, where);
    check_gq_names_unique(names_of(directory.tensors), "tensor", where);
    check_gq_names_unique(names_of(directory.sections), "section", where);
    return directory;
}

std::vector<std::byte> encode_gq_tensor(const GqTensor& tensor, std::span<const uint64_t> part_offsets) {
    std::vector<std::byte> payload;
    for (const std::string* text : {&tensor.name, &tensor.codes, &tensor.grid}) put_text(payload, *text);
    for (const uint64_t number : {tensor.experts, tensor.rows, tensor.cols, tensor.group}) put(payload, number);
    put(payload, static_cast<uint32_t>(tensor.parts.size()));
    for (size_t i = 0; i < tensor.parts.size(); ++i) {
        const auto part = encode_blob(RecordKind::part, tensor.parts[i], part_offsets[i]);
        put_bytes(payload, part.data(), part.size());
    }
    return encode_record(RecordKind::tensor, payload);
}

std::vector<std::byte> encode_gq_section(const GqSection& section, uint64_t offset) {
    return encode_blob(RecordKind::section, section, offset);
}

GqHeader make_gq_header(uint64_t directory_offset, std::span<const std::byte> directory) {
    GqHeader header;
    header.directory_offset = directory_offset;
    header.directory_bytes = directory.size();
    header.directory_hash = xxh64(directory);
    header.file_bytes = directory_offset + directory.size();
    header.header_hash = xxh64(std::as_bytes(std::span(&header, 1)).first(offsetof(GqHeader, header_hash)));
    return header;
}

}  // namespace gq
