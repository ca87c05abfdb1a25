#!/usr/bin/env bash
# Set up .venv and run the tests, as many at a time as there are cores; then the ten that took longest are shown.
# Arguments go to pytest: scripts/test.sh tests/table -x; -n 0 runs one test at a time, in this process
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev daft decord docs lance ocr rate report text transnetv2
# DataFlow pins other versions of nearly everything, so it stands beside the environment, without what it asks for.
[ -d .venv/dataflow/dataflow ] ||
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --target .venv/dataflow open-dataflow==1.0.13
# Readers of exports whose pins do not go with the environment either: transformers below 5, numpy below 2.2, and a
# torchvision that PyPI has for CUDA alone. The rest is what they import.
[ -d .venv/readers/litdata ] ||
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --target .venv/readers \
        litdata==0.2.76 lightning-utilities boto3 botocore jmespath s3transfer \
        mosaicml-streaming==0.13.0 brotli catalogue python-snappy cramjam zstd
unset PYTHONDONTWRITEBYTECODE  # or each of several hundred child processes compiles the toolkit anew
exec .venv/bin/python -m pytest -n auto --dist worksteal --durations=10 "$@"
