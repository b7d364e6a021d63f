#!/usr/bin/env python3
"""A second reader of .gq files, written from formats/gq_file.md alone.

In: a .gq file. Out: its list of tensors and sections, and the sizes of its tokenizer; with --verify a comparison of all hashes; with
--dequantize one tensor as float32 in a .npy of shape (experts, rows, cols), without its correction of low rank; with --low-rank that
correction's two factors, U (rows, rank) and V (rank, cols). Exit 1 with one line on stderr for anything that the specification doesn't
allow. Needs numpy for --dequantize and --low-rank; uses the package xxhash when it is there and its own XXH64 otherwise.

    gq_read.py FILE [--verify] [--dequantize NAME OUT.npy] [--low-rank NAME U.npy V.npy] [--section NAME]
"""

import argparse
import json
import mmap
import struct
import sys
from dataclasses import dataclass, field

MAGIC = b"\x89GQ\r\n\x1a\n\x00"
HEADER = struct.Struct("<8sHHIQQQQQQ")
TENSOR, SECTION, PART = 1, 2, 3
MAX_DIMENSION = 1 << 40
SCALES = {"scales", "lorc_u_scales", "lorc_v_scales"}
LOW_RANK = "+lorc"  # what the grid of a tensor with a correction ends with


class BadFile(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise BadFile(message)


# --- XXH64 ------------------------------------------------------------------------------------------------------------

MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def rotl(x, n):
    return (x << n | x >> (64 - n)) & MASK


def xxh64_round(accumulator, lane):
    return rotl((accumulator + lane * P2) & MASK, 31) * P1 & MASK


def xxh64_python(data):
    size, at, h = len(data), 0, P5
    if size >= 32:
        a, b, c, d = (P1 + P2) & MASK, P2, 0, -P1 & MASK
        at = size // 32 * 32
        for w, x, y, z in struct.iter_unpack("<4Q", data[:at]):
            a, b, c, d = xxh64_round(a, w), xxh64_round(b, x), xxh64_round(c, y), xxh64_round(d, z)
        h = (rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18)) & MASK
        for v in (a, b, c, d):
            h = ((h ^ xxh64_round(0, v)) * P1 + P4) & MASK
    h = (h + size) & MASK
    for at in range(at, size - 7, 8):
        h = (rotl(h ^ xxh64_round(0, int.from_bytes(data[at : at + 8], "little")), 27) * P1 + P4) & MASK
    at = size // 8 * 8
    if size - at >= 4:
        h = (rotl(h ^ int.from_bytes(data[at : at + 4], "little") * P1 & MASK, 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        h = rotl(h ^ byte * P5 & MASK, 11) * P1 & MASK
    h = (h ^ h >> 33) * P2 & MASK
    h = (h ^ h >> 29) * P3 & MASK
    return h ^ h >> 32


try:
    import xxhash

    def xxh64(data):
        return xxhash.xxh64_intdigest(data)

except ImportError:
    xxh64 = xxh64_python


# --- header and directory ---------------------------------------------------------------------------------------------


@dataclass
class Blob:
    """A part or a section: bytes of the file."""

    name: str
    offset: int
    size: int
    hash: int


@dataclass
class Tensor:
    name: str
    codes: str
    grid: str
    experts: int
    rows: int
    cols: int
    group: int
    parts: dict = field(default_factory=dict)


class Cursor:
    """A position inside a piece of the directory."""

    def __init__(self, data, where):
        self.data, self.at, self.where = data, 0, where

    def left(self):
        return len(self.data) - self.at

    def take(self, size, what):
        expect(size <= self.left(), f"{self.where}: {what}: {size} bytes expected, {self.left()} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def u8(self, what):
        return self.take(1, what)[0]

    def u32(self, what):
        return int.from_bytes(self.take(4, what), "little")

    def u64(self, what):
        return int.from_bytes(self.take(8, what), "little")

    def text(self, what):
        data = self.take(self.u8(what), what)
        try:
            text = bytes(data).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadFile(f"{self.where}: {what}: UTF-8 expected, {bytes(data)!r} found") from error
        control = [c for c in text if ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F]
        expect(not control, f"{self.where}: {what}: no control characters expected, {text!r} found")
        return text

    def records(self, count, what):
        expect(count <= self.left() // 8, f"{self.where}: {what}: {count} records in {self.left()} bytes")
        for i in range(count):
            kind, size = self.u32("kind"), self.u32("size")
            yield kind, Cursor(self.take(size, f"{what} {i}"), f"{self.where}, {what} {i}")


class GqFile:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            expect(file.seek(0, 2) > 0, f"{path}: a .gq file expected, an empty file found")
            self.data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.tensors, self.sections = {}, {}
        self.read_directory(self.read_header())
        self.check_overlap()
        self.check_scales()

    def read_header(self):
        data, path = self.data, self.path
        expect(data[:8] == MAGIC, f"{path}: magic {MAGIC!r} expected, {bytes(data[:8])!r} found")
        expect(len(data) >= HEADER.size, f"{path}: truncated: a header of 64 bytes expected, {len(data)} found")
        (_, major, self.minor, _, self.data_end, size, directory_hash, file_bytes, _, header_hash) = HEADER.unpack(data[:64])
        expect(major == 1, f"{path}: version 1.x expected, {major}.{self.minor} found")
        expect(xxh64(bytes(data[:56])) == header_hash, f"{path}: header altered")
        expect(file_bytes == len(data), f"{path}: {file_bytes} bytes expected, {len(data)} found")
        in_place = self.data_end >= 64 and self.data_end % 64 == 0 and self.data_end + size == file_bytes
        expect(in_place, f"{path}: directory of {size} bytes at {self.data_end} does not end the file")
        directory = data[self.data_end :]
        expect(xxh64(directory) == directory_hash, f"{path}: directory altered")
        return directory

    def read_directory(self, directory):
        cursor = Cursor(directory, f"{self.path}: directory")
        count = cursor.u32("record count")
        cursor.u32("reserved")
        for kind, payload in cursor.records(count, "record"):
            if kind == TENSOR:
                self.add(self.tensors, self.read_tensor(payload), "tensor")
            if kind == SECTION:
                self.add(self.sections, self.read_blob(payload), "section")
        expect(cursor.left() == 0, f"{self.path}: directory: {cursor.left()} bytes after its last record")

    def add(self, known, item, what):
        expect(item.name, f"{self.path}: {what} without a name")
        expect(item.name not in known, f"{self.path}: {what} {item.name!r} found twice")
        known[item.name] = item

    def read_tensor(self, cursor):
        tensor = Tensor(
            *(cursor.text(what) for what in ("name", "codes", "grid")),
            *(cursor.u64(what) for what in ("experts", "rows", "cols", "group")),
        )
        expect(tensor.codes, f"{cursor.where}: tensor {tensor.name!r} without codes")
        for what, least in (("experts", 1), ("rows", 1), ("cols", 1), ("group", 0)):
            value = getattr(tensor, what)
            expect(least <= value <= MAX_DIMENSION, f"{cursor.where}: {what}: {least} to 2^40 expected, {value} found")
        expect(tensor.experts * tensor.rows * tensor.cols < 1 << 64, f"{cursor.where}: too many weights")
        for kind, payload in cursor.records(cursor.u32("part count"), "part"):
            if kind == PART:
                self.add(tensor.parts, self.read_blob(payload), f"tensor {tensor.name!r}: part")
        return tensor

    def read_blob(self, cursor):
        blob = Blob(cursor.text("name"), cursor.u64("offset"), cursor.u64("bytes"), cursor.u64("hash"))
        inside = 64 <= blob.offset and blob.offset + blob.size <= self.data_end
        expect(inside, f"{cursor.where}: {blob.name!r}: {blob.size} bytes at {blob.offset} leave the data")
        expect(blob.offset % 64 == 0, f"{cursor.where}: {blob.name!r}: offset {blob.offset} is no multiple of 64")
        return blob

    def blobs(self):
        """(description, blob) of all parts and sections."""
        for tensor in self.tensors.values():
            for part in tensor.parts.values():
                yield f"tensor {tensor.name!r}, part {part.name!r}", part
        for section in self.sections.values():
            yield f"section {section.name!r}", section

    def check_overlap(self):
        end, owner = 64, "header"
        for what, blob in sorted(self.blobs(), key=lambda pair: pair[1].offset):
            if blob.size == 0:
                continue
            expect(blob.offset >= end, f"{self.path}: {owner} reaches into {what}")
            end, owner = blob.offset + blob.size, what

    def bytes_of(self, blob):
        return self.data[blob.offset : blob.offset + blob.size]

    def check_scales(self):
        for tensor in self.tensors.values():
            for name in SCALES & tensor.parts.keys():
                self.check_finite(f"{self.path}: tensor {tensor.name!r}, part {name!r}", self.bytes_of(tensor.parts[name]))

    def check_finite(self, where, scales):
        expect(len(scales) % 2 == 0, f"{where}: fp16 values expected, {len(scales)} bytes found")
        for i, (value,) in enumerate(struct.iter_unpack("<H", scales)):
            expect(value & 0x7C00 != 0x7C00, f"{where}: value {i} is not finite (0x{value:04x})")

    def verify(self):
        for what, blob in self.blobs():
            found = xxh64(self.bytes_of(blob))
            expect(found == blob.hash, f"{self.path}: {what} altered: {blob.hash:016x} expected, {found:016x} found")


# --- weights ----------------------------------------------------------------------------------------------------------

PLANES = {"int2": (2,), "int3": (2, 1), "int4": (4,), "int5": (4, 1), "int6": (4, 2), "int8": (8,), "table4": (4,)}
TABLE4 = (1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241)
FLOATS = {"f16": 2, "bf16": 2, "f32": 4}


def part_array(file, tensor, name, shape, numpy, dtype="u1"):
    expect(name in tensor.parts, f"{file.path}: tensor {tensor.name!r}: part {name!r} expected, not found")
    dtype = numpy.dtype(dtype).newbyteorder("<")
    size, part = dtype.itemsize, tensor.parts[name]
    for n in shape:
        size *= n
    expect(part.size == size, f"{file.path}: tensor {tensor.name!r}, part {name!r}: {size} bytes expected, {part.size} found")
    return numpy.frombuffer(file.bytes_of(part), dtype).reshape(shape)


def to_float(codes, raw, numpy):
    """raw: the elements as unsigned integers."""
    if codes == "bf16":
        return (raw.astype("u4") << 16).view("f4")
    return raw.view({"f16": "f2", "f32": "f4"}[codes]).astype("f4")


def unpack_plane(vectors, bits, numpy):
    """vectors: (n, bits, 16 rows, 4 bytes) of a plane. Out: (n, 16, 32) codes of `bits` bits."""
    out = numpy.zeros((len(vectors), 16, 32), "u1")
    for j in range(bits):
        for b in range(4):
            for p in range(8 // bits):
                out[:, :, 4 * j + b + 4 * bits * p] = vectors[:, j, :, b] >> bits * p & ((1 << bits) - 1)
    return out


def unpack_codes(tiles, codes, numpy):
    """tiles: (n, tile_bytes). Out: (n, 16, 32) codes."""
    out, at, shift = numpy.zeros((len(tiles), 16, 32), "u1"), 0, 0
    for bits in PLANES[codes]:
        plane = tiles[:, at : at + 64 * bits].reshape(-1, bits, 16, 4)
        out |= unpack_plane(plane, bits, numpy) << shift
        at, shift = at + 64 * bits, shift + bits
    return numpy.array(TABLE4, "u1")[out] if codes == "table4" else out


def halves(file, tensor, shape, n, numpy):
    """The part 'scales' as n runs of 16 fp16 numbers for each of shape: a list of n arrays, shape + (16,)."""
    values = part_array(file, tensor, "scales", (*shape, 16 * n), numpy, "f2").astype("f4")
    return [values[..., 16 * i : 16 * i + 16] for i in range(n)]


def six_bits(nibbles, pairs, numpy):
    """8 bytes of low nibbles, 4 bytes of high bits. Out: 16 numbers as float32."""
    low = numpy.stack([nibbles & 15, nibbles >> 4], -1).reshape(*nibbles.shape[:-1], 16)
    high = numpy.concatenate([pairs >> 2 * p & 3 for p in range(4)], -1)
    return (low | high << 4).astype("f4")


def scales_and_offsets(file, tensor, shape, numpy):
    """shape: (experts, panels, groups). Out: two arrays, shape + (16,)."""
    grid = tensor.grid.removesuffix(LOW_RANK)
    if grid == "offset":
        return halves(file, tensor, shape, 2, numpy)
    experts, panels, groups = shape
    unit = 16 if tensor.group == 16 else 8
    unit_of, units = numpy.arange(groups) // unit, (experts, panels, -(-groups // unit))
    if grid == "k":
        d, dmin = (part[:, :, unit_of] for part in halves(file, tensor, units, 2, numpy))
        steps = part_array(file, tensor, "steps", (*shape, 24), numpy)
        s, m = (six_bits(steps[..., 8 * i : 8 * i + 8], steps[..., 16 + 4 * i : 20 + 4 * i], numpy) for i in range(2))
        return d * s, numpy.float32(0) - dmin * m
    if grid == "k_signed":
        (d,) = halves(file, tensor, units, 1, numpy)
        scales = d[:, :, unit_of] * part_array(file, tensor, "steps", (*shape, 16), numpy, "i1").astype("f4")
    else:
        (scales,) = halves(file, tensor, shape, 1, numpy)
    return scales, numpy.zeros_like(scales)


def zero_points(file, tensor, shape, bits, numpy):
    """shape: (experts, panels, groups). Out: shape + (16,)."""
    grid = tensor.grid.removesuffix(LOW_RANK)
    if grid in ("offset", "k"):
        return numpy.zeros((*shape, 16), "i4")
    if grid in ("symmetric", "k_signed"):
        return numpy.full((*shape, 16), 1 << (bits - 1), "i4")
    expect(grid == "zero_point", f"{file.path}: tensor {tensor.name!r}: grid {tensor.grid!r} is not known")
    if bits > 4:
        return part_array(file, tensor, "zeros", (*shape, 16), numpy).astype("i4")
    nibbles = part_array(file, tensor, "zeros", (*shape, 8), numpy)
    return numpy.stack([nibbles & 15, nibbles >> 4], -1).reshape(*shape, 16).astype("i4")


def dequantize(file, tensor):
    """(experts, rows, cols) float32."""
    import numpy

    experts, rows, cols = tensor.experts, tensor.rows, tensor.cols
    panels, tiles = -(-rows // 16), -(-cols // 32)
    if tensor.codes in FLOATS:
        dtype = f"u{FLOATS[tensor.codes]}"
        if "values" in tensor.parts:
            return to_float(tensor.codes, part_array(file, tensor, "values", (experts, rows, cols), numpy, dtype), numpy)
        raw = part_array(file, tensor, "codes", (experts, panels, tiles * 32, 16), numpy, dtype)
        panels_of_rows = to_float(tensor.codes, raw, numpy).transpose(0, 1, 3, 2)
        return panels_of_rows.reshape(experts, panels * 16, tiles * 32)[:, :rows, :cols]
    expect(tensor.codes in PLANES, f"{file.path}: tensor {tensor.name!r}: codes {tensor.codes!r} are not known")
    bits = sum(PLANES[tensor.codes])
    known = tensor.group == 16 or tensor.group % 32 == 0
    expect(known, f"{file.path}: tensor {tensor.name!r}: group {tensor.group} is neither 16 nor a multiple of 32")
    group = tensor.group or tiles * 32
    groups = -(-cols // group)
    packed = part_array(file, tensor, "codes", (experts * panels * tiles, 64 * bits), numpy)
    codes = unpack_codes(packed, tensor.codes, numpy).reshape(experts, panels, tiles, 16, 32)
    codes = codes.transpose(0, 1, 3, 2, 4).reshape(experts, panels, 16, tiles * 32)[..., :cols].astype("i4")
    shape = (experts, panels, groups)
    zeros = zero_points(file, tensor, shape, 8 if tensor.codes == "table4" else bits, numpy)
    group_of = numpy.arange(cols) // group
    scales, offsets, zeros = (
        values.transpose(0, 1, 3, 2)[..., group_of] for values in (*scales_and_offsets(file, tensor, shape, numpy), zeros)
    )
    weights = scales * (codes - zeros).astype("f4") + offsets
    return weights.reshape(experts, panels * 16, cols)[:, :rows]


def low_rank(file, tensor):
    """U (rows, rank) and V (rank, cols) of a tensor's correction, float32."""
    where = f"{file.path}: tensor {tensor.name!r}"
    expect(tensor.grid.endswith(LOW_RANK), f"{where}: a correction of low rank expected, found grid {tensor.grid!r}")
    expect(tensor.experts == 1 and "lorc_v_scales" in tensor.parts, f"{where}: part 'lorc_v_scales' of one expert expected")
    rank = tensor.parts["lorc_v_scales"].size // 32 * 16
    expect(16 <= rank <= -(-tensor.cols // 16) * 16, f"{where}: a rank from 16 to {tensor.cols} expected, found {rank}")

    def factor(name, rows, cols):
        expect({name, name + "_scales"} <= tensor.parts.keys(), f"{where}: parts {name!r} and '{name}_scales' expected")
        parts = {"codes": tensor.parts[name], "scales": tensor.parts[name + "_scales"]}
        return dequantize(file, Tensor(f"{tensor.name}: {name}", "int8", "symmetric", 1, rows, cols, 0, parts))[0]

    return factor("lorc_u", tensor.rows, rank), factor("lorc_v", rank, tensor.cols)


# --- tokenizer ---------------------------------------------------------------------------------------------------------


@dataclass
class Tokenizer:
    texts: list
    merges: list
    scores: tuple
    settings: dict


def varint(cursor, what):
    value = 0
    for shift in range(0, 35, 7):
        byte = cursor.u8(what)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise BadFile(f"{cursor.where}: {what}: a number of at most 5 bytes expected")


def read_tokenizer(file):
    cursor = Cursor(file.bytes_of(file.sections["tokenizer"]), f"{file.path}: section 'tokenizer'")
    start = bytes(cursor.take(5, "magic"))
    expect(start == b"gqtk\x01", f"{cursor.where}: 'gqtk' and version 1 expected, {start!r} found")
    texts = [bytes(cursor.take(varint(cursor, "token"), "token")) for _ in range(varint(cursor, "token count"))]
    known = set(texts)
    merges = [(varint(cursor, "left"), varint(cursor, "right")) for _ in range(varint(cursor, "merge count"))]
    for left, right in merges:
        expect(left < len(texts) and right < len(texts), f"{cursor.where}: merge of {left} and {right}: ids expected")
        expect(texts[left] + texts[right] in known, f"{cursor.where}: merge of {left} and {right} is no token")
    scores = struct.unpack(f"<{(n := varint(cursor, 'score count'))}f", cursor.take(4 * n, "scores"))
    expect(n in (0, len(texts)), f"{cursor.where}: no score or {len(texts)} expected, {n} found")
    settings = json.loads(bytes(cursor.take(varint(cursor, "settings"), "settings")))
    expect(cursor.left() == 0, f"{cursor.where}: {cursor.left()} bytes after the settings")
    return Tokenizer(texts, merges, scores, settings)


# --- command line -----------------------------------------------------------------------------------------------------


def list_file(file):
    print(f"{file.path}: .gq 1.{file.minor}, {len(file.data)} bytes, {len(file.tensors)} tensors, {len(file.sections)} sections")
    for tensor in file.tensors.values():
        shape = f"{tensor.experts} x ({tensor.rows}, {tensor.cols})"
        parts = ", ".join(f"{part.name} {part.size}" for part in tensor.parts.values())
        print(f"tensor {tensor.name}: {shape} {tensor.codes} {tensor.grid or '-'} group {tensor.group}: {parts}")
    for section in file.sections.values():
        print(f"section {section.name}: {section.size} bytes")
    if "tokenizer" in file.sections:
        tokenizer = read_tokenizer(file)
        print(f"tokenizer: {len(tokenizer.texts)} tokens, {len(tokenizer.merges)} merges, {len(tokenizer.scores)} scores")


def main():
    parser = argparse.ArgumentParser(description="A second reader of .gq files.")
    parser.add_argument("file")
    parser.add_argument("--verify", action="store_true", help="compare the hashes of all data")
    parser.add_argument("--dequantize", nargs=2, metavar=("NAME", "OUT.npy"), help="write one tensor as float32")
    parser.add_argument("--low-rank", nargs=3, metavar=("NAME", "U.npy", "V.npy"), help="write a tensor's correction as float32")
    parser.add_argument("--section", metavar="NAME", help="write a section to stdout, and nothing else")
    options = parser.parse_args()
    file = GqFile(options.file)
    if options.verify:
        file.verify()
    if options.section:
        expect(options.section in file.sections, f"{file.path}: section {options.section!r} expected, not found")
        sys.stdout.buffer.write(file.bytes_of(file.sections[options.section]))
        return
    list_file(file)
    if options.verify:
        print("all hashes agree")
    if options.dequantize:
        import numpy

        name, out = options.dequantize
        expect(name in file.tensors, f"{file.path}: tensor {name!r} expected, not found")
        numpy.save(out, dequantize(file, file.tensors[name]))
    if options.low_rank:
        import numpy

        name, *outs = options.low_rank
        expect(name in file.tensors, f"{file.path}: tensor {name!r} expected, not found")
        for out, factor in zip(outs, low_rank(file, file.tensors[name])):
            numpy.save(out, factor)


if __name__ == "__main__":
    try:
        main()
    except (BadFile, OSError) as error:
        sys.exit(f"gq_read.py: {error}")
