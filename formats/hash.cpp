// XXH64, written from the published specification ("xxHash fast digest algorithm", version 0.1.1, §XXH64), seed 0.
// In: bytes in memory. Out: 64 bits. Four independent accumulators take 32 bytes a turn; the tail goes in steps of 8, 4
// and 1. Must not know what is hashed.
#include "formats/hash.h"

#include <bit>
#include <cstring>

namespace gq {

static_assert(std::endian::native == std::endian::little, "words are loaded as they lie in memory");

namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87u;
constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4Fu;
constexpr uint64_t kPrime3 = 0x165667B19E3779F9u;
constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63u;
constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5u;
constexpr size_t kStripe = 32;  // bytes per turn of the four accumulators

template <typename Word>
uint64_t load(const std::byte* from) {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

uint64_t round(uint64_t accumulator, uint64_t lane) {
    return std::rotl(accumulator + lane * kPrime2, 31) * kPrime1;
}

// Steps 1-3 of the specification: whole stripes into four accumulators, then those into one.
uint64_t hash_stripes(const std::byte* from, size_t n_stripes) {
    uint64_t v1 = kPrime1 + kPrime2, v2 = kPrime2, v3 = 0, v4 = 0 - kPrime1;
    for (size_t i = 0; i < n_stripes; ++i, from += kStripe) {
        v1 = round(v1, load<uint64_t>(from));
        v2 = round(v2, load<uint64_t>(from + 8));
        v3 = round(v3, load<uint64_t>(from + 16));
        v4 = round(v4, load<uint64_t>(from + 24));
    }
    uint64_t hash = std::rotl(v1, 1) + std::rotl(v2, 7) + std::rotl(v3, 12) + std::rotl(v4, 18);
    for (const uint64_t v : {v1, v2, v3, v4}) hash = (hash ^ round(0, v)) * kPrime1 + kPrime4;
    return hash;
}

// Step 5: the last 0 to 31 bytes.
uint64_t hash_tail(uint64_t hash, const std::byte* from, size_t n) {
    for (; n >= 8; n -= 8, from += 8) {
        hash = std::rotl(hash ^ round(0, load<uint64_t>(from)), 27) * kPrime1 + kPrime4;
    }
    if (n >= 4) {
        hash = std::rotl(hash ^ (load<uint32_t>(from) * kPrime1), 23) * kPrime2 + kPrime3;
        n -= 4, from += 4;
    }
    for (; n > 0; --n, ++from) hash = std::rotl(hash ^ (load<uint8_t>(from) * kPrime5), 11) * kPrime1;
    return hash;
}

// Step 6: every input bit reaches every output bit.
uint64_t avalanche(uint64_t hash) {
    hash = (hash ^ (hash >> 33)) * kPrime2;
    hash = (hash ^ (hash >> 29)) * kPrime3;
    return hash ^ (hash >> 32);
}

}  // namespace

uint64_t xxh64(std::span<const std::byte> bytes) {
    const size_t n_stripes = bytes.size() / kStripe;
    const uint64_t start = n_stripes ? hash_stripes(bytes.data(), n_stripes) : kPrime5;
    const auto tail = bytes.subspan(n_stripes * kStripe);
    return avalanche(hash_tail(start + bytes.size(), tail.data(), tail.size()));
}

}  // namespace gq
