// A folder as Hugging Face lays models out.
// In: a folder. Out: a Checkpoint whose tensors lie in the mapped safetensors files and whose metadata are the JSON
// files beside them. Must not know architectures or tokenizers.
#include "formats/hf_folder.h"

#include <map>
#include <set>

#include "formats/format_error.h"
#include "formats/mapped_file.h"
#include "formats/safetensors.h"
#include "formats/tensor_table.h"

namespace gq {
namespace {

namespace fs = std::filesystem;
constexpr auto malformed = FormatError::Kind::malformed;
constexpr const char* index_name = "model.safetensors.index.json";
constexpr const char* template_name = "chat_template.jinja";

// The JSON files of a folder and the names under which metadata() shows them.
struct JsonFile {
    const char *key, *file;
    bool required;
};
constexpr JsonFile json_files[] = {
    {"config", "config.json", true},
    {"generation_config", "generation_config.json", false},
    {"tokenizer", "tokenizer.json", false},
    {"tokenizer_config", "tokenizer_config.json", false},
    {"special_tokens_map", "special_tokens_map.json", false},
};

std::string_view text_of(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

bool is_there(const fs::path& path) {
    std::error_code ignored;  // what can't be looked at is reported when it is opened
    return fs::exists(path, ignored);
}

JsonValue read_json_object(const fs::path& path) {
    const MappedFile file(path);
    const std::string name = path.filename().string();
    JsonValue value = parse_json(text_of(file), name);
    value.as_object(name.c_str());
    return value;
}

JsonValue read_text(const fs::path& path) {
    const MappedFile file(path);
    if (!is_utf8(text_of(file)))
        format_fail(malformed, "%s: expected UTF-8, found bytes that are not", path.filename().c_str());
    return JsonValue::of_string(std::string(text_of(file)));
}

JsonValue read_metadata(const fs::path& folder) {
    JsonValue metadata = JsonValue::of_object({});
    for (const JsonFile& file : json_files) {
        if (file.required || is_there(folder / file.file)) metadata.set(file.key, read_json_object(folder / file.file));
    }
    JsonValue chat_template;
    if (is_there(folder / template_name))
        chat_template = read_text(folder / template_name);
    else if (const JsonValue* config = metadata.find("tokenizer_config"))
        chat_template = find_chat_template(*config);
    if (!chat_template.is_null()) metadata.set("chat_template", std::move(chat_template));
    return metadata;
}

class HfFolder final : public Checkpoint {
  public:
    HfFolder(const fs::path& folder, const fs::path& weights_file)
        : path_(weights_file.empty() ? folder : weights_file), metadata_(read_metadata(folder)) {
        for (const JsonFile& file : json_files) add_path(folder / file.file);
        for (const char* file : {template_name, index_name}) add_path(folder / file);
        if (!weights_file.empty())
            map_weights(weights_file);
        else if (is_there(folder / "model.safetensors"))
            map_weights(folder / "model.safetensors");
        else if (is_there(folder / index_name))
            map_shards(folder);
        else
            format_fail(malformed, "%s: expected model.safetensors or %s, found neither", folder.c_str(), index_name);
    }

    Kind kind() const override { return Kind::hugging_face; }
    fs::path path() const override { return path_; }
    std::vector<fs::path> files() const override { return paths_; }
    const JsonValue& metadata() const override { return metadata_; }
    std::span<const SourceTensor> tensors() const override { return tensors_.all(); }
    const SourceTensor* find(std::string_view name) const override { return tensors_.find(name); }
    void forget(const SourceTensor& tensor) const override {
        for (const MappedFile& file : files_) file.forget(tensor.bytes);  // all but its own leave it alone
    }

  private:
    void add_path(const fs::path& file) {
        if (is_there(file)) paths_.push_back(file);
    }
    void map_weights(const fs::path& file) {
        files_.emplace_back(file);
        add_path(file);
        tensors_ = TensorTable(parse_safetensors(files_.back().bytes(), file.filename().string()));
    }
    void map_shards(const fs::path& folder);

    fs::path path_;
    std::vector<fs::path> paths_;
    JsonValue metadata_;
    std::vector<MappedFile> files_;
    TensorTable tensors_;
};

void HfFolder::map_shards(const fs::path& folder) {
    const std::vector<ShardEntry> entries = parse_shard_index(read_json_object(folder / index_name), index_name);
    std::set<std::string> shards;
    for (const ShardEntry& entry : entries) shards.insert(entry.shard);
    std::vector<SourceTensor> tensors;
    std::map<std::string, std::string> found;  // tensor to shard; a tensor in two shards is refused by TensorTable
    for (const std::string& shard : shards) {
        if (!is_there(folder / shard)) {
            format_fail(malformed, "%s: expected the shard %s that %s names, found no such file", folder.c_str(),
                        gq::quoted(shard).c_str(), index_name);
        }
        files_.emplace_back(folder / shard);
        add_path(folder / shard);
        for (SourceTensor& tensor : parse_safetensors(files_.back().bytes(), shard)) {
            found[tensor.name] = shard;
            tensors.push_back(std::move(tensor));
        }
    }
    tensors_ = TensorTable(std::move(tensors));
    for (const ShardEntry& entry : entries) {
        const auto at = found.find(entry.tensor);
        if (at != found.end() && at->second == entry.shard) continue;
        format_fail(malformed, "%s: expected tensor %s in shard %s, found it in %s", index_name,
                    gq::quoted(entry.tensor).c_str(), gq::quoted(entry.shard).c_str(),
                    at == found.end() ? "none" : gq::quoted(at->second).c_str());
    }
}

}  // namespace

std::unique_ptr<Checkpoint> open_hf_folder(const fs::path& folder, const fs::path& weights_file) {
    return std::make_unique<HfFolder>(folder, weights_file);
}

std::vector<ShardEntry> parse_shard_index(const JsonValue& index, const std::string& name) {
    const JsonValue& map = index.at("weight_map", name.c_str());
    std::vector<ShardEntry> entries;
    for (const auto& [tensor, value] : map.as_object((name + ": weight_map").c_str())) {
        const std::string& shard = value.as_string((name + ": weight_map." + gq::quoted(tensor)).c_str());
        const bool plain = !shard.empty() && shard != "." && shard != ".." &&
                           shard.find_first_of(std::string_view("/\\\0", 3)) == shard.npos;
        if (!plain) {
            format_fail(malformed, "%s: tensor %s: expected the plain name of a file in the same folder, found %s",
                        name.c_str(), gq::quoted(tensor).c_str(), gq::quoted(shard).c_str());
        }
        entries.push_back({tensor, shard});
    }
    return entries;
}

JsonValue find_chat_template(const JsonValue& tokenizer_config) {
    constexpr const char* what = "tokenizer_config.json: chat_template";
    const JsonValue* found = tokenizer_config.find("chat_template");
    if (found == nullptr || found->is_null()) return {};
    if (!found->is_array()) return JsonValue::of_string(found->as_string(what));
    for (const JsonValue& entry : found->as_array(what)) {
        if (entry.at("name", what).as_string(what) == "default")
            return JsonValue::of_string(entry.at("template", what).as_string(what));
    }
    return {};
}

}  // namespace gq
