// The door of the kernels: what each operation means, who performs it, and the table of who stands for what.
// In: pointers and shapes. Out: numbers, the same bits whichever variant computes them, as stated per operation.
// A variant is single-threaded and owns no memory; kernels_scalar.cpp is the truth.
// Must not know models, files or threads.
//
// "fma" is one rounding; every other product and sum is rounded by itself, to nearest even. Where a contract gives a
// NaN, its sign and payload are open (x86 and ARM make different ones) unless it says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/packing/packing.h"

namespace gq {

inline constexpr size_t q8_block = tile_cols;     // inputs per activation scale
inline constexpr size_t panel_cols = panel_rows;  // columns of a panel of gemm_f32: rows of weights are columns of y
inline constexpr size_t panel_pair = 2;  // panels that prefill takes side by side, to read activations once for both
inline constexpr size_t kv_page_positions = 64;

// Activations in 8 bits, tokens one after another: x[t][c] ~ scales[t][c / 32] * values[t][c], values in [-127, 127].
// cols are padded with zeros to a multiple of 32.
struct Q8Rows {
    int8_t* values = nullptr;  // (tokens, blocks * 32)
    float* scales = nullptr;   // (tokens, blocks)
    int16_t* sums = nullptr;   // (tokens, blocks, 2): sums of 16 values each
    size_t n_blocks = 0;       // from one token to the next; a matrix reads as many as it has tiles

    // From that block of that token on. Where there are no values, none.
    Q8Rows at(size_t token, size_t block) const {
        const size_t i = token * n_blocks + block;
        return values ? Q8Rows{values + i * q8_block, scales + i, sums + i * 2, n_blocks} : Q8Rows{};
    }
};

// quantize_q8 — x: (tokens, cols) with row stride x_stride. Contract: m = the largest |x| of the block, compared as
// integers with the sign bit off;
//   m infinite or NaN: scale = quiet NaN 0x7fc00000, values 0;
//   m < 1e-30: scale 0, values 0;
//   else: scale = m / 127.0f, inverse = 127.0f / m, value = x * inverse rounded to nearest even.
using QuantizeQ8Fn = void (*)(const float* x, size_t x_stride, size_t n_tokens, size_t cols, const Q8Rows& out);

// quantize_spans — the same with one scale for a whole span of a token's inputs, the modes of ZeroQuant-V2. A span is
// span_blocks blocks, the last one of a token what is left; out gets ceil(cols / 32) blocks of each token. There is one
// performer, and its numbers are read by the same kernels. Contract, per token and span:
//   c = 0; where shifts.values is not null and all inputs of the span are finite, c = 0.5f * low + 0.5f * high, each
//     rounded, of its smallest and its largest input;
//   x' = x - c for every input of the span, 0 for the padding behind cols; m = the largest |x'| of the span, compared
//     as in quantize_q8; scales, all of the span's blocks alike, and values from m and x' as there from m and x;
//   shifts, where there are any: values 1 for inputs, 0 for padding; scales c. So x ~ out + shifts, and W x ~ W out +
//     W shifts, two linears under the contract of gemv.
void quantize_spans(const float* x, size_t x_stride, size_t n_tokens, size_t cols, size_t span_blocks,
                    const Q8Rows& out, const Q8Rows& shifts);

// y[t][row] for the rows of panels [panel_begin, panel_end); y has row stride y_stride and no padding rows are written.
struct LinearArgs {
    const PackedMatrix* weights = nullptr;
    size_t panel_begin = 0, panel_end = 0;
    size_t n_tokens = 0;
    Q8Rows q8;                 // integer codes read this
    const float* x = nullptr;  // float codes read this: (tokens, 32 * n_tiles), zero-padded, row stride x_stride
    size_t x_stride = 0;
    const float* group_sums = nullptr;  // integer codes on a grid with offsets read this too: sum_groups of q8
    float* y = nullptr;                 // (tokens, rows)
    size_t y_stride = 0;
};

// sum_groups — what a group's offset is multiplied with: out (tokens, groups) has the sums of the dequantized
// activations, which all rows share. Contract: sum = 0; for ascending blocks b of g, or the half that is g:
// sum = fma(scale_x[b], float(sum(x_q)), sum).
void sum_groups(const Q8Rows& q8, size_t n_tokens, const PackedMatrix& weights, float* out);

// gemv — decode: 1 … 4 tokens at the speed of memory; any number gives the right result. weights.layout is `panels`.
// Contract for integer codes, per row and token:
//   y = 0; for ascending groups g:
//       acc = 0; for ascending blocks b of g:
//           i = -zero_point * sum(x_q) + sum(code * x_q), exactly in int32; acc = fma(scale_x[b], float(i), acc)
//           (of a group of 16, both sums over its half of block b alone)
//       y = fma(scale[g], acc, y); on a grid with offsets then y = fma(offset[g], group_sums[g], y)
// Contract for float codes: y = 0; for ascending k < 32 * n_tiles: y = fma(w[k], x[k], y).
using GemvFn = void (*)(const LinearArgs& args);

// unpack — one panel of integer codes expanded to the layout of codes_int8 (n_tiles * 512 bytes), codes unchanged.
using UnpackFn = void (*)(const std::byte* panel_codes, size_t n_tiles, uint8_t* out);

// unpack_f32 — n elements of float codes as floats, exactly and in their order; n a multiple of 512.
using UnpackF32Fn = void (*)(const std::byte* elements, size_t n, float* values);

// gemm_u8s8 — prefill: the integer contract of gemv over panels [panel_begin, panel_end) that unpack expanded, one
// after another, for any number of tokens; fastest for a multiple of panel_pair. Scales and zero points are read from
// args.weights, whose codes->value_bits bounds the codes: variants may use int16 sums where 2^value_bits allows.
using GemmU8S8Fn = void (*)(const LinearArgs& args, const uint8_t* panels_u8);

// gemm_f32 — C[t][j] over one or more panels of panel_cols = 16 columns: panels[p][k][lane] is column 16 p + lane.
// Contract: c = 0, or the old C when accumulate; for ascending k: c = fma(panel, a, c). Only n_cols columns are
// written.
struct GemmF32Args {
    const float* a = nullptr;  // (m, k), row stride a_stride
    size_t a_stride = 0;
    const float* panels = nullptr;  // (ceil(n_cols / 16), k, 16), panel stride panel_stride floats
    size_t panel_stride = 0;
    float* c = nullptr;  // (m, n_cols), row stride c_stride
    size_t c_stride = 0;
    size_t m = 0, n_cols = 0, k = 0;
    bool accumulate = false;
};
using GemmF32Fn = void (*)(const GemmF32Args& args);

// widen_k, widen_v — the keys, or the values, of one head over 64 positions, as a type of the cache packs them, to the
// panels of kv.h: head_dim * 64 floats, or 64 for each of head_dim rounded up to 16. Contract: float(code) * scale,
// rounded once; halves exactly.
using WidenKvFn = void (*)(const std::byte* block, size_t head_dim, float* out);

// exp below is exp_f32 of math.h, step by step. Sums over a row, in softmax_block and rms_norm: 16 lanes from zero,
// lane l adds elements l, l + 16, l + 32 … in this order (so a tail goes to lanes 0 …); then lane l += lane l + 8, then
// l += l + 4, l += l + 2, l += l + 1; lane 0 is the sum.

// softmax_block — the part of one query row in one block of 64 keys, in place; returns (max, sum of all 64):
//   max = the largest scores[j] * scale for first <= j < last; NaNs are passed over, a zero is +0, nothing is -infinity
//   scores[j] = exp(scores[j] * scale - max) for first <= j < last, 0 elsewhere
// All 64 scores are read, those outside the range without influence.
struct SoftmaxPart {
    float max = 0, sum = 0;
};
using SoftmaxBlockFn = SoftmaxPart (*)(float* scores, size_t first, size_t last, float scale);

// silu_mul — out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]. out may be gate or up.
using SiluMulFn = void (*)(const float* gate, const float* up, size_t n, float* out);

// rms_norm — one row: out[i] = x[i] * (1 / sqrt(sum(x²) / n + eps)) * weight[i], from left to right. out may be x.
using RmsNormFn = void (*)(const float* x, const float* weight, float eps, size_t n, float* out);

// peak — n > 0 turns of independent multiply-adds in the widest registers of an instruction set, on zeros that never
// leave them: the rate that no kernel surpasses. Returns the multiply-adds done.
using PeakFn = double (*)(size_t n);

// Exactly the function pointers that a variant provides; the others are null.
struct KernelSet {
    QuantizeQ8Fn quantize_q8 = nullptr;
    GemvFn gemv = nullptr;             // for variant.codes
    UnpackFn unpack = nullptr;         // for variant.codes
    UnpackF32Fn unpack_f32 = nullptr;  // for variant.codes
    GemmU8S8Fn gemm_u8s8 = nullptr;
    GemmF32Fn gemm_f32 = nullptr;
    WidenKvFn widen_k = nullptr;  // for variant.kv_type
    WidenKvFn widen_v = nullptr;  // for variant.kv_type
    SoftmaxBlockFn softmax_block = nullptr;
    SiluMulFn silu_mul = nullptr;
    RmsNormFn rms_norm = nullptr;
    PeakFn peak_int8 = nullptr;
    PeakFn peak_f32 = nullptr;
};

// One performer. Each cpu_simd/<op>_<codes>_<isa>.cpp defines one constant of its own name.
struct KernelVariant {
    const char* name;   // "gemv_int4_avx2": the file's name
    const char* isa;    // "avx2", "avxvnni", "avx512", "neon", "i8mm": a name of cpu_features.h
    const char* codes;  // "int4"; nullptr where the operation does not depend on codes
    KernelSet kernels;
    const char* kv_type = nullptr;  // "q8"; nullptr where the operation does not depend on types of the cache
};
std::span<const KernelVariant* const> all_variants();

inline constexpr size_t max_codes = 16;    // registered codes that a table has room for
inline constexpr size_t max_kv_types = 8;  // registered types of the cache

// Who performs each operation. gemv, unpack and unpack_f32 are indexed as all_codes(); an entry is null where codes
// have no such kernel, as integers have no unpack_f32 and floats no unpack. widen_k and widen_v are indexed as
// all_kv_types(); an entry is null where a page holds the panels themselves.
struct KernelTable {
    QuantizeQ8Fn quantize_q8;
    GemvFn gemv[max_codes];
    UnpackFn unpack[max_codes];
    UnpackF32Fn unpack_f32[max_codes];
    GemmU8S8Fn gemm_u8s8;
    GemmF32Fn gemm_f32;
    WidenKvFn widen_k[max_kv_types];
    WidenKvFn widen_v[max_kv_types];
    SoftmaxBlockFn softmax_block;
    SiluMulFn silu_mul;
    RmsNormFn rms_norm;
    PeakFn peak_int8, peak_f32;  // null in the scalar table: what a compiler makes of plain code has no peak of its own
    const char* isa;             // the best ISA in it, for the start line
};

size_t codes_index(const Codes& codes);  // position in all_codes()

// The table for `isa`: a name of cpu_features.h, or "" for the variable GQ_ISA, or without it the best that this CPU
// can run. A table for avx512 also takes variants of the sets before it that this CPU can run, where avx512 has none.
// Throws Error(unsupported) for an unknown name or one that this CPU can't run.
const KernelTable& kernel_table(std::string_view isa = "");

// Puts one variant's pointers into a table; tests use it to walk the registry.
void install_variant(const KernelVariant& variant, KernelTable& table);

// The truth: every operation by kernels_scalar.cpp, gemv and unpack for all codes.
const KernelTable& scalar_table();

}  // namespace gq
