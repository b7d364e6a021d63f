#!/usr/bin/env python3
"""Writes the seeds of the fuzz target tokenizer: small tokenizers in the three forms that it reads, each with other parts in it.

Needs only Python 3.9's own library. Usage: tests/fuzz/make_tokenizer_corpus.py (writes tests/fuzz/corpus/tokenizer/)
"""
import json
import struct
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus" / "tokenizer"
COMPACT, GGUF, TOKENIZER_JSON = b"\0", b"\1", b"\2"

LETTERS = ["<unk>", "<s>", "</s>", "▁", "Ġ", "a", "b", "e", "f", "c", "s", "t", "'", "1", "2", "é", "<0xC3>", "<0xA9>"]
MERGES = [("a", "a"), ("aa", "aa"), ("'", "s"), ("▁", "a"), ("Ġ", "a"), ("1", "2")]
TOKENS = list(dict.fromkeys(LETTERS + [a + b for a, b in MERGES]))
PATTERN = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<s>": {"ids": [1]}}}
ADDED = [{"id": 1, "content": "<s>", "special": True}, {"id": 40, "content": "<|im_start|>", "lstrip": True, "rstrip": True, "single_word": True},
         {"id": 41, "content": "Caf\u00e9", "normalized": True}]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}


def sequence(member, *parts):
    return {"type": "Sequence", member: list(parts)}


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


PIPELINES = {
    "byte_level": {"pre_tokenizer": sequence("pretokenizers", split({"Regex": PATTERN}, "Isolated"), BYTE_LEVEL), "post_processor": sequence("processors", {"type": "ByteLevel"}, TEMPLATE), "decoder": BYTE_LEVEL},
    "fallback": {"normalizer": sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}), "post_processor": TEMPLATE,
                 "decoder": sequence("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0})},
    "metaspace": {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}},
    "parts": {"normalizer": sequence("normalizers", {"type": "NFKC"}, {"type": "NFD"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "Replace", "pattern": {"Regex": "(?:a|b){2,3}?x*+"}, "content": "a"}),
              "pre_tokenizer": sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, {"type": "Punctuation"}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, split({"Regex": "[^a-c&&[\\w]]|^a$|\\bb(?=c)"}, "MergedWithNext", True))},
}


def tokenizer_json(pipeline):
    model = {"type": "BPE", "vocab": {t: i for i, t in enumerate(TOKENS)}, "merges": [list(m) for m in MERGES], "unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True}
    return {"added_tokens": ADDED, **pipeline, "model": model}


def gguf(model, **more):
    metadata = {"model": model, "tokens": TOKENS, "token_type": [2, 3, 3] + [1] * (len(TOKENS) - 3), "bos_token_id": 1, "eos_token_id": 2, **more}
    return {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}


def varint(n):
    out = b""
    while n >= 0x80:
        out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
    return out + bytes([n])


def compact(pipeline, merges, scores):
    settings = {"model": {"byte_fallback": True, "unk_token": "<unk>"}, "added_tokens": ADDED, **pipeline, "bos_token_id": 1}
    texts = [t.encode() for t in TOKENS] + [json.dumps(settings, ensure_ascii=False, separators=(",", ":")).encode()]
    sized = [varint(len(t)) + t for t in texts]
    pairs = b"".join(varint(TOKENS.index(part)) for merge in merges for part in merge)
    return b"gqtk\1" + varint(len(TOKENS)) + b"".join(sized[:-1]) + varint(len(merges)) + pairs + varint(len(scores)) + struct.pack(f"<{len(scores)}f", *scores) + sized[-1]


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, pipeline in PIPELINES.items():
        (FOLDER / name).write_bytes(TOKENIZER_JSON + json.dumps(tokenizer_json(pipeline), ensure_ascii=False).encode())
    scores = [-float(i) for i in range(len(TOKENS))]
    (FOLDER / "gguf_spm").write_bytes(GGUF + json.dumps(gguf("llama", scores=scores)).encode())
    (FOLDER / "gguf_bpe").write_bytes(GGUF + json.dumps(gguf("gpt2", pre="llama-bpe", merges=[" ".join(m) for m in MERGES])).encode())
    (FOLDER / "compact_ranks").write_bytes(COMPACT + compact(PIPELINES["byte_level"], MERGES, []))
    (FOLDER / "compact_scores").write_bytes(COMPACT + compact(PIPELINES["fallback"], [], scores))


if __name__ == "__main__":
    main()
