#!/usr/bin/env bash
# Set up .venv and run the tests. Arguments go to pytest: scripts/test.sh tests/table -x
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev daft decord ocr report text transnetv2
exec .venv/bin/python -m pytest "$@"
