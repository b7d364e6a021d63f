// Fuzzes the reader of GGUF files.
// In: bytes. Out: nothing, or FormatError. What is accepted must be readable tensors inside the bytes and writable
// metadata.
#include "formats/gguf.h"
#include "tests/fuzz/fuzz_tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
    try {
        const gq::GgufContents contents = gq::parse_gguf(file, "fuzz");
        check_tensors(contents.tensors, file);
        const std::string text = contents.metadata.dump();
        if (gq::parse_json(text, "dump").dump() != text) __builtin_trap();
    } catch (const gq::FormatError&) {
    }
    return 0;
}
