#!/usr/bin/env bash
# What only a GPU can show: the tests marked gpu, then how fast networks and whole runs are, as JSON.
# Usage: scripts/gpu_check.sh [OUT_DIR]
#   PYTHON=python3   an interpreter with PyTorch for this GPU and this project's packages (default: that of .venv)
#   VIDEOS=FOLDER    videos to score (default: those beside the project)
# Nothing is downloaded. On a machine without a GPU the same steps run on the CPU, with less to do.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-gpu_check}
python=${PYTHON:-.venv/bin/python}
data=${VIDSIEVE_TEST_DATA:-../shared/data}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$out"

tests=(tests/models tests/scene_cut tests/scoring tests/caption)
if "$python" -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then
    export FAIL_WITHOUT_CUDA=1
    networks=()
    files=(--rows 1500)
    if ! "$python" -c "import onnxruntime as o; assert 'CUDAExecutionProvider' in o.get_available_providers()"; then
        echo "NOT CHECKED: text in the picture (ONNX Runtime has no CUDA provider here)"
        tests+=(--deselect tests/scoring/test_ocr.py::test_a_gpu_finds_the_same)
    fi
else
    echo "no CUDA device: tests marked gpu are skipped, and the figures are the CPU's"
    networks=(--pictures 4 --pairs 2 --frames 100)
    files=(--rows 10 --workers 1)
fi
failed=0
"$python" -m pytest -m gpu "${tests[@]}" 2>&1 | tee "$out/tests.txt" || failed=1
"$python" benchmarks/gpu.py "${networks[@]}" --json "$out/networks.json"
"$python" benchmarks/gpu_files.py "${VIDEOS:-$data/videos}"/*.mp4 --head "$data"/aesthetic/*.pth "${files[@]}" \
    --json "$out/files.json"
exit $failed
