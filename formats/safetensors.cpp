// One safetensors file.
//   u64 n, little-endian | n bytes of JSON: {"name": {"dtype", "shape", "data_offsets": [begin, end)}, …,
//   "__metadata__": {…}} | data
// In: the file's bytes. Out: its tensors. Rules and the header's limit are those of the format's reference
// implementation (github.com/huggingface/safetensors); the other limits are beyond any real file.
// Must not know folders or what a tensor means.
#include "formats/safetensors.h"

#include <algorithm>
#include <cstring>

#include "formats/format_error.h"
#include "formats/tensor_table.h"

namespace gq {
namespace {

constexpr auto malformed = FormatError::Kind::malformed;
constexpr size_t max_header_bytes = 100'000'000, max_tensors = 1'000'000, max_name_bytes = 1024, max_rank = 8,
                 max_depth = 8;

struct Dtype {
    std::string_view name;
    ElementType type;
};
constexpr Dtype dtypes[] = {
    {"F32", ElementType::f32}, {"F16", ElementType::f16},         {"BF16", ElementType::bf16},
    {"F64", ElementType::f64}, {"BOOL", ElementType::boolean},    {"I8", ElementType::i8},
    {"U8", ElementType::u8},   {"I16", ElementType::i16},         {"U16", ElementType::u16},
    {"I32", ElementType::i32}, {"U32", ElementType::u32},         {"I64", ElementType::i64},
    {"U64", ElementType::u64}, {"F8_E4M3", ElementType::f8_e4m3}, {"F8_E5M2", ElementType::f8_e5m2},
};

// Where the header and the data lie in the file.
struct Parts {
    std::string_view header;
    std::span<const std::byte> data;
    size_t data_begin;
};

Parts split(std::span<const std::byte> file, const std::string& name) {
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    if (text.starts_with("version https://git-lfs")) {
        format_fail(malformed,
                    "%s: expected a safetensors file, found a Git LFS pointer to it (`git lfs pull` fetches the file)",
                    name.c_str());
    }
    uint64_t header_bytes = 0;
    if (file.size() < sizeof header_bytes) {
        format_fail(malformed, "%s: expected at least 8 bytes, the header's length, found %zu", name.c_str(),
                    file.size());
    }
    std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
    const size_t left = file.size() - sizeof header_bytes;
    if (header_bytes > max_header_bytes || header_bytes > left) {
        format_fail(malformed, "%s: expected a header of at most %zu bytes, found the length %llu at byte 0",
                    name.c_str(), std::min(max_header_bytes, left), static_cast<unsigned long long>(header_bytes));
    }
    const std::string_view header = text.substr(sizeof header_bytes, header_bytes);
    if (!header.starts_with('{')) {
        format_fail(malformed, "%s: byte 8: expected '{', the start of the header, found %s", name.c_str(),
                    header.empty() ? "an empty header" : gq::quoted(header.substr(0, 1)).c_str());
    }
    const size_t data_begin = sizeof header_bytes + header_bytes;
    return {header, file.subspan(data_begin), data_begin};
}

void check_metadata(const JsonValue& metadata, const std::string& name) {
    const std::string what = name + ": __metadata__";
    for (const auto& [key, value] : metadata.as_object(what.c_str()))
        value.as_string((what + "." + gq::quoted(key)).c_str());
}

size_t as_size(const JsonValue& value, const std::string& what) {
    const int64_t size = value.as_integer(what.c_str());
    if (size < 0) format_fail(malformed, "%s: expected a size, found %lld", what.c_str(), static_cast<long long>(size));
    return static_cast<size_t>(size);
}

ElementType as_element_type(const JsonValue& value, const std::string& what) {
    const std::string& name = value.as_string((what + ": dtype").c_str());
    const auto row = std::find_if(std::begin(dtypes), std::end(dtypes), [&](const Dtype& d) { return d.name == name; });
    if (row != std::end(dtypes)) return row->type;
    format_fail(FormatError::Kind::unsupported, "%s: expected a dtype such as F32, F16 or BF16, found %s", what.c_str(),
                gq::quoted(name).c_str());
}

std::vector<size_t> as_shape(const JsonValue& value, const std::string& what) {
    const JsonValue::Array& dimensions = value.as_array(what.c_str());
    if (dimensions.size() > max_rank) {
        format_fail(malformed, "%s: expected at most %zu dimensions, found %zu", what.c_str(), max_rank,
                    dimensions.size());
    }
    std::vector<size_t> shape;
    for (const JsonValue& dimension : dimensions) shape.push_back(as_size(dimension, what));
    return shape;
}

struct Range {
    size_t begin, end;
};

Range as_offsets(const JsonValue& value, size_t data_bytes, const std::string& what) {
    const JsonValue::Array& offsets = value.as_array(what.c_str());
    if (offsets.size() != 2) format_fail(malformed, "%s: expected 2 numbers, found %zu", what.c_str(), offsets.size());
    const Range range{as_size(offsets[0], what), as_size(offsets[1], what)};
    if (range.begin <= range.end && range.end <= data_bytes) return range;
    format_fail(malformed, "%s: expected begin <= end <= %zu, the bytes of data in the file, found [%zu, %zu]",
                what.c_str(), data_bytes, range.begin, range.end);
}

void check_bytes(const SourceTensor& tensor, size_t found, const std::string& what) {
    const ElementTraits& type = traits(tensor.type);
    const std::string shape = shape_text(tensor.shape);
    size_t elements = 0, expected = 0;
    if (!count_elements(tensor.shape, elements) || !count_bytes(elements, type, expected)) {
        format_fail(malformed, "%s: expected a size below 2^64 bytes, found %s %s", what.c_str(), type.name,
                    shape.c_str());
    }
    if (expected != found) {
        format_fail(malformed, "%s: expected %zu bytes for %s %s, found %zu", what.c_str(), expected, type.name,
                    shape.c_str(), found);
    }
}

// The tensor of one member of the header, its bytes inside the data.
SourceTensor read_entry(const std::string& key, const JsonValue& entry, const Parts& parts, const std::string& name) {
    const std::string what = name + ": tensor " + gq::quoted(key);
    if (key.size() > max_name_bytes) {
        format_fail(malformed, "%s: expected a name of at most %zu bytes, found %zu", what.c_str(), max_name_bytes,
                    key.size());
    }
    SourceTensor tensor;
    tensor.name = key;
    tensor.type = as_element_type(entry.at("dtype", what.c_str()), what);
    tensor.shape = as_shape(entry.at("shape", what.c_str()), what + ": shape");
    const std::string offsets_what = what + ": data_offsets";
    const auto [begin, end] = as_offsets(entry.at("data_offsets", what.c_str()), parts.data.size(), offsets_what);
    check_bytes(tensor, end - begin, offsets_what);
    tensor.bytes = parts.data.subspan(begin, end - begin);
    tensor.where = "byte " + std::to_string(parts.data_begin + begin) + " of " + name;
    return tensor;
}

// The tensors, in the order of their bytes, must fill the data: no hole, no overlap, nothing behind them.
void check_contiguous(const std::vector<SourceTensor>& tensors, const Parts& parts, const std::string& name) {
    size_t expected = 0;
    for (const SourceTensor& tensor : tensors) {
        const auto begin = static_cast<size_t>(tensor.bytes.data() - parts.data.data());
        if (begin != expected) {
            format_fail(
                malformed,
                "%s: tensor %s: expected to begin at byte %zu of the data, where the one before it ends, found %zu",
                name.c_str(), gq::quoted(tensor.name).c_str(), expected, begin);
        }
        expected += tensor.bytes.size();
    }
    if (expected != parts.data.size()) {
        format_fail(malformed, "%s: expected %zu bytes of data, the end of the last tensor, found %zu", name.c_str(),
                    expected, parts.data.size());
    }
}

}  // namespace

std::vector<SourceTensor> parse_safetensors(std::span<const std::byte> file, const std::string& name) {
    const Parts parts = split(file, name);
    const JsonValue header = parse_json(parts.header, name + " (header)", {.max_depth = max_depth});
    const JsonValue::Object& entries = header.as_object(name.c_str());
    if (entries.size() > max_tensors) {
        format_fail(malformed, "%s: expected at most %zu tensors, found %zu", name.c_str(), max_tensors,
                    entries.size());
    }
    std::vector<SourceTensor> tensors;
    for (const auto& [key, entry] : entries) {
        if (key == "__metadata__")
            check_metadata(entry, name);
        else
            tensors.push_back(read_entry(key, entry, parts, name));
    }
    // A tensor without bytes may share its begin with the next one: it goes first.
    std::sort(tensors.begin(), tensors.end(), [](const SourceTensor& a, const SourceTensor& b) {
        return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
    });
    check_contiguous(tensors, parts, name);
    return tensors;
}

}  // namespace gq
