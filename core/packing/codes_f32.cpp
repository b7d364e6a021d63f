// f32: floats as they are; 2048 bytes per tile of 16 rows x 32 inputs.
// The row-major form holds the same elements. Must not know scales: there are none.
//
//     k = 0:   | row 0 | row 1 | ... | row 15 |      4 bytes each, little-endian
//     k = 1:   | row 0 | row 1 | ... | row 15 |
//     ...      k = 31
#include "core/packing/float_elements.h"
#include "core/packing/packing.h"

namespace gq {
namespace {

using Elements = FloatElements<ElementType::f32, [](float value) { return value; }>;

}  // namespace

extern const Codes codes_f32{
    .name = "f32",
    .bits = 32,
    .value_bits = 0,
    .is_float = true,
    .tile_bytes = tile_values * sizeof(float),
    .nearest = nullptr,
    .pack_codes = nullptr,
    .unpack_codes = nullptr,
    .pack_floats = Elements::pack,
    .unpack_floats = Elements::unpack,
};

}  // namespace gq
