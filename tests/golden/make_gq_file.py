#!/usr/bin/env python3
"""A second writer of .gq files, from formats/gq_file.md alone, for tests and fuzzing.

Writes the seeds of tests/fuzz/corpus/gq_file, and prints the XXH64 of the example file that tests/formats/test_gq_file.cpp writes with
GqWriter: the same calls must give the same bytes. Versions that made the committed files: Python 3.11.7, xxhash 4.1.0.
Run from the repository's root: python3 tests/golden/make_gq_file.py
"""

import pathlib
import struct

import xxhash

MAGIC = b"\x89GQ\r\n\x1a\n\x00"
CORPUS = pathlib.Path("tests/fuzz/corpus/gq_file")


def xxh64(data):
    return xxhash.xxh64_intdigest(data)


def text(value):
    return struct.pack("<B", len(value.encode())) + value.encode()


def record(kind, payload):
    return struct.pack("<II", kind, len(payload)) + payload


def pattern(size, salt):
    """Bytes below 64, so that any two of them are a finite fp16 number."""
    return bytes((7 * i + salt) % 64 for i in range(size))


class Writer:
    def __init__(self):
        self.data, self.records = bytearray(64), []

    def append(self, data):
        alignment = 4096 if len(data) >= 65536 else 64
        self.data += bytes(-len(self.data) % alignment)
        self.data += data
        return len(self.data) - len(data)

    def blob(self, name, data):
        return text(name) + struct.pack("<QQQ", self.append(data), len(data), xxh64(data))

    def tensor(self, name, codes, grid, experts, rows, cols, group, parts, rest=b""):
        payload = text(name) + text(codes) + text(grid) + struct.pack("<QQQQ", experts, rows, cols, group)
        payload += struct.pack("<I", len(parts))
        for part, data in parts:
            payload += record(3, self.blob(part, data) + rest)
        self.records.append(record(1, payload + rest))

    def section(self, name, data, rest=b""):
        self.records.append(record(2, self.blob(name, data) + rest))

    def directory(self):
        return struct.pack("<II", len(self.records), 0) + b"".join(self.records)

    def finish(self, minor=1):
        directory = self.directory()
        offset = self.append(directory)
        fields = struct.pack("<8sHHIQQQQQ", MAGIC, 1, minor, 0, offset, len(directory), xxh64(directory), len(self.data), 0)
        self.data[:64] = fields + struct.pack("<Q", xxh64(fields))
        return bytes(self.data)


def example(big, rest=b""):
    """A linear, a norm, two experts, and sections; big: the size of a part, to get to page alignment."""
    writer = Writer()
    writer.section("model", b'{"arch":"llama"}', rest)
    linear = [("codes", pattern(2 * 2 * 256, 1)), ("scales", pattern(2 * 2 * 32, 2)), ("zeros", pattern(2 * 2 * 8, 3))]
    writer.tensor("blocks.0.attn_q", "int4", "zero_point", 1, 20, 40, 32, linear, rest)
    writer.tensor("final_norm", "f32", "", 1, 1, 5, 0, [("values", pattern(20, 4))], rest)
    experts = [("codes", pattern(2 * 512, 5)), ("scales", pattern(2 * 32, 6))]
    writer.tensor("blocks.0.été", "int8", "symmetric", 2, 7, 32, 0, experts, rest)
    writer.tensor("big", "f16", "", 1, 1, big // 2, 0, [("values", pattern(big, 7))], rest)
    writer.section("chat_template", b"", rest)
    return writer


def main():
    print(f"xxh64 of the example file: 0x{xxh64(example(65536).finish()):016x}")
    CORPUS.mkdir(parents=True, exist_ok=True)
    small = example(2)
    (CORPUS / "directory").write_bytes(small.directory())
    (CORPUS / "file").write_bytes(small.finish())
    newer = example(2, rest=b"later fields")
    newer.records.append(record(77, b"a kind of record that 1.0 does not know"))
    (CORPUS / "newer_directory").write_bytes(newer.directory())
    (CORPUS / "newer_file").write_bytes(newer.finish(minor=9))
    (CORPUS / "empty_directory").write_bytes(Writer().directory())
    (CORPUS / "empty_file").write_bytes(Writer().finish())


if __name__ == "__main__":
    main()
