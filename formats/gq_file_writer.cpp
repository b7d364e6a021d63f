// The writer of .gq files: append-only, and the final name appears only when all is well.
// In: tensors and sections in the order in which they shall stand. Out: PATH, whose bytes depend on those calls only;
// on failure nothing. Parts are written as they come, unbuffered: they are large already. Must not know what codes
// mean, or keep more than the directory.
#include <cinttypes>
#include <set>
#include <utility>

#include "formats/format_error.h"
#include "formats/gq_directory.h"
#include "formats/gq_file.h"
#include "formats/hash.h"
#include "formats/output_file.h"

namespace gq {

namespace {

namespace fs = std::filesystem;

constexpr auto malformed = FormatError::Kind::malformed;

uint64_t align_up(uint64_t offset, uint64_t alignment) {
    return (offset + alignment - 1) / alignment * alignment;
}

uint64_t place(uint64_t end, uint64_t bytes) {
    return align_up(end, bytes >= gq_page_threshold ? gq_page : gq_alignment);
}

constexpr uint64_t directory_head_bytes = 8;

}  // namespace

struct GqWriter::State {
    explicit State(const fs::path& path) : where(path.string()), file(path) {}

    std::string where;
    OutputFile file;
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
        const uint64_t offset = place(end, bytes.size());
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
    static_assert(sizeof head == directory_head_bytes);
    const auto head_bytes = std::as_bytes(std::span(head));
    std::vector<std::byte> directory(head_bytes.begin(), head_bytes.end());
    directory.insert(directory.end(), state_->records.begin(), state_->records.end());
    const uint64_t offset = state_->append(directory);
    const GqHeader header = make_gq_header(offset, directory);
    state_->file.write(std::as_bytes(std::span(&header, 1)), 0);
    state_->file.commit();
}

GqMeter::GqMeter() : end_(sizeof(GqHeader)), directory_bytes_(directory_head_bytes) {}

void GqMeter::add_tensor(const GqTensor& tensor, std::span<const uint64_t> part_bytes) {
    for (const uint64_t bytes : part_bytes) end_ = place(end_, bytes) + bytes;
    directory_bytes_ += encode_gq_tensor(tensor, std::vector<uint64_t>(part_bytes.size())).size();
}

void GqMeter::add_section(std::string name, uint64_t bytes) {
    end_ = place(end_, bytes) + bytes;
    directory_bytes_ += encode_gq_section({std::move(name), {}, 0}, 0).size();
}

uint64_t GqMeter::file_bytes() const {
    return place(end_, directory_bytes_) + directory_bytes_;
}

uint64_t GqWriter::bytes_written() const {
    return state_->end;
}

}  // namespace gq
