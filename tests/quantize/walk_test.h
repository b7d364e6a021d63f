// What tests of the whole walk share: a tiny checkpoint with something altered, and what the quantizer says of it.
// In: a committed tiny model's name, a change. Out: a folder removed with the object; the message of a refusal.
#pragma once

#include <doctest/doctest.h>

#include "formats/format_error.h"
#include "tests/tiny_model.h"

// A copy of a tiny checkpoint with one file's text replaced.
struct Altered {
    TemporaryPath folder{"altered"};
    explicit Altered(const std::string& name) { std::filesystem::copy(tiny_path(name), folder.path()); }
    std::filesystem::path file(const char* name) const { return folder.path() / name; }
    void write(const char* name, const std::string& text) const { std::ofstream(file(name), std::ios::binary) << text; }
    void replace(const char* name, const std::string& from, const std::string& to) const {
        std::string text = file_bytes(file(name));
        const size_t at = text.find(from);
        REQUIRE_MESSAGE(at != std::string::npos, from);
        text.replace(at, from.size(), to);
        write(name, text);
    }
};

inline std::string section_text(const gq::GqFile& file, const char* name) {
    const gq::GqSection* section = file.section(name);
    REQUIRE(section);
    return {reinterpret_cast<const char*>(section->bytes.data()), section->bytes.size()};
}
inline gq::JsonValue provenance_of(const gq::GqFile& file) {
    return gq::parse_json(section_text(file, "provenance"), "provenance");
}

struct Refusal {
    std::string message;      // "" when nothing was refused
    size_t n_progress = 0;    // calls before it: 0 where nothing was computed
    bool output_left = true;  // something stands under the output's name or beside it
    bool says(const std::string& words) const { return message.find(words) != std::string::npos; }
};

inline Refusal refuse(const std::filesystem::path& source, const gq::QuantizeOptions& options = tiny_options(4)) {
    const TemporaryPath out("refused.gq");
    gq::ThreadPool pool(1);
    Refusal refusal;
    try {
        gq::quantize_model(source, out.path(), options, {pool, gq::kernel_table()}, [&](const gq::QuantizeProgress&) {
            ++refusal.n_progress;
            return false;
        });
    } catch (const gq::Error& error) {
        refusal.message = error.what();
    } catch (const gq::FormatError& error) {
        refusal.message = error.what();
    }
    refusal.output_left =
        std::filesystem::exists(out.path()) || std::filesystem::exists(out.path().string() + ".partial");
    INFO(refusal.message);
    CHECK_FALSE(refusal.output_left);
    return refusal;
}
