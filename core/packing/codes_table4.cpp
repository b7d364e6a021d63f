// table4: 4 bits that choose one of 16 values (table4_values.h), which are the codes: 8-bit numbers 1 ... 241. To grids
// and kernels they are codes of 8 bits of which only these exist. 256 bytes per tile of 16 rows x 32 inputs: the
// indices, laid out as int4.
// Must not know scales.
#include <array>

#include "core/packing/bit_plane.h"
#include "core/packing/table4_values.h"

namespace gq {
namespace {

using Indices = BitPlane<4>;

constexpr int distance(int a, int b) {
    return a < b ? b - a : a - b;
}

// Of each 8-bit number the nearest value's index; of two equally near ones the lower.
constexpr std::array<uint8_t, 256> make_index() {
    std::array<uint8_t, 256> index = {};
    for (int code = 0; code < 256; ++code) {
        for (uint8_t i = 1; i < 16; ++i) {
            if (distance(table4_values[i], code) < distance(table4_values[index[code]], code)) index[code] = i;
        }
    }
    return index;
}
constexpr std::array<uint8_t, 256> index_of = make_index();

constexpr std::array<uint8_t, 256> make_nearest() {
    std::array<uint8_t, 256> nearest = {};
    for (size_t code = 0; code < 256; ++code) nearest[code] = table4_values[index_of[code]];
    return nearest;
}
constexpr std::array<uint8_t, 256> nearest_value = make_nearest();

void pack_table4(const uint8_t* codes, std::byte* tile) {
    uint8_t indices[tile_values];
    for (size_t i = 0; i < tile_values; ++i) indices[i] = index_of[codes[i]];
    Indices::pack<0>(indices, tile);
}

void unpack_table4(const std::byte* tile, uint8_t* codes) {
    Indices::unpack<0>(tile, codes);
    for (size_t i = 0; i < tile_values; ++i) codes[i] = table4_values[codes[i]];
}

}  // namespace

extern const Codes codes_table4{
    .name = "table4",
    .bits = 4,
    .value_bits = 8,
    .is_float = false,
    .tile_bytes = Indices::bytes,
    .nearest = nearest_value.data(),
    .pack_codes = pack_table4,
    .unpack_codes = unpack_table4,
    .pack_floats = nullptr,
    .unpack_floats = nullptr,
};

}  // namespace gq
