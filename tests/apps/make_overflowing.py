#!/usr/bin/env python3
"""Writes a checkpoint whose logits are no numbers: each block's down projection has one weight near the end of float32.

In: a checkpoint's folder, with one model.safetensors of F16. Out: a folder like it, in F32. Needs only Python's own library.
Usage: tests/apps/make_overflowing.py FOLDER OUT
"""
import json
import shutil
import struct
import sys
from pathlib import Path

HUGE = 3e38  # times any input above 1.14 it is infinite

source, target = Path(sys.argv[1]), Path(sys.argv[2])
shutil.copytree(source, target)
data = (source / "model.safetensors").read_bytes()
(length,) = struct.unpack_from("<Q", data)
header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
tensors, out = {}, bytearray()
for name, tensor in header.items():
    if name == "__metadata__":
        continue
    assert tensor["dtype"] == "F16", name
    begin, end = tensor["data_offsets"]
    values = list(struct.unpack(f"<{(end - begin) // 2}e", body[begin:end]))
    if name.endswith("down_proj.weight"):
        values[0] = HUGE
    tensors[name] = {"dtype": "F32", "shape": tensor["shape"], "data_offsets": [len(out), len(out) + 4 * len(values)]}
    out += struct.pack(f"<{len(values)}f", *values)
text = json.dumps(tensors).encode()
(target / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(out))
