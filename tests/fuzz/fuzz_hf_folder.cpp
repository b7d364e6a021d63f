// Fuzzes what hf_folder reads out of JSON: the shards of an index and the chat template of a tokenizer_config.json.
// In: bytes. Out: nothing, or FormatError. A shard's name must stay inside the folder.
#include "formats/format_error.h"
#include "formats/hf_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const gq::JsonValue value = gq::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
        const gq::JsonValue chat_template = gq::find_chat_template(value);
        if (!chat_template.is_null() && !chat_template.is_string()) __builtin_trap();
        for (const gq::ShardEntry& entry : gq::parse_shard_index(value, "fuzz")) {
            const std::filesystem::path shard(entry.shard);
            if (shard.empty() || shard.has_parent_path() || shard == "..") __builtin_trap();
        }
    } catch (const gq::FormatError&) {
    }
    return 0;
}
