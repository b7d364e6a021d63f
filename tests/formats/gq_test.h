// What the tests of .gq files share: the example file, and the shape of a message.
// In: nothing; or a message. Out: the same file that tests/golden/make_gq_file.py writes; whether a message fits.
// Must not know which rule is tested.
#pragma once

#include <cstring>
#include <initializer_list>
#include <vector>

#include "formats/gq_directory.h"
#include "formats/gq_file.h"
#include "tests/formats/format_test.h"
#include "tests/test_paths.h"

namespace gq::test {

namespace fs = std::filesystem;
using ByteVector = std::vector<std::byte>;

// Expects a FormatError of this kind ("malformed", "unsupported", "io") whose message holds every one of these pieces.
template <typename Call>
void check_fails(Call call, const char* kind, std::initializer_list<std::string_view> pieces) {
    const std::string error = error_of(call);
    CHECK_MESSAGE(error.starts_with(kind), error);
    for (const std::string_view piece : pieces) check_contains(error, piece);
}

inline ByteVector read_file(const fs::path& path) {
    const std::string text = file_bytes(path);
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

inline void write_file(const fs::path& path, std::span<const std::byte> bytes) {
    std::ofstream stream(path, std::ios::binary);
    stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

inline bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

// --- the example that tests/golden/make_gq_file.py writes too ------------------------------------------------------

inline constexpr uint64_t example_hash = 0x98d752b94bc5c9f5u;  // printed by that script

inline ByteVector pattern(size_t n, size_t salt) {
    ByteVector bytes(n);
    for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>((7 * i + salt) % 64);
    return bytes;
}

struct Example {
    ByteVector codes = pattern(1024, 1), scales = pattern(128, 2), zeros = pattern(32, 3), norm = pattern(20, 4);
    ByteVector expert_codes = pattern(1024, 5), expert_scales = pattern(64, 6), big = pattern(65536, 7);
    std::vector<GqPart> linear = {{"codes", codes}, {"scales", scales}, {"zeros", zeros}};
    std::vector<GqPart> experts = {{"codes", expert_codes}, {"scales", expert_scales}};
    std::vector<GqTensor> tensors = {
        {"blocks.0.attn_q", "int4", "zero_point", 1, 20, 40, 32, linear},
        {"final_norm", "f32", "", 1, 1, 5, 0, {{"values", norm}}},
        {"blocks.0.\u00e9t\u00e9", "int8", "symmetric", 2, 7, 32, 0, experts},
        {"big", "f16", "", 1, 1, 32768, 0, {{"values", big}}},
    };

    void write(const fs::path& path) const {
        GqWriter writer(path);
        writer.add_section("model", bytes_of(R"({"arch":"llama"})"));
        for (const GqTensor& tensor : tensors) writer.add_tensor(tensor);
        writer.add_section("chat_template", {});
        writer.finish();
    }
};

inline ByteVector example_bytes() {
    const TemporaryFolder folder;
    Example().write(folder.path() / "model.gq");
    return read_file(folder.path() / "model.gq");
}

inline GqTensor small_tensor(const std::string& name, std::span<const std::byte> values) {
    return {name, "f32", "", 1, 1, values.size() / 4, 0, {{"values", values}}};
}

inline GqDirectory parse(std::span<const std::byte> file) {
    return read_gq_directory(file, "m.gq");
}

}  // namespace gq::test
