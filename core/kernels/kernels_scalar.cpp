// The truth: every operation of kernels.h in plain C++, for all registered codes. Every variant equals it bit by bit.
// In: the arguments of kernels.h. Out: the numbers of its contracts, by loops over 16 lanes that compilers vectorise.
// Must not know instruction sets, models or threads.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/base/status.h"
#include "core/kernels/kernels.h"
#include "core/kernels/kv.h"
#include "core/kernels/math.h"
#include "formats/element_type.h"

namespace gq {
namespace {

constexpr size_t lanes = panel_rows;
static_assert(lanes == panel_cols);

// --- activations -----------------------------------------------------------------------------------------------------

bool is_finite(float magnitude) {
    return magnitude <= std::numeric_limits<float>::max();
}

// The largest |x - shift|, compared as integers: that orders all floats, infinity and NaN above the finite ones.
float largest_magnitude(const float* x, size_t n, float shift) {
    uint32_t largest = 0;
    for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(x[i] - shift) & 0x7fffffffu);
    return std::bit_cast<float>(largest);
}

// m: the largest magnitude of x and of what shares its scale.
void quantize_block(const float* x, float m, int8_t* values, float& scale, int16_t* sums) {
    constexpr float rounder = 0x1.8p+23f;  // v + rounder holds round(v), ties to even, in its low bits
    const bool finite = is_finite(m), zero = m < q8_steps::smallest;
    scale = !finite ? q8_steps::not_a_number : zero ? 0.0f : m / 127.0f;
    if (!finite || zero) {
        std::fill_n(values, q8_block, int8_t{0});
        std::fill_n(sums, 2, int16_t{0});
        return;
    }
    const float inverse = 127.0f / m;
    for (size_t i = 0; i < q8_block; ++i) {
        const uint32_t rounded = std::bit_cast<uint32_t>(x[i] * inverse + rounder) - std::bit_cast<uint32_t>(rounder);
        values[i] = static_cast<int8_t>(static_cast<int32_t>(rounded));
    }
    for (size_t half = 0; half < 2; ++half) {
        int32_t sum = 0;
        for (size_t i = 0; i < q8_block / 2; ++i) sum += values[half * q8_block / 2 + i];
        sums[half] = static_cast<int16_t>(sum);
    }
}

void quantize_q8_scalar(const float* x, size_t x_stride, size_t n_tokens, size_t cols, const Q8Rows& out) {
    for (size_t t = 0; t < n_tokens; ++t) {
        for (size_t b = 0; b < out.n_blocks; ++b) {
            float block[q8_block] = {};
            const size_t first = b * q8_block;
            if (first < cols) std::copy_n(x + t * x_stride + first, std::min(q8_block, cols - first), block);
            const size_t i = t * out.n_blocks + b;
            const float m = largest_magnitude(block, q8_block, 0.0f);
            quantize_block(block, m, out.values + i * q8_block, out.scales[i], out.sums + i * 2);
        }
    }
}

// What an asymmetric span is shifted by.
float mid_range(const float* x, size_t n) {
    if (!is_finite(largest_magnitude(x, n, 0.0f))) return 0.0f;
    const auto [low, high] = std::minmax_element(x, x + n);
    return 0.5f * *low + 0.5f * *high;
}

// One block of shifts: ones for its n inputs.
void count_inputs(size_t n, int8_t* values, int16_t* sums) {
    std::fill_n(std::fill_n(values, n, int8_t{1}), q8_block - n, int8_t{0});
    sums[0] = static_cast<int16_t>(std::min(n, q8_block / 2));
    sums[1] = static_cast<int16_t>(n - std::min(n, q8_block / 2));
}

// One span of one token, whose blocks out and shifts begin with.
void quantize_span(const float* x, size_t cols, const Q8Rows& out, const Q8Rows& shifts) {
    const float shift = shifts.values ? mid_range(x, cols) : 0.0f;
    const float m = largest_magnitude(x, cols, shift);
    for (size_t b = 0; b * q8_block < cols; ++b) {
        const size_t first = b * q8_block, n = std::min(q8_block, cols - first);
        float block[q8_block] = {};
        for (size_t i = 0; i < n; ++i) block[i] = x[first + i] - shift;
        quantize_block(block, m, out.values + first, out.scales[b], out.sums + 2 * b);
        if (!shifts.values) continue;
        shifts.scales[b] = shift;
        count_inputs(n, shifts.values + first, shifts.sums + 2 * b);
    }
}

// --- linear, integer codes -------------------------------------------------------------------------------------------

constexpr size_t token_chunk = 8;  // tokens that share one decoded tile

// The part of a block that belongs to a group: its 32 inputs, or for groups of 16 half of them.
struct BlockPart {
    size_t first, n;
};

// sums[lane] = -zero_point * sum(x) + sum(code * x) over n inputs. codes: rows 32 apart.
template <size_t n>
void dot_inputs(const int16_t* codes, const int32_t* zero_point, const int8_t* x, int32_t x_sum, int32_t* sums) {
    int16_t wide[n];
    for (size_t k = 0; k < n; ++k) wide[k] = x[k];
    for (size_t lane = 0; lane < lanes; ++lane) {
        int32_t dot = 0;
        for (size_t k = 0; k < n; ++k) dot += codes[lane * tile_cols + k] * wide[k];
        sums[lane] = dot - zero_point[lane] * x_sum;
    }
}

// x_sums: of the two halves of the block.
int32_t sum_of(const int16_t* x_sums, BlockPart part) {
    return part.n == q8_block ? x_sums[0] + x_sums[1] : x_sums[part.first / half_tile_cols];
}

void dot_block(const int16_t* codes, const int32_t* zero_point, const int8_t* x, const int16_t* x_sums, BlockPart part,
               int32_t* sums) {
    const auto dot = part.n == q8_block ? dot_inputs<q8_block> : dot_inputs<half_tile_cols>;
    dot(codes + part.first, zero_point, x + part.first, sum_of(x_sums, part), sums);
}

void read_tile(const Codes& codes, const std::byte* tile, int16_t* out) {
    uint8_t bytes[tile_values];
    codes.unpack_codes(tile, bytes);
    for (size_t i = 0; i < tile_values; ++i) out[i] = bytes[i];
}

GroupParams read_group(const PackedMatrix& w, size_t panel, size_t group) {
    GroupParams params = {};
    w.grid->unpack_group(w.group_scales(panel, group), w.group_zeros(panel, group), w.codes->value_bits, params);
    return params;
}

// The blocks of a group, and what of each is the group's.
struct GroupBlocks {
    size_t begin, end;
    BlockPart part;
};

GroupBlocks blocks_of(const PackedMatrix& w, size_t group) {
    if (w.group == half_tile_cols) return {group / 2, group / 2 + 1, {group % 2 * half_tile_cols, half_tile_cols}};
    const size_t n = w.group_cols() / q8_block;
    return {group * n, std::min((group + 1) * n, w.n_tiles()), {0, q8_block}};
}

// acc[t][lane] of one group. tiles: the panel's in the layout of `codes`; token: the first of n_tokens.
void accumulate_group(const LinearArgs& args, const Codes& codes, const std::byte* tiles, const GroupParams& params,
                      const GroupBlocks& blocks, size_t token, size_t n_tokens, float (*acc)[lanes]) {
    int16_t tile[tile_values];
    int32_t sums[lanes];
    for (size_t b = blocks.begin; b < blocks.end; ++b) {
        read_tile(codes, tiles + b * codes.tile_bytes, tile);
        for (size_t t = 0; t < n_tokens; ++t) {
            const size_t i = (token + t) * args.q8.n_blocks + b;
            dot_block(tile, params.zero_point, args.q8.values + i * q8_block, args.q8.sums + i * 2, blocks.part, sums);
            for (size_t lane = 0; lane < lanes; ++lane)
                acc[t][lane] = std::fma(args.q8.scales[i], static_cast<float>(sums[lane]), acc[t][lane]);
        }
    }
}

// y of one token += what the group's sums stand for; sum: null on grids without offsets.
void add_group(const GroupParams& params, const float* acc, const float* sum, float* y) {
    for (size_t lane = 0; lane < lanes; ++lane) y[lane] = std::fma(params.scale[lane], acc[lane], y[lane]);
    for (size_t lane = 0; sum && lane < lanes; ++lane) y[lane] = std::fma(params.offset[lane], *sum, y[lane]);
}

void store_rows(const LinearArgs& args, size_t panel, size_t token, const float* y) {
    const size_t row = panel * panel_rows;
    std::copy_n(y, std::min(panel_rows, args.weights->rows - row), args.y + token * args.y_stride + row);
}

// One panel, whose codes stand at `tiles` in the layout of `codes`: the matrix's own, or expanded to 8 bits.
void integer_panel(const LinearArgs& args, size_t panel, const Codes& codes, const std::byte* tiles) {
    const PackedMatrix& w = *args.weights;
    for (size_t token = 0; token < args.n_tokens; token += token_chunk) {
        const size_t n_tokens = std::min(token_chunk, args.n_tokens - token);
        float y[token_chunk][lanes] = {};
        for (size_t group = 0; group < w.n_groups(); ++group) {
            const GroupParams params = read_group(w, panel, group);
            const GroupBlocks blocks = blocks_of(w, group);
            float acc[token_chunk][lanes] = {};
            accumulate_group(args, codes, tiles, params, blocks, token, n_tokens, acc);
            for (size_t t = 0; t < n_tokens; ++t) {
                const float* sum = w.grid->has_offsets ? args.group_sums + (token + t) * w.n_groups() + group : nullptr;
                add_group(params, acc[t], sum, y[t]);
            }
        }
        for (size_t t = 0; t < n_tokens; ++t) store_rows(args, panel, token + t, y[t]);
    }
}

const Codes& expanded_codes() {
    return *find_codes("int8");
}

void integer_panels(const LinearArgs& args, const Codes& codes, const std::byte* tiles) {
    const size_t panel_bytes = args.weights->n_tiles() * codes.tile_bytes;
    for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel, tiles += panel_bytes)
        integer_panel(args, panel, codes, tiles);
}

void gemv_integer_scalar(const LinearArgs& args) {
    integer_panels(args, *args.weights->codes, args.weights->panel_codes(args.panel_begin));
}

void gemm_u8s8_scalar(const LinearArgs& args, const uint8_t* panels_u8) {
    integer_panels(args, expanded_codes(), reinterpret_cast<const std::byte*>(panels_u8));
}

// A function per registered codes, because UnpackFn does not name them.
template <size_t index>
void unpack_scalar(const std::byte* panel_codes, size_t n_tiles, uint8_t* out) {
    const Codes &from = *all_codes()[index], &to = expanded_codes();
    uint8_t codes[tile_values];
    for (size_t tile = 0; tile < n_tiles; ++tile) {
        from.unpack_codes(panel_codes + tile * from.tile_bytes, codes);
        to.pack_codes(codes, reinterpret_cast<std::byte*>(out + tile * to.tile_bytes));
    }
}

// --- linear, float codes, and matrices -------------------------------------------------------------------------------

// y[lane] = fma(panel[k][lane], x[k], y[lane]) for ascending k.
void multiply_lanes(const float* panel, const float* x, size_t n, float* y) {
    for (size_t k = 0; k < n; ++k)
        for (size_t lane = 0; lane < lanes; ++lane) y[lane] = std::fma(panel[k * lanes + lane], x[k], y[lane]);
}

void gemv_float_scalar(const LinearArgs& args) {
    const PackedMatrix& w = *args.weights;
    float tile[tile_values];
    for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
        for (size_t token = 0; token < args.n_tokens; ++token) {
            float y[lanes] = {};
            for (size_t i = 0; i < w.n_tiles(); ++i) {
                w.codes->unpack_floats(w.panel_codes(panel) + i * w.codes->tile_bytes, tile_values, tile);
                multiply_lanes(tile, args.x + token * args.x_stride + i * tile_cols, tile_cols, y);
            }
            store_rows(args, panel, token, y);
        }
    }
}

void gemm_f32_scalar(const GemmF32Args& args) {
    for (size_t t = 0; t < args.m; ++t) {
        for (size_t col = 0; col < args.n_cols; col += panel_cols) {
            float* c = args.c + t * args.c_stride + col;
            const size_t n = std::min(panel_cols, args.n_cols - col);
            float sums[lanes] = {};
            if (args.accumulate) std::copy_n(c, n, sums);
            multiply_lanes(args.panels + col / panel_cols * args.panel_stride, args.a + t * args.a_stride, args.k,
                           sums);
            std::copy_n(sums, n, c);
        }
    }
}

// --- elementwise -----------------------------------------------------------------------------------------------------

// The order of every sum over lanes: lane l += lane l + 8, then l + 4, l + 2, l + 1.
float sum_lanes(float* lane) {
    for (size_t step = lanes / 2; step > 0; step /= 2)
        for (size_t l = 0; l < step; ++l) lane[l] += lane[l + step];
    return lane[0];
}

SoftmaxPart softmax_block_scalar(float* scores, size_t first, size_t last, float scale) {
    float max = -std::numeric_limits<float>::infinity();
    for (size_t j = first; j < last; ++j) {
        const float score = scores[j] * scale;
        max = score > max ? score : max;
    }
    max += 0.0f;
    float sums[lanes] = {};
    for (size_t j = 0; j < kv_page_positions; ++j) {
        const float e = exp_f32(scores[j] * scale - max);
        scores[j] = j >= first && j < last ? e : 0.0f;
        sums[j % lanes] += scores[j];
    }
    return {max, sum_lanes(sums)};
}

void silu_mul_scalar(const float* gate, const float* up, size_t n, float* out) {
    for (size_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + exp_f32(-gate[i])) * up[i];
}

void rms_norm_scalar(const float* x, const float* weight, float eps, size_t n, float* out) {
    float sums[lanes] = {};
    for (size_t i = 0; i < n; ++i) sums[i % lanes] += x[i] * x[i];
    const float inverse = 1.0f / std::sqrt(sum_lanes(sums) / static_cast<float>(n) + eps);
    for (size_t i = 0; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}

// --- the table -------------------------------------------------------------------------------------------------------

template <size_t... index>
KernelTable make_scalar_table(std::index_sequence<index...>) {
    constexpr UnpackFn unpack[] = {unpack_scalar<index>...};
    KernelTable table{.quantize_q8 = quantize_q8_scalar,
                      .gemv = {},
                      .unpack = {},
                      .unpack_f32 = {},
                      .gemm_u8s8 = gemm_u8s8_scalar,
                      .gemm_f32 = gemm_f32_scalar,
                      .widen_k = {},
                      .widen_v = {},
                      .softmax_block = softmax_block_scalar,
                      .silu_mul = silu_mul_scalar,
                      .rms_norm = rms_norm_scalar,
                      .peak_int8 = nullptr,
                      .peak_f32 = nullptr,
                      .isa = "scalar"};
    const size_t n_codes = all_codes().size();
    if (n_codes > max_codes)
        fail(Status::internal, "kernel table: room for %zu codes, found %zu registered", max_codes, n_codes);
    for (size_t i = 0; i < n_codes; ++i) {
        table.gemv[i] = all_codes()[i]->is_float ? gemv_float_scalar : gemv_integer_scalar;
        table.unpack[i] = all_codes()[i]->is_float ? nullptr : unpack[i];
        table.unpack_f32[i] = all_codes()[i]->is_float ? all_codes()[i]->unpack_floats : nullptr;
    }
    for (const KvType* type : all_kv_types()) {
        table.widen_k[kv_type_index(*type)] = type->widen_k;
        table.widen_v[kv_type_index(*type)] = type->widen_v;
    }
    return table;
}

}  // namespace

void quantize_spans(const float* x, size_t x_stride, size_t n_tokens, size_t cols, size_t span_blocks,
                    const Q8Rows& out, const Q8Rows& shifts) {
    const size_t span = span_blocks * q8_block;
    for (size_t t = 0; t < n_tokens; ++t)
        for (size_t first = 0; first < cols; first += span)
            quantize_span(x + t * x_stride + first, std::min(span, cols - first), out.at(t, first / q8_block),
                          shifts.at(t, first / q8_block));
}

void sum_groups(const Q8Rows& q8, size_t n_tokens, const PackedMatrix& weights, float* out) {
    for (size_t t = 0; t < n_tokens; ++t) {
        const float* scales = q8.scales + t * q8.n_blocks;
        const int16_t* sums = q8.sums + t * q8.n_blocks * 2;
        for (size_t group = 0; group < weights.n_groups(); ++group) {
            const GroupBlocks blocks = blocks_of(weights, group);
            float sum = 0;
            for (size_t b = blocks.begin; b < blocks.end; ++b)
                sum = std::fma(scales[b], static_cast<float>(sum_of(sums + 2 * b, blocks.part)), sum);
            *out++ = sum;
        }
    }
}

const KernelTable& scalar_table() {
    static const KernelTable table = make_scalar_table(std::make_index_sequence<max_codes>());
    return table;
}

}  // namespace gq
