"""Multiple-choice accuracy from gq.h's logits, every choice by itself from its first token on, in plain Python.

In: libgq.so, a .gq, its vocabulary, a file of questions, tokens of a session; and on stdin what ./perplexity --choices
--json printed. Out: "agrees", or exit 1. Knows nothing of forks and shared contexts.
"""
import json
import math
import sys

from gq_logits import Model, log_softmax


def main():
    library, model_path, vocab, questions, context_size = sys.argv[1:6]
    printed = json.load(sys.stdin)
    model = Model(library, model_path, int(vocab), int(context_size), "block")
    raw, normalized = [], []
    for line in open(questions, encoding="utf-8"):
        if not line.strip():
            continue
        question = json.loads(line)
        context = model.tokenize(question["context"].encode())
        sums = []
        for choice in question["choices"]:
            tokens = model.tokenize((question["context"] + choice).encode())
            first = 0
            while first < min(len(context), len(tokens)) and context[first] == tokens[first]:
                first += 1
            sums.append(math.fsum(log_softmax(logits)[tokens[i + 1]]
                                  for i, logits in enumerate(model.logits(tokens[:-1])) if i + 1 >= first))
        per_byte = [s / len(c.lstrip(" \t\r\n").encode()) for s, c in zip(sums, question["choices"])]
        raw.append(float(sums.index(max(sums)) == question["answer"]))
        normalized.append(float(per_byte.index(max(per_byte)) == question["answer"]))
    n = len(raw)
    for name, values in ("acc", raw), ("acc_norm", normalized):
        share = sum(values) / n
        for key, value in (name, share), (name + "_error", math.sqrt(share * (1 - share) / (n - 1))):
            if not abs(printed[key] - value) <= 1e-8:
                sys.exit(f"{key}: expected {value}, found {printed[key]}")
    if raw == normalized or printed["questions"] != n:
        sys.exit(f"expected {n} questions, of which bytes decide some, found {printed['questions']}")
    print("agrees")


main()
