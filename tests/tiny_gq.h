// The smallest .gq that opens: one Llama block of width 32, every weight zero; tests change it in one place and open
// it. In: changes. Out: a file. The tokenizer is that of a committed tiny model.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/model/loaded_model.h"
#include "formats/checkpoint.h"
#include "tests/test_paths.h"

struct TinyGq {
    static constexpr size_t width = 32, vocab = 288;

    std::map<std::string, std::string> sections;
    std::vector<gq::GqTensor> tensors;
    std::string zeros = std::string(vocab * width * sizeof(float), '\0');  // what all parts point into

    TinyGq() {
        sections["model"] = model_json();
        const auto tokenizer =
            gq::Tokenizer::from_checkpoint(*gq::open_checkpoint(golden_path("tiny_llama_tied"))).to_bytes();
        sections["tokenizer"] = {reinterpret_cast<const char*>(tokenizer.data()), tokenizer.size()};
        sections["generation"] = R"({"stop_ids":[2]})";
        sections["chat_template"] = "{% for m in messages %}{{ m.content }}{% endfor %}";
        const gq::Arch& arch = *gq::find_arch("llama");
        const gq::HyperParams params = gq::HyperParams::from_json(sections["model"], "model");
        for (const gq::WeightRow& row : arch.block_weights) add(row, params);
        add(arch.embedding, params);
        for (const gq::WeightRow& row : arch.outer_weights) add(row, params);
    }
    TinyGq(const TinyGq&) = delete;
    TinyGq& operator=(const TinyGq&) = delete;

    static std::string model_json() {
        std::string frequencies = "1";
        for (size_t i = 1; i < width / 2; ++i) frequencies += ",0.5";
        return R"({"arch":"llama","vocab":288,"hidden":32,"ffn":32,"n_layers":1,"n_heads":1,"n_kv_heads":1,"head_dim":32,)"
               R"("context":64,"sliding_window":0,"norm_eps":1e-05,"tied_head":true,"rope_inv_freq":[)" +
               frequencies + "]}";
    }

    gq::GqTensor& tensor(const std::string& name) {
        for (gq::GqTensor& tensor : tensors)
            if (tensor.name == name) return tensor;
        throw std::logic_error("no tensor " + name);
    }
    std::span<const std::byte> bytes(size_t n) const { return std::as_bytes(std::span(zeros)).first(n); }

    void write(const std::filesystem::path& path) const {
        gq::GqWriter writer(path);
        for (const auto& [name, text] : sections) writer.add_section(name, std::as_bytes(std::span(text)));
        for (const gq::GqTensor& tensor : tensors) writer.add_tensor(tensor);
        writer.finish();
    }

  private:
    void add(const gq::WeightRow& row, const gq::HyperParams& params) {
        const bool plain = row.kind == gq::WeightKind::vector;
        gq::GqTensor tensor{.name = gq::packed_name(row, 0),
                            .codes = plain ? "f32" : "f16",
                            .grid = {},
                            .experts = 1,
                            .rows = row.rows(params),
                            .cols = row.cols(params),
                            .group = 0,
                            .parts = {}};
        tensor.parts = {{"values", bytes(tensor.rows * tensor.cols * (plain ? 4 : 2))}};
        tensors.push_back(std::move(tensor));
    }
};
