#!/bin/sh
# The five tools as a user meets them: good runs, and bad input that must give an error with words, exit 1, and no file.
# In: a folder to work in. Run from the repository's root after `make`. Out: one line per failure, exit 1.
set -u
work=${1:?usage: test_tools.sh FOLDER}
rm -rf "$work" && mkdir -p "$work"
tiny=tests/golden/tiny_llama_tied
passed=0 failed=0

fail() {
    failed=$((failed + 1))
    echo "FAILED: $1" >&2
    sed 's/^/    /' "$work/out" "$work/err" >&2
}

# ok NAME WORDS COMMAND…: exit 0, WORDS in stdout (an extended regular expression)
ok() {
    name=$1 words=$2
    shift 2
    if "$@" >"$work/out" 2>"$work/err" </dev/null && { [ -z "$words" ] || grep -qE -- "$words" "$work/out"; }; then passed=$((passed + 1)); else fail "$name"; fi
}

# bad NAME WORDS COMMAND…: exit 1, WORDS in stderr, nothing on stdout
bad() {
    name=$1 words=$2
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    if [ "$status" -eq 1 ] && grep -qE -- "$words" "$work/err" && [ ! -s "$work/out" ]; then passed=$((passed + 1)); else fail "$name (exit $status)"; fi
}

# told NAME WORDS: WORDS in stderr of the last command
told() {
    if grep -qE -- "$2" "$work/err"; then passed=$((passed + 1)); else fail "$1"; fi
}

# shown NAME WORDS: WORDS in stdout of the last command
shown() {
    if grep -qE -- "$2" "$work/out"; then passed=$((passed + 1)); else fail "$1"; fi
}

no_file() {
    if [ -e "$1" ] || [ -e "$1.partial" ]; then fail "$1 must not exist"; else passed=$((passed + 1)); fi
}

few="--calib-windows 4 --calib-window 64"
ok "quantize" "" ./quantize $tiny -o "$work/tiny.gq" $few --report "$work/report.json"
ok "report is JSON" "tensors" python3 -c "import json,sys; print(list(json.load(open(sys.argv[1]))))" "$work/report.json"
ok "quantize with every option of the solver" "" ./quantize $tiny -o "$work/solver.gq" $few --order gar --grid-search joint --damping adaptive \
    --held-out 2 --qep 0.5 --foem 0.1 --sweeps 1 --refit
ok "quantize all of a block at once, judged" "" ./quantize $tiny -o "$work/at_once.gq" $few --no-true-sequential --judge 2
told "what became of it is told" "model: KL .* on 64 unseen tokens"
ok "quantize by a recipe" "" ./quantize $tiny -o "$work/recipe.gq" $few --recipe rotate-sweeps --qep 0 --report "$work/recipe.json"
ok "the recipe, but for what is said" "0.0 2 True True" python3 -c "
import json, sys
o = json.load(open(sys.argv[1]))['options']
print(float(o['qep']), o['sweeps'], o['refit'], o['rotate'])" "$work/recipe.json"
ok "quantize with a text of the model's own" "" ./quantize $tiny -o "$work/own.gq" $few --recipe plain --calib self
told "the model writes" "the model writes 576 tokens"
ok "sensitivity by a text of the model's own" "" sh -c './quantize $1 --sensitivity --calib self --calib-windows 2 --calib-window 32 2>/dev/null >"$2/lines" && ! grep -q "^$" "$2/lines"' sh $tiny "$work"
ok "quantize at 3 bits, which refines" "" ./quantize $tiny -o "$work/refined.gq" --bits 3 --calib-window 16 --report "$work/refined.json"
ok "its windows are the recipe's" "64 2" python3 -c "
import json, sys
o = json.load(open(sys.argv[1]))['options']
print(o['windows'], o['refine_epochs'])" "$work/refined.json"
ok "quantize by the best recipe" "" ./quantize $tiny -o "$work/best.gq" $few --bits 2 --best --report "$work/best.html"
told "the best recipe is named" "best: recipe"
[ -z "$(find "$work" -name "*.try*" -o -name "*.best*")" ] && [ -s "$work/best.html" ] && passed=$((passed + 1)) || fail "only the best recipe's files"
ok "quantize to a size" "" ./quantize $tiny -o "$work/sized.gq" $few --size 90K
[ "$(wc -c <"$work/sized.gq")" -le 90000 ] && passed=$((passed + 1)) || fail "a file of at most 90K"
ok "sensitivity" "class I" ./quantize $tiny --sensitivity $few
ok "quantize to 16 bits" "" ./quantize $tiny -o "$work/tiny16.gq" --bits 16 --embed-bits 16
ok "run, raw, greedy" "." ./run "$work/tiny.gq" "hello" --raw --temp 0 -n 5 --ignore-eos
ok "run, chat" "" ./run -m "$work/tiny.gq" -p "hello" --temp 0 -n 5
printf 'from a pipe' >"$work/prompt"
ok "run, -f" "." ./run "$work/tiny.gq" -f "$work/prompt" --raw -n 3 --ignore-eos --seed 4
ok "run, prompt from stdin" "." sh -c "printf 'from stdin' | ./run $work/tiny.gq --raw -n 3 --ignore-eos"
ok "run, scalar kernels by option" "." ./run "$work/tiny.gq" "hello" --raw --temp 0 -n 5 --ignore-eos --isa scalar
told "start line names them" "kernels scalar"
cp "$work/out" "$work/scalar_out"
ok "run, scalar kernels by GQ_ISA" "." env GQ_ISA=scalar ./run "$work/tiny.gq" "hello" --raw --temp 0 -n 5 --ignore-eos
told "start line names them" "kernels scalar"
ok "run, the best kernels" "." ./run "$work/tiny.gq" "hello" --raw --temp 0 -n 5 --ignore-eos
cp "$work/out" "$work/best_out"
ok "the same text by all kernels" "" cmp "$work/best_out" "$work/scalar_out"
yes "some words to predict" | head -c 4000 >"$work/text"
ok "perplexity" "^ppl [0-9.]+ [+]- [0-9.]+$" ./perplexity "$work/tiny.gq" -f "$work/text" --ctx 64 --chunks 3
ok "perplexity, full window, exact" "^ppl [0-9.]+ [+]- [0-9.]+$" ./perplexity "$work/tiny.gq" -f "$work/text" --ctx 64 --chunks 3 --protocol full-window --exact
yes "half or all of a window" | head -c 4000 >"$work/long"
ok "perplexity, half of a window of 512" "^ppl" ./perplexity "$work/tiny.gq" -f "$work/long" --ctx 512 --chunks 2
told "positions of half windows" "\[510 positions scored\]"
ok "perplexity, a whole window of 512" "^ppl" ./perplexity "$work/tiny.gq" -f "$work/long" --ctx 512 --chunks 2 --protocol full-window
told "positions of whole windows" "\[1022 positions scored\]"
# agrees NAME FIRST_SCORED ACTIVATIONS OPTIONS…: the figure is what gq.h's logits of single tokens add up to
agrees() {
    name=$1 first=$2 activations=$3
    shift 3
    ok "$name" "agrees" sh -c './perplexity "$1/tiny.gq" -f "$1/text" --ctx 64 --chunks 3 $4 | python3 tests/apps/perplexity_by_logits.py \
        ./libgq.so "$1/tiny.gq" 288 "$1/text" 64 3 "$2" "$3"' sh "$work" "$first" "$activations" "$*"
}
agrees "perplexity, half-window, against single logits" 33 block --protocol half-window
agrees "perplexity, full-window, against single logits" 1 exact --protocol full-window --exact
for activations in token group token-asym group-asym; do
    agrees "perplexity, activations $activations, against single logits" 33 $activations --activations $activations
done
ok "run, activations by token" "." ./run "$work/tiny.gq" "hello" --raw --temp 0 -n 5 --ignore-eos --activations token-asym
# Beside a reference: the float model itself differs in nothing with a cache of floats, four bits differ, and by what single logits add up to.
kl="-f $work/text --ctx 64 --chunks 3 --kl $work/tiny16.gq"
ok "KL from itself" "^KL mean 0[.]000000 [+]- 0[.]000000$" ./perplexity "$work/tiny16.gq" $kl --exact --kv f32
shown "KL from itself, maximum" "^KL median 0[.]000000, 90 % 0[.]000000, 99 % 0[.]000000, maximum 0[.]000000$"
shown "agreement with itself" "^same top token 100[.]000 % [+]- 0[.]000 %$"
shown "ratio to itself" "^ln.ppl / reference ppl. 0[.]000000 [+]- 0[.]000000$"
ok "KL of four bits" "^KL mean 0[.][0-9]*[1-9]" ./perplexity "$work/tiny.gq" $kl
tail -n 1 "$work/out" >"$work/last_line"
./perplexity "$work/tiny.gq" -f "$work/text" --ctx 64 --chunks 3 >"$work/alone" 2>/dev/null
ok "KL's last line is what the model has alone" "" cmp "$work/alone" "$work/last_line"
ok "perplexity, JSON" '^{"positions": 93, "ppl": ' ./perplexity "$work/tiny.gq" -f "$work/text" --ctx 64 --chunks 3 --json
ok "KL, against single logits" "agrees" sh -c './perplexity "$1/tiny.gq" $2 --json --protocol full-window |
    python3 tests/apps/kl_by_logits.py ./libgq.so "$1/tiny16.gq" "$1/tiny.gq" 288 "$1/text" 64 3 1' sh "$work" "$kl"

# Learned positions, and LayerNorms that no rotation commutes with.
ok "OPT" "" ./quantize tests/golden/tiny_opt -o "$work/opt.gq" --calib-window 128
told "OPT: the recipe's rotation is left out" "recipe rotate without its part: .*LayerNorms"
bad "OPT: a rotation" "LayerNorms" ./quantize tests/golden/tiny_opt -o "$work/x.gq" --calib-window 128 --rotate
bad "OPT: windows beyond its positions" "windows of at most 256 tokens" ./quantize tests/golden/tiny_opt -o "$work/x.gq"
bad "OPT: a context beyond its positions" "at most 256 positions expected" ./run "$work/opt.gq" --raw hello --ctx 257
bad "OPT: perplexity beyond its positions" "at most 256 positions expected" ./perplexity "$work/opt.gq" -f "$work/text"
bad "OPT: bench beyond its positions" "at most 256 positions expected" ./bench "$work/opt.gq" -p 300 -n 1 -r 1
ok "OPT: until the positions end" "" ./run "$work/opt.gq" --raw hello -n 0 --ignore-eos
told "OPT: and says why" "the context of 256 positions is full; the model has learned no more"

# Speed beside a peer, where that is at hand: gq's own row stands in any case.
ok "bench peers" "^[|] gq .--bits 4. [|]" python3 tests/bench_peers.py $tiny --work "$work/peers" --repeat 1 --prompt 4 --n-predict 2 --pair "--bits 4=Q4_0"

# The papers' tables on checkpoints that no paper has.
ok "paper tables" "^[|] 3 [|] 128 ([|] [0-9.]+ ){3}[|]$" python3 tests/paper_tables.py tests/golden "$work/text" --also tiny_llama_tied --ctx 64 --chunks 1
ok "paper tables: OPT" "^[|] 3 [|] 128 ([|] [0-9.]+ ){3}[|]$" python3 tests/paper_tables.py tests/golden "$work/text" --also tiny_opt --calib "$work/text" --calib-windows 4 --calib-window 128 --ctx 64 --chunks 1
ok "paper tables: BLOOM" "^[|] 3 [|] 128 ([|] [0-9.]+ ){3}[|]$" python3 tests/paper_tables.py tests/golden "$work/text" --also tiny_bloom --ctx 64 --chunks 1
shown "checkpoints that are missing are named" "^missing in tests/golden: opt-125m, .*Llama-2-7b-hf"

# Questions: contexts that share tokens with none, some or all of a choice; choices of several lengths.
cat >"$work/questions" <<'QUESTIONS'
{"context": "Some words to", "choices": [" predict", " be", " or not to be, that is"], "answer": 0}
{"context": "Some words to ", "choices": ["predict", "be"], "answer": 1, "source": {"page": [1, null]}}

{"context": "a window's le", "choices": ["ngth in tokens", "ak", "ap of faith and then some", "ft"], "answer": 2}
{"context": "x", "choices": ["\u00e9", "\ud83d\ude00 and more of it", "y"], "answer": 2}
QUESTIONS
python3 - >>"$work/questions" <<'LONG'
import json
# Contexts on both sides of a page of 64 positions and of a pass of 128 rows.
for n in range(50, 140, 7):
    print(json.dumps({"context": "yes " * n, "choices": ["no", "yes yes", "or something else"], "answer": n % 3}))
LONG
ok "choices" "^acc_norm [0-9.]+ [+]- [0-9.]+$" ./perplexity "$work/tiny.gq" --choices "$work/questions" --ctx 1000
shown "choices, raw" "^acc [0-9.]+ [+]- [0-9.]+$"
ok "choices, against single logits" "agrees" sh -c './perplexity "$1/tiny.gq" --choices "$1/questions" --ctx 1000 --json |
    python3 tests/apps/choices_by_logits.py ./libgq.so "$1/tiny.gq" 288 "$1/questions" 1000' sh "$work"
ok "inspect" "blocks.1.ffn_down" ./inspect "$work/tiny.gq" --verify
ok "inspect, verify and tokenize" "^102$" ./inspect "$work/tiny.gq" --verify --tokenize "$work/prompt"
told "verified" "every hash is as written"
ok "inspect a folder" "model.embed_tokens.weight" ./inspect $tiny
ok "inspect, JSON" '"provenance"' ./inspect "$work/tiny.gq" --json
./inspect "$work/tiny.gq" --json >"$work/tiny.json"
ok "inspect, errors and losses by role" "^ffn_down +2 .* int4 zero_point g128$" ./inspect "$work/tiny.gq"
shown "what all linears have in common" "^all linears +14 "
shown "what became of the model" "^On 128 tokens that nothing was fitted to: KL from the float model "
ok "report as a page" "" ./quantize $tiny -o "$work/again.gq" $few --report "$work/report.html"
ok "the page is well" "page is well" python3 tests/apps/check_page.py "$work/report.html" "$work/tiny.json"
ok "a page changes nothing in the model" "" cmp "$work/tiny.gq" "$work/again.gq"
ok "sensitivity by own text, into a file or not" "" sh -c "./quantize \$1 --sensitivity --calib self --calib-windows 2 --calib-window 32 -o \$2/s.json 2>/dev/null | cmp - \$2/lines" sh $tiny "$work"
ok "inspect, page" "<h1>gq: tiny_llama_tied</h1>" ./inspect "$work/tiny.gq" --html
cp "$work/out" "$work/page.html"
ok "inspect's page is well" "page is well" python3 tests/apps/check_page.py "$work/page.html" "$work/tiny.json"
ok "it is the report's, without the time" "" sh -c 'grep -v "<th scope=.row.>seconds</th>" "$1/report.html" | cmp - "$1/page.html"' sh "$work"
ok "page with figures" "<th scope=.row.>KL from the float model, mean</th>" sh -c './perplexity "$1/tiny.gq" $2 --json |
    ./inspect "$1/tiny.gq" --html --figures -' sh "$work" "$kl"
cp "$work/out" "$work/page.html"
ok "it is well" "page is well" python3 tests/apps/check_page.py "$work/page.html" "$work/tiny.json"
ok "page of a model that was not calibrated" "page is well" sh -c './quantize $2 -o "$1/rtn.gq" --method rtn --report "$1/rtn.html" 2>/dev/null &&
    ./inspect "$1/rtn.gq" --json >"$1/rtn.json" && python3 tests/apps/check_page.py "$1/rtn.html" "$1/rtn.json"' sh "$work" $tiny
ok "tokenize" "^102$" ./inspect $tiny --tokenize "$work/prompt"
./inspect "$work/tiny.gq" --tokenize "$work/prompt" >"$work/ids"
ok "detokenize" "^from a pipe$" ./inspect "$work/tiny.gq" --detokenize "$work/ids"
ok "bench" "decode tok/s" ./bench "$work/tiny.gq" -p 16 -n 4 -r 1 -t 1,2
ok "bench, JSON" "percent_of_read" ./bench "$work/tiny.gq" -p 16 -n 4 -r 1 --json
cp "$work/out" "$work/bench.json"
ok "bench's JSON is JSON" "decode_spread" python3 -c "import json,sys; print(json.load(open(sys.argv[1]))['results'][0])" "$work/bench.json"
ok "bench, depths" "^1 +64 +[0-9.]+" ./bench "$work/tiny.gq" -p 16 -n 4 -r 1 -t 1 -d 0,64
shown "the machine's limits" "^1 +[a-z0-9]+ +[0-9.]+ +([0-9.]+|-) +([0-9.]+|-)$"
ok "bench's limits, depths and percents" "^1 . 0 64 True True$" python3 -c "
import json, subprocess, sys
b = json.loads(subprocess.run(['./bench', sys.argv[1], '-p', '16', '-n', '4', '-r', '1', '-t', '1', '-d', '0,64', '--json'], check=True, capture_output=True).stdout)
r = b['results']
print(len(b['limits']), len(r), r[0]['depth'], r[1]['depth'], all(x['percent_of_read'] > 0 and x['decode_tokens_per_second'] > 0 for x in r),
      b['limits'][0]['isa'] == 'scalar' or all(x['percent_of_peak'] > 0 for x in r))" "$work/tiny.gq"
ok "bench, kernels" "^kernel +isa +codes" sh -c "./bench --kernels | head -n 1"
ok "bench, a short prompt" "decode tok/s" ./bench "$work/tiny.gq" -p 4 -n 2 -r 1 -t 1
ok "bench, a copy in memory" "decode tok/s" ./bench "$work/tiny.gq" -p 4 -n 2 -r 1 -t 1 --no-mmap
ok "run, a copy in memory" "." ./run "$work/tiny.gq" "hello" --raw --temp 0 -n 5 --ignore-eos --no-mmap
cp "$work/out" "$work/copy_out"
ok "the same text from a copy" "" cmp "$work/best_out" "$work/copy_out"
ok "perplexity, a copy in memory" "^ppl" ./perplexity "$work/tiny.gq" -f "$work/text" --ctx 64 --chunks 1 --no-mmap --mlock
# Without the right to lock more than the limit, which is 0 here.
unlocked="import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(24, 14)  # PR_CAPBSET_DROP, CAP_IPC_LOCK: from exec on; refused where there is none to drop
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])"
ok "run, memory that can't be kept" "." python3 -c "$unlocked" ./run "$work/tiny.gq" "hello" --raw --temp 0 -n 5 --ignore-eos --mlock
told "the limit is named" "^warning: .*tiny.gq: not kept in memory: mlock of [0-9]+ bytes: .*RLIMIT_MEMLOCK is 0 bytes"
cp "$work/out" "$work/unlocked_out"
ok "the same text without" "" cmp "$work/best_out" "$work/unlocked_out"
ok "help" "usage: run" ./run --help
ok "second reader agrees" "^tokenizer: [1-9][0-9]* tokens" python3 tests/gq_read.py "$work/tiny.gq" --verify

# A GGUF's blocks are kept unless bits or another way of rounding are asked for.
python3 tests/apps/make_gguf.py "$work/tiny.gguf" && python3 tests/apps/make_gguf.py "$work/mixed.gguf" mixed && python3 tests/apps/make_gguf.py "$work/broken.gguf" broken
ok "quantize, a GGUF" "" ./quantize "$work/tiny.gguf" -o "$work/kept.gq" --report "$work/kept.html"
told "what was kept" "^note: blocks kept as the GGUF holds them: .*2 matrices of Q4_0 → int4 symmetric g32, 1 matrix of Q4_1 → int4 offset g32.*Q6_K → int6 k_signed g16"
./inspect "$work/kept.gq" --json >"$work/kept.json"
ok "each tensor of what was kept, nothing calibrated" "^15 None 0.0$" python3 -c "import json,sys; p = json.load(open(sys.argv[1]))['provenance']
kept = [t for t in p['tensors'] if 'kept' in t]
print(len(kept), p.get('calibration'), sum(t['error'] for t in kept))" "$work/kept.json"
ok "page of what was kept" "page is well" python3 tests/apps/check_page.py "$work/kept.html" "$work/kept.json"
ok "run, kept blocks" "." ./run "$work/kept.gq" "hello" --raw --temp 0 -n 5 --ignore-eos
ok "second reader reads kept blocks" "int6 k_signed group 16" python3 tests/gq_read.py "$work/kept.gq" --verify
ok "quantize, a GGUF with bits" "" ./quantize "$work/tiny.gguf" -o "$work/again.gq" --bits 4 --method rtn
told "what was requantized" "^note: requantized: .*2 matrices of Q4_0, 1 matrix of Q4_1"
ok "quantize, a GGUF with a group" "" ./quantize "$work/tiny.gguf" -o "$work/again.gq" --group 128 --method rtn
told "a way of rounding requantizes" "^note: requantized: .*1 matrix of Q4_1"
ok "quantize, a GGUF's embedding" "" ./quantize "$work/tiny.gguf" -o "$work/again.gq" --embed-bits 4
told "the embedding alone is requantized" "^note: requantized: 1 matrix of Q8_0$"
ok "quantize, a GGUF with floats" "" ./quantize "$work/mixed.gguf" -o "$work/again.gq"
told "only floats are quantized" "^note: no blocks to keep, quantized: 1 matrix of F16$"
ok "same bytes of it at 1 thread" "" sh -c './quantize "$1/mixed.gguf" -o "$1/mixed.gq" -t 1 2>/dev/null && cmp "$1/mixed.gq" "$1/again.gq"' sh "$work"
ok "quantize, a window beyond the context" "" ./quantize $tiny -o "$work/again.gq" --recipe plain --calib-windows 2 --calib-window 257
told "a window beyond the context" "^warning: calibration windows of 257 tokens, the model was trained for 256$"
ok "floats have the default width and its recipe" "" sh -c './quantize $2 -o "$1/again.gq" 2>/dev/null &&
    ./quantize $2 -o "$1/same.gq" --bits 4 --recipe rotate 2>/dev/null && cmp "$1/again.gq" "$1/same.gq"' sh "$work" $tiny
bad "a scale that is infinite" "blk.1.ffn_down.weight: finite weights expected" ./quantize "$work/broken.gguf" -o "$work/x.gq"

for threads in 1 2; do ./quantize $tiny -o "$work/t$threads.gq" $few -t $threads 2>/dev/null; done
ok "same bytes at 1 and 2 threads" "" cmp "$work/t1.gq" "$work/t2.gq"

# A chat template beyond this version: told while quantizing, and in the way of nothing but the chat.
mkdir "$work/untold" && cp $tiny/* "$work/untold"
sed 's/{% for m in messages %}/{% include m %}/' $tiny/tokenizer_config.json >"$work/untold/tokenizer_config.json"
ok "quantize, a template that doesn't parse" "" ./quantize "$work/untold" -o "$work/untold.gq" $few
told "the log's warning is on stderr" "^warning: .*include"
ok "run, raw, a template that doesn't parse" "." ./run "$work/untold.gq" "hello" --raw -n 3 --ignore-eos
ok "bench, a template that doesn't parse" "decode tok/s" ./bench "$work/untold.gq" -p 16 -n 4 -r 1 -t 1
bad "chat, a template that doesn't parse" "line 1.*include.*--raw" ./run "$work/untold.gq" "hello" -n 3

# Signals, after the first tensor: 128 and the signal's number, and no file. Windows enough for minutes of work.
for signal in INT:130 TERM:143 HUP:129; do
    ./quantize $tiny -o "$work/x.gq" --report "$work/x.json" --calib-windows 2000 --calib-window 128 -t 1 >"$work/out" 2>"$work/err" &
    process=$!
    while kill -0 $process 2>/dev/null && ! grep -q "1/" "$work/err"; do sleep 0.1; done
    kill -"${signal%:*}" $process
    wait $process
    status=$?
    if [ $status -eq "${signal#*:}" ]; then passed=$((passed + 1)); else fail "quantize and SIG$signal (exit $status)"; fi
    no_file "$work/x.gq"
    no_file "$work/x.json"
done

# Streams: a closed stderr costs the messages and nothing else; a stdout that takes nothing is an error.
./quantize $tiny -o "$work/mute.gq" --method rtn 2>&-
ok "quantize with stderr closed" "" ./inspect "$work/mute.gq" --verify
for command in "run $work/tiny.gq hi --raw -n 2" "inspect $work/tiny.gq" "run --help" "bench $work/tiny.gq -p 4 -n 1 -r 1 -t 1" \
    "quantize $tiny --sensitivity $few -o $work/x.json"; do
    ./$command >/dev/full 2>"$work/err" </dev/null
    status=$?
    if [ $status -eq 1 ] && grep -q "stdout: can't be written" "$work/err"; then passed=$((passed + 1)); else fail "$command on a full stdout (exit $status)"; fi
done
no_file "$work/x.json"
# A stdout that is closed takes nothing either; a closed stdin holds no prompt.
for command in "run $work/tiny.gq hi --raw -n 2" "inspect $work/tiny.gq" "run --help"; do
    ./$command >&- 2>"$work/err" </dev/null
    status=$?
    if [ $status -eq 1 ] && grep -q "stdout: can't be written" "$work/err"; then passed=$((passed + 1)); else fail "$command on a closed stdout (exit $status)"; fi
done
bad "stdin is closed" "can't be read" sh -c './run "$1" --raw -n 2 <&-' sh "$work/tiny.gq"
ok "context beyond the training" "." ./run "$work/tiny.gq" hi --raw -n 2 --ignore-eos -c 1000
told "is told" "trained for 256 positions"
bad "report is the output" "expected another file than the output" ./quantize $tiny -o "$work/x.gq" --report "$work/../$(basename "$work")/x.gq"
bad "report is the output's partial" "expected another file" ./quantize $tiny -o "$work/x.gq" --report "$work/x.gq.partial"
# An input that has the name under which the output is written would be emptied.
mkdir "$work/partial" && cp $tiny/* "$work/partial" && mv "$work/partial/model.safetensors" "$work/partial/x.gq.partial"
bad "source is the output's partial" "written as .*/x.gq.partial, which is the source's own" ./quantize "$work/partial/x.gq.partial" -o "$work/partial/x.gq" $few
ok "the source is whole" "" cmp $tiny/model.safetensors "$work/partial/x.gq.partial"
cp "$work/prompt" "$work/y.gq.partial"
bad "text is the output's partial" "written as .*/y.gq.partial" ./quantize $tiny -o "$work/y.gq" --calib "$work/y.gq.partial" $few
ok "the text is whole" "" cmp "$work/prompt" "$work/y.gq.partial"
# Links: each stays, and what it leads to is written; two names that lead to one file are one.
mkdir "$work/places" && ln -s places/linked.gq "$work/link.gq" && ln -s places/linked.json "$work/link.json" && ln -s places "$work/again"
bad "report is what the output leads to" "expected another file than the output" ./quantize $tiny -o "$work/link.gq" --report "$work/places/linked.gq"
bad "report is the partial of it" "expected another file" ./quantize $tiny -o "$work/link.gq" --report "$work/again/linked.gq.partial"
cp $tiny/* "$work/places" && mv "$work/places/model.safetensors" "$work/places/linked.gq.partial"
bad "source is the partial of it" "written as .*/places/linked.gq.partial, which is the source's own" ./quantize "$work/places/linked.gq.partial" -o "$work/link.gq" $few
ok "the source is whole" "" cmp $tiny/model.safetensors "$work/places/linked.gq.partial"
rm "$work"/places/*
for try in "which are not there yet" "which are there"; do
    ok "quantize to links to files $try" "" ./quantize $tiny -o "$work/link.gq" --method rtn --report "$work/link.json"
    ok "the file is written" "" cmp "$work/rtn.gq" "$work/places/linked.gq"
    ok "the report is written" "tensors" python3 -c "import json,sys; print(list(json.load(open(sys.argv[1]))))" "$work/places/linked.json"
    if [ -L "$work/link.gq" ] && [ -L "$work/link.json" ]; then passed=$((passed + 1)); else fail "links stay"; fi
    for file in gq json; do echo stale >"$work/places/linked.$file"; done
done
ok "sensitivity to a link" "class I" ./quantize $tiny --sensitivity -o "$work/link.json" $few
ok "its JSON is written" "classes" python3 -c "import json,sys; print(list(json.load(open(sys.argv[1]))))" "$work/places/linked.json"
bad "sensitivities over the text" "output .*: expected another file" ./quantize $tiny --sensitivity -o "$work/prompt" --calib "$work/prompt"
bad "report is a folder" "a folder found" ./quantize $tiny -o "$work/x.gq" --report "$work"
mkfifo "$work/pipe"
bad "report is a pipe" "a device, pipe or socket found" ./quantize $tiny -o "$work/x.gq" --report "$work/pipe"
ln -s pipe "$work/link.pipe"
bad "report leads to a pipe" "link.pipe, a link to .*/pipe: .*a device, pipe or socket found" ./quantize $tiny -o "$work/x.gq" --report "$work/link.pipe"
bad "output leads to a pipe" "link.pipe, a link to .*/pipe: .*a device, pipe or socket found" ./quantize $tiny -o "$work/link.pipe"
bad "sensitivities lead to a pipe" "link.pipe, a link to .*/pipe: .*a device, pipe or socket found" ./quantize $tiny --sensitivity -o "$work/link.pipe"
bad "empty path" "expects a path, found an empty one" ./quantize $tiny -o "$work/x.gq" --calib ""
bad "text for rounding" "rounding to nearest is not calibrated" ./quantize $tiny -o "$work/x.gq" --method rtn --calib "$work/prompt"
bad "windows for rounding" "'--calib-windows' expects --method gptq" ./quantize $tiny -o "$work/x.gq" --method rtn --calib-windows 3
bad "sweeps for rounding" "'--sweeps' expects --method gptq" ./quantize $tiny -o "$work/x.gq" --method rtn --sweeps 1
bad "unknown order" "order: expected column, act, gar, found 'rows'" ./quantize $tiny -o "$work/x.gq" --order rows
bad "unknown grid search" "grid search: expected span, clip, joint" ./quantize $tiny -o "$work/x.gq" --grid-search all
bad "sweeps in the columns' order" "sweeps: expected order act or gar, found column" ./quantize $tiny -o "$work/x.gq" --sweeps 1 --no-act-order
bad "fewer than no sweeps" "sweeps: expected at least 0, found -1" ./quantize $tiny -o "$work/x.gq" --sweeps -1
bad "a text of the model's own for rounding" "'--calib' expects --method gptq" ./quantize $tiny -o "$work/x.gq" --method rtn --calib self
bad "sensitivity by the best recipe" "recipe: expected one by name" ./quantize $tiny --sensitivity --best
bad "unknown recipe" "recipe: expected plain, qep" ./quantize $tiny -o "$work/x.gq" --recipe nonesuch
bad "a recipe for rounding" "'--recipe' expects --method gptq" ./quantize $tiny -o "$work/x.gq" --method rtn --recipe plain
bad "what best chooses" "recipe best: expected no sweeps, which it chooses" ./quantize $tiny -o "$work/x.gq" --best --sweeps 1
bad "the best where its report goes" "expected another file than the output" ./quantize $tiny -o "$work/x.gq" --best --report "$work/x.gq"
bad "the best where a folder is" "a folder found" ./quantize $tiny -o "$work" --best
bad "a recipe and the best" "'--recipe' and '--best' exclude each other" ./quantize $tiny -o "$work/x.gq" --best --recipe plain
bad "two corrections of a drift" "expected one of them" ./quantize $tiny -o "$work/x.gq" --qep 0.5 --gptaq 0.5
bad "adaptive damping by nothing" "expected held-out windows" ./quantize $tiny -o "$work/x.gq" --damping adaptive --held-out 0
bad "judged by fewer windows than none" "judged_windows: expected at least 0" ./quantize $tiny -o "$work/x.gq" --judge -1
bad "judged without a model" "--judge.* expects no --sensitivity" ./quantize $tiny --sensitivity --judge 2
bad "no number" "'--foem' expects a number" ./quantize $tiny -o "$work/x.gq" --foem some
bad "empty isa" "'--isa' expects a name" ./quantize $tiny -o "$work/x.gq" --isa ""
bad "system message without a template" "'--system' expects a chat template: --raw" ./run "$work/tiny.gq" hi --raw --system be --isa scalar
bad "page of a folder" "a report expects a .gq" ./inspect $tiny --html
bad "figures without a page" "'--figures' expects --html" ./inspect "$work/tiny.gq" --figures "$work/prompt"
bad "figures are no JSON" "figures: line 1" ./inspect "$work/tiny.gq" --html --figures "$work/prompt"
printf '{"tensors": 3, "ppl": "many"}' >"$work/no_figures"
bad "figures of something else" "as ./perplexity --json prints.*found none" ./inspect "$work/tiny.gq" --html --figures "$work/no_figures"
bad "page and JSON" "one of them expected" ./inspect "$work/tiny.gq" --html --json
bad "two directions" "one of them expected" ./inspect $tiny --tokenize "$work/prompt" --detokenize "$work/prompt"
bad "text without an end" "at most 1073741824 bytes expected" ./perplexity "$work/tiny.gq" -f /dev/zero
bad "two words of prompt" "one prompt expected, found 2" ./run -m "$work/tiny.gq" hi there
bad "two prompts" "one prompt expected, found 2" ./run "$work/tiny.gq" hi -p there
bad "bench of too many tokens" "at most 16777216 tokens" ./bench "$work/tiny.gq" -p 18446744073709551615 -n 16
no_file "$work/x.gq"

bad "no source" "source expected" ./quantize -o "$work/x.gq"
bad "no output" "'-o' expected" ./quantize $tiny
bad "source is missing" "/nowhere" ./quantize /nowhere -o "$work/x.gq"
bad "unknown option" "unknown option '--bots'" ./quantize $tiny -o "$work/x.gq" --bots 4
bad "bits" "bits: expected 2, 3, 4, 5, 6, 8 or 16, found 7" ./quantize $tiny -o "$work/x.gq" --bits 7
bad "source is a .gq" "found a finished .gq" ./quantize "$work/tiny.gq" -o "$work/x.gq"
bad "bench beyond the context" "at most [0-9]+ positions expected, the model's context, found 4000000 and 16 after it" ./bench "$work/tiny.gq" -p 16 -n 4 -d 0,4000000
bad "bench, depths" "'--depth' expects numbers of 0 … [0-9]+ with commas, found '1,x'" ./bench "$work/tiny.gq" -d 1,x
bad "bench, kernels of a model" "no model expected beside '--kernels'" ./bench "$work/tiny.gq" --kernels
bad "bench, kernels and a depth" "'--depth' is about a model" ./bench --kernels -d 1
bad "nothing to measure" "expects at least 1, found 0 for both" ./bench "$work/tiny.gq" -p 0 -n 0
bad "context below 0" "context: expected a whole number of 0 … 2147483647, found -1" ./run "$work/tiny.gq" hi -c -1
bad "two grids" "'--grid' and '--sym' exclude each other" ./quantize $tiny -o "$work/x.gq" --grid k --sym
bad "two orders" "'--order' and '--no-act-order' exclude" ./quantize $tiny -o "$work/x.gq" --order act --no-act-order
bad "no bits" "'--bits' expects 2, 3, 4, 5, 6, 8 or 16, found '0'" ./quantize $tiny -o "$work/x.gq" --bits 0
bad "sensitivity of a width" "'--bits' expects no --sensitivity" ./quantize $tiny --sensitivity --bits 4
bad "a method of no correction" "'--lorc-method' expects '--lorc'" ./quantize $tiny -o "$work/x.gq" --lorc-method lorc
bad "a size and bits" "exclude each other" ./quantize $tiny -o "$work/x.gq" --size 80M --bits 4
bad "a size and bits a weight" "exclude each other" ./quantize $tiny -o "$work/x.gq" --size 80M --bpw 4
bad "size is no number" "expects bytes above 0" ./quantize $tiny -o "$work/x.gq" --size small
bad "bits a weight are no number" "expects a number above 0" ./quantize $tiny -o "$work/x.gq" --bpw 4x
bad "a size for rounding" "expects --method gptq" ./quantize $tiny -o "$work/x.gq" --size 80M --method rtn
bad "size below the least" "at least [0-9]* bytes expected" ./quantize $tiny -o "$work/x.gq" --size 1K $few
bad "bits is no number" "whole number of at most 2147483647, found 'four'" ./quantize $tiny -o "$work/x.gq" --bits four
bad "group" "group: expected 16, a multiple of 32" ./quantize $tiny -o "$work/x.gq" --group 33
bad "method" "gptq or rtn" ./quantize $tiny -o "$work/x.gq" --method awq
bad "lorc method" "eora or lorc" ./quantize $tiny -o "$work/x.gq" --lorc 8 --lorc-method svd
bad "eora without calibration" "not calibrated" ./quantize $tiny -o "$work/x.gq" --method rtn --lorc 8 --lorc-method eora
bad "negative rank" "lorc_rank: expected at least 0, found -1" ./quantize $tiny -o "$work/x.gq" --lorc -1
bad "rank beyond the model" "a rank of at most" ./quantize $tiny -o "$work/x.gq" --lorc 5000
bad "calibration is missing" "/no/text" ./quantize $tiny -o "$work/x.gq" --calib /no/text
bad "calibration is a folder" "found a folder" ./quantize $tiny -o "$work/x.gq" --calib "$work"
bad "report can't be created" "no_such_folder: an existing folder expected" ./quantize $tiny -o "$work/x.gq" --report "$work/no_such_folder/r.json"
bad "prompt is a folder" "can't be read" ./run "$work/tiny.gq" -f "$work"
for bytes in '\377\376 bad' 'half \342\202'; do
    printf "$bytes" >"$work/bytes"
    bad "run, ill-formed UTF-8" "prompt: .*expected UTF-8, found byte 0x(FF at offset 0|E2 at offset 5)" ./run "$work/tiny.gq" -f "$work/bytes" --raw -n 3
    bad "chat, ill-formed UTF-8" "content: expected UTF-8, found byte 0x(FF at offset 0|E2 at offset 5)" ./run "$work/tiny.gq" -f "$work/bytes" -n 3
    bad "tokenize, ill-formed UTF-8" "bytes: .*expected UTF-8, found byte 0x(FF at offset 0|E2 at offset 5)" ./inspect $tiny --tokenize "$work/bytes"
    bad "perplexity, ill-formed UTF-8" "bytes: .*expected UTF-8, found byte 0x(FF at offset 0|E2 at offset 5)" ./perplexity "$work/tiny.gq" -f "$work/bytes"
done
bad "verify a folder" "expects a .gq" ./inspect $tiny --verify
bad "verify a folder, tokenize" "expects a .gq" ./inspect $tiny --verify --tokenize "$work/prompt"
mkdir "$work/folder"
bad "output is a folder" "folder" ./quantize $tiny -o "$work/folder" $few
bad "output folder is missing" "no_such_folder" ./quantize $tiny -o "$work/no_such_folder/x.gq"
no_file "$work/x.gq"
head -c 3000 "$work/tiny.gq" >"$work/cut.gq"
bad "truncated model" "cut.gq" ./run "$work/cut.gq" hi
cp $tiny/model.safetensors "$work/not.gq"
bad "not a .gq" "not.gq" ./run "$work/not.gq" hi
bad "model is missing" "/nowhere.gq" ./run /nowhere.gq hi
bad "prompt is too long" "context" ./run "$work/tiny.gq" -f "$work/text" --raw -c 64
bad "temperature" "temperature" ./run "$work/tiny.gq" hi --temp -1
bad "activations" "'rows'" ./run "$work/tiny.gq" hi --activations rows
told "known activations" "expected one of block, token, group, token-asym, group-asym, exact,"
bad "exact and another one" "'--exact' means '--activations exact', found '--activations token'" ./run "$work/tiny.gq" hi --exact --activations token
bad "isa" "avx2" ./run "$work/tiny.gq" hi --isa mmx
bad "type of keys" "cache_type_k: expected one of f16, f32, q4, q8, found 'q5'" ./run "$work/tiny.gq" hi -ctk q5
bad "type of values" "cache_type_v: .* found 'f8'" ./run "$work/tiny.gq" hi --kv q8 --cache-type-v f8
ok "keys and values of two types" "" ./run "$work/tiny.gq" hi --raw -n 3 -ctk q8 -ctv q4
bad "text is too short" "at least 512 tokens" ./perplexity "$work/tiny.gq" -f "$work/prompt"
bad "KL, reference is missing" "/nowhere.gq" ./perplexity "$work/tiny.gq" -f "$work/text" --kl /nowhere.gq
ok "quantize, another vocabulary" "" ./quantize tests/golden/tiny_llama_untied -o "$work/other.gq" --bits 16 --embed-bits 16
bad "KL, another vocabulary" "other.gq: a vocabulary of 288 expected, that of .*tiny.gq, found 300" ./perplexity "$work/tiny.gq" -f "$work/text" --ctx 64 --kl "$work/other.gq"
mkdir "$work/other" && cp $tiny/* "$work/other"
python3 - "$work/other/tokenizer.json" <<'SWAPPED'
import json, sys
tokenizer = json.load(open(sys.argv[1], encoding="utf-8"))
vocab = tokenizer["model"]["vocab"]
vocab["o"], vocab["e"] = vocab["e"], vocab["o"]
json.dump(tokenizer, open(sys.argv[1], "w", encoding="utf-8"))
SWAPPED
ok "quantize, another tokenizer" "" ./quantize "$work/other" -o "$work/other.gq" --bits 16 --embed-bits 16
bad "KL, another tokenizer" "other.gq: the tokenizer of .*tiny.gq expected: token [0-9]+ of .*text must be [0-9]+, found [0-9]+" ./perplexity "$work/tiny.gq" -f "$work/text" --ctx 64 --kl "$work/other.gq"
question='{"context": "yes", "choices": [" no", " yes"], "answer": 1}'
# refused NAME WORDS LINE: a file of questions whose second line is wrong
refused() {
    printf '%s\n%s\n' "$question" "$3" >"$work/wrong"
    bad "choices, $1" "$work/wrong:2: $2" ./perplexity "$work/tiny.gq" --choices "$work/wrong"
}
refused "bad JSON" "column 6: ':' expected, found" '{"a" "b"}'
refused "missing key" 'key "answer" expected, not found' '{"context": "yes", "choices": ["a", "b"]}'
refused "answer out of range" '"answer": a whole number of 0 … 1 expected, found 2' '{"context": "yes", "choices": ["a", "b"], "answer": 2}'
refused "no context" "choice 0: a context that begins with the same token expected" '{"context": "", "choices": ["a", "b"], "answer": 0}'
refused "empty choice" "choice 1: a text other than white space expected" '{"context": "yes", "choices": ["a", " "], "answer": 0}'
refused "too long" "choice 1: with its context at most 512 tokens .--ctx. expected, found [0-9]+" "$(python3 -c 'import json; print(json.dumps({"context": "a", "choices": ["b", "c " * 1000], "answer": 0}))')"
bad "choices, no question" "at least one question expected, found none" ./perplexity "$work/tiny.gq" --choices /dev/null
bad "choices and a text" "'--file' is about a text" ./perplexity "$work/tiny.gq" --choices "$work/questions" -f "$work/text"
bad "choices and KL" "'--kl' is about a text" ./perplexity "$work/tiny.gq" --choices "$work/questions" --kl "$work/tiny16.gq"
# Weights are finite, what becomes of them is not.
python3 tests/apps/make_overflowing.py $tiny "$work/overflowing"
ok "quantize, weights near the end of float32" "" ./quantize "$work/overflowing" -o "$work/overflowing.gq" --bits 16 --embed-bits 16
bad "logits that are no numbers" "perplexity is not a finite number" ./perplexity "$work/overflowing.gq" -f "$work/text" --ctx 64 --chunks 1
bad "logits that are no numbers, KL" "divergence from it is not a finite number" ./perplexity "$work/tiny.gq" -f "$work/text" --ctx 64 --chunks 1 --kl "$work/overflowing.gq"
bad "logits that are no numbers, choices" "likelihood is not a finite number" ./perplexity "$work/overflowing.gq" --choices "$work/questions" --ctx 1000
bad "choices are missing" "/no/file" ./perplexity "$work/tiny.gq" --choices /no/file
bad "ids" "token id expected, found 'x'" sh -c "echo x | ./inspect $tiny --detokenize -"
bad "NUL is no id" "token id expected" sh -c "printf '\\000\\n' | ./inspect $tiny --detokenize -"
bad "id out of range" "expected 0 … " sh -c "echo 99999 | ./inspect $tiny --detokenize -"

# A changed weight byte: harmless at open, named by --verify.
cp "$work/tiny.gq" "$work/altered.gq"
printf '\125' | dd of="$work/altered.gq" bs=1 seek=200 conv=notrunc 2>/dev/null
ok "altered weight runs" "" ./run "$work/altered.gq" hi --raw -n 2
bad "altered weight is named" "embedding" ./run "$work/altered.gq" hi --verify

echo "tools: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
