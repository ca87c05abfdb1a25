"""A stage that stays set up, with its workers, for run after run; and files that are fetched ahead."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import threading
import time
import zlib
from pathlib import Path

import polars as pl
import pytest

from tests.media.fetching.http_server import serve
from tests.support import process_exists
from tools.base.transfer import Limits
from tools.errors import MediaError, UserError
from tools.media.fetching.sources import FetchOptions, Source
from tools.media.workers.pool import NOT_READY, WorkerPool
from tools.stage.run_options import RunOptions
from tools.stage.session import Session, map_rows
from tools.stage.stage import Stage


@dataclasses.dataclass
class PidStage(Stage):
    """CRC-32 of the file, and who read it; counts how often it is set up."""

    name = "pid"
    suffix = "_pid"
    output_columns = {"crc": pl.Int64, "pid": pl.Int64, "setups": pl.Int64}

    def setup(self):
        self._setups = getattr(self, "_setups", 0) + 1

    def prepare(self, row, frames):
        data = Path(row["path"]).read_bytes()
        if data == b"stop":
            raise UserError("nothing more can be done")
        if data == b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        return {"crc": zlib.crc32(data), "pid": os.getpid()}

    def score(self, batch):
        return [{**values, "setups": self._setups} for values in batch]


@pytest.fixture
def files(tmp_path):
    def write(*contents: str) -> list[dict]:
        for content in contents:
            (tmp_path / content).write_text(content)
        return [{"path": str(tmp_path / content)} for content in contents]

    return write


OPTIONS = RunOptions(num_workers=1, timeout=60, progress=False)


def test_runs_share_set_up_and_workers(files):
    with Session(PidStage(), OPTIONS) as session:
        first = session.map_rows(files("a", "b"))
        second = session.map_rows(files("c"))
        assert session.map_rows([]) == []
    outcomes = [*first, *second]
    assert [o["crc"] for o in outcomes] == [zlib.crc32(c) for c in (b"a", b"b", b"c")]
    assert {o["setups"] for o in outcomes} == {1}
    (pid,) = {o["pid"] for o in outcomes}
    assert pid != os.getpid()
    wait_for_the_end_of(pid)
    (outcome,) = session.map_rows(files("d"))  # a closed session starts other workers
    assert outcome["setups"] == 1 and outcome["pid"] != pid
    session.close()


def test_a_run_that_was_ended_leaves_nothing_to_the_next(files):
    with Session(PidStage(), OPTIONS) as session:
        with pytest.raises(UserError, match="nothing more"):
            session.map_rows(files("a", "stop", "b", "c", "d"))
        (outcome,) = session.map_rows(files("e"))
    assert (outcome["crc"], outcome["setups"]) == (zlib.crc32(b"e"), 1)


def test_workers_may_die_in_a_run_and_between_runs(files):
    with Session(PidStage(), OPTIONS) as session:
        crashed, good = session.map_rows(files("crash", "a"))
        assert isinstance(crashed, MediaError) and crashed.kind == "crash"
        os.kill(good["pid"], signal.SIGKILL)
        (outcome,) = session.map_rows(files("b"))
        assert outcome["crc"] == zlib.crc32(b"b")


def test_two_threads_take_turns(files):
    rows = {name: files(*(f"{name}{i}" for i in range(6))) for name in "xy"}
    found = {}
    with Session(PidStage(), dataclasses.replace(OPTIONS, num_workers=0)) as session:
        threads = [
            threading.Thread(target=lambda name=name: found.update({name: session.map_rows(rows[name])}))
            for name in rows
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in rows:
        assert [o["crc"] for o in found[name]] == [zlib.crc32(f"{name}{i}".encode()) for i in range(6)]


def test_a_session_that_is_dropped_ends_its_workers(files):
    session = Session(PidStage(), OPTIONS)
    (outcome,) = session.map_rows(files("a"))
    del session
    gc.collect()
    wait_for_the_end_of(outcome["pid"])


def wait_for_the_end_of(pid: int) -> None:
    end = time.monotonic() + 20
    while process_exists(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not process_exists(pid)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_files_that_are_elsewhere(files, tmp_path, monkeypatch, num_workers):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    fetch = FetchOptions(folder=temporary, limits=Limits(pauses=(0.0,)), ahead=2)
    (local,) = files("local")
    contents = {f"/{i}.mp4": f"remote {i}".encode() for i in range(5)}
    with (
        serve(contents) as server,
        Session(PidStage(), dataclasses.replace(OPTIONS, num_workers=num_workers), fetch=fetch) as session,
    ):
        server.break_after = [3]
        paths = [f"{server.url}{name}" for name in contents]
        mixed = [paths[0], local["path"], Source(b"bytes"), None, paths[1], f"{server.url}/no.mp4", 7]
        outcomes = session.map_rows([{"path": path} for path in [*mixed, *paths[2:]]])
        assert server.busiest <= 2
        assert list(temporary.iterdir()) == []
    expected = [
        b"remote 0",
        b"local",
        b"bytes",
        None,
        b"remote 1",
        None,
        None,
        b"remote 2",
        b"remote 3",
        b"remote 4",
    ]
    assert [None if isinstance(o, MediaError) else o["crc"] for o in outcomes] == [
        c and zlib.crc32(c) for c in expected
    ]
    assert [(outcomes[i].kind, outcomes[i].path) for i in (3, 5, 6)] == [
        ("bad_value", ""),
        ("missing", f"{server.url}/no.mp4"),
        ("bad_value", "7"),
    ]


def test_failures_name_the_source_and_not_the_temporary_file(files, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve({"/c.mp4": b"crash"}) as server:
        rows = [{"path": f"{server.url}/c.mp4"}]
        with Session(PidStage(), OPTIONS, fetch=FetchOptions()) as session:
            (outcome,) = session.map_rows(rows)
    assert (outcome.kind, outcome.path) == ("crash", rows[0]["path"])


def test_rows_are_worked_off_while_others_are_fetched(files, monkeypatch):
    """The server answers when the local rows are through, or gives up."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    local = files("a", "b", "c")
    finished: list[str] = []
    through = threading.Event()

    def note(results):
        finished.extend(key for key, _ in results)
        if set("abc") <= set(finished):
            through.set()

    with serve({"/r.mp4": b"remote"}) as server:
        server.before = lambda: through.wait(30)
        rows = [("r", {"path": f"{server.url}/r.mp4"}), *zip("abc", local, strict=True)]
        with Session(PidStage(), OPTIONS, fetch=FetchOptions()) as session:
            session.process(rows, note)
    assert through.is_set() and finished[-1] == "r"


@pytest.mark.parametrize("num_workers", [0, 1])
def test_jobs_that_are_not_there_yet(num_workers):
    results = []

    def jobs():
        yield 1, "", 1
        end = time.monotonic() + 30
        while num_workers and not results and time.monotonic() < end:
            yield NOT_READY
        for _ in range(5):
            yield NOT_READY
        yield 2, "", 2

    with WorkerPool(num_workers) as pool:
        for key, value in pool.imap_unordered(float, jobs()):
            results.append((key, value))
        assert list(pool.imap_unordered(float, iter([NOT_READY, NOT_READY]))) == []
    assert results == [(1, 1.0), (2, 2.0)]


@pytest.mark.logs_errors
def test_without_fetching_a_path_is_a_file(files):
    (outcome,) = map_rows(
        PidStage(), [{"path": "http://127.0.0.1:9/x.mp4"}], RunOptions(num_workers=0, progress=False)
    )
    assert isinstance(outcome, MediaError) and "No such file" in outcome.message
