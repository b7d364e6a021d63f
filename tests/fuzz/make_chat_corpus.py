#!/usr/bin/env python3
"""Writes the seeds of the fuzz target chat_template: the templates of tests/golden/chat_templates and the small ones of jinja_semantics.json
that render, ten to a file. Needs only Python 3.9's own library. Usage: tests/fuzz/make_chat_corpus.py
"""
import json
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus" / "chat_template"
GOLDEN = HERE.parent / "golden"


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for template in GOLDEN.glob("chat_templates/*.jinja"):
        (CORPUS / template.stem).write_bytes(template.read_bytes())
    cases = json.loads((GOLDEN / "jinja_semantics.json").read_text(encoding="utf-8"))["cases"]
    sources = [case["source"] for case in cases if "output" in case]
    for i in range(0, len(sources), 10):
        (CORPUS / f"small_{i // 10:02}").write_text("\n".join(sources[i:i + 10]), encoding="utf-8")


if __name__ == "__main__":
    main()
