#!/usr/bin/env bash
# Run tests as other machines would: with other instructions of the CPU, and on one core with a busy neighbour.
# What oneDNN and PyTorch find by themselves is what scripts/test.sh runs with.
set -euo pipefail
cd "$(dirname "$0")/.."
tests="scripts/test.sh --durations=3"

echo "== no vector instructions in PyTorch, AVX2 at most in oneDNN: the tests that compute numbers"
ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 $tests tests/models tests/scoring/test_*.py \
    tests/scoring/emscore tests/scoring/audio_similarity tests/operators/test_aesthetic.py tests/caption/test_llava.py

if grep -qw amx_bf16 /proc/cpuinfo; then
    echo "== AVX-512 without AMX"
    ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 $tests tests/models tests/operators/test_aesthetic.py
fi

echo "== one core, with a busy neighbour: the tests that wait for other processes"
core=$(taskset -cp $$ | sed 's/.*[ ,-]//')
taskset -c "$core" .venv/bin/python -c "while True: pass" &
trap "kill $!" EXIT
taskset -c "$core" $tests tests/stage tests/media/test_pool.py tests/scene_cut/test_cut_command.py \
    tests/datasets/test_transform_command.py tests/datasets/test_check_integrity.py tests/operators/daft/test_expressions.py
