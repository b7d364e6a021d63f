#!/usr/bin/env python3
"""Writes tests/golden/gptq.inc: what GPTQ makes of a small problem, by a plain implementation in float64.

The problem is made of small integers by a generator that tests/quantize/test_gptq.cpp repeats, so that it is exact and need not be stored. The solver
takes H⁻¹ as a matrix, its Cholesky factor, and one column after another, without blocks. Scales are rounded to float16 before they are used.
A seed is taken only if no rounding comes closer to a tie than MARGIN steps: float32 arithmetic must give the same codes.

Needs: pip install numpy==2.4.6. Usage: tests/golden/make_gptq_goldens.py > tests/golden/gptq.inc
"""
import numpy as np

ROWS, COLS, TOKENS, BLOCK, DAMPING, MARGIN = 6, 160, 256, 128, 0.01, 3e-4
# bits, group (0: the row), symmetric, act_order, stale_grids
CONFIGS = [
    (2, 32, 0, 0, 0), (2, 64, 1, 1, 0), (3, 0, 0, 0, 0), (3, 128, 0, 1, 0), (3, 32, 1, 0, 0), (4, 32, 0, 1, 0),
    (4, 64, 0, 0, 0), (4, 128, 1, 1, 0), (4, 0, 0, 1, 0), (4, 32, 0, 0, 1), (8, 128, 0, 0, 0), (8, 32, 1, 1, 0),
]


class Numbers:
    """A linear congruential generator modulo 2^32; below(n) comes from its upper bits."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state >> 8) % n


def problem(seed):
    """W (rows, cols) and H = 2/N Σ x xᵀ; inputs are correlated, and one in 16 is large."""
    numbers = Numbers(seed)
    w = np.array([[numbers.below(2001) - 1000 for _ in range(COLS)] for _ in range(ROWS)]) / 4096
    noise = np.array([[numbers.below(9) - 4 for _ in range(COLS + 3)] for _ in range(TOKENS)])
    x = (noise[:, :-3] + 2 * noise[:, 1:-2] + 2 * noise[:, 2:-1] + noise[:, 3:]) * np.where(np.arange(COLS) % 16 == 5, 4, 1)
    return w, (x.T @ x) * (2 / TOKENS)


class Rounder:
    def __init__(self):
        self.margin = 1.0

    def round(self, value):
        self.margin = min(self.margin, np.min(0.5 - np.abs(value - np.rint(value))))
        return np.rint(value)


def fit_grid(w, bits, symmetric, rounder):
    """Scale and zero point of each row of w (rows, group)."""
    low, high = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    if symmetric:
        high = np.maximum(-low, high)
        low = -high
    scale = ((high - low) / (2**bits - 1)).astype(np.float16).astype(np.float64)
    return scale, np.full(ROWS, 2.0 ** (bits - 1)) if symmetric else rounder.round(-low / scale)


def solve(w, h, config):
    bits, group, symmetric, act_order, stale = config
    group = group or COLS
    w, starts, rounder = w.copy(), range(0, COLS, group), Rounder()
    grids = {g: fit_grid(w[:, g : g + group], bits, symmetric, rounder) for g in starts}
    order = np.argsort(-h.diagonal(), kind="stable") if act_order else np.arange(COLS)
    w, h = w[:, order], h[np.ix_(order, order)] + DAMPING * h.diagonal().mean() * np.eye(COLS)
    u = np.linalg.cholesky(np.linalg.inv(h)).T  # H⁻¹ = Uᵀ U
    codes, seen = np.zeros((ROWS, COLS)), w.copy()  # seen: w at the start of the block, which stale grids look at
    for c in range(COLS):
        if c % BLOCK == 0:
            seen = w.copy()
        if not act_order and c % group == 0:
            grids[c] = fit_grid((seen if stale else w)[:, c : c + group], bits, symmetric, rounder)
        scale, zero = grids[order[c] // group * group]
        code = np.clip(rounder.round(w[:, c] / scale) + zero, 0, 2**bits - 1)
        error = (w[:, c] - scale * (code - zero)) / u[c, c]
        w[:, c:] -= np.outer(error, u[c, c:])
        codes[:, order[c]] = code
    return codes, np.array([grids[g][0] for g in starts]).T, np.array([grids[g][1] for g in starts]).T, rounder.margin


def main():
    for seed in range(1, 100000):
        w, h = problem(seed)
        results = []
        for config in CONFIGS:
            results.append(solve(w, h, config))
            if results[-1][3] < MARGIN:
                break
        else:
            break
    print(f"// GPTQ of a problem of {ROWS} x {COLS} weights in float64, by tests/golden/make_gptq_goldens.py (numpy {np.__version__});")
    print("// must not be edited by hand. Codes are hexadecimal, row after row: two digits at 8 bits, one below; then scales and zero points.")
    print("#include <cstdint>\n\nnamespace gq::golden {\n")
    print(f"constexpr uint32_t gptq_rows = {ROWS}, gptq_cols = {COLS}, gptq_tokens = {TOKENS}, gptq_seed = {seed};\n")
    print("struct Gptq {\n    unsigned bits, group;\n    bool symmetric, act_order, stale_grids;\n    const char* codes;\n    float scales[30];\n    int zero_points[30];\n};\n")
    print("constexpr Gptq gptq[] = {")
    for (bits, group, *flags), (codes, scales, zeros, _) in zip(CONFIGS, results):
        print(f"    {{{bits}, {group}, {', '.join('true' if f else 'false' for f in flags)},")
        text = ["".join(f"{c:02x}" if bits == 8 else f"{c:x}" for c in row) for row in codes.astype(int)]
        print("\n".join(f'     "{row}"' for row in text) + ",")
        print("     {" + ", ".join(f"{np.float32(s)}f" for s in scales.reshape(-1)) + "},")
        print("     {" + ", ".join(f"{int(z)}" for z in zeros.reshape(-1)) + "}},")
    print("};\n\n}  // namespace gq::golden")


main()
