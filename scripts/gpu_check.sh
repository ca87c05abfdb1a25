#!/usr/bin/env bash
# What only a GPU can show: the tests marked gpu, then how fast networks and whole runs are, as JSON.
# Usage: scripts/gpu_check.sh [OUT_DIR]
#   PYTHON=python3   an interpreter with PyTorch for this GPU (default: that of .venv where there is one)
#   VIDEOS=FOLDER    videos to score (default: those beside the project)
# Nothing is downloaded. On a machine without a GPU the same steps run on the CPU, with less to do.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-gpu_check}
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
data=../shared/data
mkdir -p "$out"
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

if "$python" -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then
    export FAIL_WITHOUT_CUDA=1
    few=()
    files=(--workers 4 8 16)
    "$python" -c "import onnxruntime as o, sys; sys.exit('CUDAExecutionProvider' not in o.get_available_providers())" ||
        { echo "not checked: text in the picture (ONNX Runtime here has no CUDA provider)"; skip="not test_ocr"; }
else
    echo "no CUDA device: tests marked gpu are skipped, and the figures are the CPU's"
    few=(--pictures 4 --pairs 2 --frames 100)
    files=(--rows 10 --workers 1)
fi
failed=0
"$python" -m pytest -m gpu -k "${skip:-test}" --ignore=tests/datasets tests 2>&1 | tee "$out/tests.txt" || failed=1
"$python" benchmarks/gpu.py "${few[@]}" --json "$out/networks.json"
shopt -s nullglob
videos=("${VIDEOS:-$data/videos}"/*.mp4)
"$python" benchmarks/gpu_files.py "${videos[@]}" --head "$data"/aesthetic/*.pth "${files[@]}" --json "$out/files.json"
exit $failed
