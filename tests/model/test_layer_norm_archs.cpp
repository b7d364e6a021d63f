// OPT and BLOOM: what of their configs is refused, where learned positions end, how parts of heads are read, and that a
// recipe's rotation gives way to LayerNorms. In: the committed tiny models, configs made here. Their logits are in
// test_goldens.cpp, their gradients in test_backward.cpp.
#include <doctest/doctest.h>

#include <cstring>

#include "core/quantize/recipe.h"
#include "core/runtime/session.h"
#include "tests/error_of.h"
#include "tests/metadata_only.h"
#include "tests/quantize/walk_test.h"

using namespace gq;
using gq::test::check_contains;
using gq::test::error_of;

namespace {

// Of the tiny model's config with another value of that key.
std::string refusal_of(const std::string& arch, const std::string& key, const std::string& value) {
    JsonValue config;
    const JsonValue given = parse_json(file_bytes(golden_path("tiny_" + arch + "/config.json")), "config.json");
    for (const auto& [name, member] : given.as_object("config.json"))
        if (name != key) config.set(name, member);
    config.set(key, parse_json(value, "value"));
    return error_of([&] { find_arch(arch)->read_hugging_face(config); });
}

std::vector<BatchRow> rows_of(SequenceId sequence, int32_t begin, int32_t end) {
    std::vector<BatchRow> rows;
    for (int32_t i = begin; i < end; ++i) rows.push_back({sequence, i, i % 250, i + 1 == end});
    return rows;
}

// The tiny OPT in a .gq, written anew with something altered.
std::string refusal_of_file(const std::filesystem::path& path, const std::string& from, const std::string& to,
                            const std::string& table_grid) {
    const GqFile file(path);
    const std::string zeros(17 * 512, '\0');
    const TemporaryPath altered("opt_altered.gq");
    GqWriter writer(altered.path());
    for (const GqSection& section : file.sections()) {
        std::string text(reinterpret_cast<const char*>(section.bytes.data()), section.bytes.size());
        if (const size_t at = text.find(from); section.name == "model" && at != std::string::npos)
            text.replace(at, from.size(), to);
        writer.add_section(section.name, std::as_bytes(std::span(text)));
    }
    for (const GqTensor& tensor : file.tensors()) {
        GqTensor copy = tensor;
        if (copy.name == "positions" && !table_grid.empty()) {
            copy.grid = table_grid;
            // For 258 rows of 64, rank 16: gq_file.md, "Corrections of low rank".
            for (const auto& [name, size] : {std::pair{"lorc_u", 17 * 512}, std::pair{"lorc_u_scales", 17 * 32},
                                             std::pair{"lorc_v", 2 * 512}, std::pair{"lorc_v_scales", 32}})
                copy.parts.push_back({name, std::as_bytes(std::span(zeros)).first(static_cast<size_t>(size)), 0});
        }
        writer.add_tensor(copy);
    }
    writer.finish();
    return error_of([&] { LoadedModel::open(altered.path(), false); });
}

// A safetensors file with another header.
template <class Change>
std::string with_header(const std::string& file, const Change& change) {
    uint64_t n = 0;
    std::memcpy(&n, file.data(), sizeof n);
    std::string header = file.substr(sizeof n, n);
    change(header);
    while (header.size() % 8 != 0) header += ' ';
    const uint64_t size = header.size();
    return std::string(reinterpret_cast<const char*>(&size), sizeof size) + header + file.substr(sizeof n + n);
}

}  // namespace

TEST_SUITE("model") {
    TEST_CASE("OPT: a config that asks for another network is refused by the key that does") {
        check_contains(refusal_of("opt", "word_embed_proj_dim", "32"),
                       "word_embed_proj_dim 32, expected hidden_size 64");
        check_contains(refusal_of("opt", "do_layer_norm_before", "false"), "do_layer_norm_before false, expected true");
        check_contains(refusal_of("opt", "enable_bias", "false"), "enable_bias false, expected true");
        check_contains(refusal_of("opt", "layer_norm_elementwise_affine", "false"),
                       "layer_norm_elementwise_affine false");
        check_contains(refusal_of("opt", "_remove_final_layer_norm", "true"),
                       "_remove_final_layer_norm true, expected false");
        check_contains(refusal_of("opt", "activation_function", "\"gelu\""),
                       "activation_function 'gelu', expected 'relu'");
        check_contains(refusal_of("opt", "num_attention_heads", "6"),
                       "a hidden size that is a multiple of the 6 heads expected, found 64");
        CHECK(refusal_of("opt", "dropout", "0.1") == "no error");
    }

    TEST_CASE("BLOOM: a config that asks for another network is refused; older files name sizes otherwise") {
        check_contains(refusal_of("bloom", "apply_residual_connection_post_layernorm", "true"),
                       "apply_residual_connection_post_layernorm true, expected false");
        check_contains(refusal_of("bloom", "n_head", "9"),
                       "a hidden size that is a multiple of the 9 heads expected, found 96");
        const JsonValue older = parse_json(
            R"({"vocab_size": 288, "n_embed": 96, "num_hidden_layers": 2, "num_attention_heads": 6})", "config.json");
        const HyperParams p = find_arch("bloom")->read_hugging_face(older);
        CHECK(p.hidden == 96);
        CHECK(p.ffn == 384);
        CHECK(p.n_layers == 2);
        CHECK(p.head_dim == 16);
        CHECK(p.tied_head);
    }

    TEST_CASE("a .gq with what these networks have no place for is refused") {
        const TemporaryPath path("opt_whole.gq");
        QuantizeOptions options = tiny_options(4);
        options.method = Method::rtn;
        quantize_tiny("opt", path.path(), options);
        CHECK(refusal_of_file(path.path(), "", "", "") == "no error");
        check_contains(refusal_of_file(path.path(), "\"tied_head\":true", "\"tied_head\":true,\"head_turn\":true", ""),
                       "section 'model': no head_turn expected in the network 'opt', one found");
        check_contains(refusal_of_file(path.path(), "\"arch\":\"opt\"", "\"arch\":\"llama\"", ""),
                       "rope_inv_freq: 8 values expected in a llama network, none found");
        check_contains(refusal_of_file(path.path(), "\"context\":256", "\"context\":512", ""),
                       "positions: shape (514, 64) expected, (258, 64) x 1 experts found");
        const std::string corrected = refusal_of_file(path.path(), "", "", "zero_point+lorc");
        check_contains(corrected, "positions: a correction of low rank belongs to a block's linears");
    }

    TEST_CASE("a table of positions keeps the floats that other weights keep, and is no part of what a token streams") {
        const Altered model("opt");
        const TemporaryPath f16("opt_f16.gq"), bf16("opt_bf16.gq");
        ThreadPool pool(1);
        const QuantizeOptions floats{.bits = 16, .embed_bits = 16};
        const auto codes_of = [&](const TemporaryPath& out) {
            quantize_model(model.folder.path(), out.path(), floats, {pool, kernel_table()}, {});
            return GqFile(out.path()).find("positions")->codes;
        };
        CHECK(codes_of(f16) == "f16");
        // The same bytes read as bf16: other numbers, all finite.
        model.write("model.safetensors",
                    with_header(file_bytes(model.file("model.safetensors")), [](std::string& header) {
                        for (size_t at = 0; (at = header.find("\"F16\"", at)) != std::string::npos;)
                            header.replace(at, 5, "\"BF16\"");
                    }));
        CHECK(codes_of(bf16) == "bf16");
        const auto loaded = LoadedModel::open(f16.path(), false);
        uint64_t all = 0, table = 0;
        for (const GqTensor& tensor : loaded->file.tensors())
            for (const GqPart& part : tensor.parts) (tensor.name == "positions" ? table : all) += part.bytes.size();
        CHECK(table > 0);
        CHECK(loaded->streamed_bytes() == all);
    }

    TEST_CASE("one weight under both of its names is refused") {
        const Altered model("opt");
        const std::string bytes = file_bytes(model.file("model.safetensors"));
        model.write("model.safetensors",
                    with_header(bytes, [&](std::string& header) {
                        uint64_t n = 0;
                        std::memcpy(&n, bytes.data(), sizeof n);
                        const std::string end = std::to_string(bytes.size() - sizeof n - n);
                        header.insert(
                            header.rfind('}'),
                            ",\"decoder.final_layer_norm.bias\":{\"dtype\":\"F16\",\"shape\":[64],\"data_offsets\":[" +
                                end + "," + std::to_string(std::stoull(end) + 128) + "]}");
                    }) + std::string(128, '\0'));
        check_contains(error_of([&] {
                           const auto checkpoint = open_checkpoint(model.folder.path());
                           const SourceModel source(*checkpoint);
                       }),
                       "tensor 'decoder.final_layer_norm.bias'");
    }

    TEST_CASE("queries, keys and values are parts of every head of one tensor") {
        const auto checkpoint = open_checkpoint(golden_path("tiny_bloom"));
        const SourceModel source(*checkpoint);
        const size_t hidden = 96, head_dim = 16;
        const SourceTensor* all = checkpoint->find("transformer.h.1.self_attention.query_key_value.weight");
        const SourceTensor* biases = checkpoint->find("transformer.h.1.self_attention.query_key_value.bias");
        REQUIRE(all);
        REQUIRE(biases);
        std::vector<float> w(3 * hidden * hidden), b(3 * hidden);
        Checkpoint::read_rows(*all, 0, 3 * hidden, w.data());
        Checkpoint::read_rows(*biases, 0, 3 * hidden, b.data());
        const auto row_of = [&](const std::string& role) -> const WeightRow& {
            for (const WeightRow& row : source.arch().block_weights)
                if (row.role == role) return row;
            throw std::logic_error(role);
        };
        const char* const roles[] = {"attn_q", "attn_k", "attn_v"};
        for (size_t part = 0; part < 3; ++part) {
            const AlignedBuffer<float> found = source.read(row_of(roles[part]), 1),
                                       bias = source.read(row_of(std::string(roles[part]) + "_bias"), 1);
            REQUIRE(found.size() == hidden * hidden);
            REQUIRE(bias.size() == hidden);
            size_t n_others = 0;
            for (size_t r = 0; r < hidden; ++r) {
                const size_t from = (r / head_dim * 3 + part) * head_dim + r % head_dim;
                n_others += bias[r] != b[from];
                for (size_t c = 0; c < hidden; ++c) n_others += found[r * hidden + c] != w[from * hidden + c];
            }
            CHECK(n_others == 0);
        }
    }

    TEST_CASE("names without transformers' prefix are the same weights") {
        const Altered model("bloom");
        std::string bytes = file_bytes(model.file("model.safetensors"));
        const TemporaryPath with("bloom_prefix.gq"), without("bloom_bare.gq");
        const QuantizeOptions options = tiny_options(4);
        ThreadPool pool(1);
        const auto quantize = [&](const TemporaryPath& out) {
            quantize_model(model.folder.path(), out.path(), options, {pool, kernel_table()}, {});
        };
        quantize(with);
        // The header keeps its length: what a name loses stands as spaces in front of the quote.
        for (size_t at; (at = bytes.find("\"transformer.")) != std::string::npos;)
            bytes.replace(at, 13, std::string(12, ' ') + "\"");
        model.write("model.safetensors", bytes);
        quantize(without);
        CHECK(file_bytes(with.path()) == file_bytes(without.path()));
    }

    TEST_CASE("a sequence ends where the learned positions do, whatever the context holds") {
        const TemporaryPath path("opt_positions.gq");
        QuantizeOptions options = tiny_options(4);
        options.method = Method::rtn;
        quantize_tiny("opt", path.path(), options);
        const auto loaded = LoadedModel::open(path.path(), true);
        ThreadPool pool(2);
        Session session(loaded->model, {pool, kernel_table()}, {.context = 1024});
        session.decode(rows_of(0, 0, 255));
        CHECK(session.has_room(0, 1));
        session.decode(rows_of(0, 255, 256));
        CHECK(session.n_logits() == 1);
        CHECK_FALSE(session.has_room(0, 1));
        check_contains(error_of([&] { session.decode(rows_of(0, 256, 257)); }),
                       "sequence 0 would hold 257 tokens, the model's table of positions holds 256");
        session.decode(rows_of(1, 0, 256));  // another sequence has them all again
        CHECK(session.length(1) == 256);
    }

    TEST_CASE("calibration windows longer than the learned positions are refused") {
        QuantizeOptions options = tiny_options(4);
        options.window = 257;
        const Refusal refusal = refuse(golden_path("tiny_opt"), options);
        CHECK(refusal.says(
            "windows of at most 256 tokens, all the positions that this model has learned, expected, found 257"));
        CHECK(refusal.n_progress == 0);
    }

    TEST_CASE(
        "a recipe goes without its rotation where there are LayerNorms, and says so; asked for alone it is refused") {
        QuantizeOptions options = with_recipe(recipe_of("rotate"), tiny_options(4));
        REQUIRE(options.rotate);
        const TemporaryPath found("opt_rotate.gq"), expected("opt_qep.gq");
        quantize_tiny("opt", found.path(), options);
        const GqFile file(found.path());
        const JsonValue provenance = provenance_of(file);
        CHECK(provenance.at("note", "provenance").as_string("note") ==
              "recipe rotate without its part: rotation: this architecture has LayerNorms, with a mean, which does "
              "not commute with a rotation");
        CHECK_FALSE(provenance.at("options", "provenance").at("rotate", "options").as_bool("rotate"));
        quantize_tiny("opt", expected.path(), with_recipe(recipe_of("qep"), tiny_options(4)));
        const GqFile qep(expected.path());
        REQUIRE(file.tensors().size() == qep.tensors().size());
        for (const GqTensor& tensor : file.tensors()) {
            const GqTensor* other = qep.find(tensor.name);
            REQUIRE(other);
            REQUIRE(tensor.parts.size() == other->parts.size());
            for (size_t i = 0; i < tensor.parts.size(); ++i) {
                CAPTURE(tensor.name);
                CHECK(std::equal(tensor.parts[i].bytes.begin(), tensor.parts[i].bytes.end(),
                                 other->parts[i].bytes.begin(), other->parts[i].bytes.end()));
            }
        }
        options.rotate_by_recipe = false;
        CHECK(refuse(golden_path("tiny_opt"), options).says("which does not commute with a rotation"));
    }
}
