"""The pages of commands and the tables of flags in the documents are those of the commands."""

import importlib.util
import re
from pathlib import Path

import pytest

from tools.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script("flag_tables")


@pytest.mark.parametrize(
    "page", [p for p in PAGES if "<!-- flags:" in p.read_text()], ids=lambda page: page.stem
)
def test_the_tables_are_up_to_date(page):
    assert SCRIPT.with_tables(page.read_text()) == page.read_text(), (
        "python scripts/flag_tables.py writes them"
    )


def test_the_pages_of_commands_and_the_table_of_the_readme_are_up_to_date():
    written = load_script("command_pages").texts()
    old = [path.name for path, text in written.items() if not path.exists() or path.read_text() != text]
    gone = {path.name for path in (ROOT / "docs" / "commands").glob("*.md")} - {p.name for p in written}
    assert not old and not gone, "python scripts/command_pages.py writes them"
    assert len(written) == len(COMMANDS) + 1


def test_an_old_table_is_replaced():
    old = "text\n\n<!-- flags: tools.datasets.show -->\n\n| `--gone` | |\n\n<!-- /flags -->\n\nmore text\n"
    new = SCRIPT.with_tables(old)
    assert new.startswith("text\n\n<!-- flags: tools.datasets.show -->\n") and new.endswith("\n\nmore text\n")
    assert "--gone" not in new and "| `--rows " in new
    assert "--help" not in new
    assert SCRIPT.with_tables(new) == new


def test_flags_that_a_group_shows_are_left_out_of_the_commands_below():
    markers = "<!-- flags: {} -->\n<!-- /flags -->\n"
    group, command = "tools.scoring.technical.inference / running", "tools.scene_cut.cut"
    alone = SCRIPT.with_tables(markers.format(command))
    beside = SCRIPT.with_tables(markers.format(group) + markers.format(command)).split("<!-- /flags -->")[1]
    assert "`--strict`" in alone and "`--strict`" not in beside
    # cut gives a file more time than scores do, so its own default is shown.
    assert "| `--timeout S` | seconds one file may take (7200) |" in beside
    assert "`--save-dir DIR`" in beside


def test_what_would_end_a_cell_is_escaped():
    table = SCRIPT.with_tables("<!-- flags: tools.scene_cut.cut -->\n<!-- /flags -->\n")
    assert r"`--hdr tonemap\|keep\|fail`" in table
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
