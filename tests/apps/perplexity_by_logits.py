"""The perplexity of a text from gq.h's logits, one token at a time, by the definition in plain Python.

In: libgq.so, a .gq, its vocabulary, a text, window, windows at most, first scored position, exact (0 or 1); and on
stdin what ./perplexity printed. Out: that line and "agrees", or exit 1. Knows nothing of ./perplexity's batches.
"""
import ctypes
import math
import sys


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("context", ctypes.c_int32), ("n_threads", ctypes.c_int32),
                ("max_rows", ctypes.c_int32), ("kv_type", ctypes.c_int32), ("exact", ctypes.c_int32),
                ("isa", ctypes.c_char_p)]


class Row(ctypes.Structure):
    _fields_ = [("sequence", ctypes.c_uint32), ("position", ctypes.c_int32), ("token", ctypes.c_int32),
                ("want_logits", ctypes.c_int32)]


def main():
    library, model_path, vocab, text_path = sys.argv[1:5]
    window, most_windows, first_scored, exact = map(int, sys.argv[5:9])
    printed = sys.stdin.read().split()
    gq = ctypes.CDLL(library)
    gq.gq_last_error.restype = ctypes.c_char_p

    def check(status):
        if status != 0:
            sys.exit(gq.gq_last_error().decode())

    model, session = ctypes.c_void_p(), ctypes.c_void_p()
    check(gq.gq_model_open(model_path.encode(), None, ctypes.byref(model)))
    text = open(text_path, "rb").read()
    n_tokens = ctypes.c_size_t(len(text) + 16)
    tokens = (ctypes.c_int32 * n_tokens.value)()
    check(gq.gq_tokenize(model, text, ctypes.c_size_t(len(text)), 1, 0, tokens, ctypes.byref(n_tokens)))
    options = SessionOptions()
    gq.gq_session_defaults(ctypes.byref(options))
    options.context, options.exact = window, exact
    check(gq.gq_session_create(model, ctypes.byref(options), ctypes.byref(session)))

    logits = ctypes.POINTER(ctypes.c_float)()
    losses = []
    for start in range(0, min(n_tokens.value // window, most_windows) * window, window):
        for position in range(window - 1):
            row = Row(0, position, tokens[start + position], 1)
            check(gq.gq_decode(session, ctypes.byref(row), ctypes.c_size_t(1)))
            if position + 1 < first_scored:
                continue
            check(gq.gq_logits(session, ctypes.c_size_t(0), ctypes.byref(logits)))
            values = logits[:int(vocab)]
            top = max(values)
            losses.append(top + math.log(math.fsum(math.exp(v - top) for v in values))
                          - values[tokens[start + position + 1]])
        check(gq.gq_sequence_truncate(session, 0, ctypes.c_size_t(0)))

    mean = math.fsum(losses) / len(losses)
    variance = math.fsum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1)
    ppl = math.exp(mean)
    error = ppl * math.sqrt(variance / len(losses))
    # Half of the last printed digit, and ./perplexity's exp in 32-bit floats: about 1e-7 of each probability.
    for found, expected in zip((printed[1], printed[3]), (ppl, error)):
        if not abs(float(found) - expected) <= 0.5e-4 + 2e-6 * expected:
            sys.exit(f"expected ppl {ppl:.6f} +- {error:.6f}, found {' '.join(printed)}")
    print(*printed, "agrees")


main()
