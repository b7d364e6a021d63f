#!/usr/bin/env python3
"""Writes tests/golden/gguf_blocks.inc: random blocks of each GGUF type and the floats that the Python package gguf makes of them.

Needs: pip install gguf==0.19.0 numpy. Usage: tests/golden/make_gguf_blocks.py > tests/golden/gguf_blocks.inc
"""
from importlib.metadata import version

import gguf
import numpy as np

# Type, blocks, byte offsets of the fp16 fields of a block (kept finite, since a NaN has no one value to compare).
TYPES = [
    ("Q4_0", 3, (0,)),
    ("Q4_1", 3, (0, 2)),
    ("Q5_0", 3, (0,)),
    ("Q5_1", 3, (0, 2)),
    ("Q8_0", 3, (0,)),
    ("Q2_K", 2, (80, 82)),
    ("Q3_K", 2, (108,)),
    ("Q4_K", 2, (0, 2)),
    ("Q5_K", 2, (0, 2)),
    ("Q6_K", 2, (208,)),
    ("IQ4_NL", 3, (0,)),
    ("IQ4_XS", 2, (0,)),
]


def rows(items, per_line):
    items = list(items)
    return "\n".join("    " + " ".join(items[i : i + per_line]) for i in range(0, len(items), per_line))


def random_blocks(rng, type_, n, halves):
    blocks = rng.integers(0, 256, (n, gguf.GGML_QUANT_SIZES[type_][1]), dtype=np.uint8)
    for at in halves:
        exponent = blocks[:, at + 1] & 0x7C
        blocks[:, at + 1] ^= np.where(exponent == 0x7C, 0x40, 0).astype(np.uint8)
    return blocks


def main():
    rng = np.random.default_rng(3)
    print("// Random blocks of GGUF's types and the bits of their floats, by gguf.quants.dequantize of the Python package gguf")
    print(f"// {version('gguf')}. Written by tests/golden/make_gguf_blocks.py; must not be edited by hand.")
    print("#include <cstdint>\n\nnamespace gq::golden {\n")
    for name, n, halves in TYPES:
        type_ = gguf.GGMLQuantizationType[name]
        blocks = random_blocks(rng, type_, n, halves)
        floats = gguf.quants.dequantize(blocks, type_).astype("<f4").reshape(-1)
        assert np.isfinite(floats).all()
        low = name.lower()
        print(f"constexpr uint8_t {low}_blocks[] = {{\n{rows((f'{b},' for b in blocks.reshape(-1)), 32)}\n}};")
        print(f"constexpr uint32_t {low}_floats[] = {{\n{rows((f'0x{f:x},' for f in floats.view('<u4')), 12)}\n}};\n")
    print("}  // namespace gq::golden")


main()
