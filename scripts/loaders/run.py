"""Run one trainer's loader, in its clone, over one exported folder: NAME CLONE FOLDER OUT SETUP."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from loaders.common import Seen

    name, clone, folder, out, setup = sys.argv[1:6]
    # The clone comes before this folder, and this project is not seen at all: names such as `tools` clash.
    for inside in reversed(json.loads(setup)["paths"]):
        sys.path.insert(0, str(Path(clone) / inside))
    loader = importlib.import_module(f"loaders.{name}")
    loader.run(Path(clone), Path(folder), Seen(Path(out)), json.loads(setup))
