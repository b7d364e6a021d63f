// The structure of a .gq file, apart from disks: header, directory records, and the rules that both must keep
// (gq_file.md). In: the bytes of a whole file. Out: tensors and sections that point into them. And back: the bytes of a
// header or of a record. Internal to formats/, its tests and its fuzz target. Must not know how bytes come from or go
// to a disk.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gq_file.h"

namespace gq {

inline constexpr uint16_t gq_major_version = 1;
inline constexpr uint16_t gq_minor_version = 1;
inline constexpr uint64_t gq_alignment = 64;          // of every part and section, and of the directory
inline constexpr uint64_t gq_page = 4096;             // of parts and sections of gq_page_threshold bytes or more,
inline constexpr uint64_t gq_page_threshold = 65536;  // where it costs at most 1/16 (a rule for writers only)
inline constexpr uint64_t gq_max_dimension = uint64_t{1} << 40;
inline constexpr size_t gq_max_name_bytes = 255;

struct GqHeader {
    // PNG's trick: a byte above 0x7F, CR LF, Ctrl-Z and LF show what a text-mode copy would have destroyed.
    static constexpr std::array<uint8_t, 8> expected_magic = {0x89, 'G', 'Q', '\r', '\n', 0x1A, '\n', 0};

    std::array<uint8_t, 8> magic = expected_magic;
    uint16_t major_version = gq_major_version;
    uint16_t minor_version = gq_minor_version;
    uint32_t flags = 0;             // none defined in 1.0; readers of 1.x ignore them
    uint64_t directory_offset = 0;  // in bytes from the start of the file
    uint64_t directory_bytes = 0;   // up to the end of the file
    uint64_t directory_hash = 0;    // XXH64 of the directory
    uint64_t file_bytes = 0;
    uint64_t reserved = 0;
    uint64_t header_hash = 0;  // XXH64 of the 56 bytes before
};
static_assert(sizeof(GqHeader) == 64);

struct GqDirectory {
    unsigned minor_version = 0;
    std::vector<GqTensor> tensors;
    std::vector<GqSection> sections;
};

// Switching it off lets a fuzzer past the two hashes; everything else is checked all the same.
enum class HashCheck : bool { off, on };

// Checks and reads the structure of a whole file; `where` is the path that messages show. Throws FormatError.
// The parts and sections point into `file`, whose first byte must be 64-byte aligned (a mapping is).
GqDirectory read_gq_directory(std::span<const std::byte> file, const std::string& where,
                              HashCheck hashes = HashCheck::on);

// The rules that a tensor or a section must keep by itself: names, dimensions, finite scales. Readers and writers share
// them.
void check_gq_tensor(const GqTensor& tensor, const std::string& where);
void check_gq_section(const GqSection& section, const std::string& where);
void check_gq_names_unique(std::vector<std::string_view> names, const char* what, const std::string& where);

template <typename Named>
std::vector<std::string_view> names_of(const std::vector<Named>& all) {
    std::vector<std::string_view> names;
    names.reserve(all.size());
    for (const Named& one : all) names.push_back(one.name);
    return names;
}

// The record of a tensor or a section whose bytes stand at the given offsets of the file (one for each part), hashes
// filled in.
std::vector<std::byte> encode_gq_tensor(const GqTensor& tensor, std::span<const uint64_t> part_offsets);
std::vector<std::byte> encode_gq_section(const GqSection& section, uint64_t offset);

// The header of a finished file that ends with this directory.
GqHeader make_gq_header(uint64_t directory_offset, std::span<const std::byte> directory);

}  // namespace gq
