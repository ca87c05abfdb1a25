"""Local files for addresses and bytes; servers are real ones on the loopback interface that misbehave."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import numpy as np
import pytest

from tests.media.fetching.http_server import serve
from tools.base.transfer import Limits
from tools.errors import MediaError, UserError
from tools.media.fetching.local_files import local_file
from tools.media.fetching.prefetch import Prefetch
from tools.media.fetching.sources import FetchOptions, Source

CONTENT = np.random.default_rng(3).bytes(200_000)
HANG = 60.0
"""Seconds that a server holds what nobody should wait for; a busy machine needs less for all the rest."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve({"/v.mkv": CONTENT}) as served:
        yield served


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where temporary files go; empty at the end of every test."""
    made = tmp_path / "temporary"
    made.mkdir()
    yield made
    assert list(made.iterdir()) == []


def options(folder: Path, **limits) -> FetchOptions:
    return FetchOptions(folder=folder, limits=Limits(**{"pauses": (0.0, 0.0), "timeout": 20.0, **limits}))


def fetched(source, folder: Path, **limits) -> bytes:
    with local_file(source, options=options(folder, **limits)) as path:
        assert [path] == list(folder.iterdir())
        return path.read_bytes()


def failure(source, folder: Path, **limits) -> tuple[str, str, str]:
    with pytest.raises(MediaError) as caught, local_file(source, options=options(folder, **limits)):
        pytest.fail("there is no file to give")
    return caught.value.kind, caught.value.path, caught.value.message


def test_a_local_file_is_given_as_it_is(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    Path("a b.mp4").write_bytes(b"x")
    absolute = tmp_path / "a b.mp4"
    for source in (
        "a b.mp4",
        absolute,
        f"file://{tmp_path}/a%20b.mp4",
        f"file://localhost{tmp_path}/a%20b.mp4",
    ):
        with local_file(source, options=options(folder)) as path:
            assert path.samefile(absolute)
            assert list(folder.iterdir()) == []
    assert absolute.exists()
    with local_file("not/there.mp4") as path:  # whether it exists is the reader's business
        assert path == Path("not/there.mp4")
    assert failure("file://elsewhere/a.mp4", folder)[0] == "bad_value"


def test_http(server, folder):
    with local_file(f"{server.url}/v.mkv?signature=a/b.txt", options=options(folder)) as path:
        assert (path.suffix, path.read_bytes()) == (".mkv", CONTENT)
        assert path.parent == folder


def test_a_dropped_connection_is_taken_up_where_it_stopped(server, folder):
    server.break_after = [50_000, 30_000]
    assert fetched(f"{server.url}/v.mkv", folder) == CONTENT
    assert server.seen == [None, "bytes=50000-", "bytes=80000-"]


def test_a_server_without_ranges_begins_anew(server, folder):
    server.ranges, server.break_after = False, [50_000, 30_000]
    assert fetched(f"{server.url}/v.mkv", folder) == CONTENT


def test_a_server_without_ranges_that_always_breaks_off_is_given_up(server, folder):
    server.ranges, server.break_after = False, [5000, 4000] * 50
    kind, path, message = failure(f"{server.url}/v.mkv", folder)
    assert (kind, path) == ("network", f"{server.url}/v.mkv")
    assert message.endswith("of 200000 bytes received")
    assert len(server.seen) <= 5


def test_any_number_of_breaks_is_borne_while_bytes_come(server, folder):
    server.break_after = [20_000] * 9
    assert fetched(f"{server.url}/v.mkv", folder) == CONTENT


@pytest.mark.parametrize(
    ("etag", "other"),
    [
        ('"2"', CONTENT[::-1]),  # told by If-Range
        (None, CONTENT[1:-7]),  # told by the size
        (None, CONTENT[:40_000]),  # told by a range that is not there
    ],
)
def test_a_file_that_changes_in_between_is_begun_anew(server, folder, etag, other):
    server.etag = etag and '"1"'
    server.break_after = [50_000]

    def change():
        server.files["/v.mkv"], server.etag = other, etag

    server.changes = [change]
    assert fetched(f"{server.url}/v.mkv", folder) == other
    assert server.seen[:2] == [None, "bytes=50000-"]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_an_overloaded_server_is_asked_again(server, folder, status):
    server.status = [status, status]
    assert fetched(f"{server.url}/v.mkv", folder) == CONTENT
    assert len(server.seen) == 3


def test_the_server_may_say_how_long_to_wait(server, folder):
    server.status, server.headers = [429], {"Retry-After": "0.6"}
    start = time.monotonic()
    assert fetched(f"{server.url}/v.mkv", folder) == CONTENT
    assert time.monotonic() - start >= 0.6


def test_a_server_that_stays_overloaded_is_given_up(server, folder):
    server.status = [503] * 9
    kind, _, message = failure(f"{server.url}/v.mkv", folder)
    assert kind == "network" and "HTTP 503" in message
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "kind"), [(404, "missing"), (410, "missing"), (403, "network"), (400, "network")]
)
def test_a_refusal_is_told_at_once(server, folder, status, kind):
    server.status = [status] * 3
    found, _, message = failure(f"{server.url}/v.mkv", folder)
    assert found == kind and str(status) in message
    assert len(server.seen) == 1


def test_fewer_bytes_than_claimed_are_not_the_file(server, folder):
    server.claimed = 250_000
    kind, _, message = failure(f"{server.url}/v.mkv", folder)
    assert kind == "network" and "200000 of 250000 bytes" in message


def test_a_body_without_a_length(server, folder):
    server.claimed = None
    assert fetched(f"{server.url}/v.mkv", folder) == CONTENT


def test_a_server_that_hangs_is_given_up(server, folder):
    server.hang = [HANG] * 9
    start = time.monotonic()
    kind, _, message = failure(f"{server.url}/v.mkv", folder, timeout=0.3)
    assert time.monotonic() - start < HANG
    assert kind == "network" and "timed out" in message


def test_a_server_that_hangs_once_is_asked_again(server, folder):
    server.hang = [HANG]
    assert fetched(f"{server.url}/v.mkv", folder, timeout=2) == CONTENT


def test_limits(server, folder):
    kind, _, message = failure(f"{server.url}/v.mkv", folder, max_bytes=199_999)
    assert kind == "too_large" and "199999" in message
    assert fetched(f"{server.url}/v.mkv", folder, max_bytes=200_000) == CONTENT
    server.claimed = None  # the size shows only as the bytes come
    assert failure(f"{server.url}/v.mkv", folder, max_bytes=150_000)[0] == "too_large"
    server.slow = HANG / 200  # for each of 200 pieces
    start = time.monotonic()
    kind, _, message = failure(f"{server.url}/v.mkv", folder, time_limit=0.4)
    assert kind == "timeout" and "0.4 s" in message
    assert time.monotonic() - start < HANG


def test_a_server_that_is_not_there(folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert failure("http://127.0.0.1:9/v.mp4", folder)[0] == "network"
    assert failure("http://[::1/v.mp4", folder)[0] == "network"


def test_names_that_are_not_ascii(server, folder):
    server.files["/%E8%A7%86%20%E9%A2%91.mp4"] = b"found"
    assert fetched(f"{server.url}/视 频.mp4", folder) == b"found"
    assert fetched(f"{server.url}/%E8%A7%86%20%E9%A2%91.mp4", folder) == b"found"


def test_an_empty_file(server, folder):
    server.files["/empty.mp4"] = b""
    assert failure(f"{server.url}/empty.mp4", folder)[0] == "empty"
    assert failure(b"", folder)[0] == "empty"


def test_the_file_goes_when_its_user_fails(server, folder):
    with pytest.raises(ZeroDivisionError), local_file(f"{server.url}/v.mkv", options=options(folder)) as path:
        assert path.exists()
        _ = 1 / 0


@pytest.mark.parametrize(
    ("content", "form", "suffix", "expected"),
    [
        (b"abc", "mp4", ".mp4", b"abc"),
        (bytearray(b"abc"), ".MKV", ".mkv", b"abc"),
        (memoryview(b"abc"), "video/webm", ".webm", b"abc"),
        (b"abc", "video/quicktime", ".mov", b"abc"),
        (base64.b64encode(CONTENT).decode(), "base64", ".mp4", CONTENT),
        (base64.encodebytes(CONTENT), "base64:mkv", ".mkv", CONTENT),  # with line breaks
        (f"data:video/webm;base64,{base64.b64encode(CONTENT).decode()}", "mp4", ".webm", CONTENT),
    ],
)
def test_bytes(folder, content, form, suffix, expected):
    with local_file(content, format=form, options=options(folder)) as path:
        assert (path.suffix, path.read_bytes(), path.parent) == (suffix, expected, folder)


def test_what_is_no_source(folder):
    assert failure(3.5, folder)[0] == "bad_value"
    assert failure(" ", folder)[0] == "bad_value"
    assert failure(Source("no base64!", "base64"), folder)[0] == "bad_value"
    kind, _, message = failure(Source(b"x", "exe"), folder)
    assert kind == "bad_value" and "exe" in message and "mp4" in message


def test_a_folder_that_cannot_be_written(tmp_path):
    with (
        pytest.raises(UserError, match=r"nowhere.*cannot be written"),
        local_file(b"x", options=options(tmp_path / "nowhere")),
    ):
        pass


class TestStorage:
    """Through fsspec, with its file system in memory."""

    @pytest.fixture(autouse=True)
    def storage(self):
        fsspec = pytest.importorskip("fsspec")
        self.memory = fsspec.filesystem("memory")
        self.memory.pipe("/bucket/v.webm", CONTENT)
        yield
        self.memory.rm("/bucket", recursive=True)

    def test_an_object(self, folder):
        with local_file("memory://bucket/v.webm", options=options(folder)) as path:
            assert (path.suffix, path.read_bytes()) == (".webm", CONTENT)
        kind, path, _ = failure("memory://bucket/other.webm", folder)
        assert (kind, path) == ("missing", "memory://bucket/other.webm")
        assert failure("memory://bucket/v.webm", folder, max_bytes=9)[0] == "too_large"

    def test_trouble_in_the_middle(self, folder, monkeypatch):
        from fsspec.implementations.memory import MemoryFile

        read, calls = MemoryFile.read, []

        def broken(file, size=-1):
            calls.append(file.tell())
            if len(calls) == 1:
                return read(file, 70_000)
            if len(calls) == 2:
                raise OSError("connection reset")
            return read(file, size)

        monkeypatch.setattr(MemoryFile, "read", broken)
        assert fetched("memory://bucket/v.webm", folder) == CONTENT
        assert calls[:3] == [0, 70_000, 70_000]

    def test_a_storage_that_keeps_failing(self, folder, monkeypatch):
        from fsspec.implementations.memory import MemoryFile

        monkeypatch.setattr(MemoryFile, "read", lambda file, size=-1: b"")
        kind, _, message = failure("memory://bucket/v.webm", folder)
        assert kind == "network" and "0 of 200000 bytes" in message

    @pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("tos", "tosfs"), ("gs", "gcsfs")])
    def test_a_package_that_is_missing_is_named(self, folder, scheme, package, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with (
            pytest.raises(UserError, match=rf"package {package} is not installed: pip install"),
            local_file(f"{scheme}://bucket/v.mp4", options=options(folder)),
        ):
            pass

    def test_a_storage_that_there_is_not(self, folder):
        assert failure("nosuch://bucket/v.mp4", folder)[0] == "bad_value"


def drain(prefetch: Prefetch, seconds: float = 120.0) -> dict:
    found, end = {}, time.monotonic() + seconds
    while prefetch.is_fetching and time.monotonic() < end:
        if (ready := prefetch.take()) is not None:
            found[ready[0]] = ready[1]
        time.sleep(0.005)
    return found


def test_prefetch_bounds_the_files_that_lie_about(server, folder):
    server.slow = 0.001
    fetch = FetchOptions(folder=folder, limits=Limits(pauses=()), ahead=3)
    sources = iter(
        [*[(i, Source(f"{server.url}/v.mkv")) for i in range(7)], (7, Source(f"{server.url}/no.mkv"))]
    )
    done = {}
    with Prefetch(fetch) as prefetch:
        while len(done) < 8:
            while prefetch.has_room and (item := next(sources, None)):
                prefetch.start(*item)
            for key, path in drain(prefetch).items():
                assert len(list(folder.rglob("*.mkv"))) <= 3
                done[key] = path if isinstance(path, MediaError) else path.read_bytes()
                prefetch.release(key)
    assert [done[i] for i in range(7)] == [CONTENT] * 7
    assert done[7].kind == "missing"
    assert server.busiest <= 3


def test_leaving_prefetch_does_not_wait_for_servers(server, folder):
    server.hang = [HANG] * 4
    start = time.monotonic()
    with Prefetch(FetchOptions(folder=folder, ahead=4)) as prefetch:
        for i in range(4):
            prefetch.start(i, Source(f"{server.url}/v.mkv"))
        prefetch.take()
    assert time.monotonic() - start < HANG


def test_a_path_is_a_path_whatever_the_format_says(tmp_path):
    """Bytes and text may be in base64; a `pathlib.Path` names a file."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    source = Source(path, "base64:mp4")
    assert (source.local, source.name) == (path, str(path))
