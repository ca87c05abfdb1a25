"""Where a table comes from: its steps and columns, by construction, through every command that writes one."""

import hashlib
import json
import os
from pathlib import Path

import polars as pl
import pytest

from tools.table import read_table, write_table
from tools.table.merge import expand_inputs
from tools.table.recording import Recording
from tools.table.sidecar import is_sidecar, read_sidecar, remove_sidecar, table_digest


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(name, **columns):
    return write_table(pl.DataFrame({"path": ["a.mp4", "b.mp4"], **columns}), name)


def without_runs(path):
    """A sidecar without what may differ between two runs, as docs/provenance.md says it."""
    document = json.loads(Path(path).read_text())
    document.pop("run")
    for step in document["steps"].values():
        step.pop("run")
    return document


def test_columns_have_the_steps_that_made_them(here):
    first = table("a.csv", aes=[1, 2])
    Recording().write(first, ["path", "aes"], made=["aes"])
    second = table("b.csv", aes=[1, 2], text=["x", "y"], flow=[3, 4])
    Recording([first], options={"by": "hand"}).write(
        second, ["path", "aes", "text", "flow"], made=["flow"], changed=["aes"]
    )
    a, b = read_sidecar(first), read_sidecar(second)
    assert list(b.steps) == [a.last, b.last]
    assert b.columns == {"path": [], "aes": [a.last, b.last], "text": [], "flow": [b.last]}
    step = b.steps[b.last]
    assert step["inputs"] == [{"name": "a.csv", **table_digest(first), "step": a.last}]
    assert step["inputs"][0]["sha256"] == hashlib.sha256(first.read_bytes()).hexdigest()
    assert step["options"] == {"by": "hand"} and step["run"]["folder"] == str(here)


def test_a_table_that_changed_has_no_sidecar(here):
    path = table("a.csv")
    Recording().write(path, ["path"])
    assert read_sidecar(path) is not None
    times = path.stat()
    path.write_text(path.read_text().replace("b.mp4", "c.mp4"))
    assert read_sidecar(path) is None
    path.write_text(path.read_text().replace("c.mp4", "b.mp4"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 5))
    assert read_sidecar(path) is not None  # a copy with another time is the same table


def test_a_large_table_is_known_by_pieces_of_it(here, monkeypatch):
    monkeypatch.setattr("tools.table.sidecar._WHOLE", 1000)
    monkeypatch.setattr("tools.table.sidecar._SAMPLE", 100)
    monkeypatch.setattr("tools.table.sidecar._SAMPLES", 4)
    path = Path("big.bin")
    data = bytes(range(256)) * 40
    path.write_bytes(data)
    pieces = b"".join(data[begin : begin + 100] for begin in (0, 3380, 6760, 10140))
    assert table_digest(path) == {"bytes": 10240, "sha256_of_samples": hashlib.sha256(pieces).hexdigest()}


def test_the_same_run_leaves_the_same_file(here):
    path = table("a.csv")
    for _ in range(2):
        sidecar = Recording().write(path, ["path"], made=["path"])
        before = (sidecar.read_bytes(), sidecar.stat().st_mtime_ns)
        Recording().write(path, ["path"], made=["path"])
        assert (sidecar.read_bytes(), sidecar.stat().st_mtime_ns) == before
    other = Path("other")
    other.mkdir()
    os.chdir(other)
    twin = Recording().write(table("a.csv"), ["path"], made=["path"])
    assert twin.read_bytes() != (here / sidecar).read_bytes()
    assert without_runs(twin) == without_runs(here / "a.csv.provenance.json")


@pytest.mark.parametrize(
    "content", ['{"mine": 1}', "[]", "no JSON", '{"vidsieve_provenance": 1, "step": []}']
)
def test_a_file_of_the_users_stays(here, content):
    path = table("a.csv")
    mine = Path("a.csv.provenance.json")
    mine.write_text(content)
    written = [Recording().write(path, ["path"]) for _ in range(2)]
    assert {one.name for one in written} == {"a.csv.provenance-2.json"}
    assert mine.read_text() == content and read_sidecar(path) is not None
    remove_sidecar(path)
    assert mine.exists() and not written[0].exists()


def test_what_a_power_failure_leaves_is_replaced(here):
    path = table("a.csv")
    Path("a.csv.provenance.json").touch()
    assert Recording().write(path, ["path"]).name == "a.csv.provenance.json"
    assert sorted(path.name for path in here.iterdir()) == ["a.csv", "a.csv.provenance.json"]


def test_long_and_odd_names(here):
    for name in ("x" * 245 + ".csv", "a b.csv", "ü'\".parquet"):
        path = table(name)
        assert Recording([path]).write(path, ["path"]).exists()
        assert read_sidecar(path).columns == {"path": []}


def test_a_sidecar_is_no_input(here):
    tables = [table(f"meta_{n}.json") for n in range(2)]
    sidecars = [Recording().write(path, ["path"]) for path in tables]
    assert all(map(is_sidecar, sidecars)) and not any(map(is_sidecar, tables))
    assert expand_inputs(["meta*"]) == expand_inputs(["*.json"]) == tables
    assert expand_inputs(sorted(map(str, [*tables, *sidecars]))) == tables  # as the shell expands *.json
    named = table("my.provenance.json")
    assert not is_sidecar(named) and named in expand_inputs(["*.json"])


def test_passwords_and_queries_of_addresses_are_left_out(here):
    path = table("a.csv")
    options = {"root": ["https://me:xyzzy@host/list.txt?plugh=1"], "base": {"url": "s3://k:frotz@bucket/x"}}
    text = Recording(options=options).write(path, ["path"]).read_text()
    assert "host/list.txt" in text and "bucket/x" in text
    assert not any(word in text for word in ("xyzzy", "plugh", "frotz"))


def test_parts_of_a_folder_have_its_sidecar(here):
    folder = Path("meta.parquet")
    folder.mkdir()
    for number in range(2):
        table(folder / f"part-{number}.parquet", aes=[number, 1])
    Recording().write(folder, ["path", "aes"], made=["aes"])
    known = read_sidecar(folder)
    assert read_sidecar(folder / "part-1.parquet") == known
    target = table("all.csv", aes=[1, 2])
    Recording(expand_inputs(["meta.parquet/*.parquet"])).write(target, ["path", "aes"])
    assert read_sidecar(target).columns["aes"] == [known.last]
    table(folder / "part-2.parquet")
    assert read_sidecar(folder) is None
    assert read_table("all.csv").height == 2
