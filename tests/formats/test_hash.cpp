// XXH64 against the values that the xxHash project publishes, and against its reference implementation at every kind of
// length.
// In: bytes. Out: checks of published numbers. Must not compute a reference itself.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "formats/hash.h"

namespace {

// The buffer of xxHash's own sanity check: the top byte of a 64-bit state multiplied by a prime at each step.
std::vector<std::byte> sanity_buffer(size_t n) {
    std::vector<std::byte> bytes(n);
    uint64_t state = 2654435761u;
    for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(state >> 56);
        state *= 11400714785074694797u;
    }
    return bytes;
}

struct Golden {
    size_t length;
    uint64_t hash;
};

}  // namespace

TEST_SUITE("formats") {
    TEST_CASE("xxh64: published values") {
        const auto bytes = sanity_buffer(222);
        const Golden published[] = {{0, 0xEF46DB3751D8E999u},
                                    {1, 0xE934A84ADB052768u},
                                    {4, 0x9136A0DCA57457EEu},
                                    {14, 0x8282DCC4994E35C8u},
                                    {222, 0xB641AE8CB691C174u}};
        for (const Golden& golden : published) {
            CAPTURE(golden.length);
            CHECK(gq::xxh64(std::span(bytes).first(golden.length)) == golden.hash);
        }
    }

    TEST_CASE("xxh64: the reference implementation, every tail and several stripes") {
        const auto bytes = sanity_buffer(1000);
        const Golden goldens[] = {
#include "tests/golden/xxh64.inc"
        };
        for (const Golden& golden : goldens) {
            CAPTURE(golden.length);
            CHECK(gq::xxh64(std::span(bytes).first(golden.length)) == golden.hash);
        }
    }

    TEST_CASE("xxh64: any alignment gives the same hash") {
        const auto bytes = sanity_buffer(222);
        std::vector<std::byte> shifted(222 + 8);
        for (size_t shift = 0; shift < 8; ++shift) {
            std::memcpy(shifted.data() + shift, bytes.data(), bytes.size());
            CHECK(gq::xxh64(std::span(shifted).subspan(shift, 222)) == 0xB641AE8CB691C174u);
        }
    }
}
