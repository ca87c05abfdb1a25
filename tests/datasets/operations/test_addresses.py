"""Operations that look for files, on rows with addresses: a server that is in trouble is no missing file."""

from __future__ import annotations

import json

import fsspec
import polars as pl
import pytest

from tests.media.fetching.http_server import serve
from tests.support import run_command
from tools.datasets.datautil import main
from tools.media.fetching import asking
from tools.table import read_table, write_table

FILES = {
    "/a.mp4": bytes(3 << 20),
    "/a.txt": " Ein Hund läuft.\r\n".encode(),
    "/a.json": json.dumps({"caption": "A dog."}).encode(),
    "/empty.mp4": b"",
    "/empty.txt": b"",
    "/b.c.mp4": bytes(1 << 20),
    "/b.c.txt": b"\xff",
    "/b.c.json": b'{"text": "A cat."}',
    "/get": bytes(1 << 19),
}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(asking, "_TRIES", 1)
    with serve(dict(FILES)) as server:
        yield server


@pytest.fixture
def memory():
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/a#1.mp4", bytes(1 << 21))
    memory.pipe_file("/bucket/a#1.txt", b"In storage.")
    yield memory
    memory.rm("/bucket", recursive=True)


def run(paths: list[str | None], tmp_path, *words: str):
    meta = write_table(pl.DataFrame({"path": paths}, {"path": pl.String}), tmp_path / "m.csv")
    done = run_command(main, meta, *words, "--output", tmp_path / "out.csv", "--quiet")
    assert done.returncode == 0, done.stderr
    failures = tmp_path / "out.failures.csv"
    listed = read_table(failures).select("path", "kind").rows() if failures.exists() else []
    return read_table(tmp_path / "out.csv"), listed, done.stderr


def test_sizes(server, memory, tmp_path):
    here = tmp_path / "here.mp4"
    here.write_bytes(bytes(1 << 18))
    paths = [
        *(f"{server.url}{name}" for name in ("/a.mp4", "/get?id=1&sign=a/b", "/empty.mp4", "/gone.mp4")),
        *("memory://bucket/a#1.mp4", "memory://bucket/gone.mp4", str(here), here.as_uri(), "gone.mp4"),
    ]
    table, failures, _ = run([*paths, paths[0]], tmp_path, "--filesize")
    sizes = [3.0, 0.5, 0.0, None, 2.0, None, 0.25, 0.25, None, 3.0]
    assert table["filesize"].cast(pl.Float64).to_list() == sizes
    assert failures == []
    assert server.seen == ["bytes=0-0"] * 4  # one small request for each address


def test_files_that_are_not_there_go(server, memory, tmp_path):
    paths = [f"{server.url}/gone.mp4", f"{server.url}/a.mp4", "memory://bucket/gone.mp4", "gone.mp4"]
    table, failures, _ = run([*paths, None], tmp_path, "--ext", "--rejected", str(tmp_path / "gone.csv"))
    assert table["path"].to_list() == [paths[1]]
    assert read_table(tmp_path / "gone.csv")["path"].to_list() == [paths[0], *paths[2:], ""]
    assert failures == []


@pytest.mark.parametrize(
    "flags", [["--ext"], ["--fsmin", "1"], ["--fsmax", "9"], ["--filesize", "--fsmin", "1"]]
)
@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_server_in_trouble_removes_no_row(server, tmp_path, flags, status):
    """Two requests at most for a file are refused, or not answered."""
    (tmp_path / "here.mp4").write_bytes(bytes(1 << 20))
    paths = [f"{server.url}/a.mp4", f"{server.url}/b.c.mp4", str(tmp_path / "here.mp4")]
    server.status = [status] * 4
    table, failures, said = run(paths, tmp_path, *flags)
    assert table["path"].to_list() == paths
    assert failures == [(path, "network") for path in paths[:2]]
    assert "2 of 2 files at addresses: whether they are there is not known (network 2)" in said
    server.status = []
    table, failures, _ = run(paths, tmp_path, *flags)
    assert (table.height, failures) == (3, [])


def test_a_server_that_cannot_be_reached_is_not_waited_for_at_each_file(tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "_TRIES", 0)
    monkeypatch.setattr(asking, "_AT_ONCE", 1)
    paths = [f"http://127.0.0.1:9/{number}.mp4" for number in range(6)]
    meta = write_table(pl.DataFrame({"path": [*paths, str(tmp_path)]}), tmp_path / "m.csv")
    done = run_command(main, meta, "--ext", "--output", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    messages = read_table(tmp_path / "out.failures.csv")["message"].to_list()
    assert [message.startswith("the server cannot be reached") for message in messages] == [True] * 3 + [
        False
    ] * 3
    assert messages[-1] == "its server did not answer for other files"


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.status = [503]
    table, failures, _ = run([f"{server.url}/a.mp4"], tmp_path, "--filesize")
    assert (table["filesize"].cast(pl.Float64).to_list(), failures) == ([3.0], [])


def test_a_size_that_the_server_does_not_tell_is_counted(server, tmp_path):
    server.ranges, server.claimed = False, None
    table, failures, _ = run([f"{server.url}/a.mp4", f"{server.url}/empty.mp4"], tmp_path, "--filesize")
    assert (table["filesize"].cast(pl.Float64).to_list(), failures) == ([3.0, 0.0], [])


def test_captions_beside_files(server, memory, tmp_path):
    (tmp_path / "here.txt").write_bytes(b"Here.\r\nTwo lines.")
    paths = [
        *(f"{server.url}{name}" for name in ("/a.mp4?sign=x", "/empty.mp4", "/b.c.mp4", "/gone.mp4")),
        *("memory://bucket/a#1.mp4", str(tmp_path / "here.mp4")),
    ]
    table, failures, _ = run([*paths, paths[0]], tmp_path, "--load-caption", "txt")
    dog = "Ein Hund läuft."
    assert table["text"].to_list() == [dog, "", None, None, "In storage.", "Here.\nTwo lines.", dog]
    assert failures == [(paths[2], "bad_value"), (paths[3], "missing")]
    table, failures, _ = run(paths[:3], tmp_path, "--load-caption", "json")
    assert table["text"].to_list() == ["A dog.", None, None]
    assert failures == [(paths[1], "missing"), (paths[2], "bad_value")]


def test_a_caption_that_a_server_refuses_is_not_missing(server, tmp_path):
    (tmp_path / "here.txt").write_text("Here.")
    server.status = [403]
    paths = [f"{server.url}/a.mp4", str(tmp_path / "here.mp4")]
    table, failures, _ = run(paths, tmp_path, "--load-caption", "txt")
    assert table["text"].to_list() == [None, "Here."]
    assert failures == [(paths[0], "network")]


def test_captions_come_from_the_cache(server, tmp_path):
    words = ("--load-caption", "txt", "--cache", str(tmp_path / "cache"))
    for _ in range(2):
        table, _, _ = run([f"{server.url}/a.mp4"], tmp_path, *words)
        assert table["text"].to_list() == ["Ein Hund läuft."]
    assert server.seen == [None, "bytes=0-0"]  # the second time only whether it has changed


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    meta = write_table(pl.DataFrame({"path": ["gs://bucket/a.mp4"]}), tmp_path / "m.csv")
    for flags in (["--ext"], ["--load-caption", "txt"]):
        done = run_command(main, meta, *flags, "--output", tmp_path / "out.csv")
        assert done.returncode == 2
        assert "package gcsfs is not installed: pip install" in done.stderr
