// The rules that a tensor or a section of a .gq file keeps by itself: names, dimensions, finite scales (gq_file.md,
// "Limits"). In: what a directory says, or what a caller wants written. Out: nothing, or a FormatError; so a writer
// never writes what the reader refuses. Must not know offsets, codes or grids.
#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <string_view>

#include "formats/element_type.h"
#include "formats/format_error.h"
#include "formats/gq_directory.h"
#include "formats/utf8.h"

namespace gq {

namespace {

constexpr auto malformed = FormatError::Kind::malformed;

bool is_control(std::string_view text, size_t at) {
    const auto byte = static_cast<uint8_t>(text[at]);
    return byte < 0x20 || byte == 0x7F || (byte == 0xC2 && static_cast<uint8_t>(text[at + 1]) < 0xA0);
}

// what: "tensor name", "part name", "codes", …
void check_name(std::string_view name, const char* what, const std::string& where) {
    if (name.empty() || name.size() > gq_max_name_bytes) {
        format_fail(malformed, "%s: %s of 1 to %zu bytes expected, %zu found", where.c_str(), what, gq_max_name_bytes,
                    name.size());
    }
    for (size_t at = 0, length; at < name.size(); at += length) {
        length = utf8_sequence_bytes(name.substr(at));
        if (length == 0 || is_control(name, at)) {
            format_fail(malformed, "%s: %s in UTF-8 without control characters expected, byte %zu of %s is 0x%02x",
                        where.c_str(), what, at, gq::quoted(name).c_str(), static_cast<uint8_t>(name[at]));
        }
    }
}

void check_dimensions(const GqTensor& tensor, const std::string& where) {
    const auto check = [&](const char* what, uint64_t least, uint64_t value) {
        if (value < least || value > gq_max_dimension) {
            format_fail(malformed, "%s: %s of %" PRIu64 " to %" PRIu64 " expected, %" PRIu64 " found", where.c_str(),
                        what, least, gq_max_dimension, value);
        }
    };
    check("experts", 1, tensor.experts);
    check("rows", 1, tensor.rows);
    check("cols", 1, tensor.cols);
    check("group", 0, tensor.group);
    uint64_t values;
    if (__builtin_mul_overflow(tensor.rows, tensor.cols, &values) ||
        __builtin_mul_overflow(values, tensor.experts, &values)) {
        format_fail(malformed,
                    "%s: experts x rows x cols below 2^64 expected, %" PRIu64 " x %" PRIu64 " x %" PRIu64 " found",
                    where.c_str(), tensor.experts, tensor.rows, tensor.cols);
    }
}

// Index of the first fp16 value that is infinite or NaN, or n. A file is opened by reading all its scales, so the loop
// over a block has no exit: an exponent of all ones (0x7C00) plus 0x0400 carries into bit 15, and the carries are
// or-ed.
size_t find_non_finite_f16(const std::byte* values, size_t n) {
    constexpr size_t block_values = 2048;
    uint16_t block[block_values];
    for (size_t begin = 0; begin < n; begin += block_values) {
        const size_t count = std::min(block_values, n - begin);
        std::memcpy(block, values + begin * sizeof *block, count * sizeof *block);
        uint16_t carries = 0;
        for (size_t i = 0; i < count; ++i) carries = static_cast<uint16_t>(carries | ((block[i] & 0x7C00) + 0x0400));
        if ((carries & 0x8000) == 0) continue;
        const auto bad = std::find_if(block, block + count, [](uint16_t v) { return (v & 0x7C00u) == 0x7C00u; });
        return begin + static_cast<size_t>(bad - block);
    }
    return n;
}

bool holds_scales(std::string_view name) {
    return name == "scales" || name == "lorc_u_scales" || name == "lorc_v_scales";
}

void check_scales(const GqPart& part, const std::string& where) {
    if (part.bytes.size() % 2 != 0) {
        format_fail(malformed, "%s: part \"%s\": fp16 values of 2 bytes expected, %zu bytes found", where.c_str(),
                    part.name.c_str(), part.bytes.size());
    }
    const size_t n = part.bytes.size() / 2;
    const size_t bad = find_non_finite_f16(part.bytes.data(), n);
    if (bad == n) return;
    uint16_t value;
    std::memcpy(&value, part.bytes.data() + 2 * bad, sizeof value);
    format_fail(malformed, "%s: part \"%s\": finite fp16 values expected, value %zu of %zu is %g (0x%04x)",
                where.c_str(), part.name.c_str(), bad, n, static_cast<double>(f16_to_f32(value)), value);
}

}  // namespace

void check_gq_names_unique(std::vector<std::string_view> names, const char* what, const std::string& where) {
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) {
        format_fail(malformed, "%s: unique %s names expected, %s found twice", where.c_str(), what,
                    gq::quoted(*twin).c_str());
    }
}

void check_gq_tensor(const GqTensor& tensor, const std::string& where) {
    check_name(tensor.name, "tensor name", where);
    const std::string tensor_where = where + ": tensor " + gq::quoted(tensor.name);
    check_name(tensor.codes, "codes", tensor_where);
    if (!tensor.grid.empty()) check_name(tensor.grid, "grid", tensor_where);
    check_dimensions(tensor, tensor_where);
    for (const GqPart& part : tensor.parts) {
        check_name(part.name, "part name", tensor_where);
        if (holds_scales(part.name)) check_scales(part, tensor_where);
    }
    check_gq_names_unique(names_of(tensor.parts), "part", tensor_where);
}

void check_gq_section(const GqSection& section, const std::string& where) {
    check_name(section.name, "section name", where);
}

}  // namespace gq
