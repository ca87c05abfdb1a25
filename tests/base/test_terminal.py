"""Names of files that would act on a terminal are shown there, and do not act."""

from __future__ import annotations

import csv
import json

import pytest

from tests.support import run_command
from tools import cli
from tools.base.log import LOG, show_log
from tools.base.terminal import harmless, one_line
from tools.datasets import convert, datautil
from tools.export import __main__ as export
from tools.scoring.dedup import inference as dedup
from tools.scoring.technical import inference as technical

HOSTILE = "v/a\x1b[31m\u202e.mp4"


def test_what_acts_is_replaced_and_the_rest_stays():
    assert harmless("é 影 👩‍👧\n  two  blanks\x1b[2J") == "é 影 👩‍👧\n  two  blanks\ufffd[2J"
    assert harmless("a\tb\x0b\r") == "a\tb\ufffd\ufffd"
    assert one_line("a\n\tb\x07") == "a b\ufffd"


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (technical, ["--num-workers", "0"]),
        (technical, ["--num-workers", "0", "--dry-run"]),
        (dedup, ["--keep", "nothing"]),
        (export, ["--for", "cogvideox@cogvideo", "--explain"]),
        (datautil, ["--info", "--num-workers", "0"]),
        (datautil, ["--balance", "mine\x1b[31m", "--rows", "1", "--explain"]),
        (datautil, ["--balance", "mine\x1b[31m", "--rows", "1", "--dry-run"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_names_in_a_table_do_not_reach_the_terminal(tmp_path, monkeypatch, command, flags):
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "m.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "num_frames", "fps", "width", "height", "text", "mine\x1b[31m"])
        rows.writerow([HOSTILE, 3, 16, 96, 64, "A cat.", 1])
    done = run_command(command.main, "m.csv", *flags)
    said = done.stdout + done.stderr
    assert "\ufffd[31m" in said and not {"\x1b", "\u202e"} & set(said)


def test_words_of_the_command_line_and_warnings_do_not_either(capsys):
    with pytest.raises(SystemExit):
        cli.ArgumentParser("tools.example", "", "").parse_args([HOSTILE])
    show_log()
    LOG.warning("%s is damaged", HOSTILE)
    said = capsys.readouterr().err
    assert said.count("\ufffd[31m\ufffd.mp4") == 2 and not {"\x1b", "\u202e"} & set(said)


def test_names_in_notes_do_not_either(tmp_path):
    (tmp_path / "list.jsonl").write_text(json.dumps({"path": "a\u202e.mp4"}))
    done = run_command(convert.main, "jsonl", tmp_path / "list.jsonl", "--output", tmp_path / "m.csv")
    assert "a\ufffd.mp4" in done.stderr and "\u202e" not in done.stderr
