// A type of the key and value cache: how the keys and the values of one head over 64 positions lie in a page.
// In: rows of floats, one position at a time. Out: bytes; and from those the floats that gemm_f32 reads. Each kv_X.cpp
// defines one constant; adding a type is one new file. Must not know page tables, sessions or instruction sets.
//
// Widened, a block of a head is two lists of panels, so that attention is two small matrix products:
//   keys:   4 panels of (head_dim, 16 positions)                     element [position / 16][d][position % 16]
//   values: ceil(head_dim / 16) panels of (64 positions, 16)         element [d / 16][position][d % 16]
// Elements of the last panel of values past head_dim may hold anything.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "core/kernels/kernels.h"

namespace gq {

struct KvType {
    const char* name;  // "f16"
    // The product of q and k, and the sum over values, are taken in the coordinates of rotate_head(), where a head's
    // large values are spread over all of its dimensions; outputs are turned back.
    bool is_rotated;
    // Bytes of one head's keys, or values, over the 64 positions of a page; multiples of 64.
    size_t (*k_bytes)(size_t head_dim);
    size_t (*v_bytes)(size_t head_dim);
    // One position (0 … 63) of a head's block, from head_dim floats; no byte changes that another position reads. A NaN
    // or an infinity may make any number of its own position one, and changes no other position.
    void (*store_k)(const float* k, size_t head_dim, size_t position, std::byte* block);
    void (*store_v)(const float* v, size_t head_dim, size_t position, std::byte* block);
    // The truth of KernelTable's; null where the bytes are the floats that gemm_f32 reads.
    WidenKvFn widen_k, widen_v;
};

std::span<const KvType* const> all_kv_types();
size_t kv_type_index(const KvType& type);  // position in all_kv_types()
// Throws Error(invalid_argument) that lists all names; `what` is what the message calls the option.
const KvType& find_kv_type(std::string_view name, const char* what = "kv type");

const KvType& default_kv_type();  // "f16"

// In place: the Walsh-Hadamard transform of each run of n floats, n the largest power of two that divides head_dim,
// times 1 / sqrt(n): its own inverse, and it leaves q · k as it is but for rounding. Contract: for strides 1, 2, 4 … of
// a run, x[i], x[i + stride] = x[i] + x[i + stride], x[i] - x[i + stride]; then each x[i] *= 1 / sqrt(n), rounded.
void rotate_head(float* x, size_t head_dim);

}  // namespace gq
