"""The tables of flags in the documents are those of the commands."""

import re

from flag_tables import with_tables


def test_an_old_table_is_replaced():
    old = "text\n\n<!-- flags: tools.datasets.show -->\n\n| `--gone` | |\n\n<!-- /flags -->\n\nmore text\n"
    new = with_tables(old)
    assert new.startswith("text\n\n<!-- flags: tools.datasets.show -->\n") and new.endswith("\n\nmore text\n")
    assert "--gone" not in new and "| `--rows " in new
    assert "--help" not in new
    assert with_tables(new) == new


def test_flags_that_a_group_shows_are_left_out_of_the_commands_below():
    markers = "<!-- flags: {} -->\n<!-- /flags -->\n"
    group, command = "tools.scoring.technical.inference / running", "tools.scene_cut.cut"
    alone = with_tables(markers.format(command))
    beside = with_tables(markers.format(group) + markers.format(command)).split("<!-- /flags -->")[1]
    assert "`--strict`" in alone and "`--strict`" not in beside
    # cut gives a file more time than scores do, so its own default is shown.
    assert "| `--timeout S` | seconds one file may take (7200) |" in beside
    assert "`--save-dir DIR`" in beside


def test_what_would_end_a_cell_is_escaped():
    table = with_tables("<!-- flags: tools.scene_cut.cut -->\n<!-- /flags -->\n")
    assert r"`--hdr tonemap\|keep\|fail`" in table
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
