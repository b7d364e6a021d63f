// int4: unsigned codes of 4 bits, one plane (bit_plane.h); 256 bytes per tile of 16 rows x 32 inputs.
// Must not know scales.
//
//     vector j = 0 ... 3, word of row r:   byte 0          byte 1          byte 2          byte 3
//                   low nibble             k = 4j          k = 4j + 1      k = 4j + 2      k = 4j + 3
//                   high nibble            k = 16 + 4j     k = 17 + 4j     k = 18 + 4j     k = 19 + 4j
#include "core/packing/bit_plane.h"

namespace gq {

extern const Codes codes_int4{
    .name = "int4",
    .bits = 4,
    .value_bits = 4,
    .is_float = false,
    .tile_bytes = BitPlane<4>::bytes,
    .nearest = nullptr,
    .pack_codes = BitPlane<4>::pack<0>,
    .unpack_codes = BitPlane<4>::unpack<0>,
    .pack_floats = nullptr,
    .unpack_floats = nullptr,
};

}  // namespace gq
