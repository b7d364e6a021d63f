// Folders of Hugging Face and the door to checkpoints: which files are read, shards, chat templates, rows, and what is
// refused.
// In: folders built here. Out: checks of tensors, metadata and messages. Must not need a model from elsewhere.
#include "formats/hf_folder.h"

#include <doctest/doctest.h>

#include "tests/formats/format_test.h"

namespace {

using namespace gq;
using test::check_contains;
using test::error_of;
using test::TemporaryFolder;

// A safetensors file of F32 tensors (2, 3), the i-th element of the k-th tensor being 10 k + i.
std::string weights(const std::vector<std::string>& names) {
    std::string header = "{", comma;
    test::Bytes data;
    for (size_t k = 0; k < names.size(); k++) {
        header += comma + "\"" + names[k] + R"(":{"dtype":"F32","shape":[2,3],"data_offsets":[)" +
                  std::to_string(24 * k) + "," + std::to_string(24 * k + 24) + "]}";
        comma = ",";
        for (size_t i = 0; i < 6; i++) data.number(static_cast<float>(10 * k + i));
    }
    header += "}";
    return test::Bytes().number(uint64_t{header.size()}).raw(header).raw(data.data).data;
}

constexpr const char* index_file = "model.safetensors.index.json";

TEST_SUITE("formats") {
    TEST_CASE("hf folder: one file of weights and whatever JSON is there") {
        const TemporaryFolder folder;
        folder.write("config.json", R"({"model_type":"llama"})");
        folder.write("model.safetensors", weights({"a", "b"}));
        auto checkpoint = open_checkpoint(folder.path());
        CHECK(checkpoint->kind() == Checkpoint::Kind::hugging_face);
        CHECK(checkpoint->path() == folder.path());
        CHECK(checkpoint->metadata().dump() == R"({"config":{"model_type":"llama"}})");
        CHECK(checkpoint->tensors().size() == 2);

        folder.write("generation_config.json", R"({"eos_token_id":2})");
        folder.write("tokenizer.json", R"({"model":{}})");
        folder.write("tokenizer_config.json", R"({"chat_template":"{{ x }}"})");
        folder.write("special_tokens_map.json", R"({"bos_token":"<s>"})");
        checkpoint = open_checkpoint(folder.path());
        CHECK(
            checkpoint->metadata().dump() ==
            R"({"config":{"model_type":"llama"},"generation_config":{"eos_token_id":2},"tokenizer":{"model":{}},)"
            R"("tokenizer_config":{"chat_template":"{{ x }}"},"special_tokens_map":{"bos_token":"<s>"},"chat_template":"{{ x }}"})");

        folder.write("chat_template.jinja", "{{ y }}\n");
        checkpoint = open_checkpoint(folder.path());
        CHECK(checkpoint->metadata().at("chat_template", "m").as_string("t") == "{{ y }}\n");
    }

    TEST_CASE("hf folder: a .safetensors file stands for its folder") {
        const TemporaryFolder folder;
        folder.write("config.json", "{}");
        folder.write("model.safetensors", weights({"a"}));
        const auto file = folder.write("other.safetensors", weights({"b"}));
        const auto checkpoint = open_checkpoint(file);
        CHECK(checkpoint->path() == file);
        CHECK(checkpoint->find("a") == nullptr);
        REQUIRE(checkpoint->find("b") != nullptr);
        CHECK(checkpoint->find("b")->where.ends_with(" of other.safetensors"));
    }

    TEST_CASE("hf folder: shards") {
        const TemporaryFolder folder;
        folder.write("config.json", "{}");
        folder.write("m-2.safetensors", weights({"c"}));
        folder.write("m-1.safetensors", weights({"a", "b"}));
        folder.write(
            index_file,
            R"({"metadata":{},"weight_map":{"c":"m-2.safetensors","a":"m-1.safetensors","b":"m-1.safetensors"}})");
        const auto checkpoint = open_checkpoint(folder.path());
        REQUIRE(checkpoint->tensors().size() == 3);
        CHECK(checkpoint->tensors()[1].name == "b");
        CHECK(checkpoint->find("c") == &checkpoint->tensors()[2]);
        CHECK(checkpoint->find("c")->where.ends_with(" of m-2.safetensors"));
        float row[3];
        Checkpoint::read_rows(*checkpoint->find("b"), 1, 2, row);
        CHECK(row[0] == 13);
        for (const SourceTensor& tensor : checkpoint->tensors()) checkpoint->forget(tensor);
        Checkpoint::read_rows(*checkpoint->find("b"), 0, 1, row);
        CHECK(row[2] == 12);
    }

    TEST_CASE("hf folder: damaged shards") {
        const TemporaryFolder folder;
        folder.write("config.json", "{}");
        folder.write("m-1.safetensors", weights({"a"}));
        const auto error_with = [&](const std::string& map) {
            folder.write(index_file, "{\"weight_map\":" + map + "}");
            return error_of([&] { open_checkpoint(folder.path()); });
        };
        CHECK(error_with(R"({"a":"m-1.safetensors"})") == "no error");
        check_contains(
            error_with(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})"),
            "expected the shard \"m-2.safetensors\" that model.safetensors.index.json names, found no such file");
        CHECK(error_with(R"({"a":"m-1.safetensors","b":"m-1.safetensors"})") ==
              "malformed: model.safetensors.index.json: expected tensor \"b\" in shard \"m-1.safetensors\", found it "
              "in none");
        folder.write("m-2.safetensors", weights({"b"}));
        check_contains(error_with(R"({"a":"m-2.safetensors","b":"m-1.safetensors"})"),
                       "expected tensor \"a\" in shard \"m-2.safetensors\", found it in \"m-1.safetensors\"");
        folder.write("m-2.safetensors", weights({"a"}));
        check_contains(error_with(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})"),
                       "expected tensors whose names differ, found \"a\" twice: at byte ");
        folder.write("m-2.safetensors", weights({"a"}).substr(0, 70));
        check_contains(error_with(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})"),
                       "m-2.safetensors: tensor \"a\": data_offsets: ");
        for (const char* name : {"../m-1.safetensors", "/etc/passwd", "a/b", "..", ".", "", "a\\\\b", "a\\u0000b"}) {
            check_contains(error_with(std::string(R"({"a":")") + name + "\"}"),
                           "tensor \"a\": expected the plain name of a file in the same folder, found \"");
        }
        check_contains(error_with("[]"),
                       "model.safetensors.index.json: weight_map: expected an object, found an array");
        check_contains(error_with(R"({"a":1})"), "weight_map.\"a\": expected a string, found an integer");
        folder.write(index_file, "{}");
        check_contains(error_of([&] { open_checkpoint(folder.path()); }),
                       "model.safetensors.index.json: expected the key \"weight_map\", found none");
    }

    TEST_CASE("hf folder: files that are missing or no JSON") {
        const TemporaryFolder folder;
        const auto error = [&] { return error_of([&] { open_checkpoint(folder.path()); }); };
        CHECK(error() == "io: can't open " + (folder.path() / "config.json").string() + ": No such file or directory");
        folder.write("config.json", "{}");
        CHECK(error() == "malformed: " + folder.path().string() +
                             ": expected model.safetensors or model.safetensors.index.json, found neither");
        folder.write("model.safetensors", weights({}));
        CHECK(error() == "no error");
        folder.write("tokenizer_config.json", "[]");
        CHECK(error() == "malformed: tokenizer_config.json: expected an object, found an array");
        folder.write("tokenizer_config.json", "{\"a\": }");
        CHECK(error() == "malformed: tokenizer_config.json: line 1, column 7: expected a value, found \"}\"");
        folder.write("tokenizer_config.json", "");
        check_contains(error(), "tokenizer_config.json: line 1, column 1: expected a value, found the end of the text");
        folder.write("tokenizer_config.json", "{}");
        folder.write("chat_template.jinja", "a\xFF");
        CHECK(error() == "malformed: chat_template.jinja: expected UTF-8, found bytes that are not");
    }

    TEST_CASE("hf folder: the chat template of a tokenizer_config.json") {
        const auto found = [](std::string_view text) { return find_chat_template(parse_json(text, "t")).dump(); };
        CHECK(found("{}") == "null");
        CHECK(found(R"({"chat_template":null})") == "null");
        CHECK(found(R"({"chat_template":"x"})") == "\"x\"");
        CHECK(found(R"({"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]})") ==
              "\"d\"");
        CHECK(found(R"({"chat_template":[{"name":"tool_use","template":"t"}]})") == "null");
        const auto error = [&](std::string_view text) { return error_of([&] { found(text); }); };
        check_contains(error(R"({"chat_template":1})"),
                       "tokenizer_config.json: chat_template: expected a string, found an integer");
        check_contains(error(R"({"chat_template":[1]})"), "chat_template: expected an object, found an integer");
        check_contains(error(R"({"chat_template":[{"name":"default"}]})"), "expected the key \"template\", found none");
    }

    TEST_CASE("checkpoint: what is neither a folder, GGUF nor safetensors") {
        const TemporaryFolder folder;
        const auto error = [&](const char* name, std::string_view content) {
            const auto path = folder.write(name, content);
            return error_of([&] { open_checkpoint(path); });
        };
        check_contains(
            error("model.bin", "PK\x03\x04 and more"),
            "expected a GGUF file, a safetensors file or a folder, found a file that begins with \"PK\\x03\\x04 "
            "and more\"");
        check_contains(error("empty", ""), "found a file that begins with \"\"");
        check_contains(error_of([&] { open_checkpoint(folder.path() / "absent"); }),
                       "absent: No such file or directory");
        check_contains(error("m.safetensors", weights({})), "config.json: No such file or directory");
    }

    TEST_CASE("checkpoint: rows as floats") {
        const float values[] = {0, 1, 2, 3, 4, 5};
        SourceTensor tensor{"t", ElementType::f32, {3, 1, 2}, std::as_bytes(std::span(values)), "byte 0 of m"};
        float out[6] = {};
        Checkpoint::read_rows(tensor, 1, 3, out);
        CHECK(out[0] == 2);
        CHECK(out[3] == 5);
        Checkpoint::read_rows(tensor, 1, 1, out);
        const auto error = [&](size_t begin, size_t end) {
            return error_of([&] { Checkpoint::read_rows(tensor, begin, end, out); });
        };
        const char* const outside = "expected rows of whole blocks inside F32 (3, 1, 2), found rows [";
        check_contains(error(0, 4), outside);
        check_contains(error(2, 1), outside);
        check_contains(error(size_t{1} << 63, size_t{1} << 63), outside);
        tensor.shape = {};
        tensor.bytes = tensor.bytes.first(4);
        CHECK(error(0, 1) == "no error");
        tensor.shape = {2};
        CHECK(error(0, 1) == "malformed: tensor \"t\" at byte 0 of m: expected the bytes of F32 (2), found 4");
        tensor.shape = {size_t{1} << 32, size_t{1} << 32};
        check_contains(error(0, 1), "expected the bytes of F32 (4294967296, 4294967296), found 4");

        std::byte blocks[36] = {};
        SourceTensor packed{"q", ElementType::q4_0, {4, 16}, blocks, "byte 0 of m"};
        float all[64];
        CHECK(error_of([&] { Checkpoint::read_rows(packed, 2, 4, all); }) == "no error");
        check_contains(error_of([&] { Checkpoint::read_rows(packed, 1, 3, all); }),
                       "expected rows of whole blocks inside Q4_0 (4, 16)");
        packed.type = ElementType::i32;
        CHECK(error_of([&] { Checkpoint::read_rows(packed, 0, 4, all); }) ==
              "unsupported: tensor \"q\" at byte 0 of m: expected a type that converts to float, found I32");
    }
}

}  // namespace
