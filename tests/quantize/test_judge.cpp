// What the quantizer says of the model that it made, against logits of the runtime; and the windows that it looks at.
// In: the committed tiny Llamas. Out: divergences, perplexities. Must not know how blocks are rounded.
#include "core/quantize/judge.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/quantize/calibration_text.h"
#include "core/quantize/float_model.h"
#include "core/runtime/session.h"
#include "tests/near.h"
#include "tests/quantize/walk_test.h"

using namespace gq;

namespace {

using Windows = std::vector<std::vector<int32_t>>;

QuantizeOptions judged_options(unsigned bits) {
    QuantizeOptions options = tiny_options(bits);
    options.judged = 2;
    return options;
}

// Those that a run with these options judges by.
Windows judged_windows(const std::string& name, const QuantizeOptions& options, size_t vocab) {
    const auto checkpoint = open_checkpoint(tiny_path(name));
    const Windows all = cut_by_kind(Tokenizer::from_checkpoint(*checkpoint), builtin_calibration_text(),
                                    {options.windows, options.held_out, options.judged}, options.window, vocab);
    return {all.end() - static_cast<ptrdiff_t>(options.judged), all.end()};
}

// log p of every next token, the vocabulary behind each position of the second half of each window but its last.
std::vector<std::vector<double>> predictions(const Model& model, const Compute& compute, Precision precision,
                                             const Windows& windows) {
    const size_t window = windows.front().size();
    Session session(model, compute,
                    {.context = windows.size() * window,
                     .k_type = &find_kv_type("f32"),
                     .v_type = &find_kv_type("f32"),
                     .precision = precision});
    std::vector<BatchRow> rows;
    for (size_t w = 0; w < windows.size(); ++w)
        for (size_t i = 0; i < window; ++i)
            rows.push_back({static_cast<SequenceId>(w), static_cast<int32_t>(i), windows[w][i],
                            i + 1 >= window / 2 && i + 1 < window});
    session.decode(rows);
    std::vector<std::vector<double>> result;
    for (size_t i = 0; i < session.n_logits(); ++i) {
        const auto logits = session.logits(i);
        std::vector<double>& p = result.emplace_back(logits.begin(), logits.end());
        double sum = 0;
        for (const double logit : p) sum += std::exp(logit);
        for (double& logit : p) logit -= std::log(sum);
    }
    return result;
}

Verdict expected_verdict(const std::string& name, const std::filesystem::path& file, const QuantizeOptions& options) {
    ThreadPool pool(2);
    const Compute compute{pool, kernel_table()};
    const auto checkpoint = open_checkpoint(tiny_path(name));
    const SourceModel source(*checkpoint);
    const RotatedSource rotated(source, compute, false);
    const Windows windows = judged_windows(name, options, source.params().vocab);
    const auto p = predictions(FloatModel(source, rotated, compute).model(), compute, Precision::exact, windows);
    const auto q = predictions(LoadedModel::open(file, false)->model, compute, Precision::int8_activations, windows);
    Verdict v;
    v.tokens = p.size();
    const size_t a_window = p.size() / windows.size(), first = options.window - a_window;
    double loss = 0, float_loss = 0;
    for (size_t i = 0; i < p.size(); ++i) {
        const auto next = static_cast<size_t>(windows[i / a_window][first + i % a_window]);
        loss -= q[i][next];
        float_loss -= p[i][next];
        for (size_t t = 0; t < p[i].size(); ++t) v.kl += std::exp(p[i][t]) * (p[i][t] - q[i][t]);
    }
    const double n = static_cast<double>(p.size());
    v.kl /= n;
    v.ppl = std::exp(loss / n);
    v.float_ppl = std::exp(float_loss / n);
    return v;
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("the verdict on a file is what its logits are beside the float model's") {
        struct Case {
            const char* name;
            unsigned bits;
            bool rotate;
            size_t refine_epochs, distill_epochs;
            Method method;
        };
        for (const Case& c : {Case{"untied", 3, false, 0, 0, Method::rtn}, Case{"tied", 3, true, 0, 0, Method::gptq},
                              Case{"untied", 2, true, 2, 0, Method::gptq}, Case{"tied", 2, false, 0, 1, Method::gptq},
                              Case{"tied", 2, true, 1, 0, Method::gptq}, Case{"opt", 3, false, 2, 1, Method::gptq},
                              Case{"opt", 3, false, 0, 0, Method::gptq}, Case{"bloom", 3, false, 1, 1, Method::gptq}}) {
            CAPTURE(c.name);
            CAPTURE(c.bits);
            QuantizeOptions options = judged_options(c.bits);
            options.rotate = c.rotate;
            options.refine_epochs = c.refine_epochs;
            options.distill_epochs = c.distill_epochs;
            options.method = c.method;
            const TemporaryPath out("judged.gq"), again("judged_3.gq");
            ThreadPool one(1);
            const std::optional<Verdict> found =
                quantize_model(tiny_path(c.name), out.path(), options, {one, kernel_table()}, {});
            quantize_tiny(c.name, again.path(), options, 3);
            CHECK(file_bytes(out.path()) == file_bytes(again.path()));
            const Verdict expected = expected_verdict(c.name, out.path(), options);
            REQUIRE(found);
            CHECK(found->tokens == expected.tokens);
            CHECK(found->tokens == 2 * options.window / 2);
            // The runtime rounds what the head reads to 8 bits, too; the float model here has 16 bits a weight.
            CHECK(found->kl == test::near(expected.kl, 0.02));
            CHECK(found->ppl == test::near(expected.ppl, 3e-3));
            CHECK(found->float_ppl == test::near(expected.float_ppl, 1e-4));
            const JsonValue verdict = provenance_of(GqFile(out.path())).at("verdict", "provenance");
            CHECK(verdict.at("kl", "verdict").as_number("kl") == found->kl);
            CHECK(verdict.at("ppl", "verdict").as_number("ppl") == found->ppl);
        }
    }

    TEST_CASE(
        "floats diverge from themselves by less than int8 activations do, and without judged windows by nothing") {
        const TemporaryPath out("judged_floats.gq");
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        QuantizeOptions options = judged_options(16);
        options.embed_bits = 16;
        const auto found = quantize_model(golden_path("tiny_llama_tied"), out.path(), options, compute, {});
        REQUIRE(found);
        CHECK(found->kl < 1e-5);  // floats are not rounded to 8 bits on the way, weights to 16
        options.judged = 0;
        CHECK_FALSE(quantize_model(golden_path("tiny_llama_tied"), out.path(), options, compute, {}));
        CHECK_FALSE(provenance_of(GqFile(out.path())).find("verdict"));
    }

    TEST_CASE("windows beside those of calibration change none of these, and overlap with none") {
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_tied"));
        const Tokenizer tokenizer = Tokenizer::from_checkpoint(*checkpoint);
        std::string text;
        for (int i = 0; i < 600; ++i) text += std::to_string(1000 + i);  // each place tells where it is
        const std::vector<int32_t> tokens = tokenizer.encode(text);
        const size_t window = tokens.size() / 24;
        const auto place = [&](const std::vector<int32_t>& w) {
            const auto at = std::search(tokens.begin(), tokens.end(), w.begin(), w.end());
            REQUIRE(at != tokens.end());
            return static_cast<size_t>(at - tokens.begin());
        };
        for (const WindowCounts counts : {WindowCounts{8, 2, 0}, WindowCounts{8, 3, 5}, WindowCounts{8, 0, 1},
                                          WindowCounts{8, 4, 4}, WindowCounts{3, 4, 9}}) {
            CAPTURE(counts.held_out);
            CAPTURE(counts.judging);
            const Windows all = cut_by_kind(tokenizer, text, counts, window, 288);
            REQUIRE(all.size() == counts.all());
            const size_t n_solved = counts.calibration + counts.held_out;
            const Windows alone = cut_windows(tokenizer, text, counts.calibration, window, 288),
                          unjudged =
                              cut_by_kind(tokenizer, text, {counts.calibration, counts.held_out, 0}, window, 288);
            CHECK(std::equal(alone.begin(), alone.end(), all.begin()));
            CHECK(std::equal(unjudged.begin(), unjudged.end(), all.begin()));
            std::vector<size_t> places;
            for (const std::vector<int32_t>& w : all) places.push_back(place(w));
            if (counts.judging > 2) {  // they reach into the first and the last third
                const auto [first, last] =
                    std::minmax_element(places.begin() + static_cast<ptrdiff_t>(n_solved), places.end());
                CHECK(*first < tokens.size() / 3);
                CHECK(*last > tokens.size() / 3 * 2 - window);
            }
            std::sort(places.begin(), places.end());
            for (size_t i = 1; i < places.size(); ++i) CHECK(places[i] >= places[i - 1] + window);
        }
        // No more than there is room for.
        CHECK(cut_by_kind(tokenizer, text, {8, 4, 100}, window, 288).size() == 8 * 2);
        // Too little room for those that are held out: these and the former are cut as one, and one is behind them.
        const Windows dense = cut_by_kind(tokenizer, text, {8, 2, 4}, 2 * window, 288),
                      as_one = by_kind(cut_windows(tokenizer, text, 10, 2 * window, 288), {8, 2, 0});
        REQUIRE(dense.size() == 11);
        CHECK(std::equal(as_one.begin(), as_one.end(), dense.begin()));
        for (size_t i = 0; i < 10; ++i) CHECK(place(dense[i]) + 2 * window <= place(dense[10]));
        // None where they overlap.
        CHECK(cut_by_kind(tokenizer, text, {20, 2, 4}, 2 * window, 288).size() == 22);
    }

    TEST_CASE("a report, and windows to judge by, change no tensor") {
        const TemporaryPath plain("unjudged.gq"), judged("judged.gq"), report("judged.json");
        for (const size_t windows : {2, 6, 60}) {  // of 64 tokens; the longest are most of the text
            CAPTURE(windows);
            QuantizeOptions options = tiny_options(3);
            options.windows = windows;
            options.held_out = 4;
            options.window = windows == 60 ? 2048 : 64;
            quantize_tiny("tied", plain.path(), options);
            options.judged = 4;
            options.report = report.path();
            quantize_tiny("tied", judged.path(), options);
            const GqFile one(plain.path()), other(judged.path());
            size_t n_others = 0;
            for (size_t i = 0; i < one.tensors().size(); ++i)
                for (size_t p = 0; p < one.tensors()[i].parts.size(); ++p)
                    n_others += !std::ranges::equal(one.tensors()[i].parts[p].bytes, other.tensors()[i].parts[p].bytes);
            CHECK(n_others == 0);
        }
    }

    TEST_CASE("a verdict that has no room is no verdict, and the file says why") {
        const TemporaryPath text("short.txt"), out("no_room.gq");
        std::ofstream(text.path()) << std::string(600, 'a');
        ThreadPool pool(1);
        QuantizeOptions options = judged_options(3);
        options.calibration = text.path();
        CHECK_FALSE(quantize_model(golden_path("tiny_llama_tied"), out.path(), options, {pool, kernel_table()}, {}));
        const JsonValue provenance = provenance_of(GqFile(out.path()));
        CHECK_FALSE(provenance.find("verdict"));
        CHECK(provenance.at("note", "provenance").as_string("note").find("judged by 0 windows of 2") !=
              std::string::npos);
    }
}
