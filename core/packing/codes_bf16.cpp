// bf16: the upper half of a float, 1024 bytes per tile of 16 rows x 32 inputs. The row-major form holds the same
// elements. Must not know scales: there are none.
//
//     k = 0:   | row 0 | row 1 | ... | row 15 |      2 bytes each, little-endian: sign, 8 bits of exponent, 7 of
//     fraction k = 1:   | row 0 | row 1 | ... | row 15 |
//     ...      k = 31
#include <cstring>

#include "core/packing/packing.h"
#include "formats/element_type.h"

namespace gq {
namespace {

void pack_bf16(const float* values, size_t n, std::byte* elements) {
    for (size_t i = 0; i < n; ++i) {
        const uint16_t upper = f32_to_bf16(values[i]);
        std::memcpy(elements + i * sizeof upper, &upper, sizeof upper);
    }
}

void unpack_bf16(const std::byte* elements, size_t n, float* values) {
    traits(ElementType::bf16).to_f32(elements, n, values);
}

}  // namespace

extern const Codes codes_bf16{
    .name = "bf16",
    .bits = 16,
    .is_float = true,
    .tile_bytes = tile_values * sizeof(uint16_t),
    .pack_codes = nullptr,
    .unpack_codes = nullptr,
    .pack_floats = pack_bf16,
    .unpack_floats = unpack_bf16,
};

}  // namespace gq
