// Float types of the key and value cache: the elements of kv.h's panels one after another, each a T.
// In: floats. Out: elements, rounded to nearest even. Must not know what widens them.
#pragma once

#include <cstring>

#include "core/base/memory.h"
#include "core/kernels/kv.h"

namespace gq {

// narrow: a float → one element.
template <class T, T (*narrow)(float)>
struct KvFloats {
    static constexpr size_t k_elements(size_t head_dim) { return kv_page_positions * head_dim; }
    static constexpr size_t v_elements(size_t head_dim) { return kv_page_positions * (round_up(head_dim, panel_cols)); }
    static size_t k_bytes(size_t head_dim) { return k_elements(head_dim) * sizeof(T); }
    static size_t v_bytes(size_t head_dim) { return v_elements(head_dim) * sizeof(T); }

    static void store_k(const float* k, size_t head_dim, size_t position, std::byte* block) {
        for (size_t d = 0; d < head_dim; ++d)
            store((position / panel_cols * head_dim + d) * panel_cols + position % panel_cols, k[d], block);
    }
    static void store_v(const float* v, size_t head_dim, size_t position, std::byte* block) {
        for (size_t d = 0; d < head_dim; ++d)
            store((d / panel_cols * kv_page_positions + position) * panel_cols + d % panel_cols, v[d], block);
    }

  private:
    static void store(size_t index, float value, std::byte* block) {
        const T element = narrow(value);
        std::memcpy(block + index * sizeof element, &element, sizeof element);
    }
};

}  // namespace gq
