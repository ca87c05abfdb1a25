"""Vectors and remarks that a stage gives beside its columns. The vectors are the bytes of the files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from tools.errors import MediaError, UserError
from tools.stage.ledger import Ledger
from tools.stage.outcomes import count_remarks
from tools.stage.runner import RunOptions, map_rows, run_stage
from tools.stage.stage import REMARKS, VECTOR, Stage
from tools.stage.summary import summary
from tools.stage.values import check_values, unfit
from tools.table import merge_tables, read_table, write_table

OPTIONS = RunOptions(num_workers=0, progress=False)


@dataclasses.dataclass
class FourBytes(Stage):
    """The first four bytes of a file as a vector; `done` counts the rows that are worked on."""

    name = "four"
    suffix = "_four"
    output_columns = {"first": pl.Int64, REMARKS: pl.Object}

    vectors: str | None = None
    done: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.vector_file = self.vectors
        if self.vectors:
            self.output_columns = {**self.output_columns, VECTOR: pl.Object}

    def config(self):
        return {}

    def prepare(self, row, frames):
        path = Path(row["path"])
        self.done.append(path.name)
        data = path.read_bytes()
        if len(data) < 4:
            raise MediaError("too_short", path, "four bytes are wanted")
        remarks = [name for name, value in (("even", 0), ("odd", 1)) if data[0] % 2 == value]
        values = {"first": data[0], REMARKS: remarks}
        return {**values, VECTOR: np.array([*data[:4]], np.float32)} if self.vectors else values


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Seven files, the fourth too short, and the first once more."""
    paths = []
    for i in range(7):
        path = tmp_path / f"f{i}.bin"
        path.write_bytes(bytes([i, 10 + i, 20, 30])[: 2 if i == 3 else 4])
        paths.append(path)
    return [*paths, paths[0]]


@pytest.fixture
def meta(tmp_path, files) -> Path:
    return write_table(pl.DataFrame({"path": [str(p) for p in files]}), tmp_path / "meta.csv")


def expected(files) -> np.ndarray:
    contents = [file.read_bytes() for file in files]
    return np.array([[*c] if len(c) == 4 else [np.nan] * 4 for c in contents], np.float32)


def run(meta, vectors, monkeypatch=None, rank=0, ranks=1, **options):
    if monkeypatch:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(ranks))
    stage = FourBytes(str(vectors) if vectors else None)
    return stage, run_stage(stage, meta, options=dataclasses.replace(OPTIONS, **options))


def test_a_row_of_numpy_for_each_row_of_the_table(meta, files, tmp_path):
    _, result = run(meta, tmp_path / "v.npy")
    found = np.load(tmp_path / "v.npy", allow_pickle=False)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected(files))
    assert result.vectors == tmp_path / "v.npy"
    assert read_table(result.output).columns == ["path", "first"]


def test_parquet_has_the_paths(meta, files, tmp_path):
    run(meta, tmp_path / "v.parquet")
    table = pl.read_parquet(tmp_path / "v.parquet")
    assert table.schema == {"path": pl.String, "embedding": pl.List(pl.Float32)}
    assert table["path"].to_list() == [str(file) for file in files]
    for vector, row in zip(table["embedding"], expected(files), strict=True):
        assert (vector is None) == np.isnan(row).any()
        assert vector is None or vector.to_list() == row.tolist()
    assert pq.read_table(tmp_path / "v.parquet").num_rows == len(files)


def test_dropped_rows_have_no_vector_either(meta, files, tmp_path):
    _, result = run(meta, tmp_path / "v.npy", on_error="drop")
    kept = expected(files)[[0, 1, 2, 4, 5, 6, 7]]
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), kept)
    assert read_table(result.output).height == 7


def test_finished_rows_keep_their_vectors(meta, files, tmp_path):
    stage, _ = run(meta, tmp_path / "v.npy")
    assert len(stage.done) == 7
    before = (tmp_path / "v.npy").read_bytes()
    (tmp_path / "v.npy").unlink()
    stage, again = run(meta, tmp_path / "v.npy")
    assert stage.done == [] and again.already_complete
    assert (tmp_path / "v.npy").read_bytes() == before
    files[1].write_bytes(b"new!")  # that row alone is done again
    stage, _ = run(meta, tmp_path / "v.npy", overwrite=True)
    assert stage.done == ["f1.bin"]
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), expected(files))


def test_rows_that_were_finished_without_vectors_are_done_again(meta, files, tmp_path):
    _, plain = run(meta, None)
    values = plain.output.read_bytes()
    stage, result = run(meta, tmp_path / "v.npy")
    assert sorted(stage.done) == [f"f{i}.bin" for i in (0, 1, 2, 4, 5, 6)]  # the failure is known
    assert result.output.read_bytes() == values
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), expected(files))
    stage, result = run(meta, None)
    assert stage.done == [] and result.already_complete


def test_vectors_that_a_kill_or_a_disk_cut_short_are_made_again(meta, files, tmp_path):
    _, result = run(meta, tmp_path / "v.npy")
    kept = tmp_path / ".vidsieve" / result.output.name / "rank0.vectors"
    kept.write_bytes(kept.read_bytes()[:-6])
    stage, _ = run(meta, tmp_path / "v.npy")
    assert len(stage.done) == 1
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), expected(files))
    stage, _ = run(meta, tmp_path / "v.npy")
    assert stage.done == []


def test_a_vector_is_on_disk_before_its_row_counts_as_finished(tmp_path):
    """Killed between the two writes, the row is done again."""
    vector = np.arange(3, dtype=np.float32)
    with Ledger(tmp_path, 0, {}, {"a", "b"}) as ledger:
        ledger.add([("a", {"x": 1, VECTOR: vector}), ("b", {"x": 2, VECTOR: None})])
    lines = tmp_path / "rank0.jsonl"
    whole = lines.read_bytes()
    for cut in (0, 10):
        lines.write_bytes(whole[:cut])
        with Ledger(tmp_path, 0, {}, {"a", "b"}) as ledger:
            assert not ledger.outcomes and not ledger.has_vector("a")
            ledger.add([("a", {"x": 1, VECTOR: vector + cut})])
        with Ledger(tmp_path, 1, {}, {"a", "b"}) as ledger:  # another rank reads it
            np.testing.assert_array_equal(ledger.vector("a"), vector + cut)
            assert ledger.outcomes == {"a": {"x": 1}}
    lines.write_bytes(whole)
    with Ledger(tmp_path, 0, {}, {"a", "b"}) as ledger:
        assert ledger.has_vector("b") and ledger.vector("b") is None
        np.testing.assert_array_equal(ledger.vector("a"), vector)


@pytest.mark.parametrize("name", ["v.npy", "v.parquet"])
def test_ranks_write_parts_and_go_on_from_each_other(meta, files, tmp_path, monkeypatch, name):
    for rank in range(3):
        run(meta, tmp_path / name, monkeypatch, rank, 3)
    parts = [tmp_path / name.replace(".", f"_part{rank}.") for rank in range(3)]
    if name == "v.npy":
        tables = [pl.read_csv(tmp_path / f"meta_four_part{rank}.csv") for rank in range(3)]
        whole = np.full((8, 4), np.inf, np.float32)
        for table, part in zip(tables, parts, strict=True):
            whole[table["_row"].to_numpy()] = np.load(part)
        np.testing.assert_array_equal(whole, expected(files))
    else:
        merged = merge_tables(parts).collect()
        assert merged["path"].to_list() == [str(file) for file in files]
    stage, _ = run(meta, tmp_path / name, monkeypatch, 0, 2)
    assert stage.done == [] and not parts[2].exists()  # it does not mix with the parts of two ranks
    stage, _ = run(meta, tmp_path / name, monkeypatch, 0, 1)
    assert stage.done == [] and not any(part.exists() for part in parts)
    alone = (tmp_path / name).read_bytes()
    (tmp_path / ".vidsieve").rename(tmp_path / "away")
    for file in (tmp_path / name, tmp_path / "meta_four.csv"):
        file.unlink()
    run(meta, tmp_path / name)
    assert (tmp_path / name).read_bytes() == alone


def test_files_of_others_are_left_alone(meta, tmp_path):
    (tmp_path / "v.npy").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"v\.npy: is in the way"):
        run(meta, tmp_path / "v.npy")
    assert (tmp_path / "v.npy").read_bytes() == b"precious"
    run(meta, tmp_path / "v.npy", overwrite=True)
    assert np.load(tmp_path / "v.npy").shape == (8, 4)
    run(meta, tmp_path / "v.npy")  # its own file is no obstacle
    table = write_table(read_table(meta), tmp_path / "meta.parquet")
    for other in (table, tmp_path / "meta_four.parquet"):
        with pytest.raises(UserError, match="is a table of this run"):
            run(table, other, overwrite=True)
    with pytest.raises(UserError, match=r"ends in \.npy or \.parquet"):
        run(meta, tmp_path / "v.csv")


@pytest.mark.logs_errors
def test_a_vector_must_be_one(meta, tmp_path):
    class Wrong(FourBytes):
        def prepare(self, row, frames):
            return {**super().prepare(row, frames), VECTOR: [1.0, 2.0]}

    result = run_stage(Wrong(str(tmp_path / "v.npy")), meta, options=OPTIONS)
    assert result.failed == 8
    assert {failure.kind for failure in result.failures} == {"internal", "too_short"}


def test_rows_in_memory_have_theirs(files):
    rows = [{"path": str(file)} for file in files[:2]]
    outcomes = map_rows(FourBytes("v.npy"), rows, OPTIONS)
    np.testing.assert_array_equal([outcome[VECTOR] for outcome in outcomes], expected(files)[:2])


def test_the_last_lines_count_the_remarks(meta):
    _, result = run(meta, None)
    assert result.remarks == {"even": 5, "odd": 2}  # 0 2 4 6 and 0 again; 1 and 5
    lines = summary(result).splitlines()
    assert lines[0].startswith("8 rows: 7 done, 1 failed: too_short 1")
    assert lines[1:3] == ["5 rows: even", "2 rows: odd"]
    _, again = run(meta, None)  # finished rows keep theirs
    assert again.already_complete and again.remarks == result.remarks


def test_remarks_may_be_left_out_of_values_and_of_a_ledger():
    """A stage that adds them keeps the finished rows of its earlier versions, which had none."""
    values = [{"first": 1}, {"first": 2, REMARKS: ["even"]}]
    assert check_values(FourBytes(), values) == values
    assert unfit(FourBytes(), {"a": values[0], "b": values[1], "c": {REMARKS: []}}) == ["c"]
    with pytest.raises(ValueError, match="instead of"):
        check_values(FourBytes(), [{REMARKS: []}])


def test_a_remark_counts_once_for_a_row():
    assert count_remarks([{REMARKS: ["cut", "cut"]}, {REMARKS: ["cut"]}, {}]) == {"cut": 2}


def test_vectors_that_another_run_has_put_there_meanwhile_stay(files, tmp_path):
    place = tmp_path / "v.npy"

    class Overtaken(FourBytes):
        def prepare(self, row, frames):
            place.write_bytes(b"of another run")
            return super().prepare(row, frames)

    meta = write_table(pl.DataFrame({"path": [str(files[0])]}), tmp_path / "meta.csv")
    with pytest.raises(UserError, match="another command has just made it"):
        run_stage(Overtaken(vectors=str(place)), meta, options=OPTIONS)
    assert place.read_bytes() == b"of another run"
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(UserError, match="is in the way"):
        run_stage(FourBytes(vectors=str(place)), meta, options=OPTIONS)
    run_stage(FourBytes(vectors=str(place)), meta, options=dataclasses.replace(OPTIONS, overwrite=True))
    assert np.load(place).tolist() == [[0, 10, 20, 30]]
