// int6: unsigned codes of 6 bits, two planes (bit_plane.h); 384 bytes per tile of 16 rows x 32 inputs.
// Must not know scales. code = low + 16 * high:
//
//     bytes 0 ... 255: low, 4 bits: laid out as int4
//         vector j = 0 ... 3, word of row r:     byte b, low nibble:      k = 4j + b          high nibble: k = 16 + 4j
//         + b
//     bytes 256 ... 383: high, 2 bits
//         vector j = 0, 1, word of row r:        byte b, bits 2p, 2p + 1: k = 4j + b + 8p     p = 0 ... 3
#include "core/packing/bit_plane.h"

namespace gq {
namespace {

using Low = BitPlane<4>;
using High = BitPlane<2>;

void pack_int6(const uint8_t* codes, std::byte* tile) {
    Low::pack<0>(codes, tile);
    High::pack<4>(codes, tile + Low::bytes);
}

void unpack_int6(const std::byte* tile, uint8_t* codes) {
    Low::unpack<0>(tile, codes);
    High::unpack<4>(tile + Low::bytes, codes);
}

}  // namespace

extern const Codes codes_int6{
    .name = "int6",
    .bits = 6,
    .value_bits = 6,
    .is_float = false,
    .tile_bytes = Low::bytes + High::bytes,
    .nearest = nullptr,
    .pack_codes = pack_int6,
    .unpack_codes = unpack_int6,
    .pack_floats = nullptr,
    .unpack_floats = nullptr,
};

}  // namespace gq
