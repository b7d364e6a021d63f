// Step lists: where stages begin, and what is alive at a cut.
// In: the steps of a small Llama; hyper-parameters as JSON. Out: checks. Must not run a step.
#include <doctest/doctest.h>

#include <algorithm>

#include "core/base/status.h"
#include "core/model/arch.h"

namespace {

using namespace gq;

HyperParams small_llama() {
    HyperParams p;
    p.arch = "llama";
    p.vocab = 10;
    p.hidden = 8;
    p.ffn = 16;
    p.n_layers = 2;
    p.n_heads = p.n_kv_heads = 2;
    p.head_dim = 4;
    p.context = 64;
    p.norm_eps = 1e-5;
    p.rope_inv_freq = {1, 0.01f};
    return p;
}

std::vector<std::string> names(const Network& net, const std::vector<SlotId>& slots) {
    std::vector<std::string> result;
    for (const SlotId slot : slots) result.emplace_back(net.slots[slot].name);
    std::sort(result.begin(), result.end());
    return result;
}

}  // namespace

TEST_SUITE("model") {
    TEST_CASE("a llama block has four stages, and each cut keeps what follows needs") {
        const Arch& arch = *find_arch("llama");
        const Network net = arch.build(small_llama());
        REQUIRE(net.blocks.size() == 2);
        const StepList& block = net.blocks[0];
        REQUIRE(block.stage_begin.size() == 4);
        std::vector<std::string> roles;
        for (size_t stage = 0; stage < 4; ++stage) {
            for (const size_t step : block.stage_linears(stage))
                roles.emplace_back(arch.block_weights[block.steps[step].weight].role);
            roles.emplace_back("|");
        }
        CHECK(roles == std::vector<std::string>{"attn_q", "attn_k", "attn_v", "|", "attn_o", "|", "ffn_gate", "ffn_up",
                                                "|", "ffn_down", "|"});
        CHECK(names(net, block.live_slots(block.stage_begin[0], net.residual)) ==
              std::vector<std::string>{"normed", "residual"});
        CHECK(names(net, block.live_slots(block.stage_begin[1], net.residual)) ==
              std::vector<std::string>{"mixed", "residual"});
        CHECK(names(net, block.live_slots(block.stage_begin[2], net.residual)) ==
              std::vector<std::string>{"normed", "residual"});
        CHECK(names(net, block.live_slots(block.stage_begin[3], net.residual)) ==
              std::vector<std::string>{"gate", "residual"});
        CHECK(names(net, block.live_slots(block.steps.size(), net.residual)) == std::vector<std::string>{"residual"});
    }

    TEST_CASE("hyper-parameters survive JSON and are checked") {
        const HyperParams p = small_llama();
        const HyperParams q = HyperParams::from_json(p.to_json(), "test");
        CHECK(q.to_json() == p.to_json());
        CHECK(q.rope_inv_freq == p.rope_inv_freq);
        const auto refuse = [](HyperParams bad, const char* words) {
            CHECK_THROWS_WITH_AS(bad.check(), doctest::Contains(words), Error);
        };
        HyperParams bad = p;
        bad.vocab = 0;
        refuse(bad, "vocab");
        bad = p;
        bad.head_dim = 5;
        refuse(bad, "head_dim expected even");
        bad = p;
        bad.rope_inv_freq.pop_back();
        refuse(bad, "rope_inv_freq: none or 2 values expected, 1 found");
        bad = p;
        bad.n_heads = 3;
        refuse(bad, "no multiple");
        std::string huge = p.to_json();
        const size_t first = huge.find("[1.0", huge.find("rope_inv_freq"));
        REQUIRE(first != std::string::npos);
        huge.replace(first, 4, "[1e39");
        CHECK_THROWS_WITH_AS(HyperParams::from_json(huge, "test"),
                             doctest::Contains("rope_inv_freq: finite values expected, found inf"), Error);
    }
}
