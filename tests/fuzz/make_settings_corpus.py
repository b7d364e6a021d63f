#!/usr/bin/env python3
"""Writes the seeds of the fuzz target settings: configs of the tiny models, a GGUF file's metadata, and sections of a .gq.

Needs only Python 3.9's own library. Usage: tests/fuzz/make_settings_corpus.py (writes tests/fuzz/corpus/settings/)
"""
import json
from pathlib import Path

TESTS = Path(__file__).parent.parent
FOLDER = TESTS / "fuzz" / "corpus" / "settings"
CONFIG, GGUF, MODEL, GENERATION = b"\0", b"\1", b"\2", b"\3"

METADATA = {
    "general.architecture": "llama", "llama.context_length": 128, "llama.embedding_length": 64, "llama.block_count": 2,
    "llama.feed_forward_length": 96, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.freq_base": 10000.0, "llama.rope.dimension_count": 16,
    "llama.vocab_size": 256,
}
MODEL_SECTION = {
    "arch": "llama", "vocab": 256, "hidden": 64, "ffn": 96, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_dim": 16,
    "context": 128, "sliding_window": 0, "norm_eps": 1e-5, "tied_head": True,
    "rope_inv_freq": [1, 0.5, 0.25, 0.125, 0.06, 0.03, 0.015, 0.01],
}
GENERATION_SECTION = {"stop_ids": [0, 2], "temperature": 0.2, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1}


def write(name, kind, value):
    (FOLDER / name).write_bytes(kind + json.dumps(value).encode())


FOLDER.mkdir(parents=True, exist_ok=True)
for model in ("llama_tied", "llama_scaled_rope", "llama_sliding", "opt", "bloom"):
    config = json.loads((TESTS / "golden" / f"tiny_{model}" / "config.json").read_text())
    write(f"config_{model.removeprefix('llama_')}", CONFIG, config)
write("gguf", GGUF, METADATA)
write("model", MODEL, MODEL_SECTION)
write("generation", GENERATION, GENERATION_SECTION)
