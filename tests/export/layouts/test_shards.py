"""The folder of shards, and tar files as Python's `tarfile` reads them; see also `test_packages`."""

import hashlib
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tools.errors import DiskError, UserError
from tools.export.items import Item
from tools.export.presets import layout_of

ROOT = Path(__file__).resolve().parents[3]
HIDDEN = (".shards.json", ".vidsieve.shards")  # what the folder of shards was made of, and when
CAPTIONS = ['A dög, "quoted"', "NA", "007", "狗 🐕"]


def make(folder, name="webdataset", count=4, split=""):
    layout = layout_of(name)
    items = []
    for number in range(count):
        key = f"c{number}"
        file = layout.media(key, split)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(bytes([number]) * (1000 + number))
        caption = CAPTIONS[number % len(CAPTIONS)]
        items.append(Item(key, file, 64, 48, 9, 23.976, number == 1, caption, number, "in.mp4", split))
    return layout, items


def members(path):
    with tarfile.open(path) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}


def test_a_tar_has_the_files_of_a_clip_side_by_side(tmp_path):
    layout, items = make(tmp_path)
    assert layout.write(tmp_path, items) == ["shards"]
    found = members(tmp_path / "shards" / "000000.tar")
    assert list(found)[:3] == ["c0.mp4", "c0.txt", "c0.json"]
    assert len(found) == 12
    for item in items:
        assert found[f"{item.key}.mp4"] == (tmp_path / item.file).read_bytes()
        assert found[f"{item.key}.txt"].decode() == item.caption
        row = json.loads(found[f"{item.key}.json"])
        assert (row["caption"], row["fps"], row["source_row"]) == (item.caption, 23.976, item.source_row)


@pytest.mark.parametrize(
    ("size", "clips"), [(1, [1, 1, 1, 1]), (2001, [2, 1, 1]), (2005, [2, 2]), (10**9, [4])]
)
def test_shards_are_not_larger_than_asked(size, clips, tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items, size)
    tars = sorted((tmp_path / "shards").glob("*.tar"))
    assert [len(members(path)) // 3 for path in tars] == clips
    index = json.loads((tmp_path / "shards" / "index.json").read_text())["shardlist"]
    assert [(line["url"], line["nsamples"]) for line in index] == [
        (path.name, count) for path, count in zip(tars, clips, strict=True)
    ]
    for line, path in zip(index, tars, strict=True):
        assert line["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert line["filesize"] == path.stat().st_size


def test_shards_are_the_same_bytes_each_time_and_leave_none_behind(tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items)
    before = (tmp_path / "shards" / "000000.tar").read_bytes()
    layout.write(tmp_path, items, 1)
    assert len(list((tmp_path / "shards").glob("*.tar"))) == 4
    layout.write(tmp_path, items)
    assert [path.name for path in (tmp_path / "shards").glob("*.tar")] == ["000000.tar"]
    assert (tmp_path / "shards" / "000000.tar").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [*HIDDEN, "clips", "shards"]


def test_splits_have_their_own_shards(tmp_path):
    layout, first = make(tmp_path, split="train")
    _, second = make(tmp_path, count=1, split="val")
    assert layout.write(tmp_path, [*first, *second]) == ["train/shards", "val/shards"]
    assert len(members(tmp_path / "val" / "shards" / "000000.tar")) == 3


def test_a_folder_of_others_is_not_replaced(tmp_path):
    layout, items = make(tmp_path)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "mine").write_text("x")
    with pytest.raises(UserError, match="not made by this command"):
        layout.write(tmp_path, items)
    assert (tmp_path / "shards" / "mine").read_text() == "x"


def test_a_missing_clip_leaves_what_was_there(tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items)
    (tmp_path / items[2].file).unlink()
    with pytest.raises(UserError, match=r"c2\.mp4: there is no such file"):
        layout.write(tmp_path, items)
    assert len(members(tmp_path / "shards" / "000000.tar")) == 12


def test_a_size_of_nothing(tmp_path):
    layout, items = make(tmp_path)
    with pytest.raises(UserError, match="0 bytes"):
        layout.write(tmp_path, items, 0)


def test_a_package_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lance", None)  # what Python takes for not installed
    layout, items = make(tmp_path, "lance")
    with pytest.raises(UserError, match=r"--for lance: package lance .*pip install 'vidsieve\[lance\]'"):
        layout.write(tmp_path, items)
    assert not (tmp_path / "shards").exists()


def state(folder):
    """Every file with its number and time: a file that was written anew has others."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["webdataset", "mds", "litdata", "lance"])
def test_shards_of_the_same_clips_are_left_alone(name, tmp_path):
    if name == "lance":
        pytest.importorskip("lance", reason="pylance (extra: lance) is not installed")
    layout, items = make(tmp_path, name)
    layout.write(tmp_path, items)
    before = state(tmp_path / "shards")
    layout.write(tmp_path, items)
    assert state(tmp_path / "shards") == before


def test_shards_are_made_anew_of_other_clips_captions_and_sizes(tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items)
    before = state(tmp_path / "shards")
    changes = [lambda: items.pop(), lambda: items.append(replace(items.pop(), caption="Another."))]
    changes.append(lambda: (tmp_path / items[0].file).write_bytes(b"x" * 1000))
    changes.append(lambda: (tmp_path / "shards" / "000000.tar").write_bytes(b"x" * 1000))
    for change in changes:
        time.sleep(0.02)  # times of files are those of the last tick of the system's clock
        change()
        layout.write(tmp_path, items)
        after = state(tmp_path / "shards")
        assert not after.items() & before.items()
        before = after
    assert members(tmp_path / "shards" / "000000.tar")["c0.mp4"] == b"x" * 1000


def test_a_clock_that_was_set_back_hides_no_change(tmp_path):
    """The shards seem to be younger than a clip that was changed after them."""
    layout, items = make(tmp_path)
    layout.write(tmp_path, items)
    for path in [*tmp_path.rglob("*"), tmp_path / ".shards.json", tmp_path / ".vidsieve.shards"]:
        os.utime(path, (2e9, 2e9))
    layout.write(tmp_path, items)
    (tmp_path / items[0].file).write_bytes(b"x" * 1000)
    os.utime(tmp_path / items[0].file, (1e9, 1e9))
    layout.write(tmp_path, items)
    assert members(tmp_path / "shards" / "000000.tar")["c0.mp4"] == b"x" * 1000


def test_shards_whose_times_are_damaged_are_made_anew(tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items)
    before = {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    (tmp_path / ".vidsieve.shards").write_bytes(b"\xff\x00")
    layout.write(tmp_path, items)
    assert {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == before


def test_a_file_of_others_among_shards_is_neither_removed_nor_mixed_up(tmp_path):
    layout, items = make(tmp_path)
    layout.write(tmp_path, items)
    (tmp_path / "shards" / "mine.tar").write_bytes(b"x")
    with pytest.raises(UserError, match=r"has files that were not made by this command \(mine\.tar\)"):
        layout.write(tmp_path, items[:2])
    assert (tmp_path / "shards" / "mine.tar").read_bytes() == b"x"
    with pytest.raises(UserError, match="not made by this command"):
        layout.stale(tmp_path, [])[0].remove()
    assert len(members(tmp_path / "shards" / "000000.tar")) == 12


def test_shards_of_splits_that_are_no_more(tmp_path):
    layout, first = make(tmp_path, split="train")
    _, second = make(tmp_path, count=1, split="val")
    layout.write(tmp_path, [*first, *second])
    made = layout.write(tmp_path, first)
    (stale,) = layout.stale(tmp_path, made)
    assert stale.path == tmp_path / "val" / "shards"
    shutil.rmtree(tmp_path / "val" / "clips")
    stale.remove()
    assert not (tmp_path / "val").exists()
    assert layout.stale(tmp_path, made) == []


@contextmanager
def no_file_larger_than(size):
    """The system refuses to write behind this byte of a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["webdataset", "mds", "litdata"])
def test_a_disk_that_refuses_leaves_the_shards_that_were_there(name, tmp_path):
    layout, items = make(tmp_path, name)
    layout.write(tmp_path, items[:2])
    before = state(tmp_path)
    (tmp_path / items[2].file).write_bytes(b"x" * 300_000)
    with (
        no_file_larger_than(100_000),
        pytest.raises(DiskError, match=r"shards: cannot be written: .*too large"),
    ):
        layout.write(tmp_path, items)
    assert state(tmp_path).keys() == before.keys()
    assert state(tmp_path / "shards").items() <= before.items()


KILLED = """
import os, pathlib, pickle, shutil, sys
layout, folder, items, place, step = pickle.loads(sys.stdin.buffer.read())
setattr({"layout": layout, "shutil": shutil, "path": pathlib.Path}[place], step, lambda *_, **__: os._exit(9))
layout.write(folder, items, 1)
"""


@pytest.mark.parametrize(("place", "step"), [("layout", "_add"), ("shutil", "rmtree"), ("path", "rename")])
def test_a_run_that_is_killed_is_made_good_by_the_next(place, step, tmp_path):
    """Killed in a shard, or between the folders: the next run makes the bytes of one that was not killed."""
    layout, items = make(tmp_path / "other")
    layout.write(tmp_path / "other", items[:2], 1)
    layout, items = make(tmp_path / "out")
    layout.write(tmp_path / "out", items, 1)
    given = pickle.dumps((layout, tmp_path / "out", items[:2], place, step))
    done = subprocess.run([sys.executable, "-c", KILLED], input=given, cwd=ROOT, check=False)
    assert done.returncode == 9
    layout.write(tmp_path / "out", items[:2], 1)
    found = []
    for folder in (tmp_path / "other", tmp_path / "out"):
        assert sorted(path.name for path in folder.iterdir()) == [*HIDDEN, "clips", "shards"]
        files = (folder / ".shards.json", *(folder / "shards").iterdir())
        found.append({path.name: path.read_bytes() for path in files})
    assert found[0] == found[1]
    assert sorted(found[0]) == [".shards.json", "000000.tar", "000001.tar", "index.json"]
