"""The cache: what it gives back, and that nothing which becomes of its file is worse than no cache."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.errors import MediaError
from tools.report.sprites.cache import NAME, Sprite, SpriteCache

JPEG = b"\xff\xd8\xff"
ROOT = Path(__file__).resolve().parents[3]

WRITER = """
import sys
from pathlib import Path
from tools.report.sprites.cache import Sprite, SpriteCache
cache = SpriteCache(Path(sys.argv[1]))
print("ready", flush=True)
for i in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}{i}"
    cache.put({name: Sprite(b"\\xff\\xd8\\xff" + name.encode() * 2000, 4, 160, 90)})
    print(name, flush=True)
"""


def sprite(name: str, repeats: int = 2000) -> Sprite:
    return Sprite(JPEG + name.encode() * repeats, 4, 160, 90)


def start_writer(folder: Path, name: str, count: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_what_was_put_in_comes_out(tmp_path):
    cache = SpriteCache(tmp_path / "new")
    failure = MediaError("decode", "a b.mp4", "frame 3 is damaged – é")
    assert cache.get(["a"]) == {}
    assert not (tmp_path / "new").exists(), "nothing is written before there is something to keep"
    cache.put({"a": sprite("a"), "b": failure})
    found = SpriteCache(tmp_path / "new").get(["a", "b", "c"])
    assert found.keys() == {"a", "b"}
    assert found["a"] == sprite("a")
    assert isinstance(found["b"], MediaError)
    assert (found["b"].kind, found["b"].message) == (failure.kind, failure.message)
    many = {f"k{i}": sprite(f"k{i}", 1) for i in range(1200)}  # more than the parameters of one statement
    cache.put(many)
    assert cache.get(list(many)) == many


def test_a_later_entry_replaces_an_earlier_one(tmp_path):
    cache = SpriteCache(tmp_path)
    cache.put({"a": sprite("old")})
    cache.put({"a": sprite("new")})
    assert cache.get(["a"]) == {"a": sprite("new")}


def test_a_changed_byte_costs_one_entry(tmp_path):
    cache = SpriteCache(tmp_path)
    cache.put({"a": sprite("aaaa"), "b": sprite("bbbb")})
    path = tmp_path / NAME
    data = path.read_bytes()
    at = data.index(b"bbbb" * 100)
    path.write_bytes(data[:at] + b"X" + data[at + 1 :])
    assert cache.get(["a", "b"]) == {"a": sprite("aaaa")}


@pytest.mark.parametrize("damage", ["cut", "overwritten", "other table", "other columns", "trigger"])
def test_a_damaged_cache_is_made_again(tmp_path, damage, caplog):
    cache = SpriteCache(tmp_path)
    cache.put({f"k{i}": sprite(f"k{i}") for i in range(20)})
    path = tmp_path / NAME
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "overwritten":
        path.write_bytes(data[:100] + bytes(len(data) - 100))
    else:
        statements = {
            "other table": "CREATE TABLE more (x)",
            "other columns": "ALTER TABLE sprites ADD COLUMN x",
            "trigger": "CREATE TRIGGER t AFTER UPDATE ON sprites BEGIN DELETE FROM sprites; END",
        }
        with sqlite3.connect(path) as database:
            database.execute(statements[damage])
        database.close()
    with caplog.at_level(logging.INFO, "vidsieve"):
        cache.get([f"k{i}" for i in range(20)])
        cache.put({"new": sprite("new")})
        assert cache.get(["new"]) == {"new": sprite("new")}
    assert cache.usable
    assert len(caplog.records) == 1 and "made again" in caplog.text


@pytest.mark.parametrize("other", ["text", "database", "folder", "short"])
def test_a_file_of_another_program_is_left_alone(tmp_path, other, caplog):
    path = tmp_path / NAME
    if other == "text":
        path.write_text("notes about sprites\n" * 20)
    elif other == "short":
        path.write_bytes(b"SQLite")
    elif other == "folder":
        path.mkdir()
    else:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE sprites (name)")
        database.close()
    before = path.is_file() and path.read_bytes()
    cache = SpriteCache(tmp_path)
    assert cache.get(["a"]) == {}
    cache.put({"a": sprite("a")})
    assert cache.get(["a"]) == {}
    assert before == (path.is_file() and path.read_bytes())
    (record,) = caplog.records
    assert str(path) in record.getMessage() and "left alone" in record.getMessage()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, caplog):
    """A file is in the way: that also stops root, whom permissions do not."""
    (tmp_path / "file").write_text("in the way")
    cache = SpriteCache(tmp_path / "file" / "below")
    assert cache.get(["a"]) == {}
    cache.put({"a": sprite("a")})
    cache.put({"a": sprite("a")})
    assert not cache.usable
    (record,) = caplog.records
    assert "not kept for the next report: Not a directory" in record.getMessage()


def test_a_full_cache_drops_what_was_not_used_for_longest(tmp_path):
    limit = 400_000
    cache = SpriteCache(tmp_path, most_bytes=limit)
    path = tmp_path / NAME
    cache.put({f"k{i}": sprite(f"k{i}") for i in range(60)})
    with sqlite3.connect(path) as database:  # all were used yesterday, then three of them today
        database.execute("UPDATE sprites SET used = used - 86400")
    database.close()
    cache.get(["k0", "k1", "k30"])
    cache.put({f"n{i}": sprite(f"n{i}") for i in range(30)})
    assert path.stat().st_size <= limit
    kept = cache.get([*(f"k{i}" for i in range(60)), *(f"n{i}" for i in range(30))])
    assert kept.keys() >= {"k0", "k1", "k30", *(f"n{i}" for i in range(30))}
    assert len(kept) < 90
    assert all(kept[name] == sprite(name) for name in kept)


def test_two_processes_at_once(tmp_path):
    writers = [start_writer(tmp_path, name, 40) for name in "xy"]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    names = [f"{name}{i}" for name in "xy" for i in range(40)]
    assert SpriteCache(tmp_path).get(names) == {name: sprite(name) for name in names}


def test_after_a_kill_all_that_was_put_in_is_there(tmp_path, caplog):
    writer = start_writer(tmp_path, "x", 100_000)
    assert writer.stdout is not None
    done = []
    end = time.monotonic() + 30
    while len(done) < 10 and time.monotonic() < end:
        done.append(writer.stdout.readline().strip())
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(timeout=30)
    names = done[1:]
    assert len(names) == 9
    assert SpriteCache(tmp_path).get(names) == {name: sprite(name) for name in names}
    assert not caplog.records
