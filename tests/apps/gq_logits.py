"""gq.h from Python, as far as the scorers' references and the comparison with peers need it: the logits of tokens, one at a time.

In: libgq.so and a .gq. Out: token ids, logits. Must not know ./perplexity or how anything is scored.
"""
import ctypes
import math
import sys


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("context", ctypes.c_int32), ("n_threads", ctypes.c_int32),
                ("max_rows", ctypes.c_int32),
                ("activations", ctypes.c_char_p), ("isa", ctypes.c_char_p),
                ("cache_type_k", ctypes.c_char_p), ("cache_type_v", ctypes.c_char_p)]


class Row(ctypes.Structure):
    _fields_ = [("sequence", ctypes.c_uint32), ("position", ctypes.c_int32), ("token", ctypes.c_int32),
                ("want_logits", ctypes.c_int32)]


class Model:
    def __init__(self, library, path, vocab, context, activations, n_threads=0, cache_type="f16"):
        self.gq = ctypes.CDLL(library)
        self.gq.gq_last_error.restype = ctypes.c_char_p
        self.vocab = vocab
        self.model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.gq.gq_model_open(path.encode(), None, ctypes.byref(self.model)))
        options = SessionOptions()
        self.gq.gq_session_defaults(ctypes.byref(options))
        options.context, options.activations, options.n_threads = context, activations.encode(), n_threads
        options.cache_type_k = options.cache_type_v = cache_type.encode()
        self.check(self.gq.gq_session_create(self.model, ctypes.byref(options), ctypes.byref(self.session)))

    def check(self, status):
        if status != 0:
            sys.exit(self.gq.gq_last_error().decode())

    def tokenize(self, text):
        n_tokens = ctypes.c_size_t(len(text) + 16)
        tokens = (ctypes.c_int32 * n_tokens.value)()
        self.check(self.gq.gq_tokenize(self.model, text, ctypes.c_size_t(len(text)), 1, 0, tokens,
                                       ctypes.byref(n_tokens)))
        return tokens[:n_tokens.value]

    def logits(self, tokens):
        """Yields the logits after each token of a sequence that begins with the first."""
        self.check(self.gq.gq_sequence_truncate(self.session, 0, ctypes.c_size_t(0)))
        pointer = ctypes.POINTER(ctypes.c_float)()
        for position, token in enumerate(tokens):
            row = Row(0, position, token, 1)
            self.check(self.gq.gq_decode(self.session, ctypes.byref(row), ctypes.c_size_t(1)))
            self.check(self.gq.gq_logits(self.session, ctypes.c_size_t(0), ctypes.byref(pointer)))
            yield pointer[:self.vocab]


def log_softmax(logits):
    top = max(logits)
    log_sum = top + math.log(math.fsum(math.exp(v - top) for v in logits))
    return [v - log_sum for v in logits]


def mean_and_error(values):
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))
