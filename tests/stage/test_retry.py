"""Failed rows that are done again: which of them, and how that is asked for."""

import argparse
import dataclasses
import os
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tests.stage.stages import BytesStage, CrcStage
from tools import cli
from tools.errors import FAILURE_KINDS, MediaError, UserError, failure_kinds
from tools.scoring.fused import FusedStage
from tools.stage.options import add_stage_arguments, run_options
from tools.stage.runner import RunOptions, run_stage
from tools.stage.stage import FAILURES, Stage
from tools.table import read_table, write_table

KINDS = ["decode", "timeout", "server", "internal"]
NAMES = [*KINDS, "fine"]


@dataclasses.dataclass
class KindStage(Stage):
    """Fails as the name of the file says, unless there is a file called mended beside it."""

    log: str = ""
    column: str = "size"

    def __post_init__(self):
        self.name, self.suffix, self.output_columns = self.column, f"_{self.column}", {self.column: pl.Int64}

    def config(self):
        return {}

    def prepare(self, row, frames):
        path = Path(row["path"])
        with Path(self.log).open("a") as file:
            file.write(f"{path.stem}\n")
        if path.stem in KINDS and not path.with_name("mended").exists():
            if path.stem == "internal":
                raise KeyError("a fault of ours")
            raise MediaError(path.stem, path, "not now")
        return {self.column: len(path.stem)}


@dataclasses.dataclass
class PartlyStage(KindStage):
    """What fails is a part of the row: it has a value all the same."""

    def __post_init__(self):
        super().__post_init__()
        self.output_columns = {**self.output_columns, FAILURES: pl.Object}

    def prepare(self, row, frames):
        try:
            return {**super().prepare(row, frames), FAILURES: []}
        except MediaError as error:
            return {self.column: None, FAILURES: [[error.kind, error.message]]}


@pytest.fixture
def meta(tmp_path) -> Path:
    """A picture for each kind of failure, and one that is fine."""
    paths = [str(tmp_path / f"{name}.png") for name in NAMES]
    for path in paths:
        Image.new("RGB", (2, 2)).save(path)
    return write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")


def run(stage, meta, log="log", **options):
    """Run; give the result and the files that were worked on."""
    meta.with_name(log).unlink(missing_ok=True)
    options = RunOptions(num_workers=0, progress=False, **options)
    result = run_stage(stage, meta, options=options)
    return result, set(meta.with_name(log).read_text().split()) if meta.with_name(log).exists() else set()


@pytest.mark.parametrize("make", [KindStage, PartlyStage])
@pytest.mark.parametrize(
    ("asked", "done"),
    [
        (False, set()),
        (True, set(KINDS)),
        ("all", set(KINDS)),
        ("timeout", {"timeout"}),
        ("server,timeout", {"server", "timeout"}),
        (["internal"], {"internal"}),
        ("crash", set()),
    ],
)
@pytest.mark.logs_errors
def test_rows_that_failed_in_these_ways_are_done_again_and_no_others(meta, make, asked, done):
    stage = make(log=str(meta.with_name("log")))
    assert len(run(stage, meta)[0].failures) == 4
    meta.with_name("mended").touch()
    result, worked_on = run(stage, meta, retry_failed=asked)
    assert worked_on == done
    assert {Path(failure.path).stem for failure in result.failures} == set(KINDS) - done
    sizes = read_table(result.output)["size"].to_list()
    assert sizes == [str(len(name)) if name in {*done, "fine"} else None for name in NAMES]
    assert run(stage, meta)[1] == set()


@pytest.mark.logs_errors
@pytest.mark.parametrize("make", [KindStage, PartlyStage])
def test_what_was_killed_from_outside_is_done_again_unasked(meta, monkeypatch, make):
    monkeypatch.setitem(globals(), "KINDS", [*KINDS, "killed"])
    path = meta.with_name("killed.png")
    Image.new("RGB", (2, 2)).save(path)
    meta.write_text(f"{meta.read_text()}{path}\n")
    stage = make(log=str(meta.with_name("log")))
    assert len(run(stage, meta)[0].failures) == 5
    assert run(stage, meta)[1] == {"killed"}  # and it was killed again
    meta.with_name("mended").touch()
    result, done = run(stage, meta)
    assert (done, len(result.failures), read_table(result.output)["size"][-1]) == ({"killed"}, 4, "6")


@pytest.mark.logs_errors
def test_one_of_several_scores_that_failed_is_a_reason_too(meta):
    logs = [str(meta.with_name(name)) for name in ("log", "other")]

    def stage():
        class Fine(KindStage):
            def prepare(self, row, frames):
                return {self.column: Path(row["path"]).stat().st_size}

        return FusedStage(stages=(KindStage(log=logs[0]), Fine(log=logs[1], column="bytes")))

    first, _ = run(stage(), meta)
    assert (first.failed, len(first.failures)) == (0, 4)  # no row failed as a whole
    meta.with_name("mended").touch()
    result, done = run(stage(), meta, retry_failed="server,decode")
    assert done == {"server", "decode"}
    table = read_table(result.output)
    assert table["size"].to_list() == ["6", None, "6", None, "4"]
    assert table["bytes"].to_list() == [str(Path(path).stat().st_size) for path in table["path"]]
    result, done = run(stage(), meta, retry_failed=True)
    assert (done, result.failures) == ({"timeout", "internal"}, [])


def test_a_row_of_many_of_which_some_failed_is_done_again(tmp_path):
    """A file of three bytes, one of them zero, which is a failure of its own until the file is mended."""
    file = tmp_path / "a"
    file.write_bytes(b"\x01\x00\x03")
    os.utime(file, (1, 1))
    meta = write_table(pl.DataFrame({"path": [str(file)], "id": ["a"]}), tmp_path / "meta.csv")
    assert len(run(BytesStage(), meta)[0].failures) == 1
    file.write_bytes(b"\x01\x02\x03")
    os.utime(file, (1, 1))  # neither size nor time tells
    assert read_table(run(BytesStage(), meta)[0].output)["byte"].to_list() == ["1", "3"]
    assert read_table(run(BytesStage(), meta, retry_failed="timeout")[0].output)["byte"].to_list() == [
        "1",
        "3",
    ]
    result, _ = run(BytesStage(), meta, retry_failed="bad_value")
    assert read_table(result.output)["byte"].to_list() == ["1", "2", "3"]


def test_a_worker_that_was_killed_is_no_lasting_verdict_on_the_file(tmp_path):
    for name, data in {"a": b"fine", "b": b"kill", "c": b"crash"}.items():
        (tmp_path / name).write_bytes(data)
    meta = write_table(pl.DataFrame({"path": [str(tmp_path / n) for n in "abc"]}), tmp_path / "meta.csv")
    options = RunOptions(num_workers=2, progress=False)
    result = run_stage(CrcStage(), meta, options=options)
    assert [failure.kind for failure in result.failures] == ["killed", "crash"]
    assert "from outside twice (SIGKILL)" in result.failures[0].message
    (tmp_path / "spare").touch()  # now nobody kills it
    result = run_stage(CrcStage(), meta, options=options)
    assert [failure.kind for failure in result.failures] == ["crash"]
    assert (result.reused, read_table(result.output)["crc"][1] is None) == (2, False)


def parsed(*arguments) -> argparse.Namespace:
    parser = cli.ArgumentParser("tests", "Test.", "tests meta.csv")
    parser.add_argument("meta")
    add_stage_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        (["meta.csv"], set()),
        (["meta.csv", "--retry-failed"], set(FAILURE_KINDS)),
        (["--retry-failed", "meta.csv"], set(FAILURE_KINDS)),
        (["--retry_failed", "meta.csv"], set(FAILURE_KINDS)),
        (["--retry-failed", "--quiet", "meta.csv"], set(FAILURE_KINDS)),
        (["meta.csv", "--retry-failed", "all"], set(FAILURE_KINDS)),
        (["meta.csv", "--retry-failed", "timeout"], {"timeout"}),
        (["--retry-failed", "timeout,killed", "meta.csv"], {"timeout", "killed"}),
        (["--retry_failed=no_video", "meta.csv"], {"no_video"}),
        (["--retry-failed=timeout,", "meta.csv"], {"timeout"}),
    ],
)
def test_the_flag_takes_kinds_and_never_the_table(arguments, kinds):
    args = parsed(*arguments)
    assert (args.meta, run_options(args).retry_failed) == ("meta.csv", kinds)


@pytest.mark.parametrize(
    "path", ["../meta.csv", "a/b", "データ.csv", "data/v.2/meta.parquet", "meta-2.csv.gz"]
)
def test_whatever_the_table_is_called(path):
    assert parsed("--retry-failed", path).meta == path


@pytest.mark.parametrize(
    "arguments", [["--retry-failed", "tiemout", "m.csv"], ["m.csv", "--retry-failed=m.csv"]]
)
def test_a_kind_that_there_is_not_is_told_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        parsed(*arguments)
    said = capsys.readouterr().err
    assert (stop.value.code, said.count("\n")) == (2, 1)
    assert all(kind in said for kind in FAILURE_KINDS)


def test_kinds_in_python():
    assert failure_kinds("all") == failure_kinds(True) == set(FAILURE_KINDS)
    assert failure_kinds(False) == failure_kinds([]) == set()
    for wrong in ("", ",", "crash,tiemout", ["crash", "tiemout"]):
        with pytest.raises(UserError, match=r"Invalid kind \(.*\)\. Supported values are missing, "):
            failure_kinds(wrong)
    with pytest.raises(UserError, match="Invalid kind"):
        RunOptions(retry_failed="tiemout")
