// int5: unsigned codes of 5 bits, two planes (bit_plane.h); 320 bytes per tile of 16 rows x 32 inputs.
// Must not know scales. code = low + 16 * high:
//
//     bytes 0 ... 255: low, 4 bits: laid out as int4
//         vector j = 0 ... 3, word of row r:     byte b, low nibble:      k = 4j + b          high nibble: k = 16 + 4j
//         + b
//     bytes 256 ... 319: high, 1 bit
//         one vector, word of row r:             byte b, bit p:           k = b + 4p          p = 0 ... 7
#include "core/packing/bit_plane.h"

namespace gq {
namespace {

using Low = BitPlane<4>;
using High = BitPlane<1>;

void pack_int5(const uint8_t* codes, std::byte* tile) {
    Low::pack<0>(codes, tile);
    High::pack<4>(codes, tile + Low::bytes);
}

void unpack_int5(const std::byte* tile, uint8_t* codes) {
    Low::unpack<0>(tile, codes);
    High::unpack<4>(tile + Low::bytes, codes);
}

}  // namespace

extern const Codes codes_int5{
    .name = "int5",
    .bits = 5,
    .value_bits = 5,
    .is_float = false,
    .tile_bytes = Low::bytes + High::bytes,
    .nearest = nullptr,
    .pack_codes = pack_int5,
    .unpack_codes = unpack_int5,
    .pack_floats = nullptr,
    .unpack_floats = nullptr,
};

}  // namespace gq
