"""Expected values: tables, receipts and ratings that are written here, a YAML parser."""

import hashlib
import re

import numpy as np
import polars as pl
import pytest
import yaml

from tools.errors import UserError
from tools.report.audit.card import TODO, render_card, write_card
from tools.report.audit.rates import measure_rates
from tools.report.audit.sample import draw
from tools.report.chain import read_chain
from tools.report.ratings import Rating, match_ratings
from tools.report.summary import summarize
from tools.stage.output import Counts, Output
from tools.stage.provenance import Provenance, digest_file
from tools.stage.shards import Shard
from tools.table import write_table

AESTHETIC = "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0"  # the published file, see docs
OWN = "ab" * 32


def _frame(rows, **more):
    return pl.DataFrame({"path": [f"clips/{row}.mp4" for row in range(rows)], **more})


def _chain(folder):
    """40 clips of 9 s; aesthetics with a receipt; the 30 that a threshold keeps."""
    durations = [9.0] * 40
    meta = write_table(_frame(40, duration=durations), folder / "meta.csv")
    asked = {"head": AESTHETIC, "clip": {"weights": OWN}, "num_frames": 3, "decoder": "a|b"}
    config = {"stage": "aes", "version": 4, "config": asked}
    output = Output(
        folder / "meta_aes.csv", Shard(), Provenance(config, digest_file(meta), "rows", 1, "keep"), meta
    )
    scored = _frame(40, duration=durations, aes=[4 + row / 10 for row in range(40)])
    output.state.mkdir(parents=True)
    output.write(scored, Counts(40, 0, 0), "outcomes")
    kept = write_table(scored.filter(pl.col("aes") >= 5), folder / "meta_aes_aesmin5.csv")
    return read_chain([str(meta), str(output.path), str(kept)])


def _card(chain, audit=None):
    return render_card(chain, summarize(chain.frame(), source="it"), audit)


def _section(card, title):
    return re.search(rf"## {title}\n\n(.*?)(?=\n## |\Z)", card, re.DOTALL)[1]


def _cells(section, name):
    """The cells of the line of a table that begins with a name."""
    line = next(line for line in section.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_metadata_is_that_of_the_hub(tmp_path):
    _, head, _ = _card(_chain(tmp_path)).split("---\n", 2)
    assert yaml.safe_load(head) == {
        "pretty_name": "meta_aes_aesmin5",
        "license": "unknown",
        "size_categories": ["n<1K"],
        "tags": ["video"],
    }
    assert head.count(TODO) == 2


@pytest.mark.parametrize(("rows", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (10_000, "10K<n<100K")])
def test_the_size_is_a_category_of_the_hub(tmp_path, rows, size):
    table = write_table(_frame(rows), tmp_path / "meta.parquet")
    _, head, _ = _card(read_chain([str(table)])).split("---\n", 2)
    assert yaml.safe_load(head)["size_categories"] == [size]


def test_contents_and_quantiles(tmp_path):
    chain = _chain(tmp_path)
    card = _card(chain)
    contents = _section(card, "Contents")
    assert _cells(contents, "rows") == ["30"] and _cells(contents, "videos") == ["30"]
    assert _cells(contents, "hours of video") == ["0.0750"]  # 30 x 9 s
    assert hashlib.sha256(chain.table.read_bytes()).hexdigest() in contents
    scores = np.array([4 + row / 10 for row in range(10, 40)])
    expected = [scores.min(), *np.quantile(scores, [0.05, 0.5, 0.95]), scores.max()]
    *shown, missing = _cells(_section(card, "Sizes, lengths and scores"), "`aes`")
    assert [float(cell) for cell in shown] == pytest.approx(expected, rel=1e-3) and missing == "0"


def test_the_funnel_and_its_reasons(tmp_path):
    funnel = _section(_card(_chain(tmp_path)), "Funnel")
    assert _cells(funnel, "`meta.csv`") == ["not known", "40", "0.1000", "", "", ""]
    assert _cells(funnel, "`meta_aes.csv`") == ["`aesthetic`", "40", "0.1000", "0", "0.00", "0"]
    assert _cells(funnel, "`meta_aes_aesmin5.csv`") == ["`--aesmin 5`", "30", "0.0750", "10", "0.0250", "0"]
    assert "`meta_aes_aesmin5.csv` lost: 10 `--aesmin 5` (from what made the table)" in funnel


def test_hours_that_no_table_knows(tmp_path):
    first = write_table(_frame(4), tmp_path / "meta.csv")
    second = write_table(_frame(3), tmp_path / "meta_head3.csv")
    funnel = _section(_card(read_chain([str(first), str(second)])), "Funnel")
    assert _cells(funnel, "`meta_head3.csv`")[1:] == ["3", "not known", "1", "not known", "0"]


def test_options_and_weights_come_from_the_receipt(tmp_path):
    steps = _section(_card(_chain(tmp_path)), "Thresholds, options and versions")
    assert (
        "`meta_aes.csv`: `python -m tools.scoring.aesthetic.inference meta.csv`, version `4` of its" in steps
    )
    assert f"`head`: LAION aesthetic head (Apache-2.0), SHA-256 `{AESTHETIC}`" in steps
    assert f"`clip.weights`: SHA-256 `{OWN}`, no published file" in steps
    assert "num&#95;frames&#34;&#58; 3" in steps  # the options hold a bar, and are written in entities
    assert "`python -m tools.datasets.datautil meta_aes.csv --aesmin 5`, by its name" in steps
    assert "`meta.csv`: not known what made it" in steps


def test_a_table_that_was_changed_since_is_not_that_of_its_receipt(tmp_path):
    chain = _chain(tmp_path)
    with (tmp_path / "meta_aes.csv").open("a") as file:
        file.write("clips/new.mp4,9.0,5.0\n")
    steps = _section(
        _card(read_chain([str(step.path) for step in chain.steps])), "Thresholds, options and versions"
    )
    assert AESTHETIC not in steps
    assert "`meta_aes.csv`: `python -m tools.scoring.aesthetic.inference meta.csv`, by its name" in steps


def test_without_an_audit_no_rate_is_given(tmp_path):
    assert _section(_card(_chain(tmp_path)), "Audit") == (
        "Not known: no clips were rated, so there is no rate of bad clips.\n"
    )


def test_of_one_table_alone_the_funnel_is_not_known(tmp_path):
    card = _card(read_chain([str(_chain(tmp_path).table)]))
    assert _section(card, "Funnel").startswith("Not known")


def test_an_audit_with_two_raters(tmp_path):
    chain = _chain(tmp_path)
    frame, sample = chain.frame().collect(), draw(30, 10, 7)
    paths = [frame["path"][int(row)] for row in sample.rows]
    ratings = [
        Rating(path, defects=("text",) if n < 2 else (), rater="a|<b>") for n, path in enumerate(paths)
    ]
    ratings += [Rating(path, defects=(), rater="bo") for path in paths[:5]]
    audit = measure_rates(match_ratings(ratings, frame, "it"), 30, sample)
    section = _section(_card(chain, audit), "Audit")
    assert "- drawn: 10 of 30 rows, drawn with seed 7" in section
    low, high = audit.bad.interval
    assert _cells(section, "bad") == ["2", "20.00%", f"{low:.2%} to {high:.2%}"]
    assert _cells(section, "text") == ["2", "20.00%", f"{low:.2%} to {high:.2%}"]
    assert r"| a\|&lt;b&gt; | 10 | 20.00% |" in section
    # 2 of 5 clips differ: p_o = 0.6, p_e = 0.4 x 0 + 0.6 x 1 = 0.6, kappa 0
    assert "agreement on bad: 60.00% of pairs, Cohen's kappa 0.000 (5 clips" in section


def test_names_with_markup_are_shown(tmp_path):
    name = "a|b <img src=x onerror=1> **c**"
    table = write_table(_frame(3, source=[f"{name}.mp4"] * 3), tmp_path / f"{name}.csv")
    card = _card(read_chain([str(table)]))
    head, body = card.split("---\n", 2)[1:]
    assert yaml.safe_load(head)["pretty_name"] == name
    assert "<img" not in body and "**c**" not in body
    assert "1 source videos" in card


def test_a_table_without_rows_has_a_card(tmp_path):
    table = write_table(_frame(0).cast(pl.String), tmp_path / "meta.csv")
    card = _card(read_chain([str(table)]))
    assert _cells(_section(card, "Contents"), "rows") == ["0"]


def test_a_card_replaces_an_unchanged_one_only(tmp_path):
    path = tmp_path / "cards" / "README.md"
    write_card("one\n", path, [])
    assert write_card("two\n", path, []) == path and path.read_text().startswith("two\n")
    path.write_text(path.read_text().replace("two", "two, and what the owner wrote"))
    for content in (path.read_text(), "my own README\n", ""):
        path.write_text(content)
        with pytest.raises(UserError, match="is in the way"):
            write_card("three\n", path, [])
        assert path.read_text() == content


def test_a_card_is_no_table_and_no_input(tmp_path):
    with pytest.raises(UserError, match="the name of a table"):
        write_card("one\n", tmp_path / "card.csv", [])
    ratings = tmp_path / "ratings"
    ratings.write_text("{}")
    with pytest.raises(UserError, match="overwrite the input"):
        write_card("one\n", ratings, [ratings])
    with pytest.raises(UserError):
        write_card("one\n", tmp_path, [])
