// Fuzzes the JSON parser and writer.
// In: bytes. Out: nothing, or FormatError. What is accepted must read back to the same text after it was written.
#include <string>

#include "formats/format_error.h"
#include "formats/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const gq::JsonValue value = gq::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
        const std::string text = value.dump();
        if (!gq::is_utf8(text) || gq::parse_json(text, "dump").dump() != text) __builtin_trap();
        if (gq::parse_json(value.dump(1), "indented dump").dump() != text) __builtin_trap();
    } catch (const gq::FormatError&) {
    }
    return 0;
}
