// Windows and the staged forward pass. See calibrate.h.
// In: text, a network, weights as they become known. Out: hidden states between stages, Hessians of their inputs.
// Must not know how weights are rounded or where they are written.
#include "core/quantize/calibrate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/log.h"
#include "core/base/status.h"
#include "formats/mapped_file.h"
#include "formats/utf8.h"

namespace gq {
namespace {

void check_ids(std::span<const int32_t> tokens, size_t vocab) {
    for (size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i] >= 0 && static_cast<size_t>(tokens[i]) < vocab) continue;
        fail(Status::bad_file,
             "calibration text: token %zu: the tokenizer gave id %d, expected 0 … %zu: the model's vocabulary has %zu "
             "tokens",
             i, tokens[i], vocab - 1, vocab);
    }
}

}  // namespace

std::string read_calibration_text(const std::filesystem::path& path) {
    const MappedFile file(path);
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    for (size_t at = 0; at < text.size();) {
        const size_t length = utf8_sequence_bytes(text.substr(at));
        if (length == 0)
            fail(Status::bad_file, "%s: UTF-8 text expected, found a byte 0x%02x that is none at byte %zu",
                 path.c_str(), static_cast<unsigned>(static_cast<uint8_t>(text[at])), at);
        at += length;
    }
    return std::string(text);
}

namespace {

using Windows = std::vector<std::vector<int32_t>>;

// Enough for that many windows of the model's own ids.
std::vector<int32_t> tokens_of(const Tokenizer& tokenizer, std::string_view text, size_t windows, size_t window,
                               size_t vocab) {
    std::vector<int32_t> tokens = tokenizer.encode(text);
    if (tokens.size() < window + windows)
        fail(Status::invalid_argument,
             "calibration text: at least %zu tokens expected for %zu windows of %zu, found %zu", window + windows,
             windows, window, tokens.size());
    check_ids(tokens, vocab);
    return tokens;
}

void add_at(std::span<const int32_t> tokens, std::span<const size_t> places, size_t window, Windows& windows) {
    for (const size_t place : places) {
        const auto begin = tokens.begin() + static_cast<ptrdiff_t>(place);
        windows.emplace_back(begin, begin + static_cast<ptrdiff_t>(window));
    }
}

// Window i starts at token i * stride.
Windows cut_evenly(std::span<const int32_t> tokens, size_t windows, size_t window) {
    const size_t stride = (tokens.size() - window) / windows;
    if (windows > 1 && stride < window)
        log_message(LogLevel::warning, "calibration text: %zu windows of %zu tokens overlap in its %zu", windows,
                    window, tokens.size());
    std::vector<size_t> places;
    for (size_t i = 0; i < windows; ++i) places.push_back(i * stride);
    Windows result;
    add_at(tokens, places, window, result);
    return result;
}

}  // namespace

std::vector<std::vector<int32_t>> cut_windows(const Tokenizer& tokenizer, std::string_view text, size_t windows,
                                              size_t window, size_t vocab) {
    return cut_evenly(tokens_of(tokenizer, text, windows, window, vocab), windows, window);
}

UsedRows::UsedRows(std::span<const std::vector<int32_t>> windows_of_ids, size_t n_cols) : cols(n_cols) {
    for (const std::vector<int32_t>& window : windows_of_ids) ids.insert(ids.end(), window.begin(), window.end());
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    values = AlignedBuffer<float>(checked_mul(ids.size(), cols, "embedding rows of the calibration text"));
    for (const std::vector<int32_t>& window : windows_of_ids) {
        std::vector<int32_t>& positions = windows.emplace_back();
        for (const int32_t id : window)
            positions.push_back(static_cast<int32_t>(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin()));
    }
}

void UsedRows::take(size_t first, size_t n, const float* rows) {
    const auto begin = std::lower_bound(ids.begin(), ids.end(), static_cast<int32_t>(first));
    for (auto id = begin; id != ids.end() && static_cast<size_t>(*id) < first + n; ++id) {
        const size_t from = static_cast<size_t>(*id) - first, to = static_cast<size_t>(id - ids.begin());
        std::copy_n(rows + from * cols, cols, values.data() + to * cols);
    }
}

PackedMatrix row_major_f32(const float* values, size_t rows, size_t cols) {
    return {.codes = find_codes("f32"),
            .layout = PackedMatrix::Layout::row_major,
            .rows = rows,
            .cols = cols,
            .code_bytes = reinterpret_cast<const std::byte*>(values)};
}

namespace {

// Every (n / n_last)-th of n windows moves behind the others.
void move_last(std::span<std::vector<int32_t>> windows, size_t n_last) {
    std::vector<std::vector<int32_t>> first, last;
    for (size_t w = 0; w < windows.size(); ++w) {
        const bool moves = (w + 1) * n_last / windows.size() != w * n_last / windows.size();
        (moves ? last : first).push_back(std::move(windows[w]));
    }
    std::move(last.begin(), last.end(), std::move(first.begin(), first.end(), windows.begin()));
}

}  // namespace

std::vector<std::vector<int32_t>> by_kind(std::vector<std::vector<int32_t>> windows, const WindowCounts& counts) {
    move_last(windows, counts.judging);
    move_last(std::span(windows).first(windows.size() - counts.judging), counts.held_out);
    return windows;
}

namespace {

// Of `from`, `n` that are spread over it.
std::vector<size_t> spread(const std::vector<size_t>& from, size_t n) {
    std::vector<size_t> some;
    for (size_t k = 0; k < n; ++k) some.push_back(from[(2 * k + 1) * from.size() / (2 * n)]);
    return some;
}

// Where a window fits between calibration windows that are cut at multiples of stride: first tokens, ascending.
std::vector<size_t> places_between(const WindowCounts& counts, size_t window, size_t stride) {
    std::vector<size_t> places;
    const size_t in_a_gap = stride / window - (stride >= window);
    for (size_t gap = 0; gap < counts.calibration; ++gap)
        for (size_t i = 0; i < in_a_gap; ++i)
            places.push_back(gap * stride + window + i * ((stride - window) / in_a_gap));
    return places;
}

}  // namespace

std::vector<std::vector<int32_t>> cut_by_kind(const Tokenizer& tokenizer, std::string_view text,
                                              const WindowCounts& counts, size_t window, size_t vocab) {
    const size_t n_solved = counts.calibration + counts.held_out;
    const std::vector<int32_t> tokens = tokens_of(tokenizer, text, n_solved, window, vocab);
    std::vector<size_t> places = places_between(counts, window, (tokens.size() - window) / counts.calibration);
    if (places.size() < counts.held_out) {
        Windows windows = by_kind(cut_evenly(tokens, n_solved, window), {counts.calibration, counts.held_out, 0});
        const size_t stride = (tokens.size() - window) / n_solved;
        const size_t behind[] = {n_solved * stride};  // the last one there is room for one more
        if (counts.judging > 0 && stride >= window) add_at(tokens, behind, window, windows);
        return windows;
    }
    Windows windows = cut_evenly(tokens, counts.calibration, window);
    const std::vector<size_t> held_out = spread(places, counts.held_out);
    add_at(tokens, held_out, window, windows);
    std::erase_if(places, [&](size_t place) { return std::binary_search(held_out.begin(), held_out.end(), place); });
    add_at(tokens, spread(places, std::min(counts.judging, places.size())), window, windows);
    return windows;
}

KvGeometry float_kv_layer(const HyperParams& params) {
    const KvType* const f32 = &find_kv_type("f32");
    return {1, params.n_kv_heads, params.head_dim, f32, f32};
}

Stream::Stream(const Network& network, const KvGeometry& one_layer, const Compute& compute, size_t n_windows,
               size_t window, Precision precision)
    : network_(network),
      compute_(compute),
      backend_(make_cpu_backend(compute)),
      forward_(network, *backend_, precision),
      slots_(*backend_, network, window),
      cache_(*backend_, one_layer, div_up(window, kv_page_positions)),
      hidden_(n_windows, window),
      positions_(window),
      n_windows_(n_windows),
      window_(window) {
    std::iota(positions_.begin(), positions_.end(), 0);
    cache_.reserve(0, window);
}

namespace {

void copy_rows(const ConstMatrixView& from, const MatrixView& to) {
    for (size_t r = 0; r < from.rows; ++r) std::copy_n(&from(r, 0), from.cols, to.row(r));
}

}  // namespace

// Of some slots, which are there from now on.
void Stream::place_window(std::span<const SlotId> slots, size_t window) {
    for (const SlotId slot : slots) {
        hidden_.add(slot, slots_[slot].stride);
        slots_.place(slot, hidden_.rows(slot, window));
    }
}

void Stream::embed(const Weight& embedding, const BlockWeights& outer, std::span<const std::vector<int32_t>> windows) {
    const RowSet rows = positions_alone();
    for (size_t w = 0; w < n_windows_; ++w) {
        place_window({&network_.residual, 1}, w);
        forward_.embed(embedding, outer, windows[w], rows, slots_);
    }
    keep_only({&network_.residual, 1});
}

void Stream::run(const StepList& block, size_t begin, size_t end, const BlockWeights& weights) {
    const std::vector<SlotId> before = hidden_.slots(), after = block.live_slots(end, network_.residual);
    const Segment segment{0, window_, 0, cache_.pages(0)};
    const RowSet rows{.positions = positions_, .segments = {&segment, 1}, .geometry = &cache_.geometry(), .layer = 0};
    for (size_t w = 0; w < n_windows_; ++w) {
        place_window(before, w);
        place_window(after, w);
        forward_.run(block, begin, end, weights, rows, slots_);
    }
    keep_only(after);
}

// For steps that no other row matters to.
RowSet Stream::positions_alone() const {
    return {.positions = positions_, .segments = {}, .geometry = nullptr, .layer = 0};
}

void Stream::run_epilogue(const BlockWeights& outer) {
    const RowSet rows = positions_alone();
    for (size_t w = 0; w < n_windows_; ++w) {
        place_window({&network_.head_input, 1}, w);  // may be the slot of what is selected
        const Activations& x = slots_[network_.selected];
        copy_rows(window_rows(network_.residual, w), {x.data, window_, x.width, x.stride});
        forward_.run(network_.epilogue, 0, network_.epilogue.steps.size(), outer, rows, slots_);
    }
    keep_only({&network_.head_input, 1});
}

void Stream::keep_only(std::span<const SlotId> slots) {
    for (const SlotId slot : hidden_.slots()) slots_.place(slot, nullptr);
    hidden_.keep_only(slots);
}

Matrix Stream::rows(SlotId slot) {
    Matrix result(n_windows_ * window_, slots_[slot].width);
    for (size_t w = 0; w < n_windows_; ++w)
        copy_rows(window_rows(slot, w), result.view().block(w * window_, 0, window_, result.cols()));
    return result;
}

void Stream::set_rows(SlotId slot, const Matrix& rows) {
    hidden_.keep_only({&slot, 1});
    hidden_.add(slot, slots_[slot].stride);
    for (size_t w = 0; w < n_windows_; ++w)
        copy_rows(rows.view().block(w * window_, 0, window_, rows.cols()), window_rows(slot, w));
}

MatrixView Stream::window_rows(SlotId slot, size_t window) {
    const Activations& x = slots_[slot];
    return {hidden_.rows(slot, window), window_, x.width, x.stride};
}

void Stream::scale_by_tokens(Matrix& sums, WindowRange windows) const {
    const float scale = 2.0f / static_cast<float>((windows.end - windows.begin) * window_);
    compute_.pool.for_ranges(sums.rows(), 1, [&](size_t begin, size_t end, size_t) {
        for (size_t i = begin * sums.cols(); i < end * sums.cols(); ++i) sums.data()[i] *= scale;
    });
}

Matrix Stream::hessian(SlotId slot, WindowRange windows) {
    Matrix h(slots_[slot].width, slots_[slot].width);
    for (size_t w = windows.begin; w < windows.end; ++w)
        syrk_upper(compute_, workspace_, Update::add, window_rows(slot, w).transposed(), h.view());
    scale_by_tokens(h, windows);
    mirror_upper(compute_, h.view());
    return h;
}

Matrix Stream::drift(Stream& reference, SlotId slot, WindowRange windows) {
    const size_t width = slots_[slot].width;
    Matrix d(width, width), difference(window_, width);
    for (size_t w = windows.begin; w < windows.end; ++w) {
        const ConstMatrixView x = window_rows(slot, w), y = reference.window_rows(slot, w);
        compute_.pool.for_each(window_, [&](size_t i, size_t) {
            for (size_t j = 0; j < width; ++j) difference(i, j) = y(i, j) - x(i, j);
        });
        gemm(compute_, workspace_, Update::add, ConstMatrixView(difference.view()).transposed(), x, d.view());
    }
    scale_by_tokens(d, windows);
    return d;
}

}  // namespace gq
