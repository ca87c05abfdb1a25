"""The tables of docs/export.md and the pages of docs/trainers are what the trainers say."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load_script(name):
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_up_to_date():
    page = (ROOT / "docs" / "export.md").read_text()
    assert load_script("trainer_tables").with_tables(page) == page, (
        "python scripts/trainer_tables.py writes them"
    )
    assert page.count("| `wan2.2-a14b@diffusion-pipe` |") == 1


def test_each_trainer_has_a_page_of_what_it_is_now():
    found = {path: path.read_text() for path in (ROOT / "docs" / "trainers").glob("*.md")}
    assert load_script("trainer_pages").pages() == found, "python scripts/trainer_pages.py writes them"
    assert "93 frames and fewer: another clip is drawn" in found[ROOT / "docs" / "trainers" / "cosmos.md"]
