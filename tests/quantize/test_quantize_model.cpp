// The whole walk on a tiny model: same bytes at any thread count and on any kernels, losses that mean something, and
// damage that is named.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>

#include "core/kernels/cpu_features.h"
#include "formats/format_error.h"
#include "tests/near.h"
#include "tests/quantize/walk_test.h"

using namespace gq;

namespace {

QuantizeOptions with_grid(unsigned bits, size_t group, const char* grid) {
    QuantizeOptions options = tiny_options(bits);
    options.group = group;
    options.grid = grid;
    return options;
}

// What one option's combination promises of every linear of the file.
void check_layout(const GqFile& file, const QuantizeOptions& options) {
    const std::string codes = options.bits == 16 ? "f16" : "int" + std::to_string(options.bits);
    const std::string grid = options.bits == 16 ? "" : options.grid;
    size_t n_linears = 0;
    for (const GqTensor& tensor : file.tensors()) {
        if (tensor.name.ends_with("norm")) continue;
        CAPTURE(tensor.name);
        const bool outer = tensor.name == "embedding";  // whose groups are 128 at most
        const size_t group = outer && options.group == 0 ? 128 : options.group;
        CHECK(tensor.codes == codes);
        CHECK(tensor.grid == grid);
        CHECK(tensor.group == (options.bits == 16 ? 0 : group));
        n_linears += !outer;
        if (tensor.name == "blocks.1.ffn_down") {
            CHECK(tensor.rows == 64);
            CHECK(tensor.cols == 112);
        }
    }
    CHECK(n_linears == 2 * 7);
}

// The weights of a file against the float ones: RTN's are round_to_nearest's, and `error` is |Q - W|² / |W|² in plain
// loops.
void check_rtn_weights(const GqFile& file, const SourceModel& source, const GridOptions& grid) {
    ThreadPool pool(1);
    const JsonValue provenance = provenance_of(file);
    for (const JsonValue& entry : provenance.at("tensors", "provenance").as_array("tensors")) {
        const std::string name = entry.at("name", "tensor").as_string("name");
        CAPTURE(name);
        CHECK((entry.find("error") != nullptr) == !name.ends_with("norm"));
        for (const WeightRow& row : source.arch().block_weights) {
            if (name != packed_name(row, 1) || row.kind != WeightKind::linear) continue;
            const size_t rows = row.rows(source.params()), cols = row.cols(source.params());
            const AlignedBuffer<float> w = source.read(row, 1);
            const QuantizedMatrix expected = round_to_nearest({pool, kernel_table()}, w.data(), rows, cols, grid);
            std::vector<float> found(rows * cols);
            unpack_rows(packed_view(*file.find(name)), 0, rows, found.data(), cols);
            double error = 0, weight = 0;
            size_t n_different = 0;
            for (size_t i = 0; i < found.size(); ++i) {
                n_different += found[i] != expected.value(i / cols, i % cols);
                error += std::pow(static_cast<double>(found[i]) - static_cast<double>(w[i]), 2);
                weight += std::pow(static_cast<double>(w[i]), 2);
            }
            CHECK(n_different == 0);
            CHECK(error > 0);
            // Sums in double of some thousand squares, in another order.
            CHECK(entry.at("error", "tensor").as_number("error") == test::near(error / weight, 1e-12));
        }
    }
}

// |W − (Ŵ + U V)|² / |W|² of a corrected linear of block 1.
double corrected_error(const LoadedModel& loaded, const SourceModel& source, size_t role) {
    const Weight& weight = loaded.model.blocks[1].roles[role];
    const size_t rows = weight.matrix.rows, cols = weight.matrix.cols, rank = weight.low_rank.rank();
    const AlignedBuffer<float> w = source.read(source.arch().block_weights[role], 1);
    std::vector<float> q(rows * cols), u(rows * rank), v(rank * cols);
    unpack_rows(weight.matrix, 0, rows, q.data(), cols);
    unpack_rows(weight.low_rank.u, 0, rows, u.data(), rank);
    unpack_rows(weight.low_rank.v, 0, rank, v.data(), cols);
    double error = 0, size = 0;
    for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < cols; ++j) {
            double e = static_cast<double>(w[i * cols + j]) - static_cast<double>(q[i * cols + j]);
            for (size_t k = 0; k < rank; ++k)
                e -= static_cast<double>(u[i * rank + k]) * static_cast<double>(v[k * cols + j]);
            error += e * e;
            size += static_cast<double>(w[i * cols + j]) * static_cast<double>(w[i * cols + j]);
        }
    }
    return error / size;
}

// Each linear: the error of W − (Ŵ + U V) is what the report says, below what rounding left, and so is the loss.
void check_corrections(const LoadedModel& loaded, const SourceModel& source, const JsonValue& report,
                       const char* method) {
    size_t n_checked = 0;
    for (const JsonValue& entry : report.at("tensors", "report").as_array("tensors")) {
        const JsonValue* lorc = entry.find("lorc");
        if (!lorc) continue;
        CHECK(lorc->at("method", "lorc").as_string("method") == method);
        if (entry.find("loss"))
            CHECK(lorc->at("loss", "lorc").as_number("loss") < entry.at("loss", "tensor").as_number("loss"));
        for (size_t role = 0; role < source.arch().block_weights.size(); ++role) {
            const WeightRow& row = source.arch().block_weights[role];
            if (entry.at("name", "tensor").as_string("name") != packed_name(row, 1)) continue;
            const double error = corrected_error(loaded, source, role);
            // E is computed in fp32: 1e-7 of a weight, 1e-6 of an error, of either sign in the sum.
            CHECK(lorc->at("error", "lorc").as_number("error") == test::near(error, 1e-6));
            if (std::string(method) == "lorc") CHECK(error < entry.at("error", "tensor").as_number("error"));
            ++n_checked;
        }
    }
    CHECK(n_checked == 7);
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("the same bytes at 1, 2 and 3 threads and on all kernels") {
        const TemporaryPath one("one.gq"), other("other.gq");
        std::vector<QuantizeOptions> choices;
        for (const unsigned bits : {2U, 3U, 4U, 8U}) choices.push_back(tiny_options(bits));
        choices.push_back(with_grid(5, 16, "k"));
        choices.push_back(with_grid(6, 64, "offset"));
        choices.push_back(with_grid(4, 32, "symmetric"));
        choices.back().codes = "table4";
        for (const QuantizeOptions& options : choices) {
            quantize_tiny("untied", one.path(), options, 1, "scalar");
            for (const char* isa : known_isas()) {
                if (!cpu_can_run(isa)) {
                    MESSAGE("SKIPPED: this CPU can't run ", std::string(isa));
                    continue;
                }
                for (const size_t threads : {2, 3}) {
                    quantize_tiny("untied", other.path(), options, threads, isa);
                    CAPTURE(options.bits);
                    CAPTURE(options.grid);
                    CAPTURE(isa);
                    CHECK(file_bytes(one.path()) == file_bytes(other.path()));
                }
            }
        }
    }

    TEST_CASE("every option's combination writes a file that opens and verifies") {
        for (const unsigned bits : {2U, 3U, 4U, 8U, 16U})
            for (const size_t group : {size_t{0}, size_t{32}, size_t{64}, size_t{128}})
                for (const bool symmetric : {false, true})
                    for (const Order order : {Order::column, Order::act, Order::gar}) {
                        const TemporaryPath out("combination.gq");
                        QuantizeOptions options = tiny_options(bits);
                        options.group = group;
                        options.grid = symmetric ? "symmetric" : "zero_point";
                        options.solver.order = order;
                        options.embed_bits = bits;
                        quantize_tiny("tied", out.path(), options);
                        const auto loaded = LoadedModel::open(out.path(), true);
                        CAPTURE(bits);
                        CAPTURE(group);
                        CAPTURE(symmetric);
                        check_layout(loaded->file, options);
                    }
    }

    TEST_CASE("grids with offsets, groups of 16 and tables: a file that opens and verifies") {
        const TemporaryPath out("grids.gq");
        for (const unsigned bits : {2U, 5U, 6U})
            for (const size_t group : {size_t{0}, size_t{16}, size_t{64}})
                for (const char* grid : {"offset", "k"}) {
                    QuantizeOptions options = with_grid(bits, group, grid);
                    options.embed_bits = bits;
                    quantize_tiny("tied", out.path(), options);
                    CAPTURE(bits);
                    CAPTURE(group);
                    check_layout(LoadedModel::open(out.path(), true)->file, options);
                }
        QuantizeOptions options = tiny_options(4);
        options.codes = "table4";
        quantize_tiny("tied", out.path(), options);
        const auto loaded = LoadedModel::open(out.path(), true);
        CHECK(loaded->file.find("blocks.0.attn_q")->codes == "table4");
        CHECK(loaded->file.find("embedding")->codes == "int8");
        const JsonValue provenance = provenance_of(loaded->file);
        CHECK(provenance.at("options", "provenance").at("codes", "options").as_string("codes") == "table4");
    }

    TEST_CASE("RTN writes what round_to_nearest gives, and the relative error of each tensor") {
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_tied"));
        const SourceModel source(*checkpoint);
        for (const unsigned bits : {2U, 3U, 4U, 8U})
            for (const bool symmetric : {false, true}) {
                const TemporaryPath out("rtn.gq");
                QuantizeOptions options = tiny_options(bits);
                options.method = Method::rtn;
                options.grid = symmetric ? "symmetric" : "zero_point";
                quantize_tiny("tied", out.path(), options, 2);
                CAPTURE(bits);
                CAPTURE(symmetric);
                check_rtn_weights(GqFile(out.path()), source,
                                  {bits, options.group, find_grid(symmetric ? "symmetric" : "zero_point")});
            }
    }

    TEST_CASE("corrections of low rank: the same bytes on every machine, and what the report says of them is so") {
        const TemporaryPath one("one.gq"), other("other.gq"), report("report.json");
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_untied"));
        const SourceModel source(*checkpoint);
        for (const Method method : {Method::gptq, Method::rtn}) {
            for (const LorcMethod lorc_method : {LorcMethod::eora, LorcMethod::lorc}) {
                QuantizeOptions options = tiny_options(2);
                options.method = method;
                options.lorc_rank = 20;
                options.lorc_method = lorc_method;
                quantize_tiny("untied", one.path(), options, 1, "scalar");
                options.report = report.path();
                quantize_tiny("untied", other.path(), options, 3);
                CHECK(file_bytes(one.path()) == file_bytes(other.path()));
                check_corrections(*LoadedModel::open(one.path(), true), source,
                                  parse_json(file_bytes(report.path()), "report"),
                                  method == Method::gptq && lorc_method == LorcMethod::eora ? "eora" : "lorc");
            }
        }
    }

    TEST_CASE("a correction leads to what the solve aimed at, not back to the weights that QEP changed") {
        const TemporaryPath gq("corrected.gq"), report("report.json");
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_untied"));
        const SourceModel source(*checkpoint);
        QuantizeOptions options = tiny_options(2);
        options.solver.qep = 1;
        options.lorc_rank = source.params().hidden;  // all of it but for rounding in 8 bits
        options.report = report.path();
        quantize_tiny("untied", gq.path(), options, 1);
        const auto loaded = LoadedModel::open(gq.path(), true);
        size_t n_moved = 0, n_met = 0;
        const JsonValue json = parse_json(file_bytes(report.path()), "report");
        for (const JsonValue& entry : json.at("tensors", "report").as_array("tensors")) {
            for (size_t role = 0; role < source.arch().block_weights.size(); ++role) {
                const WeightRow& row = source.arch().block_weights[role];
                if (row.kind != WeightKind::linear) continue;
                if (entry.at("name", "tensor").as_string("name") != packed_name(row, 1)) continue;
                const double left = entry.at("lorc", "tensor").at("error", "lorc").as_number("error");
                const double from_floats = corrected_error(*loaded, source, role);
                CHECK(left < 1e-3);  // 8 bits a row lose 1 part in 255² and more where a row is uneven
                from_floats > 1.5 * left ? ++n_moved : ++n_met;
            }
        }
        CHECK(n_moved == 6);  // all whose inputs drift: by 2 to 4 times what rounding the factors leaves
        CHECK(n_met == 1);    // down_proj, which QEP leaves out
    }

    TEST_CASE(
        "ranks that nothing takes, or that bits 16 don't need, are refused; narrow matrices take what they have") {
        QuantizeOptions options = tiny_options(4);
        options.lorc_rank = 1000;
        const Refusal refusal = refuse(golden_path("tiny_llama_tied"), options);
        CHECK(refusal.says("lorc: a rank of at most"));
        CHECK(refusal.says("the widest matrix of a block, expected, found 1000"));
        CHECK(refusal.n_progress == 0);
        options.lorc_rank = 4;
        options.bits = 16;
        CHECK(refuse(golden_path("tiny_llama_tied"), options)
                  .says("lorc: 0 expected with bits 16, which round nothing, found 4"));
        options.lorc_rank = 0;
        options.refine_epochs = 2;
        CHECK(refuse(golden_path("tiny_llama_tied"), options)
                  .says("refine: 0 expected with bits 16, which round nothing, found 2"));
        const TemporaryPath out("narrow.gq");
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_tied"));
        options = tiny_options(3);
        options.lorc_rank = SourceModel(*checkpoint).params().hidden;
        ThreadPool pool(1);
        size_t reduced = 0;
        quantize_model(golden_path("tiny_llama_tied"), out.path(), options, {pool, kernel_table()},
                       [&](const QuantizeProgress& progress) {
                           reduced += progress.note.find("is all there is") != std::string::npos;
                           return false;
                       });
        CHECK(reduced == 2 * SourceModel(*checkpoint).params().n_layers);  // k and v
    }

    TEST_CASE("progress counts every tensor, and GPTQ beats rounding on its own inputs") {
        const TemporaryPath out("progress.gq"), report("report.json");
        ThreadPool pool(1);
        QuantizeOptions options = tiny_options(3);
        options.report = report.path();
        size_t tensors = 0, solved = 0;
        double loss = 0, rounding = 0;
        quantize_model(golden_path("tiny_llama_sliding"), out.path(), options, {pool, kernel_table()},
                       [&](const QuantizeProgress& p) {
                           if (p.tensor.empty()) return false;
                           CHECK(p.n_done == ++tensors);
                           if (p.report) {
                               ++solved;
                               loss += p.report->true_loss;
                               rounding += p.report->rtn_loss;
                           }
                           return false;
                       });
        CHECK(tensors == 3 + 2 * 9);
        CHECK(solved == 2 * 7);
        CHECK(loss < rounding);
        const JsonValue json = parse_json(file_bytes(report.path()), "report");
        CHECK(json.at("tensors", "report").as_array("tensors").size() == tensors);
        CHECK(json.at("calibration", "report").at("name", "report").as_string("name") == "built-in");
        size_t n_checked = 0;
        for (const JsonValue& tensor : json.at("tensors", "report").as_array("tensors")) {
            CAPTURE(tensor.at("name", "tensor").as_string("name"));
            const bool matrix = tensor.at("codes", "tensor").as_string("codes") != "f32";
            CHECK((tensor.find("error") != nullptr) == matrix);
            if (matrix) CHECK(tensor.at("error", "tensor").as_number("error") < 0.1);  // 3 bits, groups of 32
            const JsonValue* check_error = tensor.find("check_error");
            if (!check_error) continue;
            ++n_checked;
            CHECK(check_error->as_number("check_error") < 1e-3);  // the identity, in fp32
        }
        CHECK(n_checked == solved);
    }

    TEST_CASE("the provenance in the file holds no time, host or thread count") {
        const TemporaryPath out("provenance.gq");
        quantize_tiny("tied", out.path(), tiny_options(4));
        const GqFile file(out.path());
        const std::string text = section_text(file, "provenance");
        CHECK(text.find("\"source\"") != std::string::npos);
        CHECK(text.find("seconds") == std::string::npos);
        CHECK(text.find("thread") == std::string::npos);
        char host[256] = {};
        REQUIRE(gethostname(host, sizeof host - 1) == 0);
        REQUIRE(host[0] != 0);
        CHECK(text.find(host) == std::string::npos);
    }

    TEST_CASE("damaged and unknown sources are named and leave no file") {
        CHECK(refuse("/nowhere").says("/nowhere"));
        Altered arch("tied");
        arch.replace("config.json", "LlamaForCausalLM", "NoSuchForCausalLM");
        const Refusal unknown = refuse(arch.folder.path());
        CHECK(unknown.says("'NoSuchForCausalLM' is not supported; known: "));
        CHECK(unknown.says("LlamaForCausalLM"));
        Altered shape("tied");
        shape.replace("config.json", "\"intermediate_size\": 112", "\"intermediate_size\": 113");
        CHECK(refuse(shape.folder.path()).says("shape (113, 64) expected, (112, 64) found"));
        Altered missing("tied");
        missing.replace("model.safetensors", "layers.1.mlp.up_proj", "layers.1.mlp.xx_proj");
        CHECK(refuse(missing.folder.path()).says("'model.layers.1.mlp.up_proj.weight' expected, not found"));
        Altered heads("tied");
        heads.replace("config.json", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3");
        CHECK(refuse(heads.folder.path()).says("n_heads 4 is no multiple of n_kv_heads 3"));
        Altered rope("scaled_rope");
        rope.replace("config.json", "\"llama3\"", "\"yarn\"");
        CHECK(refuse(rope.folder.path()).says("RoPE scaling 'yarn' is not supported"));
        Altered zero("tied");
        zero.replace("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0");
        CHECK(refuse(zero.folder.path()).says("n_layers expected in 1"));
        Altered nan("tied");
        std::string weights = file_bytes(nan.folder.path() / "model.safetensors");
        weights[weights.size() - 1] = 0x7e;  // the last f16 becomes NaN
        std::ofstream(nan.folder.path() / "model.safetensors", std::ios::binary) << weights;
        CHECK(refuse(nan.folder.path()).says("finite weights expected, found nan"));
    }

    TEST_CASE("options out of range and short calibration texts are refused") {
        QuantizeOptions options = tiny_options(7);
        CHECK(refuse(golden_path("tiny_llama_tied"), options).says("bits: expected 2, 3, 4, 5, 6, 8 or 16, found 7"));
        options = tiny_options(4);
        options.codes = "bf16";
        CHECK(refuse(golden_path("tiny_llama_tied"), options).says("codes: expected int2, int3"));
        options = tiny_options(4);
        options.group = 48;
        CHECK(refuse(golden_path("tiny_llama_tied"), options).says("group: expected 16, a multiple of 32"));
        const TemporaryPath text("short.txt");
        std::ofstream(text.path()) << "too short";
        options = tiny_options(4);
        options.calibration = text.path();
        CHECK(refuse(golden_path("tiny_llama_tied"), options).says("at least 132 tokens expected"));
        options.calibration = "/no/text";
        CHECK(refuse(golden_path("tiny_llama_tied"), options).says("/no/text"));
    }

    TEST_CASE("a full disk is an error, and the old file stays") {
        const TemporaryPath out("full.gq");
        std::ofstream(out.path()) << "old";
        rlimit old_limit{};
        getrlimit(RLIMIT_FSIZE, &old_limit);
        const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{20000, old_limit.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        CHECK_THROWS_WITH_AS(quantize_tiny("tied", out.path(), tiny_options(4)), doctest::Contains("full.gq"),
                             FormatError);
        setrlimit(RLIMIT_FSIZE, &old_limit);
        std::signal(SIGXFSZ, old_handler);
        CHECK(file_bytes(out.path()) == "old");
        CHECK_FALSE(std::filesystem::exists(out.path().string() + ".partial"));
    }

    TEST_CASE("cancelling leaves nothing behind") {
        const TemporaryPath out("cancelled.gq");
        ThreadPool pool(1);
        CHECK_THROWS_WITH_AS(
            quantize_model(golden_path("tiny_llama_tied"), out.path(), tiny_options(4), {pool, kernel_table()},
                           [](const QuantizeProgress& p) { return p.n_done == 5; }),
            doctest::Contains("cancelled after 5"), Error);
        CHECK_FALSE(std::filesystem::exists(out.path()));
        CHECK_FALSE(std::filesystem::exists(out.path().string() + ".partial"));
    }
}
