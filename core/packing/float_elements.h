// Float codes: elements one after another, each a float in a file's element type.
// In: floats. Out: elements rounded to nearest even, and back exactly.
// Must not know tiles or matrices.
#pragma once

#include <cstddef>
#include <cstring>

#include "formats/element_type.h"

namespace gq {

// narrow: a float → the bits of one element of `type`.
template <ElementType type, auto narrow>
struct FloatElements {
    static void pack(const float* values, size_t n, std::byte* elements) {
        for (size_t i = 0; i < n; ++i) {
            const auto element = narrow(values[i]);
            std::memcpy(elements + i * sizeof element, &element, sizeof element);
        }
    }
    static void unpack(const std::byte* elements, size_t n, float* values) { traits(type).to_f32(elements, n, values); }
};

}  // namespace gq
