// tokenizer.json in all its parts: against the reference library's ids and texts, its small print, and what is refused.
// In: golden files of tests/golden, small specs written here. Out: checks of ids, texts and messages.
// Must not compute a reference itself.
#include "core/text/tokenizer.h"

#include "tests/text/tokenizer_goldens.h"

using namespace gq;
using namespace gq::test;

namespace {

// A tokenizer.json over single letters a to z and ▁, with these members besides.
std::string letters(const std::string& members, const std::string& model_options = "") {
    std::string vocab = R"("▁":26)";
    for (char c = 'a'; c <= 'z'; ++c) vocab += std::string(",\"") + c + "\":" + std::to_string(c - 'a');
    return R"({"model":{"type":"BPE",)" + model_options + R"("merges":[],"vocab":{)" + vocab + "}}" +
           (members.empty() ? "" : ",") + members + "}";
}

// The part so many times, as members of an array.
std::string times(int n, const std::string& part) {
    std::string out = part;
    for (int i = 1; i < n; ++i) out += "," + part;
    return out;
}

}  // namespace

TEST_SUITE("text") {
    TEST_CASE("tokenizer.json of every family: ids and texts equal the reference library's") {
        for (const char* name : {"llama3", "qwen2", "gpt2", "digits", "llama2", "metaspace", "parts"}) {
            const Tokenizer tokenizer = from_tokenizer_json(golden(std::string(name) + ".json"));
            check_goldens(tokenizer, name);
            check_goldens(Tokenizer::from_bytes(tokenizer.to_bytes()), name);
        }
    }

    TEST_CASE("look-ups by id and by text") {
        const Tokenizer tokenizer = from_tokenizer_json(golden("qwen2.json"));
        const TokenId start = tokenizer.find_token("<|im_start|>");
        CHECK(tokenizer.token_text(start) == "<|im_start|>");
        CHECK(tokenizer.is_special(start));
        CHECK(!tokenizer.is_special(tokenizer.find_token("<tool_call>")));
        CHECK(!tokenizer.is_special(tokenizer.find_token("a")));
        CHECK(tokenizer.find_token("no such token") == -1);
        CHECK(tokenizer.token_text(-1).empty());
        CHECK(tokenizer.token_text(static_cast<TokenId>(tokenizer.vocab_size())).empty());
        CHECK(tokenizer.find_token("Caf\u00e9") == static_cast<TokenId>(tokenizer.vocab_size()) - 1);
    }

    TEST_CASE("BOS and EOS: the first file that speaks decides") {
        const auto folder = [](const char* files) {
            JsonValue metadata = parse_json(files, "test");
            metadata.set("tokenizer", golden("llama2.json"));
            return from_folder(std::move(metadata));
        };
        const Tokenizer config = folder(R"({"config":{"bos_token_id":1,"eos_token_id":[2,0]}})");
        CHECK(config.bos() == 1);
        CHECK(config.eos() == 2);
        CHECK(config.adds_bos());
        const Tokenizer named = folder(
            R"({"tokenizer_config":{"bos_token":{"content":"</s>"},"eos_token":null},"config":{"eos_token_id":2}})");
        CHECK(named.bos() == 2);
        CHECK(named.eos() == -1);
        CHECK(!named.adds_bos());
        const Tokenizer map = folder(R"({"tokenizer_config":{},"special_tokens_map":{"eos_token":"<s>"}})");
        CHECK(map.bos() == -1);
        CHECK(map.eos() == 1);
    }

    TEST_CASE("add_bos_token of tokenizer_config.json holds where no template is given") {
        JsonValue metadata = parse_json(
            R"({"tokenizer_config":{"bos_token":"<|im_start|>","eos_token":"<|im_end|>","add_bos_token":true,"add_eos_token":true}})",
            "test");
        JsonValue with_template = metadata;
        metadata.set("tokenizer", golden("digits.json"));
        const Tokenizer tokenizer = from_folder(metadata);
        CHECK(tokenizer.adds_bos());
        const std::vector<TokenId> ids = tokenizer.encode("a");
        REQUIRE(ids.size() == 3);
        CHECK(ids.front() == tokenizer.bos());
        CHECK(ids.back() == tokenizer.eos());
        with_template.set("tokenizer", golden("llama3.json"));
        CHECK(from_folder(with_template).encode("").size() == 1);  // its own template: BOS only
    }

    TEST_CASE("a token that is to be added must be known; one that is only named need not be") {
        const auto folder = [](const std::string& config) {
            JsonValue metadata;
            metadata.set("tokenizer_config", parse_json(config, "test"));
            metadata.set("tokenizer", golden("digits.json"));
            return from_folder(std::move(metadata));
        };
        check_contains(
            error_of([&] { folder(R"({"bos_token":"<nope>","add_bos_token":true})"); }),
            R"(tokenizer_config.json: add_bos_token is true: a known token expected as bos_token, "<nope>" found)");
        check_contains(error_of([&] { folder(R"({"eos_token":5,"add_eos_token":true})"); }),
                       "add_eos_token is true: a known token expected as eos_token, 5 found");
        CHECK(folder(R"({"bos_token":"<nope>","pad_token":"<pad>","unk_token":"<nope>"})").bos() == -1);
    }

    TEST_CASE("what is not supported is refused by name") {
        struct Case {
            const char *members, *options, *named;
        };
        const Case cases[] = {
            {R"("normalizer":{"type":"Nmt"})", "",
             "tokenizer normalizer of type \"Nmt\" is not supported; known: Sequence, Prepend"},
            {R"("normalizer":{"type":"Sequence","normalizers":[{"type":"Precompiled"}]})", "",
             "normalizer of type \"Precompiled\""},
            {R"("pre_tokenizer":{"type":"UnicodeScripts"})", "",
             "tokenizer pre_tokenizer of type \"UnicodeScripts\" is not supported; known: Sequence, ByteLevel"},
            {R"("post_processor":{"type":"BertProcessing"})", "",
             "tokenizer post_processor of type \"BertProcessing\" is not supported; known: TemplateProcessing"},
            {R"("decoder":{"type":"WordPiece"})", "",
             "tokenizer decoder of type \"WordPiece\" is not supported; known: Sequence"},
            {R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":"(?<=a)b"},"behavior":"Isolated"})", "",
             "the group \"(?<=\""},
            {R"("pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Dropped"})", "",
             "\"Dropped\" found"},
            {R"("pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"last"})", "", "\"last\" found"},
            {R"("post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}],"special_tokens":{}})",
             "", "another \"B\" found"},
            {"", R"("continuing_subword_prefix":"##",)", "the option continuing_subword_prefix = \"##\""},
            {"", R"("end_of_word_suffix":"</w>",)", "the option end_of_word_suffix"},
            {"", R"("dropout":0.1,)", "the option dropout = 0.1"},
        };
        for (const Case& c : cases) {
            const std::string error = error_of([&] { from_json_text(letters(c.members, c.options)); });
            check_contains(error, "unsupported: ");
            check_contains(error, c.named);
        }
        check_contains(error_of([] { from_json_text(R"({"model":{"type":"Unigram","vocab":[["a",0]]}})"); }),
                       "tokenizer model of type \"Unigram\" is not supported; known: BPE");
        check_contains(error_of([] { from_folder(parse_json("{}", "test")); }), "tokenizer.json is expected");
    }

    TEST_CASE("what contradicts itself is named") {
        struct Case {
            const char *text, *named;
        };
        const Case cases[] = {
            {R"({"added_tokens":[]})", "model"},
            {R"({"model":{"vocab":[],"merges":[]}})",
             "tokenizer.json: model vocab: expected an object, found an array"},
            {R"({"model":{"vocab":{},"merges":[]}})", "tokenizer vocabulary: at least one token expected, none found"},
            {R"({"model":{"vocab":{"a":0,"b":0},"merges":[]}})", "id 0 belongs to both \"a\" and \"b\""},
            {R"({"model":{"vocab":{"a":4194304},"merges":[]}})", "from 0 to 4194303 expected, 4194304 found"},
            {R"({"model":{"vocab":{"a":-1},"merges":[]}})", "-1 found"},
            {R"({"model":{"vocab":{"a":null},"merges":[]}})", "vocab \"a\": an id expected, null found"},
            {R"({"model":{"vocab":{"a":"x"},"merges":[]}})", "id in vocab"},
            {R"({"model":{"vocab":{"a":0},"merges":["a a"]}})", "merge 0 gives \"aa\""},
            {R"({"model":{"vocab":{"a":0},"merges":["a x"]}})", "merge 0 joins \"x\""},
            {R"({"model":{"vocab":{"a":0},"merges":["a a a"]}})", "merge 0: two tokens expected, \"a a a\" found"},
            {R"({"model":{"vocab":{"a":0},"merges":[["a"]]}})", "merge 0: two tokens expected, [\"a\"] found"},
            {R"({"model":{"vocab":{"a":0},"merges":[],"unk_token":"u"}})",
             "unk_token \"u\": a token of the vocabulary expected"},
            {R"({"model":{"vocab":{"a":0},"merges":[]},"added_tokens":[{"content":"x","id":-5}]})", "-5 found"},
            {R"({"model":{"vocab":{"a":0},"merges":[]},"added_tokens":[{"id":5}]})", "content"},
            {R"({"model":{"vocab":{"a":0},"merges":[]},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}}],"special_tokens":{}}})",
             "special token \"s\" is used"},
            {R"({"model":{"vocab":{"a":0},"merges":[]},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}},{"Sequence":{"id":"A"}}],"special_tokens":{"s":{"ids":[7]}}}})",
             "tokenizer post_processor: an id below 1 expected, 7 found"},
            {R"({"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Metaspace","replacement":"ab"}})",
             "one character expected as \"replacement\", \"ab\" found"},
        };
        for (const Case& c : cases) {
            const std::string error = error_of([&] { from_json_text(c.text); });
            check_contains(error, "malformed: ");
            check_contains(error, c.named);
        }
    }

    TEST_CASE("a text can't be made to grow without bound") {
        const std::string replace = times(40, R"({"type":"Replace","pattern":{"String":"a"},"content":"aa"})");
        const Tokenizer doubling =
            from_json_text(letters(R"("normalizer":{"type":"Sequence","normalizers":[)" + replace + "]}"));
        check_contains(error_of([&] { doubling.encode("abc"); }), "error: tokenizer: normalizing lets a text grow");
        const std::string levels = times(40, R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})");
        const Tokenizer rewriting =
            from_json_text(letters(R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[)" + levels + "]}"));
        check_contains(error_of([&] { rewriting.encode("é"); }), "lets a text grow");
        const Tokenizer decoding =
            from_json_text(letters(R"("decoder":{"type":"Sequence","decoders":[)" + replace + "]}"));
        const std::vector<TokenId> ids = {0, 1};
        check_contains(error_of([&] { decoding.decode(ids); }),
                       "error: tokenizer: decoding lets a text grow to 131073 bytes, at most 65600 expected");
    }

    TEST_CASE("a Sequence has at most 64 parts, those of Sequences in it counted") {
        const std::string strips = times(33, R"({"type":"Strip","strip_left":true,"strip_right":false})");
        const auto sequence = [](const std::string& parts) {
            return R"({"type":"Sequence","normalizers":[)" + parts + "]}";
        };
        const auto nested = letters("\"normalizer\":" + sequence(sequence(strips) + "," + sequence(strips)));
        check_contains(error_of([&] { from_json_text(nested); }),
                       "unsupported: tokenizer normalizers: at most 64 parts expected, 68 found");
        const auto flat =
            letters(R"("decoder":{"type":"Sequence","decoders":[)" + times(65, R"({"type":"Fuse"})") + "]}");
        check_contains(error_of([&] { from_json_text(flat); }), "decoders: at most 64 parts expected, 65 found");
        const auto most =
            letters(R"("decoder":{"type":"Sequence","decoders":[)" + times(64, R"({"type":"Fuse"})") + "]}");
        CHECK(from_json_text(most).vocab_size() == 27);
    }

    TEST_CASE("a word of a megabyte is merged in far less than quadratic time") {
        const Tokenizer tokenizer = from_tokenizer_json(golden("llama2.json"));
        const std::string word(1 << 20, 'e');
        CHECK(tokenizer.decode(tokenizer.encode(word)) == word);
    }
}
