"""Splits: groups by brute force over all pairs, stability by adding rows, shares by counting."""

import random
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from tools.errors import UserError
from tools.export.splits import check_splits, connected, group_names, parse_splits, split_rows

HALVES = "train:0.5,val:0.5"


def source_of(row):
    return row["source"] or row["path"].split("_scene-")[0]


def brute_force(rows):
    """Groups by merging sets until nothing changes: what the docstring of `split_rows` says, word by word."""

    def keys(row):
        named = [row.get("dup_of"), row["path"]]
        return (
            {("source", source_of(row))}
            | {("file", name) for name in named if name}
            | {("original", name) for name in [row.get("original_path")] if name}
        )

    groups = []
    for number, row in enumerate(rows):
        members, found = {number}, keys(row)
        for other in [group for group in groups if group[1] & found]:
            groups.remove(other)
            members |= other[0]
            found |= other[1]
        groups.append((members, found))
    return {frozenset(members) for members, _ in groups}


def random_rows(seed, number=60):
    """A table with duplicates in chains and circles, of files that are not there, and empty sources."""
    draw = random.Random(seed)
    paths = [f"v{draw.randrange(25)}_scene-{i}.mp4" for i in range(number)]
    return [
        {
            "path": path,
            "source": draw.choice(["", f"films/{draw.randrange(20)}.mp4"]),
            "dup_of": draw.choice([None, None, None, "", path, draw.choice(paths), "gone.mp4"]),
            "original_path": draw.choice([None, None, None, None, f"o{draw.randrange(40)}.mp4"]),
        }
        for path in paths
    ]


def table(rows):
    return pl.DataFrame(rows, infer_schema_length=None)


def by_path(rows, splits=HALVES, seed=0):
    names = split_rows(table(rows), splits, seed)
    return dict(zip([row["path"] for row in rows], names.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(12))
def test_groups_are_those_of_brute_force(seed):
    rows = random_rows(seed)
    _, group = group_names(table(rows))
    found = {frozenset(np.flatnonzero(group == one).tolist()) for one in set(group.tolist())}
    assert found == brute_force(rows)


def test_no_group_is_in_two_splits():
    rows = random_rows(3, 400)
    names = split_rows(table(rows), "a:0.4,b:0.3,c:0.3", 7)
    assert all(len({names[row] for row in group}) == 1 for group in brute_force(rows))


@pytest.mark.parametrize("edges", ["chain", "reversed chain", "circle", "star", "random"])
def test_components_of_long_graphs(edges):
    nodes = 3000
    order = np.arange(nodes - 1)
    pairs = {
        "chain": (order, order + 1),
        "reversed chain": (nodes - 1 - order, nodes - 2 - order),
        "circle": (np.arange(nodes), (np.arange(nodes) + 1) % nodes),
        "star": (order + 1, np.zeros(nodes - 1, int)),
        "random": tuple(np.random.default_rng(0).integers(0, nodes, (2, nodes // 2))),
    }[edges]
    smallest = list(range(nodes))
    neighbours = [[] for _ in range(nodes)]
    for one, other in zip(*(side.tolist() for side in pairs), strict=True):
        neighbours[one].append(other)
        neighbours[other].append(one)
    seen = set()
    for start in range(nodes):  # from small to large, so the start is the smallest of its component
        todo = [] if start in seen else [start]
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                smallest[node] = start
                todo += neighbours[node]
    assert connected(nodes, np.stack(pairs)).tolist() == smallest


@pytest.mark.parametrize("seed", range(8))
def test_rows_that_are_no_duplicates_move_nothing(seed):
    """Whatever groups there are: new rows of new and known source videos, some with names before others."""
    rows = [row | {"original_path": None} for row in random_rows(seed)]
    paths = {row["path"] for row in rows}
    known = [source_of(row) for row in rows]
    new = [
        {"path": f"{i}new.mp4", "source": source, "dup_of": None, "original_path": None}
        for i, source in enumerate([*known, "0.mp4", "~.mp4", "", ""])
    ]
    before, after = by_path(rows), by_path([*new, *rows])
    assert {path: after[path] for path in paths} == before


@pytest.mark.parametrize("seed", range(8))
def test_duplicates_from_new_sources_move_nothing_and_follow(seed):
    """Kept rows have sources of their own, as after `dedup`; the new ones have names before all others."""
    draw = random.Random(seed)
    rows = [{"path": f"{i}.mp4", "source": f"films/{i % 30}.mp4", "dup_of": None} for i in range(90)]
    new = [
        {"path": f"new{i}.mp4", "source": f"!{i}.mp4", "dup_of": draw.choice(rows)["path"]} for i in range(60)
    ]
    before, after = by_path(rows), by_path([*new, *rows])
    assert {path: after[path] for path in before} == before
    assert all(after[row["path"]] == before[row["dup_of"]] for row in new)


def test_a_row_that_joins_two_groups_moves_no_third():
    rows = [{"path": f"{i}.mp4", "source": f"{i}", "dup_of": None} for i in range(200)]
    before = by_path(rows)
    one, other = next((a, b) for a in before for b in before if before[a] == "train" and before[b] == "val")
    joining = {"path": "j.mp4", "source": one.removesuffix(".mp4"), "dup_of": other}
    after = by_path([*rows, joining])
    assert after[one] == after[other] == after["j.mp4"] == before[other]
    assert {path for path in before if after[path] != before[path]} == {one}


def test_order_of_rows_and_types_of_columns_do_not_matter():
    rows = list({row["path"]: row for row in random_rows(5, 200)}.values())
    turned = list(reversed(rows))
    assert by_path(rows) == by_path(turned)
    numbers = pl.DataFrame({"path": [f"{i}.mp4" for i in range(50)], "source": [i // 5 for i in range(50)]})
    texts = numbers.with_columns(pl.col("source").cast(pl.String))
    assert split_rows(numbers, HALVES).tolist() == split_rows(texts, HALVES).tolist()


def test_clip_names_tell_the_source_where_no_column_does():
    rows = [{"path": f"films/{i // 10}_scene-{i % 10}.mp4"} for i in range(1000)]
    names = split_rows(table(rows), HALVES)
    assert all(len(set(names[i : i + 10].tolist())) == 1 for i in range(0, 1000, 10))
    assert set(names.tolist()) == {"train", "val"}
    with_column = [row | {"source": f"films/{i // 10}"} for i, row in enumerate(rows)]
    assert names.tolist() == split_rows(table(with_column), HALVES).tolist()


def test_empty_cells_as_any_reader_gives_them():
    rows = pl.DataFrame(
        {"path": ["a.mp4", "./a.mp4", "b.mp4"], "source": ["", None, "nan"], "dup_of": ["", "nan", None]}
    )
    _, group = group_names(rows)
    assert group[0] == group[1] != group[2]


def test_shares_come_close_with_many_groups_in_rows_and_in_hours():
    """20,000 groups: the standard deviation of a share of 0.1 is 0.0021 in groups, below 0.004 in rows."""
    draw = np.random.default_rng(0)
    source = draw.integers(0, 20_000, 60_000)
    seconds = draw.uniform(2, 20, 60_000)
    frame = pl.DataFrame({"path": [f"{i}.mp4" for i in range(60_000)], "source": source})
    names = split_rows(frame, "train:0.8,val:0.1,test:0.1", 1)
    for name, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert (names == name).mean() == pytest.approx(share, abs=0.015)
        assert seconds[names == name].sum() / seconds.sum() == pytest.approx(share, abs=0.015)
    assert not check_splits(names, "train:0.8,val:0.1,test:0.1")


def test_a_growing_share_takes_from_its_neighbour_alone():
    frame = pl.DataFrame({"path": [f"{i}.mp4" for i in range(3000)]})
    small, large = split_rows(frame, "train:0.9,val:0.1"), split_rows(frame, "train:0.8,val:0.2")
    assert set(large[small == "val"].tolist()) == {"val"}
    assert (small != large).sum() == (large == "val").sum() - (small == "val").sum() > 0


def test_seeds_differ():
    frame = pl.DataFrame({"path": [f"{i}.mp4" for i in range(1000)]})
    changed = split_rows(frame, HALVES, 1) != split_rows(frame, HALVES, 2)
    assert 0.4 < changed.mean() < 0.6


@pytest.mark.parametrize("columns", [["path"], ["source"], ["path", "source", "dup_of"]])
def test_a_table_without_rows(columns):
    assert (
        split_rows(pl.DataFrame({name: pl.Series([], dtype=pl.String) for name in columns}), HALVES).tolist()
        == []
    )


def test_small_tables_are_told_of():
    frame = pl.DataFrame({"path": [f"{i}.mp4" for i in range(20)], "source": ["one film"] * 20})
    names = split_rows(frame, "train:0.98,val:0.02")
    assert len(set(names.tolist())) == 1
    notes = check_splits(names, "train:0.98,val:0.02")
    assert "val is empty" in notes[-1]
    assert not check_splits(np.array([], "U1"), HALVES)


def test_shares_are_read_as_written():
    assert parse_splits("train:0.98, val:.01,test:1e-2") == {
        "train": Decimal("0.98"),
        "val": Decimal("0.01"),
        "test": Decimal("0.01"),
    }
    assert parse_splits("all:1") == {"all": Decimal(1)}
    assert parse_splits(",".join(f"s{i}:0.1" for i in range(10)))  # no rounding of binary fractions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "NAME:SHARE"),
        ("train", "NAME:SHARE"),
        ("train:", "NAME:SHARE"),
        (":1", "NAME:SHARE"),
        ("train:0.5,val:0.5,", "NAME:SHARE"),
        ("train:0.9,val:0.2", "add up to 1.1"),
        ("train:0.333,val:0.333,test:0.333", "add up to 0.999"),
        ("train:98,val:2", "at most 1"),
        ("train:1,val:0", "above 0"),
        ("train:1.5,val:-0.5", "at most 1"),
        ("train:nan,val:1", "not nan"),
        ("train:inf,val:1", "not inf"),
        ("train:98%,val:2%", "98%"),
        ("train:0.5,train:0.5", "twice"),
        ("train:0.5,Train:0.5", "twice"),
        ("../up:0.5,val:0.5", "cannot name"),
        (".:0.5,val:0.5", "cannot name"),
        ("tr/ain:0.5,val:0.5", "cannot name"),
        ("a.b:0.5,val:0.5", "cannot name"),
        ("-x:0.5,val:0.5", "cannot name"),
        ("\u0661:0.5,val:0.5", "cannot name"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(UserError, match="--split") as error:
        parse_splits(text)
    assert said in str(error.value)


def test_a_table_that_names_no_files_is_refused():
    with pytest.raises(UserError, match="neither"):
        split_rows(pl.DataFrame({"text": ["a"]}), HALVES)
