#!/usr/bin/env bash
# Make the virtual environment .venv and install the toolkit into it.
# Usage: scripts/setup.sh [EXTRA ...]   extras as in pyproject.toml: daft, decord, docs, lance, ocr, rate, report, text, transnetv2, dev
# Does nothing when .venv already holds what pyproject.toml and constraints.txt ask for.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "error: $("$python" --version) is too old, 3.10 or newer is needed; PYTHON=/path/to/python $0" >&2
    exit 2
}

extras=$(IFS=,; echo "$*")
wanted=$(cat pyproject.toml constraints.txt <("$python" --version) | cksum)
stamp=.venv/installed-$extras
for made in .venv/installed-*; do  # one of them may hold these extras and more
    [ "$(cat "$made" 2>/dev/null)" = "$wanted" ] || continue
    missing=
    for extra in "$@"; do
        [[ ",${made#.venv/installed-}," == *",$extra,"* ]] || missing=$extra
    done
    [ -n "$missing" ] || exit 0
done

if [ ! -x .venv/bin/pip ]; then
    "$python" -m venv .venv || {
        echo "error: $python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
        exit 2
    }
fi
echo "installing into .venv (torch and transformers are large; the first time takes a minute or more)" >&2
.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${extras:+[$extras]}"
echo "$wanted" > "$stamp"
