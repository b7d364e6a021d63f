#!/usr/bin/env python3
"""Writes xxh64.inc, the golden values of tests/formats/test_hash.cpp, with the reference implementation.

Versions that made the committed file: Python 3.11.7, xxhash 4.1.0 (xxHash 0.8.4), both from PyPI. Run: python3 make_xxh64.py > xxh64.inc
"""

import xxhash

N_BYTES = 1000
PRIME32, PRIME64 = 2654435761, 11400714785074694797


def sanity_buffer(size):
    """The bytes on which the xxHash project states its own test values."""
    out, state = bytearray(), PRIME32
    for _ in range(size):
        out.append(state >> 56)
        state = state * PRIME64 % (1 << 64)
    return bytes(out)


data = sanity_buffer(N_BYTES)
lengths = [*range(0, 70), 95, 96, 97, 127, 128, 222, 255, 256, 257, 999, 1000]
print("// Written by make_xxh64.py: {length, XXH64 of that many bytes of the sanity buffer, seed 0}.")
for length in lengths:
    print(f"{{{length}, 0x{xxhash.xxh64_intdigest(data[:length]):016x}u}},")
