"""KL divergence and agreement of two models from gq.h's logits, one token at a time, by the definition in plain Python.

In: libgq.so, a reference .gq, a .gq, their vocabulary, a text, window, windows at most, first scored position; and on
stdin what ./perplexity --kl --json printed. Out: "agrees", or exit 1. Knows nothing of ./perplexity's batches.
"""
import json
import math
import sys

from gq_logits import Model, log_softmax, mean_and_error


def quantile(values, fraction):
    values = sorted(values)
    place = fraction * (len(values) - 1)
    below = min(int(place), len(values) - 2)
    return values[below] + (place - below) * (values[below + 1] - values[below])


def main():
    library, reference_path, model_path, vocab, text_path = sys.argv[1:6]
    window, most_windows, first_scored = map(int, sys.argv[6:9])
    printed = json.load(sys.stdin)
    reference = Model(library, reference_path, int(vocab), window, "exact", cache_type="f32")
    model = Model(library, model_path, int(vocab), window, "block")
    tokens = model.tokenize(open(text_path, "rb").read())
    divergences, same_top, reference_losses, losses = [], [], [], []
    for start in range(0, min(len(tokens) // window, most_windows) * window, window):
        inputs = tokens[start:start + window - 1]
        for position, pair in enumerate(zip(reference.logits(inputs), model.logits(inputs))):
            if position + 1 < first_scored:
                continue
            p, q = map(log_softmax, pair)
            token = tokens[start + position + 1]
            divergences.append(math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q)))
            same_top.append(float(p.index(max(p)) == q.index(max(q))))
            reference_losses.append(-p[token])
            losses.append(-q[token])
    expected = {"positions": len(losses), "kl_median": quantile(divergences, 0.5), "kl_90": quantile(divergences, 0.9),
                "kl_99": quantile(divergences, 0.99), "kl_max": max(divergences)}
    expected["kl_mean"], expected["kl_error"] = mean_and_error(divergences)
    expected["same_top"], expected["same_top_error"] = mean_and_error(same_top)
    expected["ln_ppl_ratio"], expected["ln_ppl_ratio_error"] = mean_and_error(
        [b - a for a, b in zip(reference_losses, losses)])
    for name, values in ("reference_ppl", reference_losses), ("ppl", losses):
        mean, error = mean_and_error(values)
        expected[name], expected[name + "_error"] = math.exp(mean), math.exp(mean) * error
    if sorted(expected) != sorted(printed):
        sys.exit(f"expected the keys {sorted(expected)}, found {sorted(printed)}")
    # ./perplexity's exp in 32-bit floats is off by about 1e-7 of each probability.
    for name, value in expected.items():
        if not abs(printed[name] - value) <= 1e-6 + 2e-6 * abs(value):
            sys.exit(f"{name}: expected {value}, found {printed[name]}")
    print("agrees")


main()
