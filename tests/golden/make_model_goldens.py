#!/usr/bin/env python3
"""Goldens of the forward pass: logits of transformers in fp32 for tiny random Llamas, an OPT, a BLOOM and, given its GGUF, for SmolLM2-135M-Instruct.

    make_model_goldens.py OUT_DIR [SMOLLM2.gguf]          (torch, transformers, safetensors, numpy; gguf for SmolLM2)

Writes OUT_DIR/tiny_llama_NAME/, tiny_opt/ and tiny_bloom/ (a Hugging Face folder each, weights representable in 16 bits) and OUT_DIR/logits_NAME.{json,bin}.
logits_NAME.bin, little-endian, per position: int32 top_ids[32], float32 top_logits[32], float32 fixed_logits[256], float32 logsumexp.
logits_NAME.json: the versions, the 64 input tokens, the 256 fixed ids.
"""
import json, os, sys
import numpy as np, torch, transformers
from safetensors.torch import save_file
from transformers import BloomConfig, BloomForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, OPTConfig, OPTForCausalLM

POSITIONS, TOP, FIXED = 64, 32, 256
MODELS = {LlamaConfig: LlamaForCausalLM, MistralConfig: MistralForCausalLM, OPTConfig: OPTForCausalLM, BloomConfig: BloomForCausalLM}
COMMON = dict(bos_token_id=256, eos_token_id=257, max_position_embeddings=256)
SHAPES = {  # name: (class, config, dtype of the file, shards)
    "tied": (LlamaConfig, dict(vocab_size=288, hidden_size=64, intermediate_size=112, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                               tie_word_embeddings=True, rope_theta=10000.0), torch.float16, 1),
    "untied": (LlamaConfig, dict(vocab_size=300, hidden_size=72, intermediate_size=96, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
                                 tie_word_embeddings=False, rope_theta=500000.0), torch.bfloat16, 2),
    "scaled_rope": (LlamaConfig, dict(vocab_size=288, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
                                      tie_word_embeddings=True, rope_theta=10000.0,
                                      rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                                        original_max_position_embeddings=32)), torch.float32, 1),
    "sliding": (MistralConfig, dict(vocab_size=288, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                    head_dim=16, tie_word_embeddings=False, rope_theta=10000.0, sliding_window=20), torch.float16, 1),
    "opt": (OPTConfig, dict(vocab_size=288, hidden_size=64, ffn_dim=160, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=64,
                            do_layer_norm_before=True, activation_function="relu", tie_word_embeddings=True, dropout=0.0), torch.float16, 1),
    "bloom": (BloomConfig, dict(vocab_size=288, hidden_size=96, n_layer=2, n_head=6, layer_norm_epsilon=1e-5, tie_word_embeddings=True), torch.float16, 1),
}
KEEP = ("architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "head_dim", "tie_word_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "sliding_window", "hidden_act", "rms_norm_eps", "bos_token_id",
        "eos_token_id", "max_position_embeddings", "ffn_dim", "word_embed_proj_dim", "do_layer_norm_before", "activation_function", "enable_bias",
        "layer_norm_elementwise_affine", "_remove_final_layer_norm", "n_layer", "n_head", "layer_norm_epsilon", "apply_residual_connection_post_layernorm")

def byte_tokenizer(vocab_size):
    """A byte-level BPE without merges: ids 0-255 are the bytes in GPT-2's order, then <s>, </s>, and padding words."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, extra = {}, 0
    for b in range(256):
        letters[b] = chr(b) if b in shown else chr(256 + extra); extra += b not in shown
    vocab = {letters[b]: b for b in range(256)} | {"<s>": 256, "</s>": 257} | {f"<unused{i}>": i for i in range(258, vocab_size)}
    added = [dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for t, i in (("<s>", 256), ("</s>", 257))]
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None,
                pre_tokenizer=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True), post_processor=None,
                decoder=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True),
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=False,
                           byte_fallback=False, ignore_merges=False, vocab=vocab, merges=[]))

def write_folder(path, model, config, dtype, shards):
    os.makedirs(path, exist_ok=True)
    state = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items() if not (config.tie_word_embeddings and k == "lm_head.weight")}
    names = sorted(state)
    if shards == 1:
        save_file(state, f"{path}/model.safetensors")
    else:
        parts = [names[i::shards] for i in range(shards)]; index = {}
        for i, part in enumerate(parts):
            name = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"; save_file({k: state[k] for k in part}, f"{path}/{name}"); index |= {k: name for k in part}
        json.dump(dict(metadata={}, weight_map=index), open(f"{path}/model.safetensors.index.json", "w"), indent=1)
    whole = config.to_dict(); whole["architectures"] = [type(model).__name__]
    json.dump({k: whole[k] for k in KEEP if whole.get(k) is not None}, open(f"{path}/config.json", "w"), indent=1)
    json.dump(byte_tokenizer(config.vocab_size), open(f"{path}/tokenizer.json", "w"), ensure_ascii=False)
    json.dump(dict(bos_token="<s>", eos_token="</s>", add_bos_token=False, tokenizer_class="PreTrainedTokenizerFast",
                   chat_template="{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}{% if add_generation_prompt %}<s>assistant: {% endif %}"),
              open(f"{path}/tokenizer_config.json", "w"), indent=1)

@torch.no_grad()
def write_logits(out, name, model, tokens, vocab):
    logits = model(torch.tensor([tokens])).logits[0].float()
    fixed = [(i * 7919) % vocab for i in range(FIXED)]
    top = logits.topk(TOP, dim=-1)
    with open(f"{out}/logits_{name}.bin", "wb") as f:
        for p in range(POSITIONS):
            f.write(top.indices[p].numpy().astype("<i4").tobytes()); f.write(top.values[p].numpy().astype("<f4").tobytes())
            f.write(logits[p, fixed].numpy().astype("<f4").tobytes()); f.write(logits[p].logsumexp(-1).numpy().astype("<f4").tobytes())
    json.dump(dict(transformers=transformers.__version__, torch=torch.__version__, vocab=vocab, tokens=tokens, fixed_ids=fixed), open(f"{out}/logits_{name}.json", "w"))

def tiny(out):
    for number, (name, (kind, shape, dtype, shards)) in enumerate(SHAPES.items()):
        torch.manual_seed(number)
        gated = {} if kind in (OPTConfig, BloomConfig) else dict(hidden_act="silu", rms_norm_eps=1e-5)
        config = kind(**COMMON, **gated, **shape, attn_implementation="eager")
        model = MODELS[kind](config).float().eval()
        kept = torch.float16 if dtype == torch.float32 else dtype   # what 16 bits keep; the file may be wider
        for key, p in model.named_parameters():
            norm, bias = "norm" in key, key.endswith("bias")
            p.data = torch.randn_like(p) * (.1 if norm or bias else 1.5 / p.shape[-1] ** .5) + (1 if norm and not bias else 0)
            p.data = p.data.to(kept).float()
        write_folder(f"{out}/tiny_{name if kind in (OPTConfig, BloomConfig) else 'llama_' + name}", model, config, dtype, shards)
        tokens = torch.randint(0, 256, (POSITIONS,), generator=torch.Generator().manual_seed(number)).tolist()
        write_logits(out, name, model, tokens, config.vocab_size)

def smollm2(out, path):
    from gguf import GGUFReader, dequantize
    names = dict(attn_norm="input_layernorm", ffn_norm="post_attention_layernorm", attn_q="self_attn.q_proj", attn_k="self_attn.k_proj", attn_v="self_attn.v_proj",
                 attn_output="self_attn.o_proj", ffn_gate="mlp.gate_proj", ffn_up="mlp.up_proj", ffn_down="mlp.down_proj")
    reader = GGUFReader(path); meta = {k: v.contents() for k, v in reader.fields.items() if not k.startswith("GGUF")}
    heads, kv, layers = (meta[f"llama.{k}"] for k in ("attention.head_count", "attention.head_count_kv", "block_count"))
    config = LlamaConfig(vocab_size=meta["llama.vocab_size"], hidden_size=meta["llama.embedding_length"], intermediate_size=meta["llama.feed_forward_length"],
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv, rms_norm_eps=meta["llama.attention.layer_norm_rms_epsilon"],
        rope_theta=meta["llama.rope.freq_base"], max_position_embeddings=meta["llama.context_length"], tie_word_embeddings=True, attn_implementation="eager")
    model, state = LlamaForCausalLM(config).float().eval(), {}
    def halves(w, n): return w.reshape(n, w.shape[0] // n // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)
    for t in reader.tensors:
        w = dequantize(t.data, t.tensor_type).astype(np.float32); part = t.name.split(".")
        if part[-2] in ("attn_q", "attn_k"): w = halves(w, heads if part[-2] == "attn_q" else kv)
        if w.ndim == 2: w = w.astype(np.float16).astype(np.float32)   # what --bits 16 keeps; vectors stay as they are
        key = f"model.layers.{part[1]}.{names[part[2]]}.weight" if part[0] == "blk" else {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}[part[0]]
        state[key] = torch.from_numpy(np.ascontiguousarray(w))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]; model.load_state_dict(state)
    rng = np.random.default_rng(0)
    tokens = [int(t) for t in np.concatenate([[1], rng.integers(100, 5000, 47), rng.integers(100, meta["llama.vocab_size"], 16)])]
    write_logits(out, "smollm2", model, tokens, config.vocab_size)

if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True); tiny(sys.argv[1])
    if len(sys.argv) > 2: smollm2(sys.argv[1], sys.argv[2])
