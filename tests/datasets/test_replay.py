"""The command that keeps the same rows again: as bash reads it."""

import subprocess

import polars as pl
import pytest

from tools.datasets.datautil import Settings, run_datautil
from tools.datasets.edit import plan_datautil
from tools.datasets.replay import commands_for, quoted
from tools.datasets.run_operations import run_operations
from tools.table import read_table, write_table

WORDS = [
    "aes",
    "a b",
    "it's",
    'say "hi"',
    "$HOME",
    "`pwd`",
    "a\\b",
    "!x",
    "two\nlines",
    "",
    "é",
    "*.csv",
    "~",
    "#",
]


def as_bash_reads(line):
    told = f"python() {{ printf '%s\\0' \"$@\"; }}\n{line}"
    done = subprocess.run(["bash", "-c", told], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_bash_reads_every_word_as_it_is():
    assert as_bash_reads("python " + " ".join(map(quoted, WORDS))) == WORDS


def test_other_flags_are_in_it_as_they_were_typed(tmp_path):
    frame = pl.DataFrame(
        {"path": [f"{i}.mp4" for i in range(9)], "text": ["x"] * 9, "aes": range(9), "flow": [1, 2, 3] * 3}
    )
    meta = write_table(frame, tmp_path / "my $meta.csv")
    operations = {
        "keep_rows": 3,
        "append_text": "-x y",
        "where": "flow > 0 or text == '$x'",
        "sample": 4,
        "select": ["path", "aes"],
        "flowmax": "2.50",
    }
    settings = Settings(seed=5, per_source=2, by="-aes")
    plan = plan_datautil([meta], operations, settings=settings)
    run_operations(plan.frame, plan.values, plan.context)
    (command,) = commands_for(plan)
    assert as_bash_reads(command) == [
        *("-m", "tools.datasets.datautil", str(meta), "--flowmax", "2.50", "--append-text=-x y"),
        *("--where", "(flow > 0 or text == '$x') and aes <= 3", "--sample", "4", "--select", "path", "aes"),
        *("--seed", "5", "--per-source", "2"),
    ]


def test_bounds_are_joined_to_a_condition_and_keep_the_same_rows(tmp_path):
    frame = pl.DataFrame({"path": [f"{i}.mp4" for i in range(40)], "aes": range(40), "flow": [1, 2] * 20})
    meta = write_table(frame, tmp_path / "meta.csv")
    first = run_datautil(
        [meta],
        {"keep_rows": 7, "where": "flow > 1 or aes < 9"},
        settings=Settings(by="aes"),
        output=tmp_path / "a.csv",
    )
    condition = as_bash_reads(first.notes[-1])[-1]
    assert condition == "(flow > 1 or aes < 9) and aes >= 27"
    second = run_datautil([meta], {"where": condition}, output=tmp_path / "b.csv")
    assert read_table(second.outputs[0]).equals(read_table(first.outputs[0]))


def test_without_bounds_there_is_no_command(tmp_path):
    meta = write_table(pl.DataFrame({"aes": [1, 2]}), tmp_path / "meta.csv")
    plan = plan_datautil([meta], {"aesmin": 1})
    run_operations(plan.frame, plan.values, plan.context)
    assert commands_for(plan) == []


@pytest.mark.parametrize("extension", ["csv.gz", "tsv", "jsonl"])
def test_formats(tmp_path, extension):
    meta = write_table(pl.DataFrame({"aes": [1.5, 2.5, None, 3.5]}), tmp_path / f"meta.{extension}")
    done = run_datautil([meta], {"keep_rows": 2}, settings=Settings(by="aes"))
    assert done.outputs[0].name == f"meta_keep2rows.{extension}"
    assert done.notes[-1].endswith('--where "aes >= 2"')
