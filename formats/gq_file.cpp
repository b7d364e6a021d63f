// The reader of .gq files: a mapping and the directory that points into it.
// In: a path. Out: tensors and sections without a copy, found by name; verify() holds the data against its hashes.
// Must not know the layout of records (gq_directory.cpp) or what codes mean.
#include "formats/gq_file.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <numeric>
#include <utility>

#include "formats/format_error.h"
#include "formats/gq_directory.h"
#include "formats/hash.h"

namespace gq {

namespace {

// Linear: a tensor has a few parts, a file a few sections. A hostile file that has many is asked for five by name.
template <typename Named>
const Named* find_named(const std::vector<Named>& all, std::string_view name) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace

const GqPart* GqTensor::find(std::string_view part) const {
    return find_named(parts, part);
}

bool is_gq_file(const std::filesystem::path& path) {
    std::error_code ignored;  // what can't be looked at can't be mapped either, and MappedFile says why
    if (std::filesystem::is_directory(path, ignored)) return false;
    // Three bytes: a file whose line ends a text-mode copy has changed is still a .gq, for its reader to name the
    // damage.
    constexpr size_t n = 3;
    const MappedFile file(path);
    return file.bytes().size() >= n && std::memcmp(file.bytes().data(), GqHeader::expected_magic.data(), n) == 0;
}

GqFile::GqFile(const std::filesystem::path& path, FileMemory memory) : file_(path, memory), path_(path) {
    GqDirectory directory = read_gq_directory(file_.bytes(), path_.string());
    minor_ = directory.minor_version;
    tensors_ = std::move(directory.tensors);
    sections_ = std::move(directory.sections);
    by_name_.resize(tensors_.size());
    std::iota(by_name_.begin(), by_name_.end(), size_t{0});
    std::sort(by_name_.begin(), by_name_.end(),
              [&](size_t a, size_t b) { return tensors_[a].name < tensors_[b].name; });
}

const GqTensor* GqFile::find(std::string_view name) const {
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                     [&](size_t i, std::string_view wanted) { return tensors_[i].name < wanted; });
    return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
}

const GqSection* GqFile::section(std::string_view name) const {
    return find_named(sections_, name);
}

void GqFile::verify() const {
    const auto check = [&](const std::string& what, std::span<const std::byte> bytes, uint64_t expected) {
        const uint64_t found = xxh64(bytes);
        if (found == expected) return;
        format_fail(FormatError::Kind::malformed,
                    "%s: %s altered: XXH64 %016" PRIx64 " expected, %016" PRIx64 " found in %zu bytes at byte %td",
                    path_.c_str(), what.c_str(), expected, found, bytes.size(), bytes.data() - file_.bytes().data());
    };
    for (const GqTensor& tensor : tensors_) {
        for (const GqPart& part : tensor.parts) {
            check("tensor " + gq::quoted(tensor.name) + ", part " + gq::quoted(part.name), part.bytes, part.hash);
        }
    }
    for (const GqSection& section : sections_)
        check("section " + gq::quoted(section.name), section.bytes, section.hash);
}

}  // namespace gq
