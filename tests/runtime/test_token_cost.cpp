// What a token takes, against sums that are written out here from the shapes of tiny models.
// In: tiny checkpoints, rounded to nearest. Out: checks of counts. Must not know speed.
#include "core/runtime/token_cost.h"

#include <doctest/doctest.h>

#include "core/model/loaded_model.h"
#include "tests/tiny_model.h"

using namespace gq;

namespace {

TokenCost cost_of(const std::string& name, unsigned bits, const SessionOptions& options, size_t position,
                  bool want_logits, size_t lorc_rank = 0) {
    TemporaryPath path{"token_cost.gq"};
    QuantizeOptions quantize = tiny_options(bits);
    quantize.method = Method::rtn;
    quantize.lorc_rank = lorc_rank;
    quantize_tiny(name, path.path(), quantize);
    return token_cost(LoadedModel::open(path.path(), false)->model, options, position, want_logits);
}

// Multiply-adds of the blocks' linears.
uint64_t block_macs(const HyperParams& p) {
    const size_t q = p.n_heads * p.head_dim, kv = p.n_kv_heads * p.head_dim;
    return p.n_layers * p.hidden * (2 * q + 2 * kv + 3 * p.ffn);
}

HyperParams params_of(const std::string& name) {
    TemporaryPath path{"token_cost_params.gq"};
    QuantizeOptions quantize = tiny_options(4);
    quantize.method = Method::rtn;
    quantize_tiny(name, path.path(), quantize);
    return LoadedModel::open(path.path(), false)->model.params;
}

}  // namespace

TEST_SUITE("runtime") {
    TEST_CASE("a token's linears count by the numbers that they multiply, the head only for logits") {
        const HyperParams p = params_of("untied");
        const TokenCost inner = cost_of("untied", 4, {}, 0, false), last = cost_of("untied", 4, {}, 0, true);
        CHECK(inner.int8_macs == block_macs(p));
        CHECK(inner.f32_macs == 0);
        CHECK(last.int8_macs == block_macs(p) + p.vocab * p.hidden);
        CHECK(cost_of("untied", 4, {.precision = Precision::exact}, 0, false).f32_macs == block_macs(p));
        CHECK(cost_of("untied", 4, {.precision = Precision::exact}, 0, false).int8_macs == 0);
        CHECK(cost_of("untied", 16, {}, 0, false).f32_macs == block_macs(p));
        // Asymmetric modes multiply twice.
        CHECK(cost_of("untied", 4, {.precision = Precision::int8_token_asym}, 0, false).int8_macs == 2 * block_macs(p));
        CHECK(cost_of("untied", 4, {}, 0, false, 16).int8_macs > block_macs(p));
    }

    TEST_CASE("a token's attention reads the positions that it sees, its own among them") {
        const HyperParams p = params_of("tied");
        const KvGeometry halves{p.n_layers, p.n_kv_heads, p.head_dim};
        const size_t position_bytes = halves.page_bytes() / kv_page_positions;
        CHECK(cost_of("tied", 4, {}, 0, false).kv_bytes == position_bytes);
        CHECK(cost_of("tied", 4, {}, 99, true).kv_bytes == 100 * position_bytes);
        const KvType *f32 = &find_kv_type("f32"), *q8 = &find_kv_type("q8");
        CHECK(cost_of("tied", 4, {.k_type = f32, .v_type = f32}, 99, true).kv_bytes == 200 * position_bytes);
        // Keys and values of their own types. q8's groups of 32 dimensions, 34 bytes each, are half empty here.
        REQUIRE(p.head_dim == 16);
        const uint64_t heads = p.n_layers * p.n_kv_heads;
        CHECK(cost_of("tied", 4, {.k_type = q8, .v_type = f32}, 99, true).kv_bytes == 100 * heads * (34 + 16 * 4));
        const HyperParams sliding = params_of("sliding");
        REQUIRE(sliding.sliding_window > 0);
        const uint64_t window = cost_of("sliding", 4, {}, sliding.sliding_window - 1, false).kv_bytes;
        CHECK(cost_of("sliding", 4, {}, sliding.sliding_window + 50, false).kv_bytes == window);
        CHECK(cost_of("sliding", 4, {}, sliding.sliding_window - 2, false).kv_bytes < window);
    }
}
