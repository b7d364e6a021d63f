// Runs every kernel of an instruction set once, in a way that has its instructions counted.
// In: "callgrind": the scalar truth and AVX2; "traps": AVX-512; "traps_avxvnni": AVX-VNNI; "debugger": NEON and I8MM.
// Out: a line of instruction_counter.h for each; exit 3 where this CPU can't run them. Must not know how many
// instructions are right: check_instructions.py does.
#include <cstdio>
#include <cstring>
#include <span>
#include <string>

#include "core/kernels/cpu_features.h"
#include "core/kernels/kernels.h"
#include "tests/kernels/instruction_counter.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

constexpr size_t rows = 16, cols = 256, gemm_rows = panel_pair * panel_rows, gemm_tokens = 36;
// As many panels as kernels of the machine read side by side, and inputs enough for what is done once a panel to count
// little.
#if defined(__aarch64__)
constexpr size_t gemv_rows = 32, gemv_cols = 256;
#else
constexpr size_t gemv_rows = 128, gemv_cols = 256;
#endif

struct Linear {
    PackedCase weights;
    Q8Case q8;
    std::vector<float> sums, x, y;
    LinearArgs args;

    Linear(PackedCase packed, size_t n_tokens, Random& random)
        : weights(std::move(packed)),
          q8(q8_case(n_tokens, weights.matrix.cols, random)),
          x(random_floats(n_tokens * weights.matrix.cols, random)),
          y(n_tokens * weights.matrix.rows) {
        if (!weights.matrix.codes->is_float) sums = group_sums(weights.matrix, q8);
        args = {.weights = &weights.matrix,
                .panel_begin = 0,
                .panel_end = weights.matrix.n_panels(),
                .n_tokens = n_tokens,
                .q8 = q8.rows(),
                .x = x.data(),
                .x_stride = weights.matrix.cols,
                .group_sums = sums.data(),
                .y = y.data(),
                .y_stride = weights.matrix.rows};
    }
};

struct GridCase {
    const char* grid;
    size_t group;
};
constexpr GridCase grid_cases[] = {{"zero_point", 128}, {"offset", 32}, {"k", 32}};

template <class Counter>
struct Walk {
    template <class Run>
    static void count(const std::string& name, size_t units, Run run) {
        run();  // what happens once: relocations, the first look at a table
        Counter::count(name, units, run);
    }

    // Instructions per weight, of one token.
    static void count_gemv(const std::string& name, const Codes& codes, GemvFn gemv) {
        Random random(1);
        const std::span<const GridCase> cases(grid_cases, codes.is_float ? 1 : std::size(grid_cases));
        for (const GridCase& c : cases) {
            const Linear linear(codes.is_float
                                    ? float_case(codes, gemv_rows, gemv_cols, random)
                                    : integer_case(codes, *find_grid(c.grid), gemv_rows, gemv_cols, c.group, random),
                                1, random);
            const std::string suffix = codes.is_float ? "" : std::string(" ") + c.grid + " g" + std::to_string(c.group);
            count(name + suffix, gemv_rows * gemv_cols, [&] { gemv(linear.args); });
        }
    }

    // Per weight, once for all tokens.
    static void count_unpack(const std::string& name, const Codes& codes, UnpackFn unpack) {
        Random random(2);
        const PackedCase c = integer_case(codes, *find_grid("zero_point"), rows, cols, 128, random);
        std::vector<uint8_t> out(c.matrix.n_tiles() * tile_values);
        count(name, panel_rows * cols, [&] { unpack(c.matrix.panel_codes(0), c.matrix.n_tiles(), out.data()); });
    }

    static void count_unpack_f32(const std::string& name, UnpackF32Fn unpack) {
        const std::vector<std::byte> elements(panel_rows * cols * sizeof(uint16_t));
        std::vector<float> out(panel_rows * cols);
        count(name, out.size(), [&] { unpack(elements.data(), out.size(), out.data()); });
    }

    // Per weight and token. value_bits of the codes choose a kernel's inner loop.
    static void count_gemm_u8s8(const std::string& name, GemmU8S8Fn gemm) {
        for (const char* const codes : {"int4", "int8"}) {
            Random random(3);
            Linear linear(integer_case(*find_codes(codes), *find_grid("zero_point"), gemm_rows, cols, 128, random),
                          gemm_tokens, random);
            const PackedMatrix& w = linear.weights.matrix;
            const std::vector<uint8_t> expanded = expand_panels(w, 0, w.n_panels());
            count(name + " of " + codes, gemm_rows * cols * gemm_tokens, [&] { gemm(linear.args, expanded.data()); });
        }
    }

    static void count_gemm_f32(const std::string& name, GemmF32Fn gemm) {
        Random random(4);
        const std::vector<float> a = random_floats(gemm_tokens * cols, random),
                                 panels = random_floats(rows * cols, random);
        std::vector<float> c(gemm_tokens * rows);
        const GemmF32Args args{.a = a.data(),
                               .a_stride = cols,
                               .panels = panels.data(),
                               .panel_stride = cols * panel_cols,
                               .c = c.data(),
                               .c_stride = rows,
                               .m = gemm_tokens,
                               .n_cols = rows,
                               .k = cols};
        count(name, rows * cols * gemm_tokens, [&] { gemm(args); });
    }

    // Per number.
    static void count_rows(const std::string& isa, const KernelSet& kernels) {
        Random random(5);
        const std::vector<float> x = random_floats(cols, random), y = random_floats(cols, random);
        std::vector<float> out(cols), scores(64);
        Q8Case q8(1, cols);
        if (kernels.quantize_q8)
            count("quantize_q8_" + isa, cols, [&] { kernels.quantize_q8(x.data(), cols, 1, cols, q8.rows()); });
        if (kernels.silu_mul)
            count("silu_mul_" + isa, cols, [&] { kernels.silu_mul(x.data(), y.data(), cols, out.data()); });
        if (kernels.rms_norm)
            count("rms_norm_" + isa, cols, [&] { kernels.rms_norm(x.data(), y.data(), 1e-5f, cols, out.data()); });
        if (kernels.softmax_block)
            count("softmax_block_" + isa, 64, [&] { kernels.softmax_block(scores.data(), 0, 64, 0.1f); });
    }

    // Per number, of a head of 64 dimensions.
    static void count_widen(const std::string& name, const KvType& type, WidenKvFn widen) {
        constexpr size_t head_dim = 64;
        const std::vector<std::byte> block(std::max(type.k_bytes(head_dim), type.v_bytes(head_dim)));
        std::vector<float> out(kv_page_positions * head_dim);
        if (widen) count(name, out.size(), [&] { widen(block.data(), head_dim, out.data()); });
    }

    static void count_set(const std::string& isa, const Codes* codes, const KernelSet& kernels) {
        const std::string suffix = (codes ? std::string("_") + codes->name : std::string()) + "_" + isa;
        if (kernels.gemv) count_gemv("gemv" + suffix, *codes, kernels.gemv);
        if (kernels.unpack) count_unpack("unpack" + suffix, *codes, kernels.unpack);
        if (kernels.unpack_f32) count_unpack_f32("unpack_f32" + suffix, kernels.unpack_f32);
        if (kernels.gemm_u8s8) count_gemm_u8s8("gemm_u8s8_" + isa, kernels.gemm_u8s8);
        if (kernels.gemm_f32) count_gemm_f32("gemm_f32_" + isa, kernels.gemm_f32);
        count_rows(isa, kernels);
    }

    static void count_scalar() {
        const KernelTable& t = scalar_table();
        for (const Codes* codes : all_codes()) {
            KernelSet set;
            set.gemv = t.gemv[codes_index(*codes)];
            if (!codes->is_float) set.unpack = t.unpack[codes_index(*codes)];
            count_set("scalar", codes, set);
        }
        KernelSet rest;
        rest.quantize_q8 = t.quantize_q8;
        rest.gemm_u8s8 = t.gemm_u8s8;
        rest.gemm_f32 = t.gemm_f32;
        rest.softmax_block = t.softmax_block;
        rest.silu_mul = t.silu_mul;
        rest.rms_norm = t.rms_norm;
        count_set("scalar", nullptr, rest);
        for (const KvType* type : all_kv_types()) {
            count_widen(std::string("widen_k_") + type->name + "_scalar", *type, type->widen_k);
            count_widen(std::string("widen_v_") + type->name + "_scalar", *type, type->widen_v);
        }
    }

    static void count_variant(const KernelVariant& variant) {
        count_set(variant.isa, variant.codes ? find_codes(variant.codes) : nullptr, variant.kernels);
        if (!variant.kv_type) return;
        const KvType& type = find_kv_type(variant.kv_type);
        const std::string suffix = std::string("_") + type.name + "_" + variant.isa;
        count_widen("widen_k" + suffix, type, variant.kernels.widen_k);
        count_widen("widen_v" + suffix, type, variant.kernels.widen_v);
    }

    static void count_isa(std::string_view isa) {
        for (const KernelVariant* const variant : all_variants())
            if (isa == variant->isa) count_variant(*variant);
    }
};

}  // namespace

int main(int argc, char** argv) {
    const std::string_view way = argc == 2 ? argv[1] : "";
#if defined(__x86_64__)
    if (way == "callgrind") {
        Walk<CountByCallgrind>::count_scalar();
        Walk<CountByCallgrind>::count_isa("avx2");
        return 0;
    }
    if (way == "traps" || way == "traps_avxvnni") {
        const char* const isa = way == "traps" ? "avx512" : "avxvnni";
        if (!cpu_can_run(isa)) return 3;
        Walk<CountByTraps>::count_isa(isa);
        return 0;
    }
#endif
    if (way == "debugger") {
        for (const char* isa : {"neon", "i8mm"}) Walk<CountByDebugger>::count_isa(isa);
        return 0;
    }
    std::fprintf(stderr, "usage: instructions callgrind|traps|traps_avxvnni|debugger\n");
    return 2;
}
