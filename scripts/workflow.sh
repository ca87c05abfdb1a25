#!/usr/bin/env bash
# The steps of scripts/workflow.toml, with its settings from the environment.
# Usage: scripts/workflow.sh VIDEO_DIR OUT_DIR
# Settings: DETECTOR (of shots), GPUS (ranks of the aesthetic score), AESMIN, KEEP (a condition on scores).
set -euo pipefail
if [ $# -ne 2 ]; then
    echo "usage: $0 VIDEO_DIR OUT_DIR" >&2
    exit 2
fi
exec python -m tools.pipeline "$(dirname "$0")/workflow.toml" --set "videos=$1" --set "out=$2" \
    ${DETECTOR:+--set "shots.detector=$DETECTOR"} ${GPUS:+--set "ranks=$GPUS"} \
    ${AESMIN:+--set "aesmin=$AESMIN"} ${KEEP:+--set "keep=$KEEP"}
