// f32: floats as they are, 2048 bytes per tile of 16 rows x 32 inputs. The row-major form holds the same floats. Must
// not know scales: there are none.
//
//     k = 0:   | row 0 | row 1 | ... | row 15 |      4 bytes each, little-endian
//     k = 1:   | row 0 | row 1 | ... | row 15 |
//     ...      k = 31
#include <cstring>

#include "core/packing/packing.h"

namespace gq {
namespace {

void pack_f32(const float* values, size_t n, std::byte* elements) {
    std::memcpy(elements, values, n * sizeof *values);
}

void unpack_f32(const std::byte* elements, size_t n, float* values) {
    std::memcpy(values, elements, n * sizeof *values);
}

}  // namespace

extern const Codes codes_f32{
    .name = "f32",
    .bits = 32,
    .is_float = true,
    .tile_bytes = tile_values * sizeof(float),
    .pack_codes = nullptr,
    .unpack_codes = nullptr,
    .pack_floats = pack_f32,
    .unpack_floats = unpack_f32,
};

}  // namespace gq
