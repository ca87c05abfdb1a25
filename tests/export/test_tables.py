"""The tables of docs/export.md are those of the trainers."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load_script():
    path = ROOT / "scripts" / "trainer_tables.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_up_to_date():
    page = (ROOT / "docs" / "export.md").read_text()
    assert load_script().with_tables(page) == page, "python scripts/trainer_tables.py writes them"
    assert page.count("| `wan2.2-a14b@diffusion-pipe` |") == 1
