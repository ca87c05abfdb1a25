"""The command `report` with --ratings and --card, as it is typed."""

import json

import polars as pl
import pytest

from tools.errors import UserError
from tools.report.__main__ import main
from tools.report.audit.intervals import wilson
from tools.report.audit.sample import draw
from tools.table import write_table

PATHS = [f"clips/a clip {row}.mp4" for row in range(60)]


def _table(folder, name="meta.csv"):
    return str(write_table(pl.DataFrame({"path": PATHS, "aes": list(range(60))}), folder / name))


def _ratings(folder, rows, name="r.jsonl", **more):
    lines = [{"path": PATHS[row], "defects": ["bars"] if row % 3 == 0 else [], **more} for row in rows]
    (folder / name).write_text("\n".join(map(json.dumps, lines)))
    return str(folder / name)


@pytest.mark.parametrize("name", ["my meta.csv", "meta.parquet", "meta.jsonl"])
def test_rates_of_the_drawn_clips(tmp_path, capsys, name):
    rows = draw(60, 20, 1).rows.tolist()
    main([_table(tmp_path, name), "--audit", "20", "--seed", "1", "--ratings", _ratings(tmp_path, rows)])
    text = capsys.readouterr().out
    bad = sum(row % 3 == 0 for row in rows)
    low, high = wilson(bad, 20, population=60)
    (line,) = [line for line in text.splitlines() if line.startswith("bad ")]
    assert line.split() == ["bad", str(bad), f"{bad / 20:.2%}", f"{low:.2%}", "to", f"{high:.2%}"]
    assert "20 of 60 rows, drawn with seed 1" in text and "warning" not in text


def test_another_seed_is_another_sample(tmp_path, capsys):
    rows = draw(60, 20, 1).rows.tolist()
    main([_table(tmp_path), "--audit", "20", "--seed", "2", "--ratings", _ratings(tmp_path, rows)])
    text = capsys.readouterr().out
    assert "warning" in text and "rated clips were not drawn" in text


def test_without_a_sample_the_rates_come_with_a_note(tmp_path, capsys):
    main([_table(tmp_path), "--ratings", _ratings(tmp_path, [0, 1, 2, 4])])
    text = capsys.readouterr().out
    assert "drawn     not known" in text and "give --audit N and --seed N" in text


def test_files_of_several_raters(tmp_path, capsys):
    files = [_ratings(tmp_path, [0, 1], f"{name}.jsonl", rater=name) for name in ("ada", "bo")]
    main([_table(tmp_path), "--ratings", *files])
    once = capsys.readouterr().out
    main([_table(tmp_path), "--ratings", files[0], "--ratings", files[1]])
    assert capsys.readouterr().out == once and "Cohen's kappa 1.000" in once


def test_files_without_names_that_speak_of_the_same_clips(tmp_path, capsys):
    files = [_ratings(tmp_path, rows, f"{rows[0]}.jsonl") for rows in ([0, 1, 2], [1, 2, 3])]
    main([_table(tmp_path), "--ratings", *files])
    assert "note: 2 clips are rated again in another file" in capsys.readouterr().out
    files[1] = _ratings(tmp_path, [1, 2, 3], "named.jsonl", rater="bo")
    main([_table(tmp_path), "--ratings", *files])
    assert "rated again" not in capsys.readouterr().out


def test_a_card_with_and_without_rates(tmp_path, capsys):
    card = tmp_path / "card.md"
    main([_table(tmp_path), "--card", str(card)])
    assert capsys.readouterr().out == f"{card}\n" and "no clips were rated" in card.read_text()
    main([_table(tmp_path), "--card", str(card), "--ratings", _ratings(tmp_path, range(60))])
    assert capsys.readouterr().out.splitlines()[-1] == str(card)
    assert "| bars | 20 | 33.33% | 33.33% to 33.33% |" in card.read_text()  # every row is rated


def test_the_same_input_the_same_card(tmp_path):
    table, ratings = _table(tmp_path), _ratings(tmp_path, range(9))
    for name in ("one.md", "two.md"):
        main([table, "--card", str(tmp_path / name), "--ratings", ratings])
    assert (tmp_path / "one.md").read_bytes() == (tmp_path / "two.md").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv", "--ratings", "r.jsonl"], "missing.csv"),
        (["meta.csv", "--ratings", "missing.jsonl"], "missing.jsonl"),
        (["meta.csv", "--ratings", "r.jsonl", "--card", "r.jsonl"], "r.jsonl"),
        (["meta.csv", "--card", "meta.csv"], "meta.csv"),
    ],
)
def test_what_cannot_be_used(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    _table(tmp_path)
    _ratings(tmp_path, [0])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=message):
        main(arguments)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
