"""The perplexity of a text from gq.h's logits, one token at a time, by the definition in plain Python.

In: libgq.so, a .gq, its vocabulary, a text, window, windows at most, first scored position, how activations
meet weights; and on stdin what ./perplexity printed. Out: that line and "agrees", or exit 1. Knows nothing of ./perplexity's batches.
"""
import math
import sys

from gq_logits import Model, log_softmax, mean_and_error


def main():
    library, model_path, vocab, text_path = sys.argv[1:5]
    window, most_windows, first_scored = map(int, sys.argv[5:8])
    printed = sys.stdin.read().split()
    model = Model(library, model_path, int(vocab), window, sys.argv[8])
    tokens = model.tokenize(open(text_path, "rb").read())
    losses = []
    for start in range(0, min(len(tokens) // window, most_windows) * window, window):
        for position, logits in enumerate(model.logits(tokens[start:start + window - 1])):
            if position + 1 >= first_scored:
                losses.append(-log_softmax(logits)[tokens[start + position + 1]])
    mean, error = mean_and_error(losses)
    ppl = math.exp(mean)
    # Half of the last printed digit, and ./perplexity's exp in 32-bit floats: about 1e-7 of each probability.
    for found, expected in zip((printed[1], printed[3]), (ppl, ppl * error)):
        if not abs(float(found) - expected) <= 0.5e-4 + 2e-6 * expected:
            sys.exit(f"expected ppl {ppl:.6f} +- {ppl * error:.6f}, found {' '.join(printed)}")
    print(*printed, "agrees")


main()
