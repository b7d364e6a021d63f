// Fuzzes the reader of safetensors files.
// In: bytes. Out: nothing, or FormatError. What is accepted must be readable tensors inside the bytes.
#include "formats/safetensors.h"
#include "tests/fuzz/fuzz_tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
    try {
        check_tensors(gq::parse_safetensors(file, "fuzz"), file);
    } catch (const gq::FormatError&) {
    }
    return 0;
}
