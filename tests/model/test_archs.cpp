// Every registered architecture: its weight rows, steps, slots and stages fit each other, whatever the family.
// In: the registry. Out: checks, by name of the architecture. A new one is tested by being registered.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "core/base/status.h"
#include "core/model/arch.h"
#include "tests/metadata_only.h"

namespace {

using namespace gq;

HyperParams small_params(const Arch& arch) {
    HyperParams p;
    p.arch = arch.name;
    p.vocab = 10;
    p.hidden = 24;
    p.ffn = 40;
    p.n_layers = 3;
    p.n_heads = 6;
    p.n_kv_heads = 2;
    p.head_dim = 8;  // n_heads * head_dim is not hidden
    p.context = 64;
    p.norm_eps = 1e-5;
    p.rope_inv_freq = {1, 0.1f, 0.01f, 0.001f};
    p.check();
    return p;
}

size_t layer_places(const char* pattern) {
    return std::string_view(pattern).find("{}") == std::string_view::npos ? 0 : 1;
}

void check_row(const WeightRow& row, const HyperParams& p, size_t places, bool has_gguf) {
    CAPTURE(row.role);
    CHECK(layer_places(row.hugging_face) == places);
    if (has_gguf) CHECK(layer_places(row.gguf) == places);
    CHECK(row.rows(p) > 0);
    CHECK(row.cols(p) > 0);
    if (row.kind == WeightKind::vector) CHECK(row.rows(p) == 1);
}

// The weight of a step is of the step's kind, and as wide as the slots it stands between.
void check_step(const Step& step, const Network& net, const WeightRow& row, const HyperParams& p) {
    CAPTURE(row.role);
    const size_t in = net.slots[step.in[0]].width, out = net.slots[step.out].width;
    if (step.op == Op::position) {
        CHECK(row.kind == WeightKind::table);
        CHECK(row.cols(p) == out);
        CHECK(row.rows(p) == net.most_positions + step.first_row);
        return;
    }
    CHECK(row.kind == (step.op == Op::linear ? WeightKind::linear : WeightKind::vector));
    CHECK(row.cols(p) == in);
    CHECK(out == (step.op == Op::linear ? row.rows(p) : in));
}

bool has_weight(Op op) {
    return op == Op::linear || op == Op::rms_norm || op == Op::add_bias || op == Op::position;
}

// Counts how often each weight is used.
void check_weights(const StepList& list, const Network& net, std::span<const WeightRow> rows, const HyperParams& p,
                   std::vector<size_t>& n_uses) {
    for (const Step& step : list.steps) {
        if (!has_weight(step.op)) continue;
        REQUIRE(step.weight < n_uses.size());
        ++n_uses[step.weight];
        check_step(step, net, rows[step.weight], p);
    }
}

void check_block(const Arch& arch, const StepList& block, const Network& net, const HyperParams& p) {
    std::vector<size_t> n_uses(arch.block_weights.size());
    for (const Step& step : block.steps) {
        for (const SlotId slot : step.in) REQUIRE(slot < net.slots.size());
        REQUIRE(step.out < net.slots.size());
        if (step.op == Op::rope) CHECK(net.slots[step.in[0]].width == step.heads * net.head_dim);
    }
    check_weights(block, net, arch.block_weights, p, n_uses);
    CHECK(n_uses == std::vector<size_t>(n_uses.size(), 1));
    CHECK(block.live_slots(0, net.residual) == std::vector{net.residual});  // all that comes from outside
    CHECK(block.live_slots(block.steps.size(), net.residual) == std::vector{net.residual});
}

void check_stages(const StepList& block) {
    REQUIRE_FALSE(block.stage_begin.empty());
    size_t n_linears = 0;
    for (size_t stage = 0; stage < block.stage_begin.size(); ++stage) {
        if (stage > 0) CHECK(block.stage_begin[stage] == block.stage_end(stage - 1));
        const std::vector<size_t> linears = block.stage_linears(stage);
        REQUIRE_FALSE(linears.empty());
        CHECK(linears.front() == block.stage_begin[stage]);
        for (const size_t i : linears) CHECK(block.steps[i].in[0] == block.steps[linears.front()].in[0]);
        n_linears += linears.size();
    }
    CHECK(block.stage_end(block.stage_begin.size() - 1) == block.steps.size());
    CHECK(n_linears == static_cast<size_t>(std::count_if(block.steps.begin(), block.steps.end(),
                                                         [](const Step& step) { return step.op == Op::linear; })));
}

}  // namespace

TEST_SUITE("model") {
    TEST_CASE("every architecture's weights, steps, slots and stages fit each other") {
        REQUIRE_FALSE(all_archs().empty());
        for (const Arch* arch : all_archs()) {
            CAPTURE(arch->name);
            CHECK(find_arch(arch->name) == arch);
            const HyperParams p = small_params(*arch);
            const Network net = arch->build(p);
            const bool has_gguf = !arch->gguf_names.empty();
            CHECK((arch->read_gguf != nullptr) == has_gguf);
            std::set<std::string> roles;
            for (const WeightRow& row : arch->block_weights) {
                check_row(row, p, 1, has_gguf);
                CHECK(roles.insert(row.role).second);
            }
            for (const WeightRow* row : {&arch->embedding, &arch->head}) check_row(*row, p, 0, has_gguf);
            for (const WeightRow& row : arch->outer_weights) check_row(row, p, 0, has_gguf);
            std::vector<size_t> n_uses(arch->outer_weights.size());
            for (const StepList* list : {&net.prologue, &net.epilogue})
                check_weights(*list, net, arch->outer_weights, p, n_uses);
            CHECK(n_uses == std::vector<size_t>(n_uses.size(), 1));
            CHECK(net.slots[net.residual].width == arch->embedding.cols(p));
            CHECK(net.slots[net.selected].width == net.slots[net.residual].width);
            CHECK(net.slots[net.head_input].width == arch->head.cols(p));
            CHECK(net.blocks.size() == p.n_layers);
            for (const StepList& block : net.blocks) {
                check_block(*arch, block, net, p);
                check_stages(block);
            }
        }
    }

    TEST_CASE("llama: a GGUF file that scales positions the old way is refused, not read as another model") {
        const char* metadata = R"({"general.architecture": "llama", "llama.context_length": 64,
            "llama.embedding_length": 64, "llama.block_count": 2, "llama.feed_forward_length": 96,
            "llama.attention.head_count": 4, "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.vocab_size": 256,
            "llama.rope.scale_linear": 0.25})";
        const test::MetadataOnly checkpoint(Checkpoint::Kind::gguf, parse_json(metadata, "test"));
        CHECK_THROWS_WITH_AS(
            arch_of(checkpoint).read_gguf(checkpoint),
            doctest::Contains("llama.rope.scale_linear, a key of old converters, expected 1, found 0.25"), Error);
    }
}
