"""A folder of objects, with fsspec's file system in memory."""

import hashlib

import fsspec
import pytest

from tools.errors import DiskError, UserError
from tools.media.fetching.remote_folder import RemoteFolder


@pytest.fixture
def memory():
    memory = fsspec.filesystem("memory")
    yield memory
    memory.rm("/bucket", recursive=True)


@pytest.fixture
def folder(memory):
    memory.pipe_file("/bucket/data/a b#1.mp4", b"first")
    memory.pipe_file("/bucket/data/sub/é.txt", b"second")
    memory.pipe_file("/bucket/data2/c.mp4", b"of another folder")
    return RemoteFolder("memory://bucket/data/", pauses=(0.0, 0.0))


def test_what_is_there(folder):
    listed = folder.listed()
    assert list(listed) == ["a b#1.mp4", "sub/é.txt"]
    assert [version.size for version in listed.values()] == [5, 6]
    assert folder.version("sub/é.txt") == listed["sub/é.txt"]
    assert folder.read("sub/é.txt") == b"second"
    assert folder.digest("sub/é.txt") == hashlib.sha256(b"second").hexdigest()
    assert folder / "sub/é.txt" == "memory://bucket/data/sub/é.txt"


def test_what_is_not_there(folder, tmp_path):
    for name in ("b.mp4", "sub", "../data2/c"):
        assert folder.version(name) is folder.read(name) is folder.digest(name) is None
    folder.remove("b.mp4")
    with pytest.raises(UserError, match=r"memory://bucket/data/b\.mp4: there is no such object"):
        folder.download("b.mp4", tmp_path / "b.mp4")
    assert RemoteFolder("memory://bucket/none").listed() == {}


def test_writing(folder, memory, tmp_path):
    file = tmp_path / "new.mp4"
    file.write_bytes(b"0123456789")
    version = folder.put(file, "new/new.mp4")
    assert folder.listed()["new/new.mp4"] == version
    for source in (file, b"text"):
        with pytest.raises(FileExistsError):
            folder.put(source, "a b#1.mp4")
    assert memory.cat_file("/bucket/data/a b#1.mp4") == b"first"
    assert folder.put(b"text", "a b#1.mp4", replace=True).size == 4
    folder.download("a b#1.mp4", tmp_path / "copy.mp4")
    assert (tmp_path / "copy.mp4").read_bytes() == b"text"
    folder.remove("a b#1.mp4")
    assert list(folder.listed()) == ["new/new.mp4", "sub/é.txt"]
    assert folder.end_open_uploads(["new/new.mp4"]) == 0  # this storage has none


@pytest.mark.parametrize(
    ("error", "raised", "says"),
    [
        (OSError("503 Slow Down"), DiskError, "503 Slow Down; run the same command again"),
        (PermissionError("403"), UserError, "the storage refuses: PermissionError: 403"),
        (FileNotFoundError("NoSuchBucket"), UserError, "NoSuchBucket"),
    ],
)
def test_a_storage_that_fails(folder, memory, monkeypatch, error, raised, says):
    """Three attempts where another one may succeed, and one where it may not."""
    calls = []

    def fail(path, value, **_):
        calls.append(path)
        raise error

    monkeypatch.setattr(memory, "pipe_file", fail)
    with pytest.raises(raised, match=says):
        folder.put(b"text", "new.txt")
    assert len(calls) == (3 if raised is DiskError else 1)


@pytest.mark.parametrize("address", ["data/wan", "file:///data/wan", "https://host/wan", "memory://"])
def test_places_that_are_none(address):
    with pytest.raises(UserError, match=address.rstrip("/")):
        RemoteFolder(address)
