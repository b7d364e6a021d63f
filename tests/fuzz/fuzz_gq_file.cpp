// Fuzzes the reader of .gq structure, with the hashes switched off inside so that mutations get past them.
// In: bytes, taken once as a whole file and once as the directory of a file whose header is right. Out: nothing, or
// FormatError. What is accepted must keep the promises of gq_file.h: every part is readable memory inside the file.
#include <cstring>
#include <vector>

#include "formats/format_error.h"
#include "formats/gq_directory.h"
#include "formats/hash.h"

namespace {

constexpr size_t data_bytes = 4096;  // between header and directory; its last quarter is no finite fp16 number

void check(bool promise) {
    if (!promise) __builtin_trap();
}

void check_blob(std::span<const std::byte> file, std::span<const std::byte> blob, const std::string& name) {
    check(blob.data() >= file.data() && blob.data() + blob.size() <= file.data() + file.size());
    check(!name.empty() && name.size() <= gq::gq_max_name_bytes);
    volatile uint64_t sink = gq::xxh64(blob);  // reads every byte, under the sanitizers' eyes
    (void)sink;
}

void read(std::span<const std::byte> file) {
    try {
        const gq::GqDirectory directory = gq::read_gq_directory(file, "fuzz", gq::HashCheck::off);
        for (const gq::GqTensor& tensor : directory.tensors) {
            check(tensor.rows > 0 && tensor.cols > 0 && tensor.experts > 0);
            check(tensor.rows <= UINT64_MAX / tensor.cols / tensor.experts);
            for (const gq::GqPart& part : tensor.parts) check_blob(file, part.bytes, part.name);
        }
        for (const gq::GqSection& section : directory.sections) check_blob(file, section.bytes, section.name);
    } catch (const gq::FormatError&) {
    }
}

std::vector<std::byte> file_around(std::span<const std::byte> directory) {
    constexpr size_t offset = sizeof(gq::GqHeader) + data_bytes;
    std::vector<std::byte> file(offset + directory.size());
    std::memset(file.data() + offset - data_bytes / 4, 0x7C, data_bytes / 4);
    const gq::GqHeader header = gq::make_gq_header(offset, directory);
    std::memcpy(file.data(), &header, sizeof header);
    if (!directory.empty()) std::memcpy(file.data() + offset, directory.data(), directory.size());
    return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span input(reinterpret_cast<const std::byte*>(data), size);
    read(input);
    read(file_around(input));
    return 0;
}
