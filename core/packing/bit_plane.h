// Planes: the one arrangement of bits of which all integer codes are made. int8, int4 and int2 are one, int3 is two.
// In: the codes of a tile, (16, 32), one per byte. Out: the plane's bytes, and back.
// Must not know scales or whole matrices.
//
// A plane of B bits per code (B = 1, 2, 4, 8) is B vectors of 64 bytes. Vector j holds one 32-bit word per row; the
// words of the 16 rows stand side by side, so that one SIMD lane is one row. Byte b of a word has 8 / B slots, slot 0
// in its low bits:
//
//     vector j:   | word of row 0 | word of row 1 | ... | word of row 15 |          j = 0 ... B - 1
//     word:       | byte 0 | byte 1 | byte 2 | byte 3 |                             byte 0 first in memory
//     byte b:     slot p = bits B*p ... B*p + B - 1  holds the code of input  k = 4*j + b + 4*B*p
//
// One shift and one mask thus give the codes of 4 consecutive inputs in all 16 rows, ready for a 4-way int8 dot
// product.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/packing/packing.h"

namespace gq {

static_assert(std::endian::native == std::endian::little, "words are read and written as the machine holds them");

template <unsigned bits>
struct BitPlane {
    static constexpr size_t vector_bytes = panel_rows * sizeof(uint32_t);
    static constexpr size_t bytes = bits * vector_bytes;
    static constexpr unsigned slots = 8 / bits;
    static constexpr uint32_t mask = ((1u << bits) - 1) * 0x01010101u;  // slot 0 of all four bytes

    // Stores bits [shift, shift + bits) of each code.
    template <unsigned shift>
    static void pack(const uint8_t* codes, std::byte* plane) {
        for (size_t j = 0; j < bits; ++j) {
            for (size_t row = 0; row < panel_rows; ++row) {
                uint32_t word = 0;
                for (unsigned p = 0; p < slots; ++p) {
                    uint32_t four;
                    std::memcpy(&four, codes + first_input(row, j, p), sizeof four);
                    word |= ((four >> shift) & mask) << (bits * p);
                }
                std::memcpy(plane + j * vector_bytes + row * sizeof word, &word, sizeof word);
            }
        }
    }

    // Sets bits [shift, shift + bits) of each code: the plane of the low bits overwrites the codes, higher ones add to
    // them.
    template <unsigned shift>
    static void unpack(const std::byte* plane, uint8_t* codes) {
        for (size_t j = 0; j < bits; ++j) {
            for (size_t row = 0; row < panel_rows; ++row) {
                uint32_t word;
                std::memcpy(&word, plane + j * vector_bytes + row * sizeof word, sizeof word);
                for (unsigned p = 0; p < slots; ++p) {
                    uint32_t four = 0;
                    if constexpr (shift > 0) std::memcpy(&four, codes + first_input(row, j, p), sizeof four);
                    four |= ((word >> (bits * p)) & mask) << shift;
                    std::memcpy(codes + first_input(row, j, p), &four, sizeof four);
                }
            }
        }
    }

  private:
    static constexpr size_t first_input(size_t row, size_t j, unsigned p) {
        return row * tile_cols + 4 * j + size_t{4} * bits * p;
    }
};

}  // namespace gq
