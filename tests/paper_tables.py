#!/usr/bin/env python3
"""The papers' perplexities on WikiText-2 beside ours, for those of their checkpoints that are at hand.

In: a folder of checkpoints with Hugging Face's names (opt-125m, Llama-2-7b-hf, ...), WikiText-2's test text (its lines
joined as the raw file has them); run from the repository's root after `make`. Out: one table per checkpoint on stdout,
figures as "ours (published)", then which checkpoints are missing or not read; exit 1 where a run failed or none was
found. A checkpoint is read from safetensors with a tokenizer.json, as transformers' save_pretrained() writes both;
OPT's 350M is refused. Weights alone are quantized, as in the papers: embedding and head keep 16 bits, activations are
exact.

    tests/paper_tables.py FOLDER test.txt [--calib TEXT] [--only NAME ...] [--also NAME ...] [--ctx N] [--chunks N]
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

# GPTQ's own tables (arXiv 2210.17323; LLaMA from its repository): a grid per row, perplexity over windows of 2048.
ROW_KEYS = ("float", "4 row rtn", "4 row gptq", "3 row rtn", "3 row gptq")
# AWQ's table 4 (arXiv 2306.00978); "act" is GPTQ with act-order.
G128_KEYS = ("4 g128 rtn", "4 g128 gptq", "4 g128 act", "3 g128 rtn", "3 g128 gptq", "3 g128 act")
# LLaMA's figures per row are GPTQ with act-order and true-sequential; those of OPT and BLOOM without.
LLAMA_KEYS = ("float", "4 row rtn", "4 row act", "3 row rtn", "3 row act")


def published():
    """{folder's name: {"BITS GROUP METHOD" or "float": perplexity}}"""
    rows = {
        "opt-125m": (27.65, 37.28, 31.12, 1.3e3, 53.85), "opt-350m": (22.00, 25.94, 24.24, 64.57, 33.79),
        "opt-1.3b": (14.63, 48.17, 15.47, 1.3e4, 20.97), "opt-2.7b": (12.47, 16.92, 12.87, 1.6e4, 16.88),
        "opt-6.7b": (10.86, 12.10, 11.39, 5.8e3, 14.86), "opt-13b": (10.13, 11.32, 10.31, 3.4e3, 11.61),
        "opt-30b": (9.56, 10.98, 9.63, 1.6e3, 10.27), "opt-66b": (9.34, 110, 9.55, 6.1e3, 14.16),
        "bloom-560m": (22.42, 25.90, 24.03, 57.08, 32.31), "bloom-1b1": (17.69, 22.00, 19.05, 50.19, 25.08),
        "bloom-1b7": (15.39, 16.97, 16.48, 63.59, 21.11), "bloom-3b": (13.48, 14.76, 14.20, 39.36, 17.40),
        "bloom-7b1": (11.37, 12.10, 11.73, 17.38, 13.47), "bloom": (8.11, 8.37, 8.21, 571, 8.64),
    }
    llama_rows = {
        "llama-7b": (5.68, 6.29, 6.09, 25.54, 8.07), "llama-13b": (5.09, 5.53, 5.36, 11.40, 6.63),
        "llama-30b": (4.10, 4.54, 4.45, 14.89, 5.69), "llama-65b": (3.53, 3.92, 3.84, 10.59, 5.04),
    }
    g128 = {
        "Llama-2-7b-hf": (5.73, 5.69, 5.63, 6.66, 6.43, 6.42), "Llama-2-13b-hf": (4.98, 4.98, 4.99, 5.52, 5.48, 5.41),
        "Llama-2-70b-hf": (3.46, 3.42, 3.43, 3.98, 3.88, 3.86), "llama-7b": (5.96, 6.22, 5.83, 7.01, 8.81, 6.53),
        "llama-13b": (5.25, 5.23, 5.20, 5.88, 5.66, 5.64), "llama-30b": (4.23, 4.24, 4.22, 4.88, 4.88, 4.74),
        "llama-65b": (3.67, 3.66, 3.66, 4.24, 4.17, 4.21),
    }
    tables = {name: dict(zip(ROW_KEYS, values)) for name, values in rows.items()}
    tables.update((name, dict(zip(LLAMA_KEYS, values))) for name, values in llama_rows.items())
    for name, value in ("Llama-2-7b-hf", 5.47), ("Llama-2-13b-hf", 4.88), ("Llama-2-70b-hf", 3.32):
        tables[name] = {"float": value}
    for name, values in g128.items():
        tables[name].update(zip(G128_KEYS, values))
    return tables


class RunFailed(Exception):
    pass


def run(command):
    """stdout; RunFailed holds the tool's own words."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode != 0:
        words = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        raise RunFailed(words[-1] if words else f"{command[0]}: exit status {result.returncode}")
    return result.stdout


def perplexity_of(source, options, args, work):
    model = os.path.join(work, "model.gq")
    try:
        run(["./quantize", source, "-o", model, "--embed-bits", "16", *options])
        out = run(["./perplexity", model, "-f", args.text, "--protocol", "full-window", "--exact", "--ctx",
                   str(args.ctx), "--chunks", str(args.chunks)])
    finally:
        if os.path.exists(model):
            os.remove(model)
    return float(re.fullmatch(r"ppl ([0-9.]+) \+- [0-9.]+", out.splitlines()[-1]).group(1))


def options_of(bits, group, method, calibration):
    grid = ["--bits", bits, "--group", group.lstrip("g")]
    if method == "rtn":
        return grid + ["--method", "rtn"]
    order = [] if method == "act" else ["--no-act-order"]
    return grid + ["--recipe", "plain", "--no-clip", *order, *calibration]


def cell(ours, table, key):
    beside = f" ({table[key]:.6g})" if key in table else ""
    return ours + beside


def measure(name, table, args, calibration, work):
    """Prints the checkpoint's table. Returns what failed, as lines; a float model that fails ends it."""
    source = os.path.join(args.folder, name)
    failed = []

    def figure(key, options):
        print(f"{name}: {key}", file=sys.stderr, flush=True)
        try:
            return cell(f"{perplexity_of(source, options, args, work):.2f}", table, key)
        except RunFailed as words:
            failed.append(f"{name}, {key}: {words}")
            return cell("failed", table, key)

    floats = figure("float", ["--bits", "16"])
    if failed:
        return failed
    print(f"\n{name}: float {floats}\n\n| bits | group | RTN | GPTQ | GPTQ, act-order |")
    print("|---|---|---|---|---|", flush=True)
    for bits in "4", "3":
        for group in "row", "g128":
            keys = [f"{bits} {group} {method}" for method in ("rtn", "gptq", "act")]
            cells = [figure(key, options_of(*key.split(), calibration)) for key in keys]
            print(f"| {bits} | {group.lstrip('g')} | " + " | ".join(cells) + " |", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", help="holds a folder per checkpoint")
    parser.add_argument("text", help="WikiText-2, test")
    parser.add_argument("--calib", help="calibration text (the papers' is from C4); default: gq's own")
    parser.add_argument("--calib-windows", default="128", help="with --calib (default 128)")
    parser.add_argument("--calib-window", default="2048", help="tokens, with --calib (default 2048)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="no other checkpoints")
    parser.add_argument("--also", nargs="+", default=[], metavar="NAME", help="checkpoints that no paper has")
    parser.add_argument("--ctx", type=int, default=2048)
    parser.add_argument("--chunks", type=int, default=0, help="windows at most; 0: all")
    parser.add_argument("--work", help="where a .gq at a time is put (default: a temporary folder)")
    args = parser.parse_args()
    tables = published()
    tables.update((name, {}) for name in args.also if name not in tables)
    unknown = [name for name in args.only if name not in tables]
    if unknown:
        parser.error(f"--only: expected names of {', '.join(tables)}; found {', '.join(unknown)}")
    names = args.only or list(tables)
    found = [name for name in names if os.path.isdir(os.path.join(args.folder, name))]
    calibration = []
    if args.calib:
        calibration = ["--calib", args.calib, "--calib-windows", args.calib_windows,
                       "--calib-window", args.calib_window]
    print(f"WikiText-2 perplexity, windows of {args.ctx}"
          + (f", the first {args.chunks} of them" if args.chunks else "") + "; ours (published, windows of 2048)")
    failed = []
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        for name in found:
            failed += measure(name, tables[name], args, calibration, work)
    missing = [name for name in names if name not in found]
    print(f"\nmissing in {args.folder}: {', '.join(missing) or 'none'}")
    print("failed or not supported: " + ("" if failed else "none"))
    for line in failed:
        print(f"  {line}")
    return 1 if failed or not found else 0


if __name__ == "__main__":
    sys.exit(main())
