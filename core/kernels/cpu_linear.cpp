// Linear layers on the CPU: activations are prepared once, then every thread streams panels of all tasks, its own and
// what others have not begun.
// In: x (rows, in) and tasks that share it. Out: y of each task under the contracts of kernels.h, at any thread count.
// Decode reads packed panels directly (gemv); prefill expands some panels at once and passes all tokens by them.
#include "core/kernels/cpu_linear.h"

#include <algorithm>

namespace gq {
namespace {

constexpr size_t decode_tokens = 4;  // up to here gemv reads the packed panel; beyond, expanding it pays
constexpr size_t panel_grain = 8;    // of what threads share: a multiple of the panels that gemv takes side by side
// Panels that are floats at once, a grain at most, and inputs per pass over all rows: what gemm_f32 takes side by side,
// three panels at most, is 36 KiB, near a first level, and the rows' chunk stays in the second while all panels pass
// it. With one pair and 512 inputs quantizing took 1.1 times as long.
constexpr size_t float_bytes = 786432, k_chunk = 192;
// Panels that a prefill expands at once fill half of a second-level cache of 512 KiB: some tokens stay in the first
// level while the codes of all these panels stream past them. That is 1.1 to 1.4 times as fast as many tokens past one
// pair.
constexpr size_t expanded_bytes = 262144;
// Sums of groups that a thread keeps in one pass of a prefill, unless fewest_tokens need more.
constexpr size_t kept_sums = 131072, fewest_tokens = 36;

size_t float_panels_at_once(size_t n_tiles) {
    return std::min(panel_grain, pairs_within(float_bytes, n_tiles * tile_values * sizeof(float)));
}

// Tokens of one pass: a multiple of what kernels take side by side.
size_t tokens_of_pass(const PackedMatrix& w, size_t n_tokens) {
    if (!w.grid->has_offsets) return n_tokens;
    return std::min(n_tokens, std::max(fewest_tokens, kept_sums / w.n_groups() / fewest_tokens * fewest_tokens));
}

}  // namespace

void CpuBackend::linear(const Activations& x, size_t n_rows, std::span<const LinearTask> tasks, Precision precision) {
    const ActivationMode& mode = activation_mode(precision);
    bool has_low_rank = false;
    for (const LinearTask& task : tasks) has_low_rank |= task.low_rank && !task.low_rank->empty();
    if (!has_low_rank) return run_tasks(x, n_rows, tasks, mode);
    std::vector<LinearTask> all(tasks.begin(), tasks.end());
    const Activations t = append_low_rank(all, n_rows);
    run_tasks(x, n_rows, all, mode);
    add_low_rank(tasks, t, n_rows, mode);
}

// Neighbours that read x in spans of one length are prepared and run together: in most modes all of them.
void CpuBackend::run_tasks(const Activations& x, size_t n_rows, std::span<const LinearTask> tasks,
                           const ActivationMode& mode) {
    for (size_t n = 1; !tasks.empty(); tasks = tasks.subspan(n), n = 1) {
        const size_t span = mode.span_blocks(*tasks[0].weights);
        while (n < tasks.size() && mode.span_blocks(*tasks[n].weights) == span) ++n;
        run_alike(x, n_rows, tasks.first(n), mode);
    }
}

// The panels of all tasks as one list, cut among the threads.
void CpuBackend::run_alike(const Activations& x, size_t n_rows, std::span<const LinearTask> tasks,
                           const ActivationMode& mode) {
    bool needs_q8 = false;
    for (const LinearTask& task : tasks) needs_q8 |= mode.prepare && !task.weights->codes->is_float;
    const InputPart whole{0, x.width, mode.span_blocks(*tasks[0].weights)};
    const Prepared prepared = needs_q8 ? prepare(x, n_rows, {&whole, 1}, mode, prepared_) : Prepared{};
    compute_.pool.for_shares(count_panels(tasks), panel_grain, [&](size_t begin, size_t end, size_t thread) {
        for_panels(tasks, begin, end, [&](size_t i, size_t from, size_t to) {
            run_panels({tasks[i], x, prepared.q8, n_rows, from, to}, thread);
            if (prepared.shifts.values && !tasks[i].weights->codes->is_float)
                add_panels({tasks[i], x, prepared.shifts, n_rows, from, to}, thread);
        });
    });
}

size_t CpuBackend::prepared_bytes(const WorkSize& work, size_t width) {
    const size_t row = div_up(width, q8_block) * (q8_block * sizeof(int8_t) + sizeof(float) + 2 * sizeof(int16_t));
    const size_t copies = activation_mode(work.precision).has_shifts ? 2 : 1;
    constexpr size_t buffers = 3;  // each rounded up to cache lines: values, scales, sums
    return checked_mul(work.n_rows, copies * row, "backend") + copies * buffers * cache_line;
}

// A pair of panels as floats, or more of them that fill float_bytes at most, as narrower matrices may; or, if
// activations are integers, what fills expanded_bytes.
size_t CpuBackend::linear_scratch_bytes(const WorkSize& work) {
    const size_t panel = div_up(work.linear_in, tile_cols) * tile_values * sizeof(float);
    const size_t floats = std::max(panel_pair * panel, std::min(float_bytes, panel_grain * panel));
    return std::max(floats, activation_mode(work.precision).prepare ? expanded_bytes : 0);
}

// There are two groups in a block of inputs at most.
size_t CpuBackend::group_sums_bytes(const WorkSize& work) {
    if (!activation_mode(work.precision).prepare) return 0;
    const size_t n_groups = 2 * div_up(work.linear_in, tile_cols);
    const size_t sums = std::min(work.n_rows * n_groups, std::max(fewest_tokens * n_groups, kept_sums));
    return checked_mul(work.n_threads, round_up(sums * sizeof(float), cache_line), "backend");
}

Q8Rows CpuBackend::Q8Memory::rows(size_t n_tokens, size_t n_blocks) {
    values.reserve_discard(n_tokens * n_blocks * q8_block);
    scales.reserve_discard(n_tokens * n_blocks);
    sums.reserve_discard(n_tokens * n_blocks * 2);
    return {values.data(), scales.data(), sums.data(), n_blocks};
}

Prepared CpuBackend::prepare(const Activations& x, size_t n_rows, std::span<const InputPart> parts,
                             const ActivationMode& mode, PreparedMemory& memory) {
    const size_t n_blocks = div_up(x.width, q8_block);
    Prepared all{memory.q8.rows(n_rows, n_blocks), {}};
    for (GroupSums& sums : group_sums_) sums.of = nullptr;
    if (mode.has_shifts) all.shifts = memory.shifts.rows(n_rows, n_blocks);
    const auto quantize = [&](size_t begin, size_t end, size_t) {
        mode.prepare(compute_.kernels, {x.row(begin), x.stride, x.width}, end - begin, parts,
                     {all.q8.at(begin, 0), all.shifts.at(begin, 0)});
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

// The sums of a grid with offsets, which a thread computes once for all pieces and tasks with groups of one size; null
// for the others.
const float* CpuBackend::group_sums_of(const LinearArgs& args, size_t thread) {
    const PackedMatrix& w = *args.weights;
    if (!w.grid || !w.grid->has_offsets) return nullptr;
    GroupSums& sums = group_sums_[thread];
    if (sums.of != args.q8.values || sums.group_cols != w.group_cols() || sums.n_tokens != args.n_tokens) {
        sums.memory.reserve_discard(args.n_tokens * w.n_groups());
        sum_groups(args.q8, args.n_tokens, w, sums.memory.data());
        sums.of = args.q8.values;
        sums.group_cols = w.group_cols();
        sums.n_tokens = args.n_tokens;
    }
    return sums.memory.data();
}

void CpuBackend::decode_panels(const PanelRange& range, size_t thread) {
    LinearArgs args = range.args();
    args.group_sums = group_sums_of(args, thread);
    compute_.kernels.gemv[codes_index(*args.weights->codes)](args);
}

void CpuBackend::prefill_panels(const PanelRange& range, size_t thread) {
    const PackedMatrix& w = *range.task.weights;
    const size_t n_tiles = w.n_tiles(), panel_bytes = n_tiles * tile_values,
                 at_once = pairs_within(expanded_bytes, panel_bytes);
    scratch_[thread].reserve_discard(at_once * panel_bytes / sizeof(float));  // 8-bit codes in a buffer of floats
    uint8_t* expanded = reinterpret_cast<uint8_t*>(scratch_[thread].data());
    const UnpackFn unpack = compute_.kernels.unpack[codes_index(*w.codes)];
    const size_t pass = tokens_of_pass(w, range.n_rows);
    for (size_t t = 0; t < range.n_rows; t += pass) {
        LinearArgs args = range.args();
        args.n_tokens = std::min(pass, range.n_rows - t);
        args.q8 = range.q8.at(t, 0);
        args.y += t * args.y_stride;
        args.group_sums = group_sums_of(args, thread);
        for (size_t panel = range.begin; panel < range.end; panel = args.panel_end) {
            args.panel_begin = panel;
            args.panel_end = std::min(panel + at_once, range.end);
            for (size_t p = panel; p < args.panel_end; ++p)
                unpack(w.panel_codes(p), n_tiles, expanded + (p - panel) * panel_bytes);
            compute_.kernels.gemm_u8s8(args, expanded);
        }
    }
}

void CpuBackend::unpack_panel(const PackedMatrix& w, size_t panel, float* out) {
    const UnpackF32Fn unpack = compute_.kernels.unpack_f32[codes_index(*w.codes)];
    if (!unpack || w.layout != PackedMatrix::Layout::panels) return unpack_panel_f32(w, panel, out);
    unpack(w.panel_codes(panel), w.n_tiles() * tile_values, out);
}

void CpuBackend::float_panels(const PanelRange& range, size_t thread) {
    const PackedMatrix& w = *range.task.weights;
    const size_t k = w.n_tiles() * tile_cols, panel_floats = k * panel_rows;
    const size_t at_once = float_panels_at_once(w.n_tiles());
    scratch_[thread].reserve_discard(at_once * panel_floats);
    float* expanded = scratch_[thread].data();
    for (size_t panel = range.begin; panel < range.end; panel += at_once) {
        const size_t n = std::min(at_once, range.end - panel);
        for (size_t p = 0; p < n; ++p) unpack_panel(w, panel + p, expanded + p * panel_floats);
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
