"""Which objects are an export's own, after whatever happened to the list and to the objects."""

import fsspec
import pytest

from tools.errors import MediaError, UserError
from tools.export.remote.uploads import Uploads
from tools.media.fetching.remote_folder import RemoteFolder


@pytest.fixture
def memory():
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/out/theirs.txt", b"theirs")
    yield memory
    memory.rm("/bucket", recursive=True)


def opened(tmp_path) -> Uploads:
    uploads = Uploads(RemoteFolder("memory://bucket/out", pauses=()), tmp_path / "state" / "objects.jsonl")
    uploads.refresh()
    return uploads


def test_own_objects_are_known_later(memory, tmp_path):
    first = opened(tmp_path)
    first.put(b"one", "a.txt")
    first.put(b"two", "sub/b.txt")
    later = opened(tmp_path)
    assert [name for name in later.objects if later.is_own(name)] == ["a.txt", "sub/b.txt"]
    assert later.known() == ["a.txt", "sub/b.txt"]
    # By `printf one | sha256sum`.
    digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert later.entry("a.txt") == {"file": "a.txt", "bytes": 3, "sha256": digest}
    assert later.remove(["a.txt", "theirs.txt"]) == ["a.txt"]
    assert sorted(memory.find("/bucket/out")) == ["/bucket/out/sub/b.txt", "/bucket/out/theirs.txt"]


def test_an_object_that_somebody_has_changed_is_no_longer_own(memory, tmp_path):
    opened(tmp_path).put(b"one", "a.txt")
    memory.pipe_file("/bucket/out/a.txt", b"two")
    later = opened(tmp_path)
    assert not later.is_own("a.txt")
    with pytest.raises(MediaError, match=r"a\.txt: another object is there; move it away"):
        later.put(b"three", "a.txt", replace=True)
    with pytest.raises(UserError, match="--overwrite"):
        later.refuse("a.txt")
    assert later.remove(["a.txt"]) == []
    assert memory.cat_file("/bucket/out/a.txt") == b"two"
    later.put(b"three", "a.txt", foreign=True)
    assert memory.cat_file("/bucket/out/a.txt") == b"three"


def test_a_kill_between_the_object_and_its_line(memory, tmp_path):
    """The list ends with the line that was written before the object, or is torn in the one after it."""
    opened(tmp_path).put(b"one", "a.txt")
    listed = tmp_path / "state" / "objects.jsonl"
    _, before, after = listed.read_text().split("\n")
    for left in (f"\n{before}", f"\n{before}\n{after[:10]}"):
        listed.write_text(left)
        later = opened(tmp_path)
        assert later.is_own("a.txt")
        created = memory.created("/bucket/out/a.txt")
        later.put(b"one", "a.txt")
        assert memory.created("/bucket/out/a.txt") == created  # it was not written again
        assert opened(tmp_path).written("a.txt") is not None


def test_the_same_content_of_somebody_else_stays(memory, tmp_path):
    uploads = opened(tmp_path)
    created = memory.created("/bucket/out/theirs.txt")
    uploads.put(b"theirs", "theirs.txt")
    assert memory.created("/bucket/out/theirs.txt") == created


def test_own_content_is_replaced_where_that_is_wanted(memory, tmp_path):
    uploads = opened(tmp_path)
    uploads.put(b"one", "a.txt")
    with pytest.raises(MediaError, match="--overwrite replaces it"):
        uploads.put(b"two", "a.txt")
    uploads.put(b"two", "a.txt", replace=True)
    assert memory.cat_file("/bucket/out/a.txt") == b"two"


def test_an_object_that_comes_into_being_meanwhile_is_not_replaced(memory, tmp_path):
    uploads = opened(tmp_path)
    memory.pipe_file("/bucket/out/a.txt", b"of another run")
    with pytest.raises(MediaError, match="another object is there"):
        uploads.put(b"one", "a.txt")
    assert memory.cat_file("/bucket/out/a.txt") == b"of another run"


def test_names_are_checked_before_anything_is_written(memory, tmp_path):
    uploads = opened(tmp_path)
    with pytest.raises(UserError, match=r"theirs\.txt: another object is there"):
        uploads.put_all({"a.txt": b"one", "theirs.txt": b"ours"})
    assert sorted(memory.find("/bucket/out")) == ["/bucket/out/theirs.txt"]
