// What inspect needs: descriptions of files, a tokenizer alone.
// In: paths and sizes of the caller, checked here. Out: text in the caller's buffer, handles, numbers, gq_status.
// Must not know how files are laid out: formats/ does.
#include <cstdio>

#include "core/api/boundary.h"
#include "core/api/handles.h"
#include "core/quantize/file_report.h"
#include "core/quantize/report_data.h"
#include "core/quantize/report_html.h"
#include "formats/checkpoint.h"

namespace gq {
namespace {

JsonValue text_value(std::string_view text) {
    return JsonValue::of_string(std::string(text));
}
JsonValue size_value(uint64_t value) {
    return JsonValue::of_integer(static_cast<int64_t>(value));
}

std::string_view text_of(const GqSection& section) {
    return {reinterpret_cast<const char*>(section.bytes.data()), section.bytes.size()};
}

JsonValue describe_tensor(const GqTensor& tensor) {
    JsonValue json, parts;
    json.set("name", text_value(tensor.name));
    json.set("codes", text_value(tensor.codes));
    json.set("grid", text_value(tensor.grid));
    json.set("shape", JsonValue::of_array({size_value(tensor.rows), size_value(tensor.cols)}));
    json.set("group", size_value(tensor.group));
    for (const GqPart& part : tensor.parts) parts.set(part.name, size_value(part.bytes.size()));
    json.set("bytes", parts);
    return json;
}

JsonValue describe_gq(const std::filesystem::path& path, bool verify) {
    const GqFile file(path);
    if (verify) file.verify();
    JsonValue json, sections, tensors = JsonValue::of_array({});
    json.set("kind", text_value("gq"));
    json.set("file_bytes", size_value(file.file_bytes()));
    for (const GqSection& section : file.sections()) sections.set(section.name, size_value(section.bytes.size()));
    json.set("sections", sections);
    for (const char* name : {"model", "generation", "provenance"})
        if (const GqSection* section = file.section(name))
            json.set(name, parse_json(text_of(*section), path.string() + ": section '" + name + "'"));
    for (const GqTensor& tensor : file.tensors()) tensors.push(describe_tensor(tensor));
    json.set("tensors", tensors);
    return json;
}

constexpr size_t shown_array = 16;  // longer arrays (vocabularies) are told by their length

JsonValue shortened(const JsonValue& value) {
    if (value.is_array() && value.as_array("").size() > shown_array)
        return text_value(std::to_string(value.as_array("").size()) + " elements");
    return value;
}

JsonValue describe_checkpoint(const std::filesystem::path& path) {
    const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(path);
    JsonValue json, metadata, tensors = JsonValue::of_array({});
    const bool gguf = checkpoint->kind() == Checkpoint::Kind::gguf;
    json.set("kind", text_value(gguf ? "gguf" : "safetensors"));
    const JsonValue* shown = gguf ? &checkpoint->metadata() : checkpoint->metadata().find("config");
    if (shown && shown->is_object())
        for (const auto& [key, value] : shown->as_object("metadata")) metadata.set(key, shortened(value));
    json.set("metadata", metadata);
    for (const SourceTensor& tensor : checkpoint->tensors()) {
        JsonValue row, shape = JsonValue::of_array({});
        for (const size_t n : tensor.shape) shape.push(size_value(n));
        row.set("name", text_value(tensor.name));
        row.set("type", text_value(traits(tensor.type).name));
        row.set("shape", shape);
        row.set("bytes", size_value(tensor.bytes.size()));
        tensors.push(row);
    }
    json.set("tensors", tensors);
    return json;
}

JsonValue describe(const std::filesystem::path& path, bool verify) {
    if (is_gq_file(path)) return describe_gq(path, verify);
    if (verify)
        fail(Status::invalid_argument,
             "%s: verifying expects a .gq, which holds hashes, found another kind of checkpoint", path.c_str());
    return describe_checkpoint(path);
}

// One line a member; tensors as a table.
void print_member(std::string& out, const std::string& key, const JsonValue& value) {
    if (!value.is_object()) {
        out += key + ": " + (value.is_string() ? value.as_string("") : value.dump()) + "\n";
        return;
    }
    for (const auto& [name, member] : value.as_object(""))
        if (!(member.is_array() && member.as_array("").size() > shown_array))
            print_member(out, key + "." + name, member);
}

std::string lines_of(const JsonValue& json) {
    std::string out;
    for (const auto& [key, value] : json.as_object("description")) {
        if (key != "tensors") {
            print_member(out, key, value);
            continue;
        }
        for (const JsonValue& tensor : value.as_array("tensors")) {
            std::string line = tensor.at("name", "tensor").as_string("name");
            line.resize(std::max<size_t>(line.size() + 1, 44), ' ');
            for (const auto& [name, member] : tensor.as_object("tensor"))
                if (name != "name")
                    line += " " + name + " " + (member.is_string() ? member.as_string("") : member.dump());
            out += line + "\n";
        }
    }
    return out;
}

// What quantizing did, by role; after what describes the file.
std::string quality_of(const std::filesystem::path& path) {
    if (!is_gq_file(path)) return "";
    const std::string table = role_table(report_data(file_report(GqFile(path), path.string())));
    return table.empty() ? "" : "\n" + table;
}

std::string page_of(const std::filesystem::path& path, const char* figures) {
    if (!is_gq_file(path))
        fail(Status::invalid_argument, "%s: a report expects a .gq, found another kind of checkpoint", path.c_str());
    JsonValue report = file_report(GqFile(path), path.string());
    if (!figures) return report_page(report);
    JsonValue json = parse_json(figures, "figures");
    if (!has_figures(json))
        fail(
            Status::invalid_argument,
            "figures: an object expected as ./perplexity --json prints, with a number under 'ppl', 'kl_mean', 'acc' or "
            "another of its keys; found none");
    report.set("figures", std::move(json));
    return report_page(report);
}

}  // namespace
}  // namespace gq

extern "C" {

gq_status gq_describe(const char* path, int32_t format, int32_t verify, char* buffer, size_t* size) {
    return gq::guarded([&] {
        gq::require(path, "path");
        if (format != GQ_DESCRIBE_TEXT && format != GQ_DESCRIBE_JSON)
            gq::fail(gq::Status::invalid_argument, "format: expected GQ_DESCRIBE_TEXT or GQ_DESCRIBE_JSON, found %d",
                     format);
        const gq::JsonValue json = gq::describe(path, verify != 0);
        return gq::copy_out(
            format == GQ_DESCRIBE_JSON ? json.dump(1) + "\n" : gq::lines_of(json) + gq::quality_of(path), buffer, size);
    });
}

gq_status gq_report_html(const char* path, const char* figures, char* buffer, size_t* size) {
    return gq::guarded([&] {
        gq::require(path, "path");
        return gq::copy_out(gq::page_of(path, figures), buffer, size);
    });
}

gq_status gq_tokenizer_open(const char* path, gq_model** model) {
    return gq::guarded([&] {
        gq::require(path, "path");
        gq::require(model, "model");
        auto opened = std::make_unique<gq_model>();
        if (gq::is_gq_file(path)) {
            opened->loaded = gq::LoadedModel::open(path, false);
        } else {
            opened->tokenizer = gq::Tokenizer::from_checkpoint(*gq::open_checkpoint(path));
        }
        *model = opened.release();
        return GQ_OK;
    });
}

}  // extern "C"
