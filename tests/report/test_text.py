"""The figures in the terminal: what is printed is compared with what datautil and pandas say."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tools.base.terminal import width
from tools.datasets.datautil import main as datautil
from tools.errors import MediaError
from tools.report.__main__ import main
from tools.report.chain import read_chain
from tools.report.recipe_overlay import overlays
from tools.report.text import hours, length, report_text
from tools.report.text_style import Style, share, style_of
from tools.stage.failures import write_failures
from tools.table import failures_path, read_table, write_table
from tools.table.recipes import load_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table with gaps, markup and wide characters, what --aesmin has left of it, and failures."""
    place = tmp_path_factory.mktemp("some tables")
    rng = np.random.default_rng(7)
    rows = 300
    table = pl.DataFrame(
        {
            "path": [f"影片/<b>{i}</b> \x1b[31m.mp4" for i in range(rows)],
            "source": [f"{i % 17}.mp4" for i in range(rows)],
            "duration": [None if i % 50 == 0 else float(d) for i, d in enumerate(rng.integers(1, 900, rows))],
            "num_frames": rng.integers(2, 900, rows),
            "aes": [None if i % 30 == 0 else d for i, d in enumerate(rng.normal(5, 1, rows))],
            "quality_sharpness": rng.random(rows),
            "a column of the user's own with a long name": rng.integers(-5, 5, rows),
            "words": [f"{i} words" for i in range(rows)],
            "start": rng.random(rows),
        }
    )
    write_table(table, place / "meta.csv")
    assert datautil([str(place / "meta.csv"), "--aesmin", "4", "--quiet"]) == 0
    failed = [MediaError("timeout", f"影片/{i}.mp4", "took <i>60</i> s") for i in range(4)]
    write_failures(failed, failures_path(place / "meta_aesmin4.csv"))
    return place


def printed(capsys, *arguments):
    main([*map(str, arguments), "--text"])
    return capsys.readouterr().out


def test_the_funnel_says_what_datautil_did(folder, capsys):
    text = printed(capsys, folder)
    frames = [pd.read_csv(folder / name) for name in ("meta.csv", "meta_aesmin4.csv")]
    for name, frame in zip(("meta.csv", "meta_aesmin4.csv"), frames, strict=True):
        line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        found = re.fullmatch(rf"{name} +([\d,]+) +([\d.,]+)  (\S+)", line)
        assert int(found[1]) == len(frame)
        assert found[2] == f"{frame['duration'].sum() / 3600:.1f}"
    lost = len(frames[0]) - len(frames[1])
    assert f"-{lost} rows (" in text and f": --aesmin 4 {lost}" in text
    assert text.splitlines()[0] == (
        f"meta_aesmin4.csv: {len(frames[1])} rows, {frames[1]['duration'].sum() / 3600:.1f} hours, "
        f"{frames[1]['duration'].isna().sum()} videos of unknown length, 17 sources"
    )
    assert "\x1b" not in text


def test_quantiles_are_those_of_numpy(folder, capsys):
    text = printed(capsys, folder)
    frame = pd.read_csv(folder / "meta_aesmin4.csv")
    for name in ("aes", "quality_sharpness", "duration"):
        line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        *_, p5, p25, p50, p75, p95, empty = line.split()
        expected = np.nanpercentile(frame[name], [5, 25, 50, 75, 95])
        assert [float(one) for one in (p5, p25, p50, p75, p95)] == pytest.approx(expected, rel=0.01)
        assert int(empty) == frame[name].isna().sum()
    assert not re.search("^(start|words|source) ", text, re.MULTILINE)
    assert (
        text.index("\nscores") < text.index("\naes ") < text.index("\nother numbers") < text.index("a column")
    )


def test_failures_are_shown_by_kind_with_an_example(folder, capsys):
    tail = printed(capsys, folder).split("failures\n")[1]
    examples = [f"      影片/{i}.mp4: took <i>60</i> s" for i in range(3)]
    assert tail.splitlines() == ["  meta_aesmin4.csv:", "    timeout 4", *examples]


@pytest.mark.parametrize("columns", [60, 75, 80, 100, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_the_terminal(folder, columns, encoding):
    chain = read_chain([str(folder)])
    found = overlays(chain.frame(), [load_recipe(name) for name in ("cosmos", "goku-720p")])
    style = Style(columns, blocks=encoding == "utf-8", encoding=encoding)
    text = report_text(chain, found, style)
    lines = [line for line in text.splitlines() if not line.startswith("  python -m")]
    escaped = 2 * len("\\u5f71") - 4 if encoding == "ascii" else 0  # of two Chinese characters, which take 4
    assert columns - 8 <= max(width(line) for line in lines) <= columns + escaped
    assert text.isascii() == (encoding == "ascii")


def test_the_output_says_what_it_takes(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    command = [sys.executable, "-m", "tools.report", str(folder), "--text"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(command, capture_output=True, env=environment)
    assert ran.returncode == 0 and not ran.stderr
    lines = ran.stdout.decode("ascii").splitlines()
    assert "##########" in ran.stdout.decode() and any(80 < len(line) <= 100 for line in lines)


def test_the_printed_command_keeps_the_rows_that_are_printed(folder, capsys, tmp_path):
    for recipe in ("cosmos", "open-sora"):
        text = printed(capsys, folder / "meta.csv", "--recipe", recipe)
        line = next(
            line for line in text.splitlines() if line.startswith("  python -m tools.datasets.datautil")
        )
        output = tmp_path / f"{recipe}.csv"
        assert datautil([*shlex.split(line)[3:], "--output", str(output), "--quiet"]) == 0
        capsys.readouterr()
        kept = read_table(output).height
        assert f"keeps {share(kept, 300)} of the rows" in text
        left = re.search(r"^aesthetics +-\d+ +-\d+ +(\d+) ", text, re.MULTILINE)
        assert int(left[1]) == kept and 0 < kept < 300


def test_several_recipes_stand_beside_each_other(folder, capsys):
    text = printed(capsys, folder / "meta.csv", "--recipe", "cosmos", "--recipe", "open-sora")
    rows = {line.split()[0]: line.split() for line in text.split("\nrecipes ")[1].splitlines()[1:3]}
    aes = pd.read_csv(folder / "meta.csv")
    kept = {"cosmos": (aes["aes"] >= 3.5) & aes["duration"].between(2, 60) & (aes["num_frames"] >= 48)}
    kept["open-sora"] = aes["aes"] >= 5
    for name, applied in (("cosmos", "2 of 3"), ("open-sora", "2 of 4")):
        length = aes["duration"][kept[name]].sum() / aes["duration"].sum()
        assert rows[name][1:3] == [str(kept[name].sum()), f"{kept[name].mean():.1%}"]
        assert rows[name][4] == f"{length:.1%}" and " ".join(rows[name][5:]) == applied


def test_a_step_without_its_column_says_what_adds_it(folder, capsys):
    text = " ".join(printed(capsys, folder / "meta.csv", "--recipe", "goku-720p").split())
    info = "(`python -m tools.datasets.datautil META --info`)"
    assert f"size: left out, the table lacks height and width {info}" in text
    assert "text: left out, the table lacks ocr_area (`python -m tools.scoring.ocr.inference`)" in text
    assert "the source kept 24 M clips at 720p" in text
    empty = pl.DataFrame({"path": ["a.mp4"]})
    text = printed(capsys, write_table(empty, folder.parent / "bare.csv"), "--recipe", "goku-720p")
    assert "no step of it can be applied to this table" in text and "datautil keeps" not in text


def test_tables_of_all_kinds_are_printed(tmp_path, capsys):
    empty = pl.DataFrame(schema={"path": pl.String, "aes": pl.Float64})
    assert printed(capsys, write_table(empty, tmp_path / "e.csv"), "--recipe", "open-sora").startswith(
        "e.csv: 0 rows"
    )
    odd = {
        "path": ["a.jpg", "b.jpg", None],
        "num_frames": [1, 1, 0],
        "aes": [float("nan"), float("inf"), 3.0],
    }
    odd["clip_embedding"] = [[0.5, 1.0], [0.0, 1.0], None]
    text = printed(capsys, write_table(pl.DataFrame(odd), tmp_path / "o.parquet"))
    assert text.startswith("o.parquet: 3 rows (2 images, 1 broken files)\n")
    assert "columns of lists are not shown: clip_embedding" in text
    assert re.search(r"^aes +█? +(3 +){7}1$", text, re.MULTILINE)
    text = printed(capsys, write_table(pl.DataFrame({"note": ["x"]}), tmp_path / "n.jsonl"))
    assert text == "n.jsonl: 1 row\n"


def test_far_numbers_and_failures_without_words_fit(tmp_path, capsys):
    table = write_table(pl.DataFrame({"path": ["a", "b"], "aes": [-1e300, 1e300]}), tmp_path / "a.parquet")
    rows = {"path": ["", "b", None], "kind": ["", "timeout", "timeout"], "message": ["", "", "slow"]}
    write_table(pl.DataFrame(rows), tmp_path / "a.failures.csv")
    lines = printed(capsys, table).splitlines()
    assert lines[3].split()[-8:] == ["-1e300", "-9e299", "-5e299", "0", "5e299", "9e299", "1e300", "0"]
    assert max(map(len, lines)) <= 80
    assert lines[-5:] == ["  a.parquet:", "    timeout 2", "      b", "      slow", "    (no kind) 1"]


def test_wrong_inputs_are_one_line(folder):
    def run(*arguments):
        command = [sys.executable, "-m", "tools.report", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    for arguments, words in (
        ([folder / "none.csv", "--text"], "there is no such table"),
        ([folder / "meta.csv", "--text", "--recipe", "goku"], "Invalid recipe (goku)"),
    ):
        ran = run(*arguments)
        assert ran.returncode == 2 and ran.stderr.startswith("error: ") and words in ran.stderr
        assert ran.stderr.count("\n") == 1 and not ran.stdout


class Terminal:
    encoding = "utf-8"

    def isatty(self):
        return True


def test_headings_are_bold_on_a_terminal_alone(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert style_of(Terminal()).bold("x") == "\x1b[1mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert style_of(Terminal()).bold("x") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    assert style_of(Terminal()).bold("x") == "x"


def test_bars_and_histograms():
    style, plain = Style(), Style(blocks=False)
    assert [style.bar(part, 4) for part in (0, 1e-9, 0.5, 0.53, 1)] == ["", "▏", "██", "██▏", "████"]
    assert [plain.bar(part, 4) for part in (0, 1e-9, 0.5, 1)] == ["", "#", "##", "####"]
    assert style.histogram([0, 1, 4, 8], 12) == " ▁▄█"
    assert plain.histogram([0, 1, 4, 8], 12) == " .=@"
    assert style.histogram([5] * 100, 12) == "█" * 12  # flat stays flat, though 100 is no multiple of 12
    assert style.histogram([0, 0], 12) == "  "
    assert style.histogram([1] + [0] * 99, 2) == "█ "


def test_shares_and_hours_in_few_digits():
    assert [share(a, 10_000) for a in (0, 1, 5, 31, 9996, 10_000)] == [
        "0.0%",
        "<0.1%",
        "0.1%",
        "0.3%",
        ">99.9%",
        "100.0%",
    ]
    assert share(1, 0) == "-" and share(0.1 + 0.2, 0.3) == "100.0%"
    amounts = (0, 1e-6, 0.01234, 1.256, 45.25, 12_345.6)
    assert [hours(h) for h in amounts] == ["0", "<0.0001", "0.0123", "1.26", "45.2", "12,346"]
    words = ["0 seconds", "0.0036 seconds", "44 seconds", "1.26 hours", "45.2 hours", "12,346 hours"]
    assert [length(h) for h in amounts] == words
    assert length(0.05) == "3 minutes" and length(0.999) == "60 minutes"
