// Rotations: that Turn is orthogonal, that a rotated float model gives the logits of the model it was, and who is
// refused. In: the committed tiny Llamas. Out: logits of both, in f32 all the way. Must not know rounding.
#include "core/quantize/rotate.h"

#include <cmath>

#include "core/linalg/gemm.h"
#include "core/runtime/session.h"
#include "tests/kernels/kernel_cases.h"
#include "tests/quantize/walk_test.h"

using namespace gq;
using namespace gq::test;

namespace {

// A model of plain f32 matrices, read through a RotatedSource.
class FloatModel {
  public:
    FloatModel(const std::string& name, const Compute& compute, bool turned)
        : checkpoint_(open_checkpoint(golden_path(name))), source_(*checkpoint_), rotated_(source_, compute, turned) {
        const Arch& arch = source_.arch();
        model_.params = rotated_.params();
        model_.arch = &arch;
        model_.network = arch.build(model_.params);
        model_.embedding = outer(arch.embedding);
        model_.head = model_.params.tied_head ? model_.embedding : outer(arch.head);
        for (const WeightRow& row : arch.outer_weights) model_.outer.roles.push_back(weight(row, 0));
        if (model_.params.head_turn)
            model_.outer.roles.push_back(linear(rotated_.head_turn(), model_.params.hidden, model_.params.hidden));
        for (size_t layer = 0; layer < model_.params.n_layers; ++layer) {
            BlockWeights& block = model_.blocks.emplace_back();
            for (const WeightRow& row : arch.block_weights) block.roles.push_back(weight(row, layer));
        }
    }

    // Logits of all rows but those that no 64 tokens reach.
    std::vector<float> logits(const Compute& compute) const {
        Session session(model_, compute,
                        {.context = 64,
                         .k_type = &find_kv_type("f32"),
                         .v_type = &find_kv_type("f32"),
                         .precision = Precision::exact});
        std::vector<BatchRow> rows;
        for (int32_t i = 0; i < 48; ++i) rows.push_back({0, i, (i * 37 + 5) % 250, true});
        session.decode(rows);
        std::vector<float> all;
        for (size_t i = 0; i < session.n_logits(); ++i)
            all.insert(all.end(), session.logits(i).begin(), session.logits(i).end());
        return all;
    }
    const Model& model() const { return model_; }

  private:
    Weight linear(AlignedBuffer<float>&& values, size_t rows, size_t cols) {
        kept_.push_back(std::move(values));
        return {.matrix = {.codes = find_codes("f32"),
                           .layout = PackedMatrix::Layout::row_major,
                           .rows = rows,
                           .cols = cols,
                           .code_bytes = reinterpret_cast<const std::byte*>(kept_.back().data())}};
    }
    Weight weight(const WeightRow& row, size_t layer) {
        AlignedBuffer<float> values = rotated_.read(row, layer);
        if (row.kind == WeightKind::linear)
            return linear(std::move(values), row.rows(model_.params), row.cols(model_.params));
        kept_.push_back(std::move(values));
        Weight vector;
        vector.vector = kept_.back().data();
        return vector;
    }
    Weight outer(const WeightRow& row) {
        const size_t rows = row.rows(model_.params), cols = row.cols(model_.params);
        AlignedBuffer<float> values(rows * cols);
        rotated_.read_rows(row, 0, 0, rows, values.data());
        return linear(std::move(values), rows, cols);
    }

    std::unique_ptr<Checkpoint> checkpoint_;
    SourceModel source_;
    RotatedSource rotated_;
    Model model_;
    std::vector<AlignedBuffer<float>> kept_;
};

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("a turn keeps lengths and angles, and mixes every input into every output") {
        for (const size_t n : {1, 2, 3, 8, 9, 12, 64, 72, 576}) {
            const Turn turn(n, 7);
            std::vector<float> q(n * n);
            for (size_t i = 0; i < n; ++i) {
                q[i * n + i] = 1;
                turn.apply(&q[i * n]);
            }
            double worst = 0, smallest = 1;
            for (size_t i = 0; i < n; ++i) {
                for (size_t j = 0; j < n; ++j) {
                    double dot = 0;
                    for (size_t k = 0; k < n; ++k) dot += static_cast<double>(q[i * n + k]) * q[j * n + k];
                    worst = std::max(worst, std::fabs(dot - (i == j ? 1 : 0)));
                    smallest = std::min(smallest, std::fabs(static_cast<double>(q[i * n + j])));
                }
            }
            CAPTURE(n);
            CHECK(worst < 1e-6);  // roundings of floats of size 1 / sqrt(n)
            CHECK(smallest > 0);
        }
    }

    TEST_CASE("turning inputs is W Q, turning outputs is its transpose from the left") {
        const Turn turn(12, 3);
        Random random(5);
        const std::vector<float> w = random_floats(12 * 12, random);
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        std::vector<float> inputs = w, outputs(w.size());
        turn.turn_inputs(compute, inputs.data(), 12);
        for (size_t i = 0; i < 12; ++i)
            for (size_t j = 0; j < 12; ++j) outputs[i * 12 + j] = w[j * 12 + i];
        turn.turn_outputs(compute, outputs.data(), 12);
        for (size_t i = 0; i < 12; ++i)
            for (size_t j = 0; j < 12; ++j) CHECK(inputs[i * 12 + j] == outputs[j * 12 + i]);
    }

    // Sums of 32 to 96 products in f32, in another order: relative errors of some 1e-6, through two layers.
    TEST_CASE("a rotated float model has the logits of the model it was") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        for (const char* name : {"tiny_llama_tied", "tiny_llama_untied", "tiny_llama_sliding"}) {
            const FloatModel plain(name, compute, false), turned(name, compute, true);
            CHECK(turned.model().params.head_turn == plain.model().params.tied_head);
            const std::vector<float> expected = plain.logits(compute), found = turned.logits(compute);
            REQUIRE(expected.size() == found.size());
            float worst = 0, largest = 0;
            for (size_t i = 0; i < expected.size(); ++i) {
                worst = std::max(worst, std::fabs(expected[i] - found[i]));
                largest = std::max(largest, std::fabs(expected[i]));
            }
            INFO(std::string(name));
            CHECK(worst < 2e-5f * largest);
        }
    }

    TEST_CASE("the head as the source has it reads the turned stream by turn_back") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        for (const char* name : {"tiny_llama_tied", "tiny_llama_untied"}) {
            const auto checkpoint = open_checkpoint(golden_path(name));
            const SourceModel source(*checkpoint);
            const RotatedSource rotated(source, compute, true);
            const size_t hidden = source.params().hidden, n_rows = 7;
            const WeightRow& row = source.params().tied_head ? source.arch().embedding : source.arch().head;
            Matrix plain(n_rows, hidden), turned(n_rows, hidden), expected(n_rows, hidden), found(n_rows, hidden);
            source.read_rows(row, 0, 0, n_rows, plain.data());
            rotated.read_rows(row, 0, 0, n_rows, turned.data());
            GemmWorkspace workspace;
            const auto times = [&](const Matrix& head, const AlignedBuffer<float>& w, Matrix& logits) {
                gemm(compute, workspace, Update::set, head.view(), {w.data(), hidden, hidden, hidden}, logits.view());
            };
            times(plain, rotated.turn_back(), found);
            if (rotated.params().head_turn) {
                times(turned, rotated.head_turn(), expected);
            } else {
                expected = std::move(turned);
            }
            float worst = 0, largest = 0;  // by what hidden roundings of each product can add up to
            for (size_t i = 0; i < n_rows * hidden; ++i) {
                worst = std::max(worst, std::fabs(expected.data()[i] - found.data()[i]));
                largest = std::max(largest, std::fabs(expected.data()[i]));
            }
            INFO(std::string(name));
            CHECK(largest > 0);
            CHECK(worst < 1e-5f * largest);
        }
    }

    TEST_CASE("every role of a Llama block turns where it meets the residual stream or the heads' values") {
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_tied"));
        const SourceModel source(*checkpoint);
        const std::vector<RoleTurn> plan = plan_rotation(source.network(), source.arch().block_weights.size());
        const auto turn = [&](const std::string& role) {
            for (size_t i = 0; i < plan.size(); ++i)
                if (source.arch().block_weights[i].role == role) return plan[i];
            FAIL(role);
            return RoleTurn{};
        };
        for (const char* reader : {"attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"}) {
            CHECK(turn(reader).inputs);
            CHECK(turn(reader).fold);
            CHECK_FALSE(turn(reader).outputs);
        }
        for (const char* writer : {"attn_o", "ffn_down"}) {
            CHECK(turn(writer).outputs);
            CHECK_FALSE(turn(writer).inputs);
        }
        CHECK(turn("attn_v").head_outputs);
        CHECK(turn("attn_o").head_inputs);
        CHECK_FALSE(turn("ffn_down").head_inputs);
        CHECK(turn("attn_norm").becomes_ones);
    }

    TEST_CASE("a block that does not commute with a rotation is refused by what it does") {
        Network network;
        network.slots = {{"residual", 4}, {"other", 4}};
        StepList block;
        const auto refusal = [&](std::vector<Step> steps) {
            block.steps = std::move(steps);
            network.blocks = {block};
            try {
                plan_rotation(network, 2);
            } catch (const Error& error) {
                CHECK(error.status() == Status::unsupported);
                return std::string(error.what());
            }
            return std::string("planned");
        };
        const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
        CHECK(
            has(refusal({{.op = Op::linear, .in = {0}, .out = 1}}), "a linear on the residual stream without a norm"));
        CHECK(has(refusal({{.op = Op::rms_norm, .in = {0}, .out = 1}, {.op = Op::add, .in = {0, 1}, .out = 0}}),
                  "a sum of something else"));
        CHECK(has(refusal({{.op = Op::rms_norm, .in = {1}, .out = 1}}), "an RMSNorm of something else"));
        CHECK(has(refusal({{.op = Op::silu_mul, .in = {0, 1}, .out = 1}}), "a step between the residual stream"));
    }
}
