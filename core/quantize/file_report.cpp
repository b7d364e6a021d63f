// Provenance and directory of a .gq, merged. See file_report.h.
// In: a .gq. Out: JSON, or the page. Must not know what figures mean.
#include "core/quantize/file_report.h"

#include <algorithm>
#include <unordered_map>

#include "core/base/status.h"
#include "core/quantize/report_html.h"
#include "formats/format_error.h"

namespace gq {
namespace {

JsonValue size_value(uint64_t value) {
    return JsonValue::of_integer(static_cast<int64_t>(value));
}

// Members of `from` whose keys are not among those that `to` has.
void add_members(JsonValue& to, const JsonValue& from) {
    if (!from.is_object()) return;
    std::vector<std::string> own;
    for (const auto& [key, value] : to.as_object("")) own.push_back(key);
    for (const auto& [key, value] : from.as_object(""))
        if (std::find(own.begin(), own.end(), key) == own.end()) to.set(key, value);
}

JsonValue tensor_report(const GqTensor& tensor) {
    JsonValue json, bytes = JsonValue::of_object({});
    json.set("name", JsonValue::of_string(tensor.name));
    json.set("codes", JsonValue::of_string(tensor.codes));
    json.set("grid", JsonValue::of_string(tensor.grid));
    json.set("shape", JsonValue::of_array({size_value(tensor.rows), size_value(tensor.cols)}));
    json.set("group", size_value(tensor.group));
    for (const GqPart& part : tensor.parts) bytes.set(part.name, size_value(part.bytes.size()));
    json.set("bytes", std::move(bytes));
    return json;
}

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::unordered_map<std::string, const JsonValue*> by_name(const JsonValue& provenance) {
    std::unordered_map<std::string, const JsonValue*> told;
    const JsonValue* tensors = provenance.find("tensors");
    if (!tensors || !tensors->is_array()) return told;
    for (const JsonValue& tensor : tensors->as_array("tensors"))
        if (const JsonValue* name = tensor.find("name"); name && name->is_string())
            told.emplace(name->as_string("name"), &tensor);
    return told;
}

JsonValue merged(const GqFile& file, const JsonValue& provenance) {
    const auto told = by_name(provenance);
    JsonValue::Array tensors;
    for (const GqTensor& tensor : file.tensors()) {
        tensors.push_back(tensor_report(tensor));
        if (const auto at = told.find(tensor.name); at != told.end()) add_members(tensors.back(), *at->second);
    }
    JsonValue json, sections = JsonValue::of_object({});
    for (const GqSection& section : file.sections()) sections.set(section.name, size_value(section.bytes.size()));
    json.set("file_bytes", size_value(file.file_bytes()));
    json.set("sections", std::move(sections));
    json.set("tensors", JsonValue::of_array(std::move(tensors)));
    add_members(json, provenance);
    return json;
}

}  // namespace

JsonValue file_report(const GqFile& file, const std::string& name) {
    const GqSection* section = file.section("provenance");
    return merged(file, section ? parse_json(text_of(section->bytes), name + ": section 'provenance'") : JsonValue());
}

void write_report(OutputFile& file, double seconds, const std::filesystem::path& gq_file, const std::string& provenance,
                  const std::filesystem::path& report) {
    try {
        JsonValue json = merged(GqFile(gq_file), parse_json(provenance, "provenance"));
        json.set("seconds", JsonValue::of_number(seconds));
        const std::string text = report.extension() == ".html" ? report_page(json) : json.dump(1) + "\n";
        file.write(std::as_bytes(std::span(text)), 0);
        file.commit();
    } catch (const FormatError& error) {
        fail(Status::io, "%s is complete, its report is not: %s", gq_file.c_str(), error.what());
    }
}

}  // namespace gq
