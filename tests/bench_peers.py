#!/usr/bin/env python3
"""gq beside llama.cpp on the same weights at the same bits: file bytes, prefill, decode and bytes streamed per second, in one table.

In: a Hugging Face folder of the Llama family (or --like, which makes one of random weights there) and pairs of what is compared: options of
./quantize = type of a GGUF. What is missing is made in --work and kept there: the .gq by ./quantize --method rtn (speed does not depend on
how weights were rounded), the GGUF by llama.cpp's own quantizer from F16. Out: a table on stdout, progress on stderr. Both programs run in
this process by their C interfaces, in turn in every round, with the same threads; a figure is the median of the rounds +- half of their
range, a ratio that of the rounds' ratios. Needs `make` and numpy; the peer needs the PyPI packages llama-cpp-python (which builds from source)
and gguf: without them gq's rows stand alone.

    bench_peers.py FOLDER [--like 1b] [--pair '--bits 4 --embed-bits 4=Q4_0,pure'] … [--work DIR] [--threads 2] [--repeat 5]
                   [--prompt 128,512] [--n-predict 32]

A GGUF type may be followed by `pure` (all matrices alike) and `embed=TYPE` (of the embedding, and of the head).
"""
import argparse
import ctypes
import json
import shlex
import shutil
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "apps"))
import gq_logits

ROOT = Path(__file__).parent.parent
PAIRS = ["--bits 4 --embed-bits 4=Q4_0,pure", "--bits 3 --embed-bits 4=Q3_K_M,embed=Q4_0", "--bits 2 --embed-bits 4=Q2_K,embed=Q4_0"]
SHAPES = {  # hidden, ffn, layers, heads, key and value heads, width of a head
    "tiny": (256, 512, 2, 4, 2, 64),
    "1b": (2048, 8192, 16, 32, 8, 64),
    "3b": (3072, 8192, 28, 24, 8, 128),
    "8b": (4096, 14336, 32, 32, 8, 128),
}
VOCAB = 49152
INSTALL = "pip install llama-cpp-python gguf   (builds llama.cpp from source, ten minutes or more)"


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def make_checkpoint(folder, like):
    """Random weights of a real shape: speed does not depend on what they are."""
    hidden, ffn, layers, heads, kv_heads, head_dim = SHAPES[like]
    shapes = {"model.embed_tokens.weight": (VOCAB, hidden), "model.norm.weight": (hidden,)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        shapes |= {prefix + name + ".weight": shape for name, shape in {
            "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,),
            "self_attn.q_proj": (heads * head_dim, hidden), "self_attn.k_proj": (kv_heads * head_dim, hidden),
            "self_attn.v_proj": (kv_heads * head_dim, hidden), "self_attn.o_proj": (hidden, heads * head_dim),
            "mlp.gate_proj": (ffn, hidden), "mlp.up_proj": (ffn, hidden), "mlp.down_proj": (hidden, ffn)}.items()}
    folder.mkdir(parents=True)
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    rng = np.random.default_rng(0)
    with open(folder / "model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            scale = 0.6 / np.sqrt(shape[-1])
            values = rng.standard_normal(shape, dtype=np.float32) * scale if len(shape) == 2 else np.ones(shape)
            out.write(values.astype(np.float16).tobytes())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "tests/golden/tiny_llama_tied" / name, folder)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "intermediate_size": ffn,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
        "vocab_size": VOCAB, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "max_position_embeddings": 8192,
        "hidden_act": "silu", "tie_word_embeddings": True, "torch_dtype": "float16"}))


def tensors_of(folder):
    """{name: array of F16} of all safetensors of a folder, read when they are looked at."""
    types = {"F16": np.float16, "F32": np.float32, "BF16": np.uint16}
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = np.memmap(path, np.uint8, "r")
        n = int.from_bytes(data[:8].tobytes(), "little")
        for name, entry in json.loads(data[8:8 + n].tobytes()).items():
            if name == "__metadata__":
                continue
            if entry["dtype"] not in types:
                sys.exit(f"error: {path}: {name}: one of {', '.join(types)} expected, found {entry['dtype']}")
            begin, end = entry["data_offsets"]
            found[name] = (data[8 + n + begin:8 + n + end].view(types[entry["dtype"]]).reshape(entry["shape"]), entry["dtype"])
    return found


def halves(array, dtype):
    if dtype == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(array, dtype=np.float16)


GGUF_NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
              "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
              "post_attention_layernorm": "ffn_norm"}
GGUF_ENDS = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def gguf_name(name):
    if name in GGUF_ENDS:
        return GGUF_ENDS[name]
    _, _, layer, *role, _ = name.split(".")
    return f"blk.{layer}.{GGUF_NAMES['.'.join(role)]}.weight"


def rope_pairs(weight, heads):
    """Rows of each head from half-split order to llama.cpp's pairs."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def make_f16(folder, out):
    """The checkpoint as a GGUF without a tokenizer: what is run are token ids."""
    import gguf
    config = json.loads((folder / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config.get("rope_theta", 10000.0))
    writer.add_rope_dimension_count(config.get("head_dim", config["hidden_size"] // heads))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for name, (array, dtype) in tensors_of(folder).items():
        if config.get("tie_word_embeddings") and name == "lm_head.weight":
            continue
        values = halves(array, dtype)
        if name.endswith("q_proj.weight"):
            values = rope_pairs(values, heads)
        if name.endswith("k_proj.weight"):
            values = rope_pairs(values, kv_heads)
        writer.add_tensor(gguf_name(name), values.astype(np.float32) if values.ndim == 1 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_gguf(source, out, kind, threads):
    """kind: "Q3_K_M,embed=Q4_0"."""
    import llama_cpp
    name, *rest = kind.split(",")
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, "LLAMA_FTYPE_MOSTLY_" + name, None) or sys.exit(f"error: no such type of a GGUF: {name}")
    params.nthread = threads
    for word in rest:
        if word == "pure":
            params.pure = True
        elif word.startswith("embed="):
            params.token_embedding_type = params.output_tensor_type = getattr(llama_cpp, "GGML_TYPE_" + word[6:])
        else:
            sys.exit(f"error: after a GGUF's type: pure or embed=TYPE expected, found {word}")
    if llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)) != 0:
        sys.exit(f"error: llama.cpp could not make {out}")


# --- the two programs -------------------------------------------------------------------------------------------------


class ModelInfo(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("architecture", ctypes.c_char_p), ("file_bytes", ctypes.c_uint64),
                ("n_weights", ctypes.c_uint64), ("streamed_bytes", ctypes.c_uint64), ("n_layers", ctypes.c_int32),
                ("vocab_size", ctypes.c_int32), ("context_length", ctypes.c_int32), ("has_chat_template", ctypes.c_int32),
                ("most_positions", ctypes.c_int32)]


class Limits(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("isa", ctypes.c_char_p), ("read_bytes", ctypes.c_double),
                ("int8_ops", ctypes.c_double), ("f32_ops", ctypes.c_double)]


class Gq:
    name = "gq"

    def __init__(self, path, context, threads):
        self.model = gq_logits.Model(str(ROOT / "libgq.so"), str(path), 0, context, "block", threads)
        info = ModelInfo(ctypes.sizeof(ModelInfo))
        self.model.check(self.model.gq.gq_model_get_info(self.model.model, ctypes.byref(info)))
        self.file_bytes, self.streamed_bytes = info.file_bytes, info.streamed_bytes

    def run(self, n, one_by_one):
        """n tokens from the first position on, at once or each by itself."""
        gq, session = self.model.gq, self.model.session
        self.model.check(gq.gq_sequence_truncate(session, 0, ctypes.c_size_t(0)))
        rows = (gq_logits.Row * n)(*[(0, i, i % 97 + 3, one_by_one or i + 1 == n) for i in range(n)])
        step = 1 if one_by_one else n
        for i in range(0, n, step):
            self.model.check(gq.gq_decode(session, ctypes.byref(rows, i * ctypes.sizeof(gq_logits.Row)), ctypes.c_size_t(step)))

    def read_bytes(self, threads):
        limits = Limits(ctypes.sizeof(Limits))
        self.model.check(self.model.gq.gq_probe_limits(None, threads, ctypes.c_double(0.2), ctypes.byref(limits)))
        return limits.read_bytes


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, path, context, threads):
        import gguf
        import llama_cpp
        self.api = llama_cpp
        self.file_bytes = path.stat().st_size
        sizes = {tensor.name: int(tensor.n_bytes) for tensor in gguf.GGUFReader(path).tensors}
        # A lookup reads one row of an embedding that is not the head too.
        self.streamed_bytes = sum(sizes.values()) - (sizes["token_embd.weight"] if "output.weight" in sizes else 0)
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params) or sys.exit(f"error: llama.cpp can't load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, 512, 512
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, params) or sys.exit(f"error: llama.cpp has no context for {path}")
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def decode(self, first, n, last):
        batch = self.batch
        batch.n_tokens = n
        for i in range(n):
            position = first + i
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = position % 97 + 3, position, 1, 0
            batch.logits[i] = position == last
        if self.api.llama_decode(self.context, batch) != 0:
            sys.exit("error: llama.cpp could not decode")

    def run(self, n, one_by_one):
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        step = 1 if one_by_one else 512
        for i in range(0, n, step):
            self.decode(i, min(step, n - i), i if one_by_one else n - 1)
        self.api.llama_synchronize(self.context)


def find_peer():
    """Whether llama.cpp is here; what it would print goes nowhere."""
    global silence
    try:
        import gguf  # noqa: F401
        import llama_cpp
    except ImportError as error:
        say(f"llama.cpp for Python is not here ({error}): gq's rows stand alone. To compare: {INSTALL}")
        return False
    silence = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silence, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return True


# --- measuring --------------------------------------------------------------------------------------------------------


def prepare(args, pair, has_peer):
    """The paths of a pair's two files, made where they are missing."""
    options, _, kind = pair.partition("=")
    stem = args.folder.name + "." + "_".join(options.replace("--", "").split())
    packed, peer = args.work / f"{stem}.gq", args.work / f"{args.folder.name}.{kind.replace(',', '_').replace('=', '_')}.gguf"
    if not packed.exists():
        say(f"making {packed}")
        subprocess.run([ROOT / "quantize", args.folder, "-o", packed, "--method", "rtn", *shlex.split(options)], check=True,
                       stderr=subprocess.DEVNULL)
    if has_peer and not peer.exists():
        f16 = args.work / f"{args.folder.name}.f16.gguf"
        if not f16.exists():
            say(f"making {f16}")
            make_f16(args.folder, f16)
        say(f"making {peer}")
        make_gguf(f16, peer, kind, args.threads)
    return options, kind, packed, peer


def rate(program, n, one_by_one):
    time.sleep(0.05)  # the other program's threads go to sleep first
    before = time.perf_counter()
    program.run(n, one_by_one)
    return n / (time.perf_counter() - before)


def median_and_spread(values):
    return statistics.median(values), (max(values) - min(values)) / 2


def measure(programs, args):
    """{(program, measurement): rates}, the programs taking turns at going first; and the best read bandwidth seen."""
    measurements = [(f"prefill {n}", n, False) for n in args.prompts] + [("decode", args.n_predict, True)]
    rates, read = {}, 0
    for program in programs:
        program.run(8, False)
    for round_ in range(args.repeat):
        for name, n, one_by_one in measurements:
            for program in programs if round_ % 2 == 0 else programs[::-1]:
                rates.setdefault((program.name, name), []).append(rate(program, n, one_by_one))
        read = max(read, programs[0].read_bytes(args.threads))
        say(f"  round {round_ + 1} of {args.repeat}")
    return [name for name, _, _ in measurements], rates, read


def cell(values):
    return "{:.1f} ± {:.1f}".format(*median_and_spread(values))


def print_rows(label, programs, names, rates, read):
    for program in programs:
        streamed = [r * program.streamed_bytes / 1e9 for r in rates[program.name, "decode"]]
        columns = [cell(rates[program.name, name]) for name in names] + [cell(streamed), f"{100 * statistics.median(streamed) * 1e9 / read:.0f} %"]
        print(f"| {label[program.name]} | {program.file_bytes / 1e6:.0f} | " + " | ".join(columns) + " |")
    if len(programs) == 2:
        one, other = programs
        ratios = ["{:.2f} ± {:.2f}".format(*median_and_spread([a / b for a, b in zip(rates[one.name, n], rates[other.name, n])])) for n in names]
        streamed = [a * one.streamed_bytes / (b * other.streamed_bytes) for a, b in zip(rates[one.name, "decode"], rates[other.name, "decode"])]
        print(f"| ratio | {one.file_bytes / other.file_bytes:.2f} | " + " | ".join(ratios) + " | {:.2f} ± {:.2f} | |".format(*median_and_spread(streamed)))


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the checkpoint")
    parser.add_argument("--like", choices=SHAPES, help="make the checkpoint of random weights of this shape where it does not exist")
    parser.add_argument("--pair", action="append", metavar="OPTIONS=TYPE", help="default: " + "; ".join(PAIRS))
    parser.add_argument("--work", type=Path, default=Path("build/peers"), help="where what is missing is made (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--prompt", default="128,512", help="tokens of the prefills, with commas (default: %(default)s)")
    parser.add_argument("--n-predict", type=int, default=32)
    args = parser.parse_args()
    args.prompts = [int(n) for n in args.prompt.split(",")]
    if args.like and not args.folder.exists():
        say(f"making {args.folder}")
        make_checkpoint(args.folder, args.like)
    if not (args.folder / "config.json").exists():
        sys.exit(f"error: {args.folder}: a checkpoint folder expected, no config.json found; --like makes one")
    for needed in ("quantize", "libgq.so"):
        if not (ROOT / needed).exists():
            sys.exit(f"error: {needed} expected at the repository's root, not found: make builds it")
    args.work.mkdir(parents=True, exist_ok=True)
    has_peer = find_peer()
    context = max(*args.prompts, args.n_predict) + 64
    print(f"{cpu_name()}, {args.threads} threads, median of {args.repeat} rounds ± half of their range\n")
    for i, pair in enumerate(args.pair or PAIRS):
        options, kind, packed, peer = prepare(args, pair, has_peer)
        say(f"{options} | {kind}")
        programs = [Gq(packed, context, args.threads)] + ([LlamaCpp(peer, context, args.threads)] if has_peer else [])
        names, rates, read = measure(programs, args)
        if i == 0:
            print("| | MB | " + " | ".join(f"{name}, tok/s" for name in names) + " | decode, GB/s | of the read bandwidth |")
            print("|---" * (len(names) + 4) + "|")
        print_rows({"gq": f"gq `{options}`", "llama.cpp": f"llama.cpp {kind}"}, programs, names, rates, read)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
