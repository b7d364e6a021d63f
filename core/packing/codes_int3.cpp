// int3: unsigned codes of 3 bits, two planes (bit_plane.h); 192 bytes per tile of 16 rows x 32 inputs.
// Must not know scales. code = low + 4 * high:
//
//     bytes 0 ... 127: low, 2 bits: laid out as int2
//         vector j = 0, 1, word of row r:  byte b, bits 2p, 2p + 1:  k = 4j + b + 8p     p = 0 ... 3
//     bytes 128 ... 191: high, 1 bit
//         one vector, word of row r:       byte b, bit p:            k = b + 4p          p = 0 ... 7
#include "core/packing/bit_plane.h"

namespace gq {
namespace {

using Low = BitPlane<2>;
using High = BitPlane<1>;

void pack_int3(const uint8_t* codes, std::byte* tile) {
    Low::pack<0>(codes, tile);
    High::pack<2>(codes, tile + Low::bytes);
}

void unpack_int3(const std::byte* tile, uint8_t* codes) {
    Low::unpack<0>(tile, codes);
    High::unpack<2>(tile + Low::bytes, codes);
}

}  // namespace

extern const Codes codes_int3{
    .name = "int3",
    .bits = 3,
    .value_bits = 3,
    .is_float = false,
    .tile_bytes = Low::bytes + High::bytes,
    .nearest = nullptr,
    .pack_codes = pack_int3,
    .unpack_codes = unpack_int3,
    .pack_floats = nullptr,
    .unpack_floats = nullptr,
};

}  // namespace gq
