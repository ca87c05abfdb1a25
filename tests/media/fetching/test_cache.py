"""The folder of files from addresses: what is downloaded again, what is removed; servers misbehave."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.fetching.http_server import serve
from tools.base.transfer import Limits
from tools.errors import DiskError, MediaError, UserError
from tools.media.fetching.cache import FOLDER, Cache
from tools.media.fetching.local_files import local_file
from tools.media.fetching.sources import FetchOptions
from tools.media.reading.extensions import is_image

ROOT = Path(__file__).resolve().parents[3]
CONTENT = np.random.default_rng(3).bytes(200_000)
OTHER = CONTENT[::-1]
LARGE = 10**9


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve({"/v.mkv": CONTENT, **{f"/{i}.mp4": bytes([i]) * 1000 for i in range(9)}}) as served:
        yield served


def options(folder: Path, limit: int = LARGE, **limits) -> FetchOptions:
    bounds = Limits(**{"pauses": (0.0, 0.0), "timeout": 20.0, **limits})
    return FetchOptions(limits=bounds, cache=Cache(folder, limit))


def fetched(url: str, how: FetchOptions) -> bytes:
    with local_file(url, options=how) as path:
        return path.read_bytes()


def kept(folder: Path) -> list[str]:
    """Names of the files that are in the cache, whole or in part."""
    return sorted(p.name for p in Path(folder, FOLDER).iterdir() if not p.name.endswith(".json"))


def test_a_file_is_downloaded_once_while_it_stays_the_same(server, tmp_path):
    url = f"{server.url}/v.mkv"
    versions = []
    for _ in range(3):
        with local_file(url, options=options(tmp_path), on_version=versions.append) as path:
            assert path.read_bytes() == CONTENT
            assert path.suffix == ".mkv"
    assert server.seen == [None, "bytes=0-0", "bytes=0-0"]
    assert versions == [('"1"', None, 200_000)] * 3
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (('"1"', None), ('"2"', None)),
        ((None, "Thu, 26 Nov 2026 10:00:00 GMT"), (None, "Thu, 26 Nov 2026 10:00:01 GMT")),
        ((None, None), (None, None)),  # nothing is known: other bytes may have the same length
    ],
)
def test_a_changed_file_is_downloaded_again(server, tmp_path, before, after):
    url = f"{server.url}/v.mkv"
    server.etag, server.modified = before
    assert fetched(url, options(tmp_path)) == CONTENT
    server.files["/v.mkv"] = OTHER
    server.etag, server.modified = after
    assert fetched(url, options(tmp_path)) == OTHER
    assert len(kept(tmp_path)) == (after != (None, None))  # the old version is gone, too


def test_copies_of_a_version_have_one_time_whoever_made_them(server, tmp_path):
    url = f"{server.url}/v.mkv"
    times = []
    for how in (options(tmp_path / "a"), options(tmp_path / "a"), options(tmp_path / "b"), FetchOptions()):
        with local_file(url, options=how) as path:
            times.append(path.stat().st_mtime_ns)
    assert len(set(times)) == 1
    server.etag = '"2"'
    with local_file(url, options=options(tmp_path / "a")) as path:
        assert path.stat().st_mtime_ns not in times


def test_a_dropped_connection_is_continued(server, tmp_path):
    server.break_after = [50_000, 30_000]
    assert fetched(f"{server.url}/v.mkv", options(tmp_path)) == CONTENT
    assert server.seen == [None, "bytes=50000-", "bytes=80000-"]


def test_a_later_run_continues_what_one_has_left(server, tmp_path):
    url = f"{server.url}/v.mkv"
    server.break_after = [50_000, 0, 0, 0]
    with pytest.raises(MediaError) as caught:
        fetched(url, options(tmp_path))
    assert (caught.value.kind, caught.value.path) == ("network", url)
    assert [name.partition(".")[2] for name in kept(tmp_path)] == ["part"]
    server.seen.clear()
    assert fetched(url, options(tmp_path)) == CONTENT
    assert server.seen == ["bytes=50000-"]
    assert [name.partition(".")[2] for name in kept(tmp_path)] == ["mkv"]


@pytest.mark.parametrize(("etag", "now"), [('"1"', '"2"'), (None, None)])
def test_what_is_left_of_another_version_is_not_continued(server, tmp_path, etag, now):
    url = f"{server.url}/v.mkv"
    server.etag, server.break_after = etag, [50_000, 0, 0, 0]
    with pytest.raises(MediaError):
        fetched(url, options(tmp_path))
    server.files["/v.mkv"], server.etag = OTHER, now
    assert fetched(url, options(tmp_path)) == OTHER


def test_a_wrong_length_is_never_a_whole_file(server, tmp_path):
    server.claimed = 300_000
    with pytest.raises(MediaError) as caught:
        fetched(f"{server.url}/v.mkv", options(tmp_path))
    assert caught.value.kind == "network"
    assert not [name for name in kept(tmp_path) if not name.endswith(".part")]


def test_a_file_that_is_damaged_in_the_cache_is_downloaded_again(server, tmp_path):
    url = f"{server.url}/v.mkv"
    fetched(url, options(tmp_path))
    (path,) = Path(tmp_path, FOLDER).glob("*.mkv")
    path.write_bytes(CONTENT[:-1])
    assert fetched(url, options(tmp_path)) == CONTENT
    (about,) = Path(tmp_path, FOLDER).glob("*.json")
    for damage in (b"", b"[]", b'{"file": "../../x.mkv"}', json.dumps({"address": url, "file": 3}).encode()):
        about.write_bytes(damage)
        assert fetched(url, options(tmp_path)) == CONTENT


def test_those_not_used_for_longest_are_removed(server, tmp_path):
    how = options(tmp_path, 3500)
    for number in (0, 1, 2, 0, 3, 4):
        assert fetched(f"{server.url}/{number}.mp4", how) == bytes([number]) * 1000
        time.sleep(0.02)  # so that the times of use differ
    server.seen.clear()
    for number in (0, 3, 4):
        assert fetched(f"{server.url}/{number}.mp4", how) == bytes([number]) * 1000
    assert server.seen == ["bytes=0-0"] * 3
    assert len(kept(tmp_path)) == 3
    assert len(list(Path(tmp_path, FOLDER).iterdir())) == 6  # and what is said of them


def test_files_in_use_stay_and_are_removed_later(server, tmp_path):
    with ExitStack() as stack:
        paths = []
        for number in range(5):  # each by a cache of its own, as other processes have
            how = options(tmp_path, 2500)
            paths.append(stack.enter_context(local_file(f"{server.url}/{number}.mp4", options=how)))
        assert [path.read_bytes() for path in paths] == [bytes([number]) * 1000 for number in range(5)]
    assert len(kept(tmp_path)) == 2


def test_a_file_larger_than_the_cache_is_used_and_removed(server, tmp_path):
    assert fetched(f"{server.url}/1.mp4", options(tmp_path, 5000)) == b"\1" * 1000
    assert fetched(f"{server.url}/v.mkv", options(tmp_path, 5000)) == CONTENT
    assert len(kept(tmp_path)) == 1


def test_nothing_but_its_own_files_is_removed(server, tmp_path):
    mine = [tmp_path / "mine.mp4", tmp_path / FOLDER / "mine.mp4"]
    mine[1].parent.mkdir()
    for path in mine:
        path.write_bytes(b"x" * 10_000)
    fetched(f"{server.url}/1.mp4", options(tmp_path, 100))
    assert all(path.exists() for path in mine)


def test_many_at_once_download_a_file_once(server, tmp_path):
    server.hang = [0.2]
    found = []

    def work():
        found.append(fetched(f"{server.url}/v.mkv", options(tmp_path)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [CONTENT] * 6
    assert [asked for asked in server.seen if asked != "bytes=0-0"] == [None]


def test_a_killed_process_leaves_nothing_that_is_in_the_way(server, tmp_path):
    url = f"{server.url}/v.mkv"
    server.slow = 0.01  # seconds for each 1000 bytes
    code = (
        "import sys; from tools.media.fetching.cache import Cache\n"
        "from tools.media.fetching.local_files import local_file\n"
        "from tools.media.fetching.sources import FetchOptions\n"
        "with local_file(sys.argv[1], options=FetchOptions(cache=Cache(sys.argv[2], 10**9))): pass"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code, url, str(tmp_path)], env=env)
    part = None
    deadline = time.monotonic() + 30
    while part is None and time.monotonic() < deadline:
        part = next((p for p in Path(tmp_path, FOLDER).glob("*.part") if p.stat().st_size > 5000), None)
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    assert part is not None
    server.slow, size = 0.0, part.stat().st_size
    server.seen.clear()
    assert fetched(url, options(tmp_path)) == CONTENT
    assert server.seen == [f"bytes={size}-"]


def test_an_empty_file_and_one_that_is_not_there_leave_nothing(server, tmp_path):
    server.files["/empty.mp4"] = b""
    for name, kind in (("empty.mp4", "empty"), ("nothing.mp4", "missing")):
        with pytest.raises(MediaError) as caught:
            fetched(f"{server.url}/{name}", options(tmp_path))
        assert caught.value.kind == kind
    assert list(Path(tmp_path, FOLDER).iterdir()) == []


def test_a_file_that_is_gone_from_its_server_is_not_taken_from_the_cache(server, tmp_path):
    url = f"{server.url}/v.mkv"
    fetched(url, options(tmp_path))
    del server.files["/v.mkv"]
    with pytest.raises(MediaError) as caught:
        fetched(url, options(tmp_path))
    assert caught.value.kind == "missing"


def test_a_file_of_a_storage_is_kept(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/bucket/a.mp4", CONTENT)
    for _ in range(2):
        assert fetched("memory://bucket/a.mp4", options(tmp_path)) == CONTENT
    assert len(kept(tmp_path)) == 1
    fsspec.filesystem("memory").pipe("/bucket/a.mp4", OTHER)
    assert fetched("memory://bucket/a.mp4", options(tmp_path)) == OTHER


def test_a_folder_that_cannot_be_used_is_an_error_of_the_run(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="--cache"):
        Cache(tmp_path / "file", LARGE)
    with pytest.raises(UserError, match="is an address"):
        Cache("s3://bucket/cache", LARGE)


def test_a_folder_that_cannot_be_written_ends_the_run(server, tmp_path):
    how = options(tmp_path / "cache")
    (tmp_path / "cache").write_text("since then a file")
    with pytest.raises((DiskError, UserError)):
        fetched(f"{server.url}/v.mkv", how)


@pytest.mark.parametrize("cached", [False, True])
def test_an_image_at_an_address_without_an_extension_is_one(server, tmp_path, cached):
    for format in ("jpeg", "png", "webp", "tiff", "gif"):
        image = io.BytesIO()
        Image.new("RGB", (8, 8)).save(image, format)
        server.files["/image"], server.etag = image.getvalue(), f'"{format}"'
        server.files["/image.mkv"] = image.getvalue()
        how = options(tmp_path) if cached else FetchOptions(folder=tmp_path)
        for _ in range(2):
            with local_file(f"{server.url}/image?id=3.jpg", options=how) as path:
                assert is_image(path) == (format != "gif")
                with Image.open(path) as opened:
                    assert opened.format == format.upper()
            with local_file(f"{server.url}/image.mkv", options=how) as path:
                assert path.suffix == ".mkv"  # as the address says
        if cached:
            assert server.seen[-2:] == ["bytes=0-0"] * 2
    assert [p for p in tmp_path.iterdir() if p.is_file()] == []
