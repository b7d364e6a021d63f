// The .gq file: reader (mapped, zero-copy) and streaming writer. Layout and rules: gq_file.md, which this follows to
// the letter. In: named tensors made of named parts, and named sections (small blobs). Out: the same, with every offset
// and count checked against the file. Must not know what codes, grids or sections mean; it carries their names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/mapped_file.h"

namespace gq {

struct GqPart {
    std::string name;                  // "codes", "scales", "zeros", "bias", "lorc_u", "lorc_v"; later "perm"
    std::span<const std::byte> bytes;  // reader: into the mapping; writer: the caller's memory
    uint64_t hash = 0;                 // XXH64 of bytes as the directory says; the writer computes it and ignores this
};

struct GqTensor {
    std::string name;   // "blocks.3.attn_q"
    std::string codes;  // "int4", "f16", …; core/packing knows what it means
    std::string grid;   // "zero_point", "symmetric", …; empty for float codes
    uint64_t experts = 1, rows = 0, cols = 0;
    uint64_t group = 0;  // inputs per scale; 0 for one scale a row and for float codes
    std::vector<GqPart> parts;

    const GqPart* find(std::string_view part) const;
};

struct GqSection {
    std::string name;  // "model", "tokenizer", "chat_template", "generation", "provenance"
    std::span<const std::byte> bytes;
    uint64_t hash = 0;  // as in GqPart
};

// Whether a file begins as a .gq does, whatever follows; false for a folder. Throws FormatError(io) when it can't be
// read.
bool is_gq_file(const std::filesystem::path& path);

class GqFile {
  public:
    // Checks header, directory, every bound, and that all scales are finite; not the data's hashes. Throws FormatError.
    explicit GqFile(const std::filesystem::path& path, FileMemory memory = FileMemory::mapped);

    std::span<const GqTensor> tensors() const { return tensors_; }
    const GqTensor* find(std::string_view name) const;
    const GqSection* section(std::string_view name) const;
    std::span<const GqSection> sections() const { return sections_; }
    size_t file_bytes() const { return file_.bytes().size(); }
    unsigned minor_version() const { return minor_; }

    std::string lock() const { return file_.lock(); }  // as MappedFile's

    // Reads everything and compares hashes; throws FormatError naming the first part that differs.
    void verify() const;

  private:
    MappedFile file_;
    std::filesystem::path path_;
    unsigned minor_ = 0;
    std::vector<GqTensor> tensors_;
    std::vector<size_t> by_name_;  // indices of tensors_, in the order of their names
    std::vector<GqSection> sections_;
};

// How long a file will be, before its bytes are known: tensors and sections in the order in which they will be written.
class GqMeter {
  public:
    GqMeter();
    // part_bytes: by part; the parts' own bytes and hashes are not looked at.
    void add_tensor(const GqTensor& tensor, std::span<const uint64_t> part_bytes);
    void add_section(std::string name, uint64_t bytes);
    uint64_t file_bytes() const;  // with its directory

  private:
    uint64_t end_, directory_bytes_;
};

// Writes PATH.partial and renames it to PATH in finish(); a symbolic link stands for what it leads to. A writer that
// fails or is destroyed before leaves PATH untouched and removes PATH.partial; what a killed process left behind is
// replaced by the next writer. PATH.partial is locked: a second writer is refused. Every function throws FormatError:
// io with the system's reason, or malformed when the reader would refuse what was passed.
class GqWriter {
  public:
    // The folder of path must exist; path itself must not exist or be a regular file.
    explicit GqWriter(const std::filesystem::path& path);
    ~GqWriter();
    GqWriter(const GqWriter&) = delete;
    GqWriter& operator=(const GqWriter&) = delete;

    // On return the bytes have been handed to the operating system; the spans are not kept. Names must be new.
    void add_tensor(const GqTensor& tensor);
    void add_section(std::string name, std::span<const std::byte> bytes);

    // Directory, header, fsync, rename, fsync of the folder. Call once, last.
    void finish();
    uint64_t bytes_written() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace gq
