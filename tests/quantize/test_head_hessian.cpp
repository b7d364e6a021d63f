// The head's Hessian against logits of the runtime, and what the walk makes of it: a head that is solved.
// In: the committed tiny Llamas. Out: sums of squares, losses, bytes. Must not know how blocks are solved.
#include "core/quantize/head_hessian.h"

#include <cmath>

#include "core/quantize/calibrate.h"
#include "core/quantize/float_model.h"
#include "core/runtime/session.h"
#include "tests/near.h"
#include "tests/quantize/walk_test.h"

using namespace gq;

namespace {

constexpr size_t window = 64, n_windows = 3;

std::vector<std::vector<int32_t>> some_windows() {
    std::vector<std::vector<int32_t>> windows(n_windows);
    for (size_t w = 0; w < n_windows; ++w)
        for (size_t i = 0; i < window; ++i) windows[w].push_back(static_cast<int32_t>((i * 37 + w * 11 + 5) % 250));
    return windows;
}

// Σ logits² over all tokens of the windows, by row of the head.
std::vector<double> squared_logits(const Model& model, const Compute& compute) {
    std::vector<double> sums(model.params.vocab);
    Session session(model, compute,
                    {.context = n_windows * window,
                     .k_type = &find_kv_type("f32"),
                     .v_type = &find_kv_type("f32"),
                     .precision = Precision::exact});
    std::vector<BatchRow> rows;
    const auto windows = some_windows();
    for (size_t w = 0; w < n_windows; ++w)
        for (size_t i = 0; i < window; ++i)
            rows.push_back({static_cast<SequenceId>(w), static_cast<int32_t>(i), windows[w][i], true});
    session.decode(rows);
    for (size_t i = 0; i < session.n_logits(); ++i)
        for (size_t v = 0; v < sums.size(); ++v)
            sums[v] += static_cast<double>(session.logits(i)[v]) * static_cast<double>(session.logits(i)[v]);
    return sums;
}

// Of what the head is given, turned where the model is.
Matrix streamed_hessian(const Model& model, const Compute& compute) {
    Stream stream(model.network, float_kv_layer(model.params), compute, n_windows, window);
    stream.embed(model.embedding, model.outer, some_windows());
    for (size_t layer = 0; layer < model.params.n_layers; ++layer) {
        const StepList& block = model.network.blocks[layer];
        stream.run(block, 0, block.steps.size(), model.blocks[layer]);
    }
    stream.run_epilogue(model.outer);
    return stream.hessian(model.network.head_input);
}

struct Loss {
    double solved = 0, rounded = 0;
};

// What a file says of a tensor's solve; zeros where it was none.
Loss loss_of(const std::filesystem::path& path, const std::string& name, const char* solved = "loss",
             const char* rounded = "rtn_loss") {
    const JsonValue provenance = provenance_of(GqFile(path));
    for (const JsonValue& entry : provenance.at("tensors", "provenance").as_array("tensors")) {
        if (entry.at("name", "tensor").as_string("name") != name || !entry.find("loss")) continue;
        return {entry.at(solved, "tensor").as_number(solved), entry.at(rounded, "tensor").as_number(rounded)};
    }
    return {};
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("the head's Hessian gives the squares of the float model's logits, turned or not") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        for (const char* name : {"tied", "untied", "opt", "bloom"}) {
            const auto checkpoint = open_checkpoint(tiny_path(name));
            const SourceModel source(*checkpoint);
            const size_t hidden = source.params().hidden, vocab = source.params().vocab;
            const RotatedSource plain(source, compute, false);
            const std::vector<double> expected = squared_logits(FloatModel(source, plain, compute).model(), compute);
            for (const bool turned : {false, true}) {
                if (turned && !source.network().prologue.steps.empty()) continue;  // LayerNorms stand behind it
                const RotatedSource rotated(source, compute, turned);
                size_t n_blocks = 0;
                const Matrix h = head_hessians(compute, source, rotated, some_windows(), 0, [&] { ++n_blocks; }).solved;
                CHECK(n_blocks == source.params().n_layers);
                const Matrix streamed = streamed_hessian(FloatModel(source, rotated, compute).model(), compute);
                Matrix head(vocab, hidden);
                const WeightRow& row = source.params().tied_head ? source.arch().embedding : source.arch().head;
                rotated.read_rows(row, 0, 0, vocab, head.data());
                const std::vector<double> losses = hessian_losses(compute, head, h),
                                          streamed_losses = hessian_losses(compute, head, streamed);
                for (size_t v = 0; v < vocab; v += 29) {
                    INFO(std::string(name), " turned ", turned, " row ", v);
                    // Both models compute in float, in different orders: 1e-7 a step, of either sign.
                    const double n = static_cast<double>(n_windows * window);
                    CHECK(losses[v] * n == test::near(expected[v], 1e-5));
                    // Turned weights are kept in 16 bits, half of 2^-10 off each.
                    CHECK(streamed_losses[v] * n == test::near(expected[v], turned ? 2e-3 : 1e-5));
                }
            }
        }
    }

    TEST_CASE("the head's Hessian on held-out windows is that of these alone") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_tied"));
        const SourceModel source(*checkpoint);
        const RotatedSource rotated(source, compute, true);
        const auto windows = some_windows();
        const auto of = [&](std::span<const std::vector<int32_t>> some, size_t n_held_out) {
            return head_hessians(compute, source, rotated, some, n_held_out, [] {});
        };
        const HeadHessians both = of(windows, 1);
        const Matrix first = of(std::span(windows).first(2), 0).solved, last = of(std::span(windows).last(1), 0).solved;
        const size_t n = first.rows() * first.cols();
        REQUIRE(both.held_out.rows() == last.rows());
        CHECK(std::equal(first.data(), first.data() + n, both.solved.data()));
        CHECK(std::equal(last.data(), last.data() + n, both.held_out.data()));
    }

    TEST_CASE("a narrow head is solved, a wide one and an embedding of its own are rounded to nearest") {
        const TemporaryPath one("head_1.gq"), three("head_3.gq");
        for (const char* name : {"tied", "untied"}) {
            const bool tied = name == std::string("tied");
            QuantizeOptions options = tiny_options(4);
            options.embed_bits = 3;
            options.rotate = true;
            quantize_tiny(name, one.path(), options, 1);
            quantize_tiny(name, three.path(), options, 3);
            INFO(std::string(name));
            CHECK(file_bytes(one.path()) == file_bytes(three.path()));
            const Loss head = loss_of(one.path(), tied ? "embedding" : "head");
            CHECK(head.solved > 0);
            CHECK(head.solved < 0.8 * head.rounded);  // random weights gain least; rounding alone has the ratio 1
            options.held_out = 2;
            quantize_tiny(name, one.path(), options, 1);
            const Loss held = loss_of(one.path(), tied ? "embedding" : "head", "held_out_loss", "held_out_rtn_loss");
            CHECK(held.solved > 0);
            CHECK(held.solved < 0.8 * held.rounded);
            options.held_out = 0;
            CHECK(loss_of(one.path(), tied ? "head" : "embedding").rounded == 0);
            options.embed_bits = 8;
            quantize_tiny(name, one.path(), options, 1);
            CHECK(loss_of(one.path(), "embedding").rounded == 0);
            CHECK(loss_of(one.path(), "head").rounded == 0);
        }
    }
}
