#!/usr/bin/env bash
# Set up .venv and run the tests, as many at a time as there are cores; then the ten that took longest are shown.
# Arguments go to pytest: scripts/test.sh tests/table -x; -n 0 runs one test at a time, in this process
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev daft decord docs ocr rate report text transnetv2
# DataFlow pins other versions of nearly everything, so it stands beside the environment, without what it asks for.
[ -d .venv/dataflow/dataflow ] ||
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --target .venv/dataflow open-dataflow==1.0.13
unset PYTHONDONTWRITEBYTECODE  # or each of several hundred child processes compiles the toolkit anew
exec .venv/bin/python -m pytest -n auto --dist worksteal --durations=10 "$@"
