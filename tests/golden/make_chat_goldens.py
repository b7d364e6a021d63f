#!/usr/bin/env python3
"""Writes chat_goldens.json and jinja_semantics.json beside this file: what Hugging Face's chat-template environment makes of the templates
in chat_templates/ and of many small ones.

    tests/golden/make_chat_goldens.py [MODEL.gguf]

In: chat_templates/*.jinja, the small templates of jinja_cases.py; with MODEL.gguf (SmolLM2's), chat_templates/smollm2.jinja is taken from
it first. Needs transformers and jinja2 (and gguf for MODEL.gguf); their versions are recorded. Out: for each case the text, or the class of the
exception, with its line where Jinja knows it. The clock stands still at NOW.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import transformers
from transformers.utils import chat_template_utils as hf

from jinja_cases import CASES

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2024, 7, 4, 15, 6, 7)
VERSIONS = {"jinja2": jinja2.__version__, "transformers": transformers.__version__}


class StoppedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


TOKENS = {
    "smollm2": {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
    "qwen2.5": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "zephyr": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"},
    "gemma-2": {"bos_token": "<bos>", "eos_token": "<eos>"},
    "llama-2": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "mistral-7b-instruct-v0.2": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "dated_tools": {"bos_token": "<|begin|>", "eos_token": "<|end|>"},
}


def chat(*turns):
    return [{"role": role, "content": content} for role, content in turns]


CHATS = [
    chat(("user", "What is the capital of France?")),
    chat(("system", "Answer in one word."), ("user", "What is the capital of France?")),
    chat(("user", "Hi"), ("assistant", "Hello! How can I help?"), ("user", "Tell me a joke.")),
    chat(("system", "You are terse.\n\nVery terse."), ("user", " spaces and\ttabs around \n"), ("assistant", "\nKept or not? "),
         ("user", "{{ not a tag }} {% nor this %}")),
    chat(("user", "Grüße, 世界! 👩‍👩‍👧 <|im_end|> \"quoted\" & <b>bold</b> \\n"), ("assistant", "")),
    chat(("assistant", "I speak first."), ("user", "You do.")),
    chat(("user", "a"), ("user", "b")),
    chat(("system", "one"), ("system", "two"), ("user", "three"), ("assistant", "four")),
    chat(("tool", "42"), ("user", "?")),
    [],
]

TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Tells the weather – \"now\"", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
        "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "parameters": {}}},
]
TOOL_CHAT = [
    {"role": "user", "content": "Weather in Zürich?"},
    {"role": "assistant", "content": "Let me see.", "tool_calls": [
        {"type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 2}}},
        {"name": "now", "arguments": {}}]},
    {"role": "tool", "content": "sunny"},
    {"role": "tool", "content": "noon"},
    {"role": "assistant", "content": "Sunny."},
]


def outcome(render):
    try:
        return {"output": render()}
    except jinja2.TemplateSyntaxError as error:
        return {"error": type(error).__name__, "line": error.lineno}
    except jinja2.TemplateError as error:
        plain = type(error) is jinja2.TemplateError  # raise_exception
        return {"error": type(error).__name__, **({"message": str(error)} if plain else {})}
    except Exception as error:  # whatever Python raises inside a template
        return {"error": type(error).__name__}


def chat_case(name, source, messages, prompt, tools=None):
    def render():
        texts, _ = hf.render_jinja_template([messages], tools=tools, chat_template=source, add_generation_prompt=prompt,
                                            **TOKENS[name])
        return texts[0]

    context = {"messages": messages, "add_generation_prompt": prompt, "tools": tools, "documents": None, **TOKENS[name]}
    return {"template": name, "context": context, **outcome(render)}


def small_case(case):
    source, context = case if isinstance(case, tuple) else (case, {})
    return {"source": source, "context": context,
            **outcome(lambda: hf._compile_jinja_template(source).render(**context))}


def write(name, cases):
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    head = json.dumps({"versions": VERSIONS, "now": NOW.isoformat()})[:-1]
    (HERE / name).write_text(f'{head}, "cases": [\n{rows}\n]}}\n', encoding="utf-8")


def main():
    if len(sys.argv) > 1:
        import gguf
        template = gguf.GGUFReader(sys.argv[1]).fields["tokenizer.chat_template"].contents()
        (HERE / "chat_templates" / "smollm2.jinja").write_text(template, encoding="utf-8")
    hf.datetime = StoppedClock
    sources = {name: (HERE / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8") for name in TOKENS}
    cases = [chat_case(name, source, messages, prompt)
             for name, source in sources.items() for messages in CHATS for prompt in (True, False)]
    cases += [chat_case(name, source, messages, True, TOOLS)
              for name, source in sources.items() for messages in (CHATS[0], CHATS[1], TOOL_CHAT)]
    write("chat_goldens.json", cases)
    write("jinja_semantics.json", [small_case(case) for case in CASES])


if __name__ == "__main__":
    main()
