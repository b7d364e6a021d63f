// How AVX2 spreads stored codes into 8-bit words, and whole panels of them into the 8-bit layout.
// In: tiles as core/packing/codes_*.cpp draw them. Out: a Tile for each of the codes, and unpack.
// Must not know what words are multiplied with.
#pragma once

#include "core/packing/table4_values.h"
#include "cpu_simd/linear.h"

namespace gq::avx2 {

GQ_TARGET_AVX2

// Shifts of 16-bit lanes, for Tiles: n is known once the loop over words is unrolled, which is too late for the
// intrinsics with immediates.
GQ_INLINE __m256i shift_right(__m256i v, int n) {
    return _mm256_srl_epi16(v, _mm_cvtsi32_si128(n));
}
GQ_INLINE __m256i shift_left(__m256i v, int n) {
    return _mm256_sll_epi16(v, _mm_cvtsi32_si128(n));
}

// Half of vector j of a plane: 8 words of 8 rows.
template <class Plane>
GQ_INLINE __m256i load_half(const std::byte* plane, int j, int half) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane + j * Plane::vector_bytes + 32 * half));
}

// A Tile names its `bytes` for 16 rows x 32 inputs and the `bits` of its words' codes. word(tile, j, half), j < 8,
// gives inputs 4j … 4j + 3 of rows 8 half … 8 half + 7, a code a byte.

struct TileInt2 {
    using Plane = BitPlane<2>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr unsigned bits = 2;
    // Vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i vector = load_half<Plane>(tile, j % 2, half);
        return _mm256_and_si256(shift_right(vector, j / 2 * 2), _mm256_set1_epi8(3));
    }
};

struct TileInt3 {
    using Low = BitPlane<2>;
    using High = BitPlane<1>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr unsigned bits = 3;
    // Two words are put together at once, i in the low nibbles and i + 4 in the high ones: inputs 4i … and 16 + 4i ….
    // Low plane: vector i % 2 holds them in slots i / 2 and i / 2 + 2. High plane: in bits i and i + 4.
    GQ_INLINE __m256i pair(const std::byte* tile, int i, int half) {
        const __m256i low = load_half<Low>(tile, i % 2, half);
        const __m256i high = load_half<High>(tile + Low::bytes, 0, half);
        const __m256i bits = i < 2 ? shift_left(high, 2 - i) : i > 2 ? shift_right(high, i - 2) : high;
        const __m256i two = i < 2 ? low : shift_right(low, 2);
        return _mm256_or_si256(_mm256_and_si256(two, _mm256_set1_epi8(0x33)),
                               _mm256_and_si256(bits, _mm256_set1_epi8(0x44)));
    }
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = pair(tile, j % 4, half);
        return _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
    }
};

struct TileInt4 {
    using Plane = BitPlane<4>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr unsigned bits = 4;
    // Low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = load_half<Plane>(tile, j % 4, half);
        return _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
    }
};

struct TileInt5 {
    using Low = BitPlane<4>;
    using High = BitPlane<1>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr unsigned bits = 5;
    // Low plane: low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    // High plane: bit p belongs to inputs 4p ….
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = load_half<Low>(tile, j % 4, half);
        const __m256i low = _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
        const __m256i high = load_half<High>(tile + Low::bytes, 0, half);
        const __m256i moved = j < 4 ? shift_left(high, 4 - j) : shift_right(high, j - 4);
        return _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8(16)));
    }
};

struct TileInt6 {
    using Low = BitPlane<4>;
    using High = BitPlane<2>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr unsigned bits = 6;
    // Low plane: low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    // High plane: vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = load_half<Low>(tile, j % 4, half);
        const __m256i low = _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
        const __m256i high = load_half<High>(tile + Low::bytes, j % 2, half);
        const __m256i moved = j < 4 ? shift_left(high, 4 - j / 2 * 2) : shift_right(high, j / 2 * 2 - 4);
        return _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8(48)));
    }
};

struct TileTable4 {
    using Plane = BitPlane<4>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr unsigned bits = 8;
    // Low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = load_half<Plane>(tile, j % 4, half);
        const __m256i indices = _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
        return _mm256_shuffle_epi8(
            _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table4_values))), indices);
    }
};

// The 8-bit layout. n: how many bits of a byte the codes use.
template <unsigned n>
struct TileU8 {
    static constexpr size_t bytes = U8Plane::bytes;
    static constexpr unsigned bits = n;
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) { return avx2::load_half<U8Plane>(tile, j, half); }
};

// The k-th word that a block is summed in: a word and the one 4 further share their bytes in most planes of bits.
template <Part part>
constexpr int word_in_turn(int k) {
    return part == Part::whole ? k % 2 * 4 + k / 2 : first_word(part) + k;
}

// All words of a half are there before the first is stored: what two share would be loaded anew behind a store.
template <class Tile>
static void unpack(const std::byte* panel_codes, size_t n_tiles, uint8_t* out) {
    for (size_t i = 0; i < n_tiles; ++i, panel_codes += Tile::bytes, out += U8Plane::bytes)
        for (int half = 0; half < 2; ++half) {
            __m256i words[8];
#pragma GCC unroll 8
            for (int k = 0; k < 8; ++k) {
                const int j = word_in_turn<Part::whole>(k);
                words[j] = Tile::word(panel_codes, j, half);
            }
#pragma GCC unroll 8
            for (int j = 0; j < 8; ++j)
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + j * U8Plane::vector_bytes + 32 * half), words[j]);
        }
}

GQ_TARGET_END

}  // namespace gq::avx2
