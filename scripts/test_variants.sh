#!/usr/bin/env bash
# Run tests as other machines would. What PyTorch and oneDNN find by themselves is what scripts/test.sh runs with.
# Usage: scripts/test_variants.sh [plain] [no-amx] [one-core]      all of them by default
#   plain     no vector instructions in PyTorch, AVX2 at most in oneDNN: tests that compute numbers
#   no-amx    AVX-512 without AMX, on a CPU that has both: tests of networks
#   one-core  one core, with a busy neighbour: tests that wait for other processes
set -euo pipefail
cd "$(dirname "$0")/.."

networks=(tests/models tests/integrations/dataflow/test_aesthetic.py)
numbers=("${networks[@]}" tests/scoring/test_*.py)
processes=(tests/stage tests/media/workers/test_pool.py tests/scene_cut/clips/test_cut_command.py
    tests/datasets/test_transform_command.py tests/datasets/test_check_integrity.py
    tests/integrations/daft/test_expressions.py)

[ $# -gt 0 ] || set -- plain no-amx one-core
for name in "$@"; do
    echo "== $name"
    case $name in
    plain)
        ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 scripts/test.sh "${numbers[@]}"
        ;;
    no-amx)
        if grep -qw amx_bf16 /proc/cpuinfo; then
            ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 scripts/test.sh "${networks[@]}" tests/scoring/test_ocr_backends.py
        else
            echo "this CPU has no AMX: nothing to leave out"
        fi
        ;;
    one-core)
        core=$(taskset -cp $$ | sed 's/.*[ ,-]//')
        taskset -c "$core" python3 -c "while True: pass" &
        trap "kill $!" EXIT
        taskset -c "$core" scripts/test.sh "${processes[@]}"
        ;;
    *)
        echo "error: no variant $name; there are plain, no-amx and one-core" >&2
        exit 2
        ;;
    esac
done
