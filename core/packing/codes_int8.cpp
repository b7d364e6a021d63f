// int8: unsigned codes of 8 bits, one plane (bit_plane.h); 512 bytes per tile of 16 rows x 32 inputs.
// Also the layout to which every integer panel is expanded before gemm_u8s8.
// Must not know scales.
//
//     vector j = 0 ... 7, word of row r:   byte 0          byte 1          byte 2          byte 3
//                                          k = 4j          k = 4j + 1      k = 4j + 2      k = 4j + 3
#include "core/packing/bit_plane.h"

namespace gq {

extern const Codes codes_int8{
    .name = "int8",
    .bits = 8,
    .value_bits = 8,
    .is_float = false,
    .tile_bytes = BitPlane<8>::bytes,
    .nearest = nullptr,
    .pack_codes = BitPlane<8>::pack<0>,
    .unpack_codes = BitPlane<8>::unpack<0>,
    .pack_floats = nullptr,
    .unpack_floats = nullptr,
};

}  // namespace gq
