"""An export to an address: the same objects as the files of an export to this machine, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from tests.export.remote.object_store import FOLDER, ObjectStore
from tests.export.test_export import write_table
from tests.support import make_video, run_command
from tools.export.__main__ import main
from tools.media.fetching import remote_folder

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "objects://bucket/data/wan"
HOW = (
    *("--for", "wan2.1@diffusion-pipe", "--frames", 17, "--sizes", "256x160", "--windows"),
    *("--num-workers", 0, "--root", "/data/wan"),
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos; of the first come two clips, of the other one."""
    folder = tmp_path_factory.mktemp("videos")
    long = make_video(folder / "a.mp4", 34, size=(320, 192), fps=16)
    short = make_video(folder / "b.mp4", 17, size=(320, 192), fps=16)
    return [(long, 320, 192, 34, 16, "A dog.", ""), (short, 320, 192, 17, 16, "A cat.", "")]


@pytest.fixture(scope="module")
def expected(videos, tmp_path_factory):
    """The files of an export to this machine."""
    folder = tmp_path_factory.mktemp("local")
    table = write_table(folder / "m.csv", videos)
    done = run_command(main, table, *HOW, "-o", folder / "wan")
    assert done.returncode == 0, done.stderr
    return exported(folder / "wan", table)


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path / "objects"))
    monkeypatch.setattr(ObjectStore, "fails", [])
    monkeypatch.setattr(ObjectStore, "writes", 0)
    monkeypatch.setattr(remote_folder, "PAUSES", (0.01, 0.01))
    (tmp_path / "objects" / "bucket").mkdir(parents=True)
    return tmp_path / "objects" / "bucket"


@pytest.fixture
def table(tmp_path, videos):
    return write_table(tmp_path / "m.csv", videos)


def files_below(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def exported(folder: Path, table: Path) -> dict[str, bytes]:
    """The files of an export, without the path of the table, which the manifest has in the command."""
    files = files_below(folder)
    return {**files, "dataset.json": files["dataset.json"].replace(str(table).encode(), b"TABLE")}


def export(table: Path, *words: object, **environment: str):
    return run_command(main, table, *HOW, "-o", ADDRESS, *words, **environment)


def test_the_objects_are_the_files_of_a_local_export(bucket, table, expected, tmp_path):
    done = export(table)
    assert done.returncode == 0, done.stderr
    found = exported(bucket / "data" / "wan", table)
    assert found == expected
    assert found["dataset.toml"].count(b'path = "/data/wan/clips"') == 1
    here = {path.name for path in tmp_path.iterdir()}
    assert here == {".vidsieve", "m.csv", "objects", "wan_clips.csv", "wan_clips.csv.provenance.json"}
    assert not list((tmp_path / ".vidsieve").rglob("*.mp4"))
    copied = (bucket / "data" / "wan_clips.csv").read_bytes()
    assert copied == (tmp_path / "wan_clips.csv").read_bytes()
    assert f"{ADDRESS}/clips/a_w001.mp4".encode() in copied
    again = export(table)
    assert "complete already" in again.stderr
    assert ObjectStore.writes == len(expected) + 1  # and no more


@pytest.mark.parametrize(("write", "when"), [(2, "after"), (8, "after")])
def test_a_killed_export_ends_with_the_same_objects(bucket, table, expected, tmp_path, write, when):
    """Three clips, three captions and the configuration are written, then the manifest in three pieces."""
    words = [str(word) for word in (write, when, table, *HOW, "-o", ADDRESS)]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.export.remote.object_store", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "dataset.json" not in files_below(bucket / "data" / "wan")
    done = export(table)
    assert done.returncode == 0, done.stderr
    assert exported(bucket / "data" / "wan", table) == expected
    assert not list((tmp_path / ".vidsieve").rglob("*.mp4"))


def test_nothing_of_others_is_replaced(bucket, table):
    theirs = bucket / "data" / "wan" / "clips" / "a_w002.mp4"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"of somebody else")
    done = export(table, "--prune")
    assert done.returncode == 0
    assert "encode 1" in done.stderr and "1 more files" in done.stderr
    failures = (bucket / "data" / "wan_clips.failures.csv").read_text()
    assert "clips/a_w002.mp4: another object is there" in failures
    assert theirs.read_bytes() == b"of somebody else"
    assert export(table, "--retry-failed", "--overwrite").returncode == 0
    assert theirs.read_bytes() == b"of somebody else"


@pytest.mark.parametrize("name", ["wan/dataset.json", "wan/dataset.toml", "wan_clips.csv"])
def test_a_text_of_others_ends_the_run(bucket, table, name):
    theirs = bucket / "data" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"of somebody else")
    done = export(table)
    assert done.returncode == 2
    assert f"data/{name}: another object is there" in done.stderr
    assert theirs.read_bytes() == b"of somebody else"
    assert not list(bucket.rglob("*.mp4"))
    assert export(table, "--overwrite").returncode == 0
    assert theirs.read_bytes() != b"of somebody else"


def test_what_earlier_runs_left_is_named_and_pruned_and_what_is_missing_made_again(bucket, table, videos):
    folder = bucket / "data" / "wan" / "clips"
    assert export(table).returncode == 0
    (folder / "theirs.mp4").write_bytes(b"of somebody else")
    (folder / "a_w001.mp4").unlink()
    (folder / "a_w001.txt").unlink()
    write_table(table, videos[:1])
    assert "2 more files" in export(table, "--overwrite").stderr
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".mp4") == [
        *("a_w001.mp4", "a_w002.mp4", "b.mp4", "theirs.mp4")
    ]
    assert "1 more files" in export(table, "--prune").stderr
    names = ["a_w001.mp4", "a_w001.txt", "a_w002.mp4", "a_w002.txt", "theirs.mp4"]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_ranks_write_the_same_objects(bucket, table, expected):
    for rank in "01":
        done = export(table, RANK=rank, WORLD_SIZE="2")
        assert done.returncode == 0, done.stderr
        assert (bucket / "data" / "wan" / "dataset.json").exists() == (rank == "1")
    assert exported(bucket / "data" / "wan", table) == expected
    assert sorted(path.name for path in (bucket / "data").iterdir()) == [
        *("wan", "wan_clips_part0.csv", "wan_clips_part1.csv")
    ]


def test_shards_are_packed_here_and_uploaded_without_their_clips(bucket, table, tmp_path):
    words = ("--for", "webdataset", "--num-workers", 0)
    done = run_command(main, table, *words, "-o", "objects://bucket/wds", "--shards", "1KB")
    assert done.returncode == 0, done.stderr
    local = run_command(main, table, *words, "-o", tmp_path / "here", "--shards", "1KB")
    assert local.returncode == 0
    found, here = files_below(bucket / "wds"), files_below(tmp_path / "here")
    shards = {name: content for name, content in here.items() if name.startswith("shards/")}
    assert {name: content for name, content in found.items() if name.startswith("shards/")} == shards
    assert len(shards) == 3 and not any(name.startswith("clips/") for name in found)
    again = run_command(main, table, *words, "-o", "objects://bucket/wds")
    assert again.returncode == 0
    names = sorted(path.name for path in (bucket / "wds" / "shards").iterdir())
    assert names == ["000000.tar", "index.json"]  # the second one would be read, too


def test_a_storage_that_fails_for_a_while_is_tried_again(bucket, table):
    ObjectStore.fails = [OSError("slow down"), None, OSError("slow down")]
    assert export(table).returncode == 0


def test_a_storage_that_keeps_failing_ends_the_run_and_no_row_has_failed(bucket, table):
    ObjectStore.fails = [None, *([OSError("unavailable")] * 40)]
    done = export(table)
    assert done.returncode == 1
    assert "cannot be written: OSError: unavailable; run the same command again" in done.stderr
    ObjectStore.fails = []
    done = export(table)
    assert done.returncode == 0
    assert "failed" not in done.stderr


def test_a_refusal_ends_the_run_at_once(bucket, table):
    ObjectStore.fails = [PermissionError("access denied")] * 40
    done = export(table)
    assert done.returncode == 2
    assert "the storage refuses: PermissionError: access denied; check its credentials" in done.stderr


def test_no_manifest_says_that_an_export_is_finished_which_is_not(bucket, table):
    assert export(table).returncode == 0
    ObjectStore.fails = [None, *([OSError("unavailable")] * 40)]
    assert export(table, "--crf", 30, "--overwrite").returncode == 1
    assert not (bucket / "data" / "wan" / "dataset.json").exists()
    ObjectStore.fails = []
    assert export(table, "--crf", 30, "--overwrite").returncode == 0
    assert run_command(main, "--verify", ADDRESS).returncode == 0


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("objects://nobody/wan", "the bucket does not exist"),
        ("memory://", "the bucket is missing"),
        ("https://host/wan", "nothing can be written there"),
        ("nothing://bucket/wan", "there is no storage called nothing"),
    ],
)
def test_addresses_that_cannot_be_written(bucket, table, address, says):
    done = run_command(main, table, *HOW, "-o", address)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_file_address_is_a_folder_of_this_machine(table, tmp_path, expected):
    done = run_command(main, table, *HOW, "-o", f"file://{tmp_path}/wan")
    assert done.returncode == 0, done.stderr
    assert files_below(tmp_path / "wan").keys() == expected.keys()


def test_memory(table, expected):
    done = run_command(main, table, *HOW, "-o", "memory://bucket/wan")
    assert done.returncode == 0, done.stderr
    memory = fsspec.filesystem("memory")
    try:
        assert {name.removeprefix("/bucket/wan/") for name in memory.find("/bucket/wan")} == expected.keys()
    finally:
        memory.rm("/bucket", recursive=True)
