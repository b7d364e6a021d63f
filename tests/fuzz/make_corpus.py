#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets json, safetensors, gguf and hf_folder: small files, each with another part of its format.

Needs only Python 3.9's own library. Usage: tests/fuzz/make_corpus.py (writes tests/fuzz/corpus/<target>/)
"""
import json
import struct
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def safetensors(header, data):
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(pairs, tensors, data, version=3, alignment=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs)
    for name, ne, type_, offset in tensors:
        head += text(name) + struct.pack(f"<I{len(ne)}qIQ", len(ne), *ne, type_, offset)
    return head + b"\0" * (-len(head) % alignment) + data


def pair(key, type_, value):
    return text(key) + struct.pack("<I", type_) + value


def write_json():
    write("json", "values", '{"a": [null, true, false, -12, 1.5e-3, "x"], "b": {"c": {}}, "d": []}')
    write("json", "escapes", r'["\"\\\/\b\f\n\r\t", "\u0041\u00e9\ud83d\ude00", "é€😀"]')
    write("json", "numbers", "[0, -0, 9223372036854775808, 1e308, 5e-324, 1e-400, 0.1, 123456789.125]")
    write("json", "broken", '{"a": 1, "a": 2, "b": [1,}')
    write("json", "deep", "[" * 70 + "]" * 70)
    merges = {"model": {"type": "BPE", "vocab": {"<s>": 0, "Ġt": 1, "he": 2}, "merges": ["Ġ t", "h e"]}}
    write("json", "tokenizer", json.dumps(merges, indent=2))


def write_safetensors():
    two = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BF16", "shape": [3], "data_offsets": [24, 30]},
    }
    write("safetensors", "two", safetensors(two, bytes(range(30))))
    scalar = {
        "s": {"dtype": "F64", "shape": [], "data_offsets": [0, 8]},
        "z": {"dtype": "F16", "shape": [0, 4], "data_offsets": [8, 8]},
        "h": {"dtype": "F16", "shape": [2, 1, 1], "data_offsets": [8, 12]},
    }
    write("safetensors", "scalar_and_empty", safetensors(scalar, bytes(12)))
    kinds = ["BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2"]
    write("safetensors", "bytes", safetensors({k: {"dtype": k, "shape": [1], "data_offsets": [i, i + 1]} for i, k in enumerate(kinds)}, bytes(5)))
    hole = {"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}, "b": {"dtype": "U8", "shape": [1], "data_offsets": [2, 3]}}
    write("safetensors", "hole", safetensors(hole, bytes(3)))
    write("safetensors", "empty", safetensors({}, b""))


def write_gguf():
    scalars = [
        pair("u8", 0, b"\x01"),
        pair("i16", 3, struct.pack("<h", -2)),
        pair("f32", 6, struct.pack("<f", 1.5)),
        pair("bool", 7, b"\x01"),
        pair("general.architecture", 8, text("llama")),
        pair("u64", 10, struct.pack("<Q", 1 << 63)),
        pair("f64", 12, struct.pack("<d", float("nan"))),
    ]
    write("gguf", "scalars", gguf(scalars, [], b""))
    arrays = [
        pair("tokens", 9, struct.pack("<IQ", 8, 3) + text("<s>") + text("Ġt") + text("")),
        pair("scores", 9, struct.pack("<IQff", 6, 2, 0.5, -1.0)),
        pair("none", 9, struct.pack("<IQ", 5, 0)),
    ]
    write("gguf", "arrays", gguf(arrays, [], b"", version=2))
    # One row of one block of each type: number, elements, bytes.
    blocks = [(0, 1, 4), (1, 1, 2), (2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34), (10, 256, 84), (11, 256, 110)]
    blocks += [(12, 256, 144), (13, 256, 176), (14, 256, 210), (16, 256, 66), (20, 32, 18), (23, 256, 136), (30, 1, 2)]
    alignment = 8
    tensors, data = [], b""
    for number, elements, size in blocks:
        tensors.append((f"t{number}", (elements, 1), number, len(data)))
        data += bytes((7 * i + number) % 256 for i in range(size)) + b"\0" * (-size % alignment)
    write("gguf", "types", gguf([pair("general.alignment", 4, struct.pack("<I", alignment))], tensors, data, alignment=alignment))
    write("gguf", "four_dimensions", gguf([], [("w", (2, 3, 1, 1), 1, 0), ("s", (), 0, 32)], bytes(36)))
    write("gguf", "big_endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0))


def write_hf_folder():
    write("hf_folder", "index", '{"metadata":{"total_size":1},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}')
    write("hf_folder", "escaping_index", '{"weight_map":{"a":"../m.safetensors"}}')
    write("hf_folder", "template", '{"chat_template":"{{ x }}","weight_map":{}}')
    write("hf_folder", "templates", '{"chat_template":[{"name":"default","template":"x"}],"weight_map":{"a":"b"}}')


if __name__ == "__main__":
    write_json()
    write_safetensors()
    write_gguf()
    write_hf_folder()
