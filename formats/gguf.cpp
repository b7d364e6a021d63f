// One GGUF file, version 2 or 3 (specification: github.com/ggml-org/ggml, docs/gguf.md).
//   "GGUF" | u32 version | i64 tensors | i64 pairs | pairs: key, u32 type, value | tensors: name, u32 rank, i64
//   ne[rank], u32 type, u64 offset | padding to general.alignment | data. Strings are a u64 length and bytes; ne[0] is
//   the fastest dimension.
// In: the file's bytes. Out: key-value pairs and tensors. The rules are ggml's own, limits included; must not know what
// a key means.
#include "formats/gguf.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "formats/format_error.h"
#include "formats/mapped_file.h"
#include "formats/tensor_table.h"

namespace gq {
namespace {

constexpr auto malformed = FormatError::Kind::malformed;
constexpr auto unsupported = FormatError::Kind::unsupported;
constexpr size_t max_tensors = 1'000'000, max_rank = 4, max_tensor_name_bytes = 63, max_key_bytes = 65535;
constexpr size_t max_string_bytes = size_t{1} << 30;
// Array elements of a whole file: a value in memory takes 40 bytes, whatever it has in the file, so all of them 160
// MiB. The largest vocabularies have 2^18 tokens, each with a text, a score, a type and about two merges.
constexpr size_t max_array_elements = size_t{1} << 22;
constexpr size_t min_pair_bytes = 8 + 1 + 4 + 1, min_tensor_bytes = 8 + 1 + 4 + 4 + 8;

// --- reading in order ------------------------------------------------------------------------------------------------

class Cursor {
  public:
    Cursor(std::span<const std::byte> file, const std::string& name) : file_(file), name_(name) {}

    size_t offset() const { return at_; }
    size_t left() const { return file_.size() - at_; }
    const char* name() const { return name_.c_str(); }

    const std::byte* take(size_t bytes, const std::string& what) {
        if (bytes > left()) {
            format_fail(malformed, "%s: byte %zu: expected %s of %zu bytes, found %zu bytes before the end of the file",
                        name(), at_, what.c_str(), bytes, left());
        }
        at_ += bytes;
        return file_.data() + at_ - bytes;
    }

    template <typename T>
    T number(const std::string& what) {
        T value;
        std::memcpy(&value, take(sizeof value, what), sizeof value);
        return value;
    }

    // A count of things that take at least min_bytes each, so that a false count can't make anyone allocate.
    size_t count(size_t min_bytes, size_t max, const std::string& what) {
        const size_t begin = at_;
        const auto n = number<uint64_t>("the number of " + what);
        const size_t limit = std::min(max, left() / min_bytes);
        if (n > limit) {
            format_fail(malformed, "%s: byte %zu: expected at most %zu %s, found %llu", name(), begin, limit,
                        what.c_str(), static_cast<unsigned long long>(n));
        }
        return n;
    }

    std::string string(size_t max_bytes, const std::string& what) {
        const size_t begin = at_, bytes = count(1, max_bytes, "bytes in " + what);
        std::string text(reinterpret_cast<const char*>(take(bytes, what)), bytes);
        if (!is_utf8(text)) {
            format_fail(malformed, "%s: byte %zu: expected UTF-8 in %s, found %s", name(), begin, what.c_str(),
                        gq::quoted(text).c_str());
        }
        return text;
    }

    // A key or a tensor's name.
    std::string identifier(size_t max_bytes, const char* what) {
        const size_t begin = at_;
        std::string text = string(max_bytes, what);
        if (text.empty())
            format_fail(malformed, "%s: byte %zu: expected %s, found an empty string", name(), begin, what);
        return text;
    }

  private:
    std::span<const std::byte> file_;
    const std::string& name_;
    size_t at_ = 0;
};

// --- key-value pairs -------------------------------------------------------------------------------------------------

template <typename T>
JsonValue integer_value(const std::byte* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    if (std::in_range<int64_t>(value)) return JsonValue::of_integer(static_cast<int64_t>(value));
    return JsonValue::of_number(static_cast<double>(value));
}

template <typename T>
JsonValue real_value(const std::byte* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return JsonValue::of_number(static_cast<double>(value));
}

JsonValue bool_value(const std::byte* bytes) {
    return JsonValue::of_bool(*bytes != std::byte{0});
}

// A type of values, by its number in the file. Strings and arrays have no fixed size.
struct ValueType {
    size_t bytes;
    JsonValue (*read)(const std::byte* bytes);
};
constexpr ValueType value_types[] = {
    {1, integer_value<uint8_t>},
    {1, integer_value<int8_t>},
    {2, integer_value<uint16_t>},
    {2, integer_value<int16_t>},
    {4, integer_value<uint32_t>},
    {4, integer_value<int32_t>},
    {4, real_value<float>},
    {1, bool_value},
    {0, nullptr},
    {0, nullptr},
    {8, integer_value<uint64_t>},
    {8, integer_value<int64_t>},
    {8, real_value<double>},
};
constexpr uint32_t u32_type = 4, string_type = 8, array_type = 9;

uint32_t read_value_type(Cursor& cursor, const std::string& what) {
    const size_t begin = cursor.offset();
    const auto type = cursor.number<uint32_t>("the type of " + what);
    if (type < std::size(value_types)) return type;
    format_fail(unsupported, "%s: byte %zu: expected a value type from 0 to 12 for %s, found %u", cursor.name(), begin,
                what.c_str(), type);
}

JsonValue read_scalar(Cursor& cursor, uint32_t type, const std::string& what) {
    if (type == string_type) return JsonValue::of_string(cursor.string(max_string_bytes, what));
    return value_types[type].read(cursor.take(value_types[type].bytes, what));
}

JsonValue read_array(Cursor& cursor, size_t& elements_left, const std::string& what) {
    const size_t begin = cursor.offset();
    const uint32_t type = read_value_type(cursor, "the elements of " + what);
    if (type == array_type) {
        format_fail(unsupported, "%s: byte %zu: expected numbers or strings in the array %s, found arrays",
                    cursor.name(), begin, what.c_str());
    }
    constexpr size_t min_string_bytes = 8;
    const size_t min_bytes = type == string_type ? min_string_bytes : value_types[type].bytes;
    const size_t n = cursor.count(min_bytes, elements_left, "elements in " + what);
    elements_left -= n;
    JsonValue::Array elements;
    elements.reserve(n);
    for (size_t i = 0; i < n; i++) elements.push_back(read_scalar(cursor, type, what));
    return JsonValue::of_array(std::move(elements));
}

struct Pairs {
    JsonValue::Object members;
    size_t alignment = 32;  // of the data and of each tensor
};

size_t check_alignment(const JsonValue& value, uint32_t type, const char* name) {
    const int64_t alignment = type == u32_type ? value.as_integer("general.alignment") : 0;
    if (alignment > 0 && std::has_single_bit(static_cast<uint64_t>(alignment))) return static_cast<size_t>(alignment);
    format_fail(malformed, "%s: general.alignment: expected a power of two of type u32, found %s of value type %u",
                name, value.is_array() ? "an array" : gq::quoted(value.dump()).c_str(), type);
}

Pairs read_pairs(Cursor& cursor, size_t n) {
    Pairs pairs;
    size_t elements_left = max_array_elements;
    for (size_t i = 0; i < n; i++) {
        std::string key = cursor.identifier(max_key_bytes, "a key");
        const std::string what = "the value of " + gq::quoted(key);
        const uint32_t type = read_value_type(cursor, what);
        JsonValue value =
            type == array_type ? read_array(cursor, elements_left, what) : read_scalar(cursor, type, what);
        if (key == "general.alignment") pairs.alignment = check_alignment(value, type, cursor.name());
        pairs.members.emplace_back(std::move(key), std::move(value));
    }
    std::vector<std::string_view> keys;
    for (const auto& member : pairs.members) keys.push_back(member.first);
    if (const auto twice = find_duplicate(std::move(keys))) {
        format_fail(malformed, "%s: expected keys that differ, found %s twice", cursor.name(),
                    gq::quoted(*twice).c_str());
    }
    return pairs;
}

// --- tensors ---------------------------------------------------------------------------------------------------------

// A type of tensors, by its number in the file. Those that are not converted here have their size, so that the rest can
// be checked.
struct TensorType {
    uint32_t number;
    ElementType type;
    ElementTraits traits_of_other;
};
constexpr ElementTraits in_the_table = {nullptr, 0, 0, nullptr};
constexpr TensorType tensor_types[] = {
    {0, ElementType::f32, in_the_table},
    {1, ElementType::f16, in_the_table},
    {2, ElementType::q4_0, in_the_table},
    {3, ElementType::q4_1, in_the_table},
    {6, ElementType::q5_0, in_the_table},
    {7, ElementType::q5_1, in_the_table},
    {8, ElementType::q8_0, in_the_table},
    {9, ElementType::q8_1, in_the_table},
    {10, ElementType::q2_k, in_the_table},
    {11, ElementType::q3_k, in_the_table},
    {12, ElementType::q4_k, in_the_table},
    {13, ElementType::q5_k, in_the_table},
    {14, ElementType::q6_k, in_the_table},
    {15, ElementType::q8_k, in_the_table},
    {16, ElementType::other, {"IQ2_XXS", 256, 66, nullptr}},
    {17, ElementType::other, {"IQ2_XS", 256, 74, nullptr}},
    {18, ElementType::other, {"IQ3_XXS", 256, 98, nullptr}},
    {19, ElementType::other, {"IQ1_S", 256, 50, nullptr}},
    {20, ElementType::iq4_nl, in_the_table},
    {21, ElementType::other, {"IQ3_S", 256, 110, nullptr}},
    {22, ElementType::other, {"IQ2_S", 256, 82, nullptr}},
    {23, ElementType::iq4_xs, in_the_table},
    {24, ElementType::i8, in_the_table},
    {25, ElementType::i16, in_the_table},
    {26, ElementType::i32, in_the_table},
    {27, ElementType::i64, in_the_table},
    {28, ElementType::f64, in_the_table},
    {29, ElementType::other, {"IQ1_M", 256, 56, nullptr}},
    {30, ElementType::bf16, in_the_table},
    {34, ElementType::other, {"TQ1_0", 256, 54, nullptr}},
    {35, ElementType::other, {"TQ2_0", 256, 66, nullptr}},
    {39, ElementType::other, {"MXFP4", 32, 17, nullptr}},
    {40, ElementType::other, {"NVFP4", 64, 36, nullptr}},
    {41, ElementType::other, {"Q1_0", 128, 18, nullptr}},
};

const ElementTraits& traits_of(const TensorType& row) {
    return row.type == ElementType::other ? row.traits_of_other : traits(row.type);
}

const TensorType& read_tensor_type(Cursor& cursor, const std::string& what) {
    const size_t begin = cursor.offset();
    const auto number = cursor.number<uint32_t>("the type of " + what);
    const auto row = std::find_if(std::begin(tensor_types), std::end(tensor_types),
                                  [&](const TensorType& t) { return t.number == number; });
    if (row != std::end(tensor_types)) return *row;
    format_fail(unsupported, "%s: byte %zu: expected a known tensor type for %s, found number %u", cursor.name(), begin,
                what.c_str(), number);
}

// Slowest dimension first: the reverse of the file's order.
std::vector<size_t> read_shape(Cursor& cursor, const std::string& what) {
    const size_t begin = cursor.offset();
    const auto rank = cursor.number<uint32_t>("the rank of " + what);
    if (rank > max_rank) {
        format_fail(malformed, "%s: byte %zu: expected at most %zu dimensions for %s, found %u", cursor.name(), begin,
                    max_rank, what.c_str(), rank);
    }
    std::vector<size_t> shape(rank);
    for (size_t i = rank; i-- > 0;) {
        const auto dimension = cursor.number<int64_t>("a dimension of " + what);
        if (dimension < 1) {
            format_fail(malformed, "%s: byte %zu: expected a dimension of at least 1 for %s, found %lld", cursor.name(),
                        cursor.offset() - sizeof dimension, what.c_str(), static_cast<long long>(dimension));
        }
        shape[i] = static_cast<size_t>(dimension);
    }
    return shape;
}

// What a file says of one tensor.
struct TensorInfo {
    SourceTensor tensor;  // bytes and where are filled by place_tensors
    size_t bytes;
    uint64_t offset;  // from the start of the data
    const char* type_name;
};

size_t tensor_bytes(const SourceTensor& tensor, const ElementTraits& type, const char* name) {
    const size_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (row % type.block_elements != 0) {
        format_fail(malformed, "%s: tensor %s: expected a first dimension of whole blocks of %zu for %s, found %zu",
                    name, gq::quoted(tensor.name).c_str(), type.block_elements, type.name, row);
    }
    size_t elements = 0, bytes = 0;
    if (count_elements(tensor.shape, elements) && count_bytes(elements, type, bytes)) return bytes;
    format_fail(malformed, "%s: tensor %s: expected a size below 2^64 bytes, found %s %s", name,
                gq::quoted(tensor.name).c_str(), type.name, shape_text(tensor.shape).c_str());
}

TensorInfo read_tensor_info(Cursor& cursor) {
    TensorInfo info{};
    info.tensor.name = cursor.identifier(max_tensor_name_bytes, "a tensor's name");
    const std::string what = "tensor " + gq::quoted(info.tensor.name);
    info.tensor.shape = read_shape(cursor, what);
    const TensorType& row = read_tensor_type(cursor, what);
    info.tensor.type = row.type;
    info.type_name = traits_of(row).name;
    info.bytes = tensor_bytes(info.tensor, traits_of(row), cursor.name());
    info.offset = cursor.number<uint64_t>("the offset of " + what);
    return info;
}

size_t align_up(size_t value, size_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}

// Gives each tensor its bytes. Tensors lie side by side, each padded to the alignment, in the order of their infos.
std::vector<SourceTensor> place_tensors(std::vector<TensorInfo> infos, std::span<const std::byte> file,
                                        size_t data_begin, size_t alignment, const std::string& name) {
    const std::span<const std::byte> data = file.subspan(std::min(data_begin, file.size()));
    std::vector<SourceTensor> tensors;
    size_t expected = 0;
    for (TensorInfo& info : infos) {
        SourceTensor& tensor = info.tensor;
        if (info.offset != expected) {
            format_fail(malformed, "%s: tensor %s: expected the offset %zu, the padded sizes before it, found %llu",
                        name.c_str(), gq::quoted(tensor.name).c_str(), expected,
                        static_cast<unsigned long long>(info.offset));
        }
        if (expected > data.size() || info.bytes > data.size() - expected) {
            format_fail(malformed,
                        "%s: tensor %s: expected %zu bytes at byte %zu, found the end of the file at byte %zu",
                        name.c_str(), gq::quoted(tensor.name).c_str(), info.bytes, data_begin + expected, file.size());
        }
        tensor.bytes = data.subspan(expected, info.bytes);
        tensor.where = "byte " + std::to_string(data_begin + expected) + " of " + name;
        if (tensor.type == ElementType::other) tensor.where += std::string(" (type ") + info.type_name + ")";
        expected = align_up(expected + info.bytes, alignment);
        tensors.push_back(std::move(tensor));
    }
    return tensors;
}

// --- the file --------------------------------------------------------------------------------------------------------

void check_magic_and_version(Cursor& cursor) {
    const std::string magic(reinterpret_cast<const char*>(cursor.take(4, "the magic")), 4);
    if (magic != "GGUF")
        format_fail(malformed, "%s: byte 0: expected \"GGUF\", found %s", cursor.name(), gq::quoted(magic).c_str());
    const auto version = cursor.number<uint32_t>("the version");
    if (version == 2 || version == 3) return;
    const bool swapped = version != 0 && (version & 0xFFFF) == 0;
    format_fail(unsupported, "%s: byte 4: expected GGUF version 2 or 3, found %s%u", cursor.name(),
                swapped ? "a big-endian file of version " : "", swapped ? __builtin_bswap32(version) : version);
}

void check_not_split(const JsonValue& metadata, const char* name) {
    const JsonValue* parts = metadata.find("split.count");
    if (parts == nullptr || parts->as_integer("split.count") <= 1) return;
    format_fail(unsupported,
                "%s: split.count: expected a whole model in one file, found one of %lld parts (llama-gguf-split "
                "--merge joins them)",
                name, static_cast<long long>(parts->as_integer("split.count")));
}

class GgufFile final : public Checkpoint {
  public:
    explicit GgufFile(const std::filesystem::path& path) : path_(path), file_(path) {
        GgufContents contents = parse_gguf(file_.bytes(), path.filename().string());
        metadata_ = std::move(contents.metadata);
        tensors_ = TensorTable(std::move(contents.tensors));
    }

    Kind kind() const override { return Kind::gguf; }
    std::filesystem::path path() const override { return path_; }
    const JsonValue& metadata() const override { return metadata_; }
    std::span<const SourceTensor> tensors() const override { return tensors_.all(); }
    const SourceTensor* find(std::string_view name) const override { return tensors_.find(name); }
    void forget(const SourceTensor& tensor) const override { file_.forget(tensor.bytes); }

  private:
    std::filesystem::path path_;
    MappedFile file_;
    JsonValue metadata_;
    TensorTable tensors_;
};

}  // namespace

GgufContents parse_gguf(std::span<const std::byte> file, const std::string& name) {
    Cursor cursor(file, name);
    check_magic_and_version(cursor);
    const size_t n_tensors = cursor.count(min_tensor_bytes, max_tensors, "tensors");
    const size_t n_pairs = cursor.count(min_pair_bytes, file.size(), "key-value pairs");
    Pairs pairs = read_pairs(cursor, n_pairs);
    GgufContents contents;
    contents.metadata = JsonValue::of_object(std::move(pairs.members));
    check_not_split(contents.metadata, cursor.name());

    std::vector<TensorInfo> infos;
    for (size_t i = 0; i < n_tensors; i++) infos.push_back(read_tensor_info(cursor));
    const size_t data_begin = align_up(cursor.offset(), pairs.alignment);
    contents.tensors = place_tensors(std::move(infos), file, data_begin, pairs.alignment, name);
    return contents;
}

std::unique_ptr<Checkpoint> open_gguf(const std::filesystem::path& path) {
    return std::make_unique<GgufFile>(path);
}

}  // namespace gq
