// A walk over the registry: material that no kernel can stumble over, and a row for each operation that says how it is
// run and counted. See kernel_rates.h. In: all_variants(). Out: rates. Must not know what is in the bits: any byte is a
// code, and of numbers no kernel is slower for one than for another that is normal.
#include "core/kernels/kernel_rates.h"

#include <algorithm>
#include <cstring>

#include "core/base/memory.h"
#include "core/kernels/cpu_features.h"
#include "core/kernels/kv.h"
#include "core/kernels/peak.h"
#include "core/kernels/read_bandwidth.h"
#include "core/kernels/stopwatch.h"

namespace gq {
namespace {

constexpr size_t streamed_bytes = size_t{256} << 20;   // codes of gemv's matrix
constexpr size_t pass_bytes = size_t{8} << 20;         // of them in one run
constexpr size_t scalar_pass_bytes = size_t{1} << 20;  // the truth is bound by its arithmetic, not by memory
constexpr size_t cols = 2048, n_tiles = cols / tile_cols, group = 128;
constexpr size_t gemm_tokens = 128, gemm_f32_panels = 3, gemm_f32_k = 192;
constexpr size_t gemv_tokens[] = {1, 4};
constexpr size_t head_dim = 64;
constexpr size_t row_calls = 256;  // of a row's operation in one run

// A buffer of bytes that are alike; of 0x2c they are halves of 0.065 and floats of 2e-12.
template <class T>
AlignedBuffer<T> filled(size_t n, int byte = 0x2c) {
    AlignedBuffer<T> buffer(n);
    std::memset(buffer.data(), byte, n * sizeof(T));
    return buffer;
}

// What all operations read and write. The codes are zeros, written, so that the probe of reading may read them too.
struct Material {
    AlignedBuffer<std::byte> codes = filled<std::byte>(streamed_bytes, 0), scales, zeros;
    AlignedBuffer<uint8_t> expanded = filled<uint8_t>(panel_pair * n_tiles * tile_values);
    AlignedBuffer<int8_t> values = filled<int8_t>(gemm_tokens * cols);
    AlignedBuffer<float> q8_scales = filled<float>(gemm_tokens * n_tiles);
    AlignedBuffer<int16_t> sums = filled<int16_t>(gemm_tokens * n_tiles * 2);
    AlignedBuffer<float> x = filled<float>(gemm_tokens * cols), out = filled<float>(gemm_tokens * cols), y;
    AlignedBuffer<float> panels = filled<float>(gemm_f32_panels * panel_cols * gemm_f32_k);
    // One head's keys or values, of any type that takes no more than floats.
    AlignedBuffer<std::byte> kv = filled<std::byte>(kv_page_positions * head_dim * sizeof(float));
    const KvType* kv_type = nullptr;
    PackedMatrix weights;
    size_t next_panel = 0;  // where gemv goes on

    Q8Rows q8() { return {values.data(), q8_scales.data(), sums.data(), n_tiles}; }
    size_t panel_bytes() const {
        const size_t units = weights.grid ? weights.n_units() * weights.grid->scale_bytes : 0;
        const size_t groups =
            weights.grid ? weights.n_groups() * weights.grid->zero_bytes(weights.codes->value_bits) : 0;
        return weights.panel_code_bytes() + units + groups;
    }
    // A matrix whose codes take streamed_bytes.
    void set_codes(const Codes& of) {
        weights = {.codes = &of, .grid = of.is_float ? nullptr : find_grid("zero_point"), .cols = cols};
        weights.group = of.is_float ? 0 : group;
        weights.rows = streamed_bytes / weights.panel_code_bytes() * panel_rows;
        const PackedSizes sizes = packed_sizes(of, weights.grid, weights.rows, cols, weights.group);
        scales = filled<std::byte>(sizes.scale_bytes);
        zeros = filled<std::byte>(sizes.zero_bytes);
        y = filled<float>(weights.rows * gemv_tokens[std::size(gemv_tokens) - 1]);
        weights.code_bytes = codes.data();
        weights.scales = scales.data();
        weights.zeros = zeros.data();
        next_panel = 0;
    }
    LinearArgs linear(size_t begin, size_t end, size_t n_tokens) {
        return {.weights = &weights,
                .panel_begin = begin,
                .panel_end = end,
                .n_tokens = n_tokens,
                .q8 = q8(),
                .x = x.data(),
                .x_stride = cols,
                .y = y.data(),
                .y_stride = weights.rows};
    }
};

// Each does a run of work with a table and returns how much it was, in the units of its row below.
double run_gemv(Material& m, const KernelTable& table, size_t n_tokens) {
    const size_t codes = codes_index(*m.weights.codes);
    const bool is_scalar = table.gemv[codes] == scalar_table().gemv[codes];
    const size_t n = std::max<size_t>(1, (is_scalar ? scalar_pass_bytes : pass_bytes) / m.panel_bytes());
    const size_t begin = m.next_panel + n <= m.weights.n_panels() ? m.next_panel : 0;
    m.next_panel = begin + n;
    table.gemv[codes](m.linear(begin, begin + n, n_tokens));
    return static_cast<double>(n * m.panel_bytes());
}

double run_unpack(Material& m, const KernelTable& table, size_t) {
    table.unpack[codes_index(*m.weights.codes)](m.weights.panel_codes(0), n_tiles, m.expanded.data());
    return static_cast<double>(m.weights.panel_code_bytes() + n_tiles * tile_values);
}

double run_unpack_f32(Material& m, const KernelTable& table, size_t) {
    table.unpack_f32[codes_index(*m.weights.codes)](m.weights.panel_codes(0), n_tiles * tile_values, m.out.data());
    return static_cast<double>(m.weights.panel_code_bytes() + n_tiles * tile_values * sizeof(float));
}

double run_gemm_u8s8(Material& m, const KernelTable& table, size_t n_tokens) {
    LinearArgs args = m.linear(0, panel_pair, n_tokens);
    args.y = m.out.data();
    args.y_stride = panel_pair * panel_rows;
    table.gemm_u8s8(args, m.expanded.data());
    return static_cast<double>(2 * panel_pair * panel_rows * cols * n_tokens);
}

double run_gemm_f32(Material& m, const KernelTable& table, size_t n_tokens) {
    constexpr size_t n_cols = gemm_f32_panels * panel_cols;
    table.gemm_f32({.a = m.x.data(),
                    .a_stride = cols,
                    .panels = m.panels.data(),
                    .panel_stride = gemm_f32_k * panel_cols,
                    .c = m.out.data(),
                    .c_stride = n_cols,
                    .m = n_tokens,
                    .n_cols = n_cols,
                    .k = gemm_f32_k});
    return static_cast<double>(2 * n_cols * gemm_f32_k * n_tokens);
}

template <class Call>
double run_rows(size_t bytes, const Call& call) {
    for (size_t i = 0; i < row_calls; ++i) call();
    return static_cast<double>(row_calls * bytes);
}

double run_quantize_q8(Material& m, const KernelTable& table, size_t) {
    return run_rows(cols * 5 + n_tiles * 8, [&] { table.quantize_q8(m.x.data(), cols, 1, cols, m.q8()); });
}
double run_widen(Material& m, WidenKvFn widen, size_t packed_bytes) {
    return run_rows(packed_bytes + kv_page_positions * head_dim * sizeof(float),
                    [&] { widen(m.kv.data(), head_dim, m.out.data()); });
}
double run_widen_k(Material& m, const KernelTable& table, size_t) {
    return run_widen(m, table.widen_k[kv_type_index(*m.kv_type)], m.kv_type->k_bytes(head_dim));
}
double run_widen_v(Material& m, const KernelTable& table, size_t) {
    return run_widen(m, table.widen_v[kv_type_index(*m.kv_type)], m.kv_type->v_bytes(head_dim));
}
double run_softmax_block(Material& m, const KernelTable& table, size_t) {
    return run_rows(kv_page_positions * 8, [&] { table.softmax_block(m.out.data(), 0, kv_page_positions, 0.1f); });
}
double run_silu_mul(Material& m, const KernelTable& table, size_t) {
    return run_rows(cols * 12, [&] { table.silu_mul(m.x.data(), m.x.data() + cols, cols, m.out.data()); });
}
double run_rms_norm(Material& m, const KernelTable& table, size_t) {
    return run_rows(cols * 12, [&] { table.rms_norm(m.x.data(), m.x.data() + cols, 1e-5f, cols, m.out.data()); });
}

enum class Limit { none, read, int8, f32 };

struct Operation {
    const char* name;
    const char* unit;
    Limit limit;
    std::span<const size_t> tokens;
    bool (*provided)(const KernelSet& set);
    double (*run)(Material& m, const KernelTable& table, size_t n_tokens);
};

constexpr size_t any_tokens[] = {0}, many_tokens[] = {gemm_tokens};
constexpr Operation operations[] = {
    {"gemv", "B", Limit::read, gemv_tokens, [](const KernelSet& s) { return s.gemv != nullptr; }, run_gemv},
    {"unpack", "B", Limit::none, any_tokens, [](const KernelSet& s) { return s.unpack != nullptr; }, run_unpack},
    {"unpack_f32", "B", Limit::none, any_tokens, [](const KernelSet& s) { return s.unpack_f32 != nullptr; },
     run_unpack_f32},
    {"gemm_u8s8", "OP", Limit::int8, many_tokens, [](const KernelSet& s) { return s.gemm_u8s8 != nullptr; },
     run_gemm_u8s8},
    {"gemm_f32", "OP", Limit::f32, many_tokens, [](const KernelSet& s) { return s.gemm_f32 != nullptr; }, run_gemm_f32},
    {"quantize_q8", "B", Limit::none, any_tokens, [](const KernelSet& s) { return s.quantize_q8 != nullptr; },
     run_quantize_q8},
    {"widen_k", "B", Limit::none, any_tokens, [](const KernelSet& s) { return s.widen_k != nullptr; }, run_widen_k},
    {"widen_v", "B", Limit::none, any_tokens, [](const KernelSet& s) { return s.widen_v != nullptr; }, run_widen_v},
    {"softmax_block", "B", Limit::none, any_tokens, [](const KernelSet& s) { return s.softmax_block != nullptr; },
     run_softmax_block},
    {"silu_mul", "B", Limit::none, any_tokens, [](const KernelSet& s) { return s.silu_mul != nullptr; }, run_silu_mul},
    {"rms_norm", "B", Limit::none, any_tokens, [](const KernelSet& s) { return s.rms_norm != nullptr; }, run_rms_norm},
};

class KernelWalk {
  public:
    KernelWalk(double seconds, FunctionRef<bool(const KernelRate&)> use) : seconds_(seconds), use_(use) {}

    bool run(const KernelVariant& variant) {
        for (const Operation& operation : operations)
            if (operation.provided(variant.kernels) && !run(variant, operation)) return false;
        return true;
    }

  private:
    bool run(const KernelVariant& variant, const Operation& operation) {
        if (variant.codes) return run(variant, operation, find_codes(variant.codes));
        if (operation.limit != Limit::int8 || !cpu_can_run(variant.isa)) return run(variant, operation, nullptr);
        // One for all integer codes, whose bits it may use.
        for (const Codes* codes : all_codes())
            if (!codes->is_float && !run(variant, operation, codes)) return false;
        return true;
    }

    bool run(const KernelVariant& variant, const Operation& operation, const Codes* codes) {
        KernelRate row{.operation = operation.name,
                       .variant = variant.name,
                       .isa = variant.isa,
                       .codes = codes ? codes->name : variant.kv_type,
                       .n_tokens = 0,
                       .can_run = cpu_can_run(variant.isa),
                       .unit = operation.unit,
                       .rate = 0,
                       .scalar_rate = 0,
                       .limit = 0};
        if (!row.can_run) return use_(row);
        if (codes) material_.set_codes(*codes);
        if (variant.kv_type) material_.kv_type = &find_kv_type(variant.kv_type);
        KernelTable table = scalar_table();
        install_variant(variant, table);
        for (const size_t n_tokens : operation.tokens) {
            row.n_tokens = n_tokens;
            measure(operation, table, row);
            if (!use_(row)) return false;
        }
        return true;
    }

    // The kernel, the truth and the limit in turn, so that what else the machine does meets all three; the best of
    // each.
    void measure(const Operation& operation, const KernelTable& table, KernelRate& row) {
        const auto see = [&](const KernelTable& performer, double& best) {
            const double before = seconds_now(), done = operation.run(material_, performer, row.n_tokens);
            best = std::max(best, done / (seconds_now() - before));
        };
        row.rate = row.scalar_rate = row.limit = 0;
        constexpr int least_runs = 3;  // the first one may meet cold caches
        const double start = seconds_now();
        for (int run = 0; run < least_runs || seconds_now() - start < seconds_; ++run) {
            see(table, row.rate);
            see(scalar_table(), row.scalar_rate);
            row.limit = std::max(row.limit, limit_once(operation.limit, kernel_table(row.isa)));
        }
        if (operation.limit == Limit::read) row.limit = read_ = std::max(read_, row.limit);
    }

    double limit_once(Limit limit, const KernelTable& table) {
        if (limit == Limit::none) return 0;
        if (limit != Limit::read)
            return peak_once({pool_, table}, limit == Limit::int8 ? table.peak_int8 : table.peak_f32);
        // Half of the memory away from where gemv is: what one of them has read is in no cache for the other.
        const size_t at = material_.next_panel * material_.weights.panel_code_bytes() + streamed_bytes / 2;
        const std::byte* const begin = material_.codes.data() + at / pass_bytes * pass_bytes % streamed_bytes;
        const std::span words(reinterpret_cast<const uint64_t*>(begin), pass_bytes / sizeof(uint64_t));
        return read_once(pool_, words, next_way_++ % n_read_ways);
    }

    double seconds_;
    FunctionRef<bool(const KernelRate&)> use_;
    Material material_;
    ThreadPool pool_{1};
    double read_ = 0;  // the best so far: not every row has time for every way
    size_t next_way_ = 0;
};

}  // namespace

void measure_kernels(double seconds, FunctionRef<bool(const KernelRate&)> use) {
    KernelWalk walk(seconds, use);
    for (const KernelVariant* variant : all_variants())
        if (!walk.run(*variant)) return;
}

}  // namespace gq
