// Sessions: the same bits whatever the batch, the threads and the kernels; growing, forking, cutting and refusing
// sequences.
#include <doctest/doctest.h>

#include <cstring>

#include "core/kernels/activation_modes.h"
#include "core/kernels/cpu_features.h"
#include "core/runtime/session.h"
#include "tests/heap_bytes.h"
#include "tests/tiny_model.h"

namespace {

using namespace gq;
using test::heap_bytes;

std::vector<BatchRow> rows_of(SequenceId sequence, size_t begin, size_t end) {
    std::vector<BatchRow> rows;
    for (size_t i = begin; i < end; ++i)
        rows.push_back({sequence, static_cast<int32_t>(i), static_cast<int32_t>((i * 37 + 11) % 250), true});
    return rows;
}

// Logits of 100 positions (more than a page), decoded `step` at a time.
std::vector<float> logits_by(const LoadedModel& loaded, const char* isa, size_t threads, size_t step,
                             const SessionOptions& options) {
    ThreadPool pool(threads);
    Session session(loaded.model, {pool, kernel_table(isa)}, options);
    std::vector<float> all;
    for (size_t begin = 0; begin < 100; begin += step) {
        session.decode(rows_of(5, begin, std::min<size_t>(100, begin + step)));
        for (size_t i = 0; i < session.n_logits(); ++i)
            all.insert(all.end(), session.logits(i).begin(), session.logits(i).end());
    }
    return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Tiny {
    TemporaryPath path{"session.gq"};
    std::unique_ptr<LoadedModel> loaded;
    explicit Tiny(const std::string& name, unsigned bits = 4, size_t lorc_rank = 0) {
        QuantizeOptions options = tiny_options(bits);
        options.method = Method::rtn;
        options.lorc_rank = lorc_rank;
        quantize_tiny(name, path.path(), options);
        loaded = LoadedModel::open(path.path(), true);
    }
};

void check_memory(const Tiny& tiny, size_t context = 2048) {
    for (const KvType* kv_type : all_kv_types()) {
        for (const ActivationMode& mode : activation_modes()) {
            const SessionOptions options{
                .context = context, .max_rows = 256, .k_type = kv_type, .v_type = kv_type, .precision = mode.precision};
            ThreadPool pool(2);
            const size_t needed = Session::bytes_needed(tiny.loaded->model, options, pool.size());
            std::vector<BatchRow> rows = rows_of(1, 0, context);
            for (size_t i = 0; i < rows.size(); ++i) rows[i].want_logits = i + 32 >= rows.size();
            const size_t before = heap_bytes();
            if (before == 0) {
                MESSAGE("SKIPPED: the heap does not tell its size");
                return;
            }
            Session session(tiny.loaded->model, {pool, kernel_table()}, options);
            session.decode(rows);
            const size_t logits_buffer = 32 * 288 * sizeof(float);  // already given back
            const size_t taken = heap_bytes() - before + logits_buffer;
            CHECK(taken <= needed);
            CHECK(needed <= taken + taken / 4);
        }
    }
}

}  // namespace

TEST_SUITE("runtime") {
    TEST_CASE("the memory that a session is said to need is what it takes, and not much more") {
        for (const size_t lorc_rank : {0, 16}) check_memory(Tiny("tied", 4, lorc_rank));
        check_memory(Tiny("bloom"));
        check_memory(Tiny("opt"), 256);
        const Tiny tiny("tied");
        CHECK_THROWS_AS(static_cast<void>(Session::bytes_needed(tiny.loaded->model, {.context = SIZE_MAX / 2}, 1)),
                        Error);
    }

    TEST_CASE("corrections of low rank give the same bits in any batch, at any thread count, on any kernels") {
        const Tiny corrected("untied", 2, 20), plain("untied", 2);
        for (const ActivationMode& mode : activation_modes()) {
            const SessionOptions options{.context = 128, .max_rows = 512, .precision = mode.precision};
            const std::vector<float> truth = logits_by(*corrected.loaded, "scalar", 1, 100, options);
            CHECK_FALSE(same_bits(truth, logits_by(*plain.loaded, "scalar", 1, 100, options)));
            for (const char* isa : known_isas()) {
                if (!cpu_can_run(isa)) continue;
                CAPTURE(std::string(isa));
                CHECK(same_bits(truth, logits_by(*corrected.loaded, isa, 3, 100, options)));
                CHECK(same_bits(truth, logits_by(*corrected.loaded, isa, 2, 1, options)));
                CHECK(same_bits(truth, logits_by(*corrected.loaded, isa, 1, 7, options)));
            }
        }
    }

    TEST_CASE("logits have the same bits in any batch, at any thread count, on any kernels") {
        for (const char* name : {"tied", "untied", "sliding", "opt", "bloom"}) {
            for (const unsigned bits : {3U, 4U, 8U, 16U}) {
                const Tiny tiny(name, bits);
                for (const ActivationMode& mode : activation_modes()) {
                    const bool has_own_kernels =
                        mode.precision == Precision::int8_activations || mode.precision == Precision::exact;
                    if (!has_own_kernels && bits != 4) continue;  // those between have no kernels of their own
                    const SessionOptions options{.context = 128, .max_rows = 512, .precision = mode.precision};
                    const std::vector<float> truth = logits_by(*tiny.loaded, "scalar", 1, 100, options);
                    CAPTURE(std::string(name));
                    CAPTURE(bits);
                    CHECK(same_bits(truth, logits_by(*tiny.loaded, "scalar", 2, 1, options)));
                    for (const char* isa : known_isas()) {
                        CAPTURE(std::string(isa));
                        if (!cpu_can_run(isa)) {
                            MESSAGE("SKIPPED: this CPU can't run ", std::string(isa));
                            continue;
                        }
                        CHECK(same_bits(truth, logits_by(*tiny.loaded, isa, 3, 100, options)));
                        CHECK(same_bits(truth, logits_by(*tiny.loaded, isa, 2, 1, options)));
                        CHECK(same_bits(truth, logits_by(*tiny.loaded, isa, 1, 7, options)));
                    }
                }
            }
        }
    }

    TEST_CASE("a sequence's logits do not depend on others in its batch") {
        const Tiny tiny("tied");
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        Session alone(tiny.loaded->model, compute, {.context = 64}),
            together(tiny.loaded->model, compute, {.context = 256});
        std::vector<float> expected;
        for (const BatchRow& row : rows_of(1, 0, 20)) {
            alone.decode({&row, 1});
            expected.insert(expected.end(), alone.logits(0).begin(), alone.logits(0).end());
        }
        std::vector<float> found;
        for (size_t i = 0; i < 20; ++i) {
            std::vector<BatchRow> batch = rows_of(9, 2 * i, 2 * i + 2);
            for (BatchRow& row : batch) row.want_logits = false;
            batch.push_back(rows_of(1, i, i + 1)[0]);
            batch.push_back({4, static_cast<int32_t>(i), 3, false});
            together.decode(batch);
            found.insert(found.end(), together.logits(0).begin(), together.logits(0).end());
        }
        CHECK(same_bits(expected, found));
    }

    TEST_CASE("passes of few rows give the bits of one large pass") {
        const Tiny tiny("untied");
        const SessionOptions large{.context = 128}, small{.context = 128, .max_rows = 5};
        CHECK(same_bits(logits_by(*tiny.loaded, "", 2, 100, large), logits_by(*tiny.loaded, "", 2, 100, small)));
    }

    // Attention's own tests have the other thread counts and cuts into calls.
    TEST_CASE("types of the cache, other ones for keys than for values, give the same bits on any kernels") {
        const Tiny tiny("untied");
        const std::vector<float> of_default = logits_by(*tiny.loaded, "", 1, 100, {.context = 128});
        const auto types = all_kv_types();
        for (size_t i = 0; i < types.size(); ++i) {
            const SessionOptions options{.context = 128, .k_type = types[i], .v_type = types[(i + 1) % types.size()]};
            CAPTURE(std::string(options.k_type->name));
            CAPTURE(std::string(options.v_type->name));
            const std::vector<float> truth = logits_by(*tiny.loaded, "scalar", 1, 100, options);
            CHECK_FALSE(same_bits(truth, of_default));
            for (const char* isa : known_isas())
                if (cpu_can_run(isa)) CHECK(same_bits(truth, logits_by(*tiny.loaded, isa, 2, 7, options)));
        }
    }

    TEST_CASE("fork and truncate continue with the bits of the original") {
        const Tiny tiny("tied");
        ThreadPool pool(1);
        for (const KvType* type : all_kv_types()) {
            CAPTURE(std::string(type->name));
            Session session(tiny.loaded->model, {pool, kernel_table()},
                            {.context = 512, .k_type = type, .v_type = type});
            session.decode(rows_of(1, 0, 70));
            session.fork(1, 2);
            session.decode(rows_of(1, 70, 80));
            const std::vector<float> expected(session.logits(9).begin(), session.logits(9).end());
            session.decode(rows_of(2, 70, 80));
            CHECK(same_bits(expected, {session.logits(9).begin(), session.logits(9).end()}));
            session.truncate(1, 66);
            CHECK(session.length(1) == 66);
            session.decode(rows_of(1, 66, 80));
            CHECK(same_bits(expected, {session.logits(13).begin(), session.logits(13).end()}));
        }
    }

    TEST_CASE("what can't be decoded is refused and changes nothing") {
        const Tiny tiny("tied");
        ThreadPool pool(1);
        Session session(tiny.loaded->model, {pool, kernel_table()}, {.context = 64});
        session.decode(rows_of(1, 0, 10));
        const auto refuse = [&](const std::vector<BatchRow>& batch, const char* words) {
            CHECK_THROWS_WITH_AS(session.decode(batch), doctest::Contains(words), Error);
            CHECK(session.length(1) == 10);
        };
        refuse({{1, 9, 5, true}}, "goes on at position 10, found 9");
        refuse({{1, 10, 288, true}}, "expected in 0 … 287, found 288");
        refuse({{1, 10, -1, true}}, "found -1");
        refuse(rows_of(1, 10, 66), "the context holds 64");
        refuse({{1, 10, 5, true}, {2, 0, 5, true}}, "all 1 pages");  // a second sequence needs a page of its own
        CHECK(session.length(2) == 0);
        CHECK_FALSE(session.has_room(2, 1));
        CHECK(session.has_room(1, 54));
        CHECK_FALSE(session.has_room(1, 55));
        CHECK_THROWS_AS(static_cast<void>(session.logits(99)), Error);
    }

    TEST_CASE("cancelling ends a decode between stages and leaves lengths as they were") {
        const Tiny tiny("tied");
        ThreadPool pool(1);
        Session session(tiny.loaded->model, {pool, kernel_table()}, {.context = 64});
        int calls = 0;
        session.set_cancel([&] { return ++calls == 4; });
        try {
            session.decode(rows_of(1, 0, 10));
            FAIL("decode was expected to be cancelled");
        } catch (const Error& error) {
            CHECK(error.status() == Status::cancelled);
        }
        CHECK(session.length(1) == 0);
        session.set_cancel({});
        session.decode(rows_of(1, 0, 10));
        CHECK(session.length(1) == 10);
    }
}
