// Linear layers on the CPU: activations are prepared once, then every thread streams its own panels of all tasks.
// In: x (rows, in) and tasks that share it. Out: y of each task under the contracts of kernels.h, at any thread count.
// Decode reads packed panels directly (gemv); prefill expands a panel once and multiplies it with many tokens.
#include "core/kernels/cpu_linear.h"

#include <algorithm>

namespace gq {
namespace {

constexpr size_t decode_tokens = 4;  // up to here gemv reads the packed panel; beyond, expanding it pays
constexpr size_t panel_pair = 2;     // float panels expanded together: gemm_f32 reuses each activation twice
constexpr size_t k_chunk = 512;      // inputs per pass: two panels' chunk (64 KiB) stays in the second-level cache
constexpr size_t q8_chunk_bytes = 524288;  // activations of one pass in 8 bits: half a typical second-level cache

// Tokens of one pass of a prefill over n_tiles blocks of inputs.
size_t chunk_tokens(size_t n_tiles) {
    return std::max<size_t>(32, q8_chunk_bytes / (n_tiles * tile_cols));
}

// The sums of a grid with offsets, in `room`, n_tokens * n_groups floats; null for the others.
const float* group_sums_of(const LinearArgs& args, float* room) {
    if (!args.weights->grid || !args.weights->grid->has_offsets) return nullptr;
    sum_groups(args.q8, args.n_tokens, *args.weights, room);
    return room;
}

}  // namespace

void CpuBackend::linear(const Activations& x, size_t n_rows, std::span<const LinearTask> tasks, Precision precision) {
    bool has_integers = false, has_low_rank = false;
    for (const LinearTask& task : tasks) {
        has_low_rank |= task.low_rank && !task.low_rank->empty();
        has_integers |= !task.weights->codes->is_float;
    }
    const bool needs_q8 = precision == Precision::int8_activations && (has_integers || has_low_rank);
    const Q8Rows q8 = needs_q8 ? prepare_q8(x, n_rows, q8_) : Q8Rows{};
    if (!has_low_rank) return run_tasks(x, q8, n_rows, tasks, precision);
    std::vector<LinearTask> all(tasks.begin(), tasks.end());
    const Activations t = append_low_rank(all, n_rows);
    run_tasks(x, q8, n_rows, all, precision);
    add_low_rank(tasks, t, n_rows, precision);
}

// The panels of all tasks as one list, cut among the threads.
void CpuBackend::run_tasks(const Activations& x, const Q8Rows& q8, size_t n_rows, std::span<const LinearTask> tasks,
                           Precision precision) {
    compute_.pool.for_ranges(count_panels(tasks), 1, [&](size_t begin, size_t end, size_t thread) {
        for_panels(tasks, begin, end, [&](size_t i, size_t from, size_t to) {
            run_panels({tasks[i], x, q8, n_rows, from, to, precision}, thread);
        });
    });
}

size_t CpuBackend::q8_row_bytes(size_t width) {
    return div_up(width, q8_block) * (q8_block * sizeof(int8_t) + sizeof(float) + 2 * sizeof(int16_t));
}

// A pair of panels as floats, or one in bytes beside the sums of the smallest groups.
size_t CpuBackend::linear_scratch_bytes(size_t width) {
    const size_t n_tiles = div_up(width, tile_cols), sums = chunk_tokens(n_tiles) * n_tiles * sizeof(float);
    return std::max(panel_pair * n_tiles * tile_values * sizeof(float), n_tiles * tile_values + sums);
}

Q8Rows CpuBackend::prepare_q8(const Activations& x, size_t n_rows, Q8Memory& memory) {
    const size_t n_blocks = div_up(x.width, q8_block);
    memory.values.reserve_discard(n_rows * n_blocks * q8_block);
    memory.scales.reserve_discard(n_rows * n_blocks);
    memory.sums.reserve_discard(n_rows * n_blocks * 2);
    const Q8Rows all{memory.values.data(), memory.scales.data(), memory.sums.data(), n_blocks};
    const auto quantize = [&](size_t begin, size_t end, size_t) {
        const Q8Rows part{all.values + begin * n_blocks * q8_block, all.scales + begin * n_blocks,
                          all.sums + begin * n_blocks * 2, n_blocks};
        compute_.kernels.quantize_q8(x.row(begin), x.stride, end - begin, x.width, part);
    };
    if (n_rows == 1) {
        quantize(0, 1, 0);  // one row is done before other threads would wake
    } else {
        compute_.pool.for_ranges(n_rows, 1, quantize);
    }
    return all;
}

void CpuBackend::run_panels(const PanelRange& range, size_t thread) {
    const PackedMatrix& w = *range.task.weights;
    const bool decode = range.n_rows <= decode_tokens && w.layout == PackedMatrix::Layout::panels &&
                        compute_.kernels.gemv[codes_index(*w.codes)] && (w.codes->is_float || !range.in_floats());
    if (decode) {
        decode_panels(range, thread);
    } else if (range.in_floats()) {
        float_panels(range, thread);
    } else {
        prefill_panels(range, thread);
    }
    if (!range.task.bias) return;
    const size_t row_end = std::min(w.rows, range.end * panel_rows);
    for (size_t t = 0; t < range.n_rows; ++t)
        for (size_t r = range.begin * panel_rows; r < row_end; ++r) range.task.y.row(t)[r] += range.task.bias[r];
}

void CpuBackend::decode_panels(const PanelRange& range, size_t thread) {
    LinearArgs args = range.args();
    if (!args.weights->codes->is_float) scratch_[thread].reserve_discard(args.n_tokens * args.weights->n_groups());
    args.group_sums = group_sums_of(args, scratch_[thread].data());
    compute_.kernels.gemv[codes_index(*args.weights->codes)](args);
}

void CpuBackend::prefill_panels(const PanelRange& range, size_t thread) {
    const PackedMatrix& w = *range.task.weights;
    const size_t n_tiles = w.n_tiles(), chunk = std::min(chunk_tokens(n_tiles), range.n_rows);
    const size_t panel_floats = n_tiles * tile_values / sizeof(float);  // 8-bit codes in a buffer of floats
    scratch_[thread].reserve_discard(panel_floats + chunk * w.n_groups());
    uint8_t* expanded = reinterpret_cast<uint8_t*>(scratch_[thread].data());
    const UnpackFn unpack = compute_.kernels.unpack[codes_index(*w.codes)];
    for (size_t t = 0; t < range.n_rows; t += chunk) {
        LinearArgs args = range.args();
        args.n_tokens = std::min(chunk, range.n_rows - t);
        args.q8.values += t * args.q8.n_blocks * q8_block;
        args.q8.scales += t * args.q8.n_blocks;
        args.q8.sums += t * args.q8.n_blocks * 2;
        args.y += t * args.y_stride;
        args.group_sums = group_sums_of(args, scratch_[thread].data() + panel_floats);
        for (size_t panel = range.begin; panel < range.end; ++panel) {
            unpack(w.panel_codes(panel), n_tiles, expanded);
            args.panel_begin = panel;
            args.panel_end = panel + 1;
            compute_.kernels.gemm_u8s8(args, expanded);
        }
    }
}

void CpuBackend::float_panels(const PanelRange& range, size_t thread) {
    const PackedMatrix& w = *range.task.weights;
    const size_t k = w.n_tiles() * tile_cols, panel_floats = k * panel_rows;
    scratch_[thread].reserve_discard(panel_pair * panel_floats);
    float* expanded = scratch_[thread].data();
    for (size_t panel = range.begin; panel < range.end; panel += panel_pair) {
        const size_t n = std::min(panel_pair, range.end - panel);
        for (size_t p = 0; p < n; ++p) unpack_panel_f32(w, panel + p, expanded + p * panel_floats);
        const size_t row = panel * panel_rows;
        for (size_t k0 = 0; k0 < k; k0 += k_chunk) {
            compute_.kernels.gemm_f32({.a = range.x.data + k0,
                                       .a_stride = range.x.stride,
                                       .panels = expanded + k0 * panel_rows,
                                       .panel_stride = panel_floats,
                                       .c = range.task.y.data + row,
                                       .c_stride = range.task.y.stride,
                                       .m = range.n_rows,
                                       .n_cols = std::min(w.rows - row, n * panel_rows),
                                       .k = std::min(k_chunk, k - k0),
                                       .accumulate = k0 > 0});
        }
    }
}

}  // namespace gq
