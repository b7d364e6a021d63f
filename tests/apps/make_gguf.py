#!/usr/bin/env python3
"""Writes a tiny random Llama as a GGUF whose matrices have all block types between them.

In: a path; "mixed": one matrix in F16; "broken": one block with an infinite scale. Out: the file. Needs only Python's own library.
Usage: tests/apps/make_gguf.py OUT.gguf [mixed|broken]
"""
import random
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "fuzz"))
from make_corpus import gguf, pair, text

HIDDEN, FFN, HEADS, KV_HEADS, VOCAB = 256, 512, 4, 2, 258
# Number in the file, elements and bytes of a block, offsets of its fp16 numbers.
TYPES = {
    "F32": (0, 1, 4, ()),
    "F16": (1, 1, 2, (0,)),
    "Q4_0": (2, 32, 18, (0,)),
    "Q4_1": (3, 32, 20, (0, 2)),
    "Q5_0": (6, 32, 22, (0,)),
    "Q5_1": (7, 32, 24, (0, 2)),
    "Q8_0": (8, 32, 34, (0,)),
    "Q2_K": (10, 256, 84, (80, 82)),
    "Q3_K": (11, 256, 110, (108,)),
    "Q4_K": (12, 256, 144, (0, 2)),
    "Q5_K": (13, 256, 176, (0, 2)),
    "Q6_K": (14, 256, 210, (208,)),
    "IQ4_NL": (20, 32, 18, (0,)),
    "IQ4_XS": (23, 256, 136, (0,)),
}
KV = HIDDEN // HEADS * KV_HEADS
SHAPES = {
    "attn_q": (HIDDEN, HIDDEN),
    "attn_k": (KV, HIDDEN),
    "attn_v": (KV, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN),
    "ffn_gate": (FFN, HIDDEN),
    "ffn_up": (FFN, HIDDEN),
    "ffn_down": (HIDDEN, FFN),
}
LAYERS = [
    ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "Q2_K"],
    ["Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "Q4_0", "Q6_K"],
]


def blocks(rng, type_, n):
    """Random bits, and halves of the size that keeps weights small."""
    _, elements, size, halves = TYPES[type_]
    data = bytearray(rng.randbytes(n // elements * size))
    for at in range(0, len(data), size):
        for half in halves:
            struct.pack_into("<e", data, at + half, rng.uniform(-1, 1) * (0.05 if type_ == "F16" else 1e-3))
    return bytes(data)


def byte_names():
    """Byte-level BPE's characters for the 256 bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in kept]
    return [chr(b) if b in kept else chr(256 + others.index(b)) for b in range(256)]


def metadata():
    def numbers(**values):
        return [pair("llama." + key.replace("__", "."), 4, struct.pack("<I", value)) for key, value in values.items()]

    tokens = [*byte_names(), "<end>", "th"]
    types = [1] * 256 + [3, 1]
    return [
        pair("general.architecture", 8, text("llama")),
        *numbers(embedding_length=HIDDEN, feed_forward_length=FFN, block_count=len(LAYERS), context_length=1024),
        *numbers(attention__head_count=HEADS, attention__head_count_kv=KV_HEADS),
        pair("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)),
        pair("llama.rope.freq_base", 6, struct.pack("<f", 1e4)),
        pair("tokenizer.ggml.model", 8, text("gpt2")),
        pair("tokenizer.ggml.pre", 8, text("gpt-2")),
        pair("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, VOCAB) + b"".join(map(text, tokens))),
        pair("tokenizer.ggml.token_type", 9, struct.pack(f"<IQ{VOCAB}i", 5, VOCAB, *types)),
        pair("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, 1) + text("t h")),
        pair("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 256)),
    ]


def main(path, kind=""):
    rng, tensors, data = random.Random(5), [], b""

    def add(name, type_, shape, content):
        nonlocal data
        tensors.append((name, shape[::-1], TYPES[type_][0], len(data)))
        data += content + bytes(-len(content) % 32)

    def add_norm(name):
        add(name, "F32", (HIDDEN,), struct.pack(f"<{HIDDEN}f", *[1.0] * HIDDEN))

    add("token_embd.weight", "Q8_0", (VOCAB, HIDDEN), blocks(rng, "Q8_0", VOCAB * HIDDEN))
    add_norm("output_norm.weight")
    for layer, types in enumerate(LAYERS):
        add_norm(f"blk.{layer}.attn_norm.weight")
        add_norm(f"blk.{layer}.ffn_norm.weight")
        for (role, shape), type_ in zip(SHAPES.items(), types):
            last = layer == 1 and role == "ffn_down"
            type_ = "F16" if last and kind == "mixed" else type_
            content = blocks(rng, type_, shape[0] * shape[1])
            if last and kind == "broken":
                content = content[:-2] + b"\x00\x7c"  # the last block's d
            add(f"blk.{layer}.{role}.weight", type_, shape, content)
    Path(path).write_bytes(gguf(metadata(), tensors, data))


if __name__ == "__main__":
    main(*sys.argv[1:])
