// int2: unsigned codes of 2 bits, one plane (bit_plane.h); 128 bytes per tile of 16 rows x 32 inputs.
// Must not know scales.
//
//     vector j = 0, 1, word of row r:      byte 0          byte 1          byte 2          byte 3
//                   bits 0-1               k = 4j          k = 4j + 1      k = 4j + 2      k = 4j + 3
//                   bits 2-3               k = 8 + 4j      k = 9 + 4j      k = 10 + 4j     k = 11 + 4j
//                   bits 4-5               k = 16 + 4j     k = 17 + 4j     k = 18 + 4j     k = 19 + 4j
//                   bits 6-7               k = 24 + 4j     k = 25 + 4j     k = 26 + 4j     k = 27 + 4j
#include "core/packing/bit_plane.h"

namespace gq {

extern const Codes codes_int2{
    .name = "int2",
    .bits = 2,
    .value_bits = 2,
    .is_float = false,
    .tile_bytes = BitPlane<2>::bytes,
    .nearest = nullptr,
    .pack_codes = BitPlane<2>::pack<0>,
    .unpack_codes = BitPlane<2>::unpack<0>,
    .pack_floats = nullptr,
    .unpack_floats = nullptr,
};

}  // namespace gq
