// bf16: the upper halves of floats; 1024 bytes per tile of 16 rows x 32 inputs.
// The row-major form holds the same elements. Must not know scales: there are none.
//
//     k = 0:   | row 0 | row 1 | ... | row 15 |      2 bytes each, little-endian:
//     k = 1:   | row 0 | row 1 | ... | row 15 |      sign, 8 bits of exponent, 7 of fraction
//     ...      k = 31
#include "core/packing/float_elements.h"
#include "core/packing/packing.h"

namespace gq {
namespace {

using Elements = FloatElements<ElementType::bf16, f32_to_bf16>;

}  // namespace

extern const Codes codes_bf16{
    .name = "bf16",
    .bits = 16,
    .value_bits = 0,
    .is_float = true,
    .tile_bytes = tile_values * sizeof(uint16_t),
    .nearest = nullptr,
    .pack_codes = nullptr,
    .unpack_codes = nullptr,
    .pack_floats = Elements::pack,
    .unpack_floats = Elements::unpack,
};

}  // namespace gq
