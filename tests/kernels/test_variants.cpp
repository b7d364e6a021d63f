// The registry walk: every kernel variant that this CPU can run equals the scalar truth bit by bit.
// Over sizes, tails, odd shapes, 1 ... 67 tokens, all groups, grids and codes, extreme codes and activations.
// Variants that can't run here are named. A new variant is tested by being registered.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "core/kernels/cpu_features.h"
#include "core/kernels/kernels.h"
#include "core/kernels/kv.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

const KernelTable& truth = scalar_table();

struct Shape {
    size_t rows, cols;
};
constexpr Shape shapes[] = {{1, 1}, {16, 32}, {17, 33}, {5, 100}, {47, 257}, {64, 128}, {40, 576}};
constexpr size_t groups[] = {16, 32, 64, 128, 0};
constexpr size_t some_tokens[] = {1, 2, 3, 4, 5, 8, 19, 67};
constexpr Shape tokens_shape{33, 160};  // under every count of tokens
constexpr size_t most_tokens = 67;

// y of both performers, with room around the rows that must stay untouched.
struct Results {
    size_t stride;
    std::vector<float> expected, found;
    Results(size_t rows, size_t n_tokens) : stride(rows + 5), expected(n_tokens * stride, untouched), found(expected) {}
};

// A variant's walk ends at its first difference, the walk over the others goes on.
struct Difference {};

void must_be(bool same) {
    CHECK(same);
    if (!same) throw Difference{};
}

void must_match(const Results& results) {
    const size_t n = results.expected.size(), at = first_difference(results.found, results.expected);
    INFO("element ", at, ": expected ", results.expected[at % n], ", found ", results.found[at % n]);
    must_be(at == n);
}

// --- linear ----------------------------------------------------------------------------------------------------------

using RunLinear = void (*)(const KernelTable& table, LinearArgs args);

void run_gemv(const KernelTable& table, LinearArgs args) {
    table.gemv[codes_index(*args.weights->codes)](args);
}

void run_gemm_u8s8(const KernelTable& table, LinearArgs args) {
    table.gemm_u8s8(args, expand_panels(*args.weights, args.panel_begin, args.panel_end).data());
}

void compare_linear(const KernelTable& table, RunLinear run, const PackedCase& c, LinearArgs args) {
    Results results(c.matrix.rows, args.n_tokens);
    args.weights = &c.matrix;
    args.y_stride = results.stride;
    args.y = results.expected.data();
    run(truth, args);
    args.y = results.found.data();
    run(table, args);
    INFO(describe(c.matrix), " tokens ", args.n_tokens, " panels ", args.panel_begin, " to ", args.panel_end);
    must_match(results);
}

// The whole matrix, and its panels without the first.
void compare_panels(const KernelTable& table, RunLinear run, const PackedCase& c, LinearArgs args) {
    const size_t n = c.matrix.n_panels();
    args.panel_begin = 0;
    args.panel_end = n;
    compare_linear(table, run, c, args);
    args.panel_begin = 1;
    if (n > 1) compare_linear(table, run, c, args);
}

// Integer codes: the activations and, for grids with offsets, their sums.
void compare_q8(const KernelTable& table, RunLinear run, const PackedCase& c, size_t n_tokens, Q8Case& q8) {
    const std::vector<float> sums = group_sums(c.matrix, q8);
    compare_panels(table, run, c, {.n_tokens = n_tokens, .q8 = q8.rows(), .group_sums = sums.data()});
}

void compare_tokens(const KernelTable& table, RunLinear run, const PackedCase& c, size_t n_tokens, Random& random) {
    Q8Case q8 = q8_case(n_tokens, c.matrix.cols, random);
    compare_q8(table, run, c, n_tokens, q8);
}

void compare_integers(const KernelTable& table, RunLinear run, const Codes& codes) {
    Random random(31);
    for (const Grid* grid : all_grids()) {
        for (const size_t group : groups) {
            for (const Shape shape : shapes) {
                const PackedCase c = integer_case(codes, *grid, shape.rows, shape.cols, group, random);
                for (const size_t n_tokens : some_tokens) compare_tokens(table, run, c, n_tokens, random);
            }
        }
        for (const size_t group : {size_t{16}, size_t{64}}) {
            const PackedCase c = integer_case(codes, *grid, tokens_shape.rows, tokens_shape.cols, group, random);
            for (size_t n_tokens = 1; n_tokens <= most_tokens; ++n_tokens)
                compare_tokens(table, run, c, n_tokens, random);
        }
    }
}

// Sums as large as they get in either direction: where 16-bit intermediates would overflow or saturate.
void compare_extreme_integers(const KernelTable& table, RunLinear run, const Codes& codes) {
    Random random(32);
    for (const Grid* grid : all_grids()) {
        for (const Fill fill : all_fills) {
            const PackedCase c = integer_case(codes, *grid, 33, 320, 128, random, fill);
            for (const Q8Fill q8_fill : all_q8_fills) {
                for (const size_t n_tokens : {size_t{1}, size_t{4}, size_t{23}}) {
                    Q8Case q8 = q8_case(n_tokens, 320, random, q8_fill);
                    compare_q8(table, run, c, n_tokens, q8);
                }
            }
        }
    }
}

// Activations as quantize_q8 leaves them when some blocks are zero, huge or not finite.
void compare_wild_integers(const KernelTable& table, RunLinear run, const Codes& codes) {
    Random random(33);
    for (const Grid* grid : all_grids()) {
        const PackedCase c = integer_case(codes, *grid, 19, 200, 64, random);
        for (const size_t rarity : {size_t{20}, size_t{2000}}) {
            const std::vector<float> x = wild_floats(40 * 200, random, rarity);
            Q8Case q8(40, 200);
            truth.quantize_q8(x.data(), 200, 40, 200, q8.rows());
            compare_q8(table, run, c, 40, q8);
        }
    }
}

void compare_all_integers(const KernelTable& table, RunLinear run, const Codes& codes) {
    compare_integers(table, run, codes);
    compare_extreme_integers(table, run, codes);
    compare_wild_integers(table, run, codes);
}

void compare_float_tokens(const KernelTable& table, const PackedCase& c, size_t n_tokens, Random& random) {
    const size_t cols = c.matrix.cols, padded = c.matrix.n_tiles() * tile_cols, stride = padded + 8;
    for (const bool wild : {false, true}) {
        std::vector<float> x =
            wild ? wild_floats(n_tokens * stride, random, 500) : random_floats(n_tokens * stride, random);
        for (size_t i = 0; i < x.size(); ++i) {
            if (i % stride >= cols && i % stride < padded) x[i] = 0.0f;
        }
        compare_panels(table, run_gemv, c, {.n_tokens = n_tokens, .q8 = {}, .x = x.data(), .x_stride = stride});
    }
}

void compare_float_gemv(const KernelTable& table, const Codes& codes) {
    Random random(34);
    for (const Shape shape : shapes) {
        const PackedCase c = float_case(codes, shape.rows, shape.cols, random);
        for (const size_t n_tokens : some_tokens) compare_float_tokens(table, c, n_tokens, random);
    }
    const PackedCase c = float_case(codes, tokens_shape.rows, tokens_shape.cols, random);
    for (size_t n_tokens = 1; n_tokens <= most_tokens; ++n_tokens) compare_float_tokens(table, c, n_tokens, random);
}

void compare_gemv(const KernelTable& table, const Codes& codes) {
    if (codes.is_float) {
        compare_float_gemv(table, codes);
    } else {
        compare_all_integers(table, run_gemv, codes);
    }
}

void compare_gemm_u8s8(const KernelTable& table) {
    for (const Codes* codes : all_codes()) {
        if (!codes->is_float) compare_all_integers(table, run_gemm_u8s8, *codes);
    }
}

void compare_unpack(const KernelTable& table, const Codes& codes) {
    Random random(35);
    for (const size_t n_tiles : {1, 2, 3, 4, 5, 7, 8, 18, 33}) {
        AlignedBuffer<std::byte> panel(n_tiles * codes.tile_bytes);
        for (std::byte& byte : panel) byte = std::byte(random.below(256));
        AlignedBuffer<uint8_t> expected(n_tiles * tile_values + 64), found(expected.size());
        truth.unpack[codes_index(codes)](panel.data(), n_tiles, expected.data());
        table.unpack[codes_index(codes)](panel.data(), n_tiles, found.data());
        INFO(std::string(codes.name), " tiles ", n_tiles);
        must_be(std::equal(found.begin(), found.end(), expected.begin()));
    }
}

void compare_unpack_f32(const KernelTable& table, const Codes& codes) {
    constexpr size_t n = size_t{1} << 16;  // all that 16 bits can be, NaN and infinity among them
    AlignedBuffer<uint16_t> elements(n);
    for (size_t i = 0; i < n; ++i) elements[i] = static_cast<uint16_t>(i);
    AlignedBuffer<float> expected(n), found(n);
    const auto* bytes = reinterpret_cast<const std::byte*>(elements.data());
    truth.unpack_f32[codes_index(codes)](bytes, n, expected.data());
    table.unpack_f32[codes_index(codes)](bytes, n, found.data());
    for (size_t i = 0; i < n; ++i) {
        const bool no_number = std::isnan(expected[i]);  // which may get quiet
        must_be(no_number ? std::isnan(found[i]) : std::memcmp(&found[i], &expected[i], sizeof(float)) == 0);
    }
}

// --- matrices --------------------------------------------------------------------------------------------------------

void compare_gemm_f32_of(const KernelTable& table, size_t m, size_t n, size_t k, Random& random, bool wild) {
    const size_t a_stride = k + 3, panel_stride = k * panel_rows + 16, n_panels = div_up(n, panel_rows);
    const auto floats = [&](size_t count) {
        return wild ? wild_floats(count, random, 3000) : random_floats(count, random);
    };
    const std::vector<float> a = floats(m * a_stride), panels = floats(n_panels * panel_stride);
    for (const bool accumulate : {false, true}) {
        Results results(n, m);
        if (accumulate) {
            for (size_t i = 0; i < results.expected.size(); ++i)
                if (i % results.stride < n) results.expected[i] = random.uniform(-9.0f, 9.0f);
            results.found = results.expected;
        }
        GemmF32Args args{.a = a.data(),
                         .a_stride = a_stride,
                         .panels = panels.data(),
                         .panel_stride = panel_stride,
                         .c = results.expected.data(),
                         .c_stride = results.stride,
                         .m = m,
                         .n_cols = n,
                         .k = k,
                         .accumulate = accumulate};
        truth.gemm_f32(args);
        args.c = results.found.data();
        table.gemm_f32(args);
        INFO("gemm_f32 m ", m, " n ", n, " k ", k, " accumulate ", accumulate, " wild ", wild);
        must_match(results);
    }
}

void compare_gemm_f32(const KernelTable& table) {
    Random random(36);
    for (size_t m = 1; m <= most_tokens; ++m) compare_gemm_f32_of(table, m, 33, 37, random, false);
    for (size_t n = 1; n <= 81; ++n) compare_gemm_f32_of(table, 13, n, 20, random, n % 2 == 0);
    for (const size_t k : {0, 1, 2, 3, 4, 5, 7, 8, 31, 64, 100, 257, 576})
        compare_gemm_f32_of(table, 14, 40, k, random, k % 2 == 1);
    for (size_t m = 1; m <= 8; ++m)
        for (const size_t n : {50, 64, 128, 130}) compare_gemm_f32_of(table, m, n, 21, random, n % 4 == 0);
    compare_gemm_f32_of(table, 64, 64, 64, random, false);
}

// --- elementwise -----------------------------------------------------------------------------------------------------

void compare_quantize_q8(const KernelTable& table) {
    Random random(37);
    for (size_t cols = 1; cols <= 130; ++cols) {
        for (const size_t rarity : {size_t{3}, size_t{40}, size_t{100000}}) {
            const size_t n_tokens = 1 + cols % 5, stride = cols + cols % 3;
            const std::vector<float> x = wild_floats(n_tokens * stride, random, rarity);
            Q8Case expected(n_tokens, cols), found(n_tokens, cols);
            truth.quantize_q8(x.data(), stride, n_tokens, cols, expected.rows());
            table.quantize_q8(x.data(), stride, n_tokens, cols, found.rows());
            INFO("quantize_q8 cols ", cols, " rarity ", rarity);
            must_be(found.values == expected.values);
            must_be(found.sums == expected.sums);
            must_be(std::memcmp(found.scales.data(), expected.scales.data(), found.scales.size() * sizeof(float)) == 0);
        }
    }
}

// Ties: with a largest value of 127 the scale is 1, and every half goes to the even neighbour.
void compare_q8_ties(const KernelTable& table) {
    std::vector<float> x(8 * 32);
    for (size_t i = 0; i < x.size(); ++i) x[i] = i % 32 == 0 ? 127.0f : static_cast<float>(i) * 0.5f - 64.0f;
    Q8Case expected(1, x.size()), found(1, x.size());
    truth.quantize_q8(x.data(), x.size(), 1, x.size(), expected.rows());
    table.quantize_q8(x.data(), x.size(), 1, x.size(), found.rows());
    must_be(found.values == expected.values);
}

// Any bytes: scales of both signs, zero, subnormal, infinite and NaN among them, and every half.
void compare_widen(const WidenKvFn (&table)[max_kv_types], const KvType& type, WidenKvFn scalar) {
    Random random(41);
    for (const size_t head_dim : {2, 16, 30, 32, 48, 64, 80, 96, 100, 128, 256}) {
        const size_t n = kv_page_positions * round_up(head_dim, panel_cols);
        for (int turn = 0; turn < 20; ++turn) {
            AlignedBuffer<std::byte> block(std::max(type.k_bytes(head_dim), type.v_bytes(head_dim)));
            for (std::byte& byte : block) byte = std::byte(random.below(256));
            Results results(n, 1);
            scalar(block.data(), head_dim, results.expected.data());
            table[kv_type_index(type)](block.data(), head_dim, results.found.data());
            INFO("widen ", std::string(type.name), " head_dim ", head_dim);
            must_match(results);
        }
    }
}

void compare_softmax_block(const KernelTable& table) {
    Random random(38);
    for (size_t first = 0; first <= kv_page_positions; ++first) {
        for (size_t last = first; last <= kv_page_positions; ++last) {
            for (const size_t rarity : {size_t{30}, size_t{100000}}) {
                Results results(kv_page_positions, 1);
                results.expected = wild_floats(kv_page_positions + 5, random, rarity);
                if (random.below(2)) std::fill_n(results.expected.begin(), first, std::nanf(""));
                results.found = results.expected;
                const float scale = random.uniform(0.05f, 1.0f);
                const SoftmaxPart expected = truth.softmax_block(results.expected.data(), first, last, scale);
                const SoftmaxPart found = table.softmax_block(results.found.data(), first, last, scale);
                INFO("softmax_block first ", first, " last ", last);
                must_be(same_bits(found.max, expected.max));
                must_be(same_bits(found.sum, expected.sum));
                must_match(results);
            }
        }
    }
}

void compare_silu_mul(const KernelTable& table) {
    Random random(39);
    for (size_t n = 0; n <= 300; ++n) {
        const std::vector<float> gate = wild_floats(n, random, 10), up = wild_floats(n, random);
        Results results(n, 1);
        truth.silu_mul(gate.data(), up.data(), n, results.expected.data());
        table.silu_mul(gate.data(), up.data(), n, results.found.data());
        INFO("silu_mul n ", n);
        must_match(results);
        std::copy(gate.begin(), gate.end(), results.found.begin());
        table.silu_mul(results.found.data(), up.data(), n, results.found.data());
        must_match(results);
        std::copy(up.begin(), up.end(), results.found.begin());
        table.silu_mul(gate.data(), results.found.data(), n, results.found.data());
        must_match(results);
    }
}

void compare_rms_norm(const KernelTable& table) {
    Random random(40);
    for (size_t n = 1; n <= 600; n += n < 100 ? 1 : 25) {
        for (const size_t rarity : {size_t{300}, size_t{100000}}) {
            const std::vector<float> x = wild_floats(n, random, rarity), weight = random_floats(n, random);
            Results results(n, 1);
            truth.rms_norm(x.data(), weight.data(), 1e-5f, n, results.expected.data());
            table.rms_norm(x.data(), weight.data(), 1e-5f, n, results.found.data());
            INFO("rms_norm n ", n);
            must_match(results);
            std::copy(x.begin(), x.end(), results.found.begin());
            table.rms_norm(results.found.data(), weight.data(), 1e-5f, n, results.found.data());
            must_match(results);
        }
    }
}

// Everything that `variant` provides, on top of the scalar table.
void compare_variant(const KernelVariant& variant) {
    KernelTable table = truth;
    install_variant(variant, table);
    const KernelSet& provided = variant.kernels;
    if (provided.gemv) compare_gemv(table, *find_codes(variant.codes));
    if (provided.unpack) compare_unpack(table, *find_codes(variant.codes));
    if (provided.unpack_f32) compare_unpack_f32(table, *find_codes(variant.codes));
    if (provided.gemm_u8s8) compare_gemm_u8s8(table);
    if (provided.gemm_f32) compare_gemm_f32(table);
    if (provided.quantize_q8) compare_quantize_q8(table), compare_q8_ties(table);
    if (provided.widen_k)
        compare_widen(table.widen_k, find_kv_type(variant.kv_type), find_kv_type(variant.kv_type).widen_k);
    if (provided.widen_v)
        compare_widen(table.widen_v, find_kv_type(variant.kv_type), find_kv_type(variant.kv_type).widen_v);
    if (provided.softmax_block) compare_softmax_block(table);
    if (provided.silu_mul) compare_silu_mul(table);
    if (provided.rms_norm) compare_rms_norm(table);
}

}  // namespace

TEST_SUITE("kernels") {
    TEST_CASE("every kernel variant equals the scalar truth bit by bit") {
        for (const KernelVariant* variant : all_variants()) {
            INFO("variant ", std::string(variant->name));
            if (!cpu_can_run(variant->isa)) {
                MESSAGE("SKIPPED: this CPU can't run ", std::string(variant->isa));
                continue;
            }
            try {
                compare_variant(*variant);
            } catch (const Difference&) {
                continue;  // reported already
            }
        }
    }
}
