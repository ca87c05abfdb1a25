"""Operations on tables larger than the buffers give what pandas gives in memory, in the same order."""

import json

import pandas as pd
import polars as pl
import pytest

from tests.table.small_buffers import shrink_buffers
from tools.datasets.datautil import run_datautil
from tools.datasets.operations.base import Context
from tools.table import read_table, write_table

ROWS = 400
CAPTIONS = [None, "", "The video shows a dog.", "a, b", 'say "hi"', "é\u3042", "line\nbreak", "007", "NaN"]


@pytest.fixture(autouse=True)
def _small_buffer(monkeypatch):
    shrink_buffers(monkeypatch, 600, 900)


def table(rows, step, first=0):
    """Paths that repeat every ``3 * ROWS / step`` rows, some missing; odd captions; numbers with NaN."""
    place = [first + i * step % (ROWS * 3 // 2) for i in range(rows)]
    return pl.DataFrame(
        {
            "path": [None if i % 97 == 5 else f"clips/{p:04}.mp4" for i, p in enumerate(place)],
            "text": [CAPTIONS[i * step % len(CAPTIONS)] for i in range(rows)],
            "aes": [float("nan") if i % 50 == 3 else None if i % 11 == 1 else i / 8 for i in range(rows)],
        },
        schema={"path": pl.String, "text": pl.String, "aes": pl.Float64},
    )


@pytest.fixture(params=[".parquet", ".csv", ".jsonl"])
def pair(request, tmp_path):
    """A table and another one of the same format, as files."""
    other = pl.concat([table(ROWS, 7, 100), table(9, 7, 100)]).with_columns(extra=pl.int_range(pl.len()))
    one = write_table(table(ROWS, 3), tmp_path / f"one{request.param}")
    return one, write_table(other, tmp_path / f"other{request.param}")


def in_memory(path):
    """A table as pandas objects; text that is missing is None."""
    return pd.DataFrame(read_table(path).to_dict(as_series=False), dtype=object)


def rows_of(frame):
    """Rows to compare: NaN equals NaN."""
    if isinstance(frame, pd.DataFrame):
        frame = frame.astype(object).where(~frame.map(lambda cell: cell is None), None).to_dict("records")
    rows = frame.to_dicts() if isinstance(frame, pl.DataFrame) else frame
    return [json.dumps(row, sort_keys=True) for row in rows]


def edited(one, **operations):
    result = run_datautil([one], operations, output=one.with_name(f"out{one.suffix}"), overwrite=True)
    assert not list(one.parent.glob("vidsieve-*"))
    return read_table(result.outputs[0]), result


@pytest.mark.parametrize("column", ["path", "text"])
def test_the_first_of_each_is_kept(pair, column):
    one = in_memory(pair[0])
    kept = one[~one[column].duplicated() | one[column].isna()]
    rejected = pair[0].with_name(f"rejected{pair[0].suffix}")
    result = run_datautil(
        [pair[0]],
        {f"remove_{column}_duplication": True},
        output=pair[0].with_name(f"out{pair[0].suffix}"),
        rejected=rejected,
    )
    assert rows_of(read_table(result.outputs[0])) == rows_of(kept)
    removed = one.drop(kept.index)
    assert rows_of(read_table(rejected).drop("rejected_by")) == rows_of(removed)


def test_difference_and_intersection(pair):
    one, other = map(in_memory, pair)
    there = one["path"].isin(set(other["path"].dropna()))
    assert there.sum() not in (0, ROWS)
    assert rows_of(edited(pair[0], difference=str(pair[1]))[0]) == rows_of(one[~there])

    new = other.drop_duplicates("path").dropna(subset="path").set_index("path")["extra"].to_dict()
    expected = [{**row, "extra": new[row["path"]]} for row in one[there].to_dict("records")]
    found, result = edited(pair[0], intersection=str(pair[1]))
    assert rows_of(found) == rows_of(expected)
    repeated = int(other["path"].dropna().duplicated().sum())
    assert f"{repeated} rows with the path of another, the first of each path counts" in "".join(result.notes)


def test_union(pair):
    one, other = map(in_memory, pair)
    once = other[~other["path"].duplicated() | other["path"].isna()]
    by_path = once.dropna(subset="path").set_index("path")
    expected = []
    for row in one.to_dict("records"):
        found = by_path.loc[row["path"]].to_dict() if row["path"] in by_path.index else {}
        filled = {name: found.get(name) if cell is None else cell for name, cell in row.items()}
        expected.append({**filled, "extra": found.get("extra")})
    mine = set(one["path"].dropna())
    expected += [row for row in once.to_dict("records") if row["path"] not in mine]
    assert rows_of(edited(pair[0], union=str(pair[1]))[0]) == rows_of(expected)


def test_update_text(pair):
    one, other = map(in_memory, pair)
    texts = dict(zip(other["path"], other["text"], strict=True))  # the last one counts
    texts.pop(None)
    expected = [{**row, "text": texts.get(row["path"], row["text"])} for row in one.to_dict("records")]
    assert rows_of(edited(pair[0], update_text=str(pair[1]))[0]) == rows_of(expected)


def test_captions_are_edited_piece_by_piece(pair):
    expected = in_memory(pair[0]).to_dict("records")
    for row in expected:
        row["text"] = "A dog." if row["text"] == "The video shows a dog." else row["text"]
    assert rows_of(edited(pair[0], refine_llm_caption=True)[0]) == rows_of(expected)


def test_one_video_gives_few_rows(tmp_path):
    """--sample --per-source as by its definition: the sources take turns, in the order of a permutation."""
    import numpy as np

    source = [None if i % 50 == 0 else f"v{i * i % 23}" for i in range(ROWS)]
    paths = [None if i % 100 == 0 else f"{i}.mp4" for i in range(ROWS)]
    one = write_table(pl.DataFrame({"path": paths, "source": source}), tmp_path / "one.parquet")
    from tools.datasets.datautil import Settings

    rank = np.random.RandomState(5).permutation(ROWS)
    video = [s or p for s, p in zip(source, paths, strict=True)]
    given, turns = {}, {}
    for i in np.argsort(rank):
        given[video[i]] = turns[i] = given.get(video[i], 0) + 1
    wanted = sorted((i for i in turns if turns[i] <= 4), key=lambda i: (turns[i], rank[i]))[:60]
    result = run_datautil(
        [one], {"sample": 60}, output=tmp_path / "o.parquet", settings=Settings(5, per_source=4)
    )
    assert read_table(result.outputs[0])["path"].to_list() == [paths[i] for i in sorted(wanted)]


def test_a_key_that_is_no_text_is_matched_in_memory():
    from tools.datasets.operations.paths import keep_first
    from tools.table.external_join import join_rows

    numbers = pl.DataFrame({"path": [1, 2, 1, None, None] * 50})
    context = Context("the frame", None)  # type: ignore[arg-type]
    assert keep_first(numbers.lazy(), "path", context).kept.collect()["path"].to_list() == [
        1,
        2,
        *[None] * 100,
    ]
    other = pl.LazyFrame({"path": [2, 3], "w": ["a", "b"]})
    joined = join_rows(numbers.lazy(), other, "path", context.scratch_folder)
    assert joined.frame.collect()["w"].to_list() == [None, "a", None, None, None] * 50
