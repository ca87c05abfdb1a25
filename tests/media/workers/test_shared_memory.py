"""The ring of results between two processes, by itself: every byte comes back, whatever the sizes."""

import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tools.media.workers.shared_memory import SharedMemory, pack, unpack

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def ends():
    """The parent's and the worker's view of the same memory."""
    parent = SharedMemory()
    worker = SharedMemory(os.dup(parent._file))
    yield parent, worker
    parent.close()
    worker.close()


def fail():
    raise AssertionError("it had to wait")


def results_of(memory):
    return [(number, unpack(packed)) for number, _, packed in memory.take()]


def array(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1000, 300_000, 5_000_000])
def test_arrays_come_back_whole_and_writable(ends, size):
    parent, worker = ends
    sent = {"array": array(size), "rows": [array(size, 1), array(3)], "text": "x"}
    for number in range(5):
        assert worker.put(number, 0.5, pack(sent), fail)
        ((got, seconds, packed),) = parent.take()
        result = unpack(packed)
        assert (got, seconds, result["text"]) == (number, 0.5, "x")
        assert np.array_equal(result["array"], sent["array"])
        assert all(map(np.array_equal, result["rows"], sent["rows"]))
        result["array"][:1] = 1  # an array on read-only memory would refuse


def test_the_ring_is_used_again_and_grows_with_what_is_put_in():
    memory = SharedMemory()
    worker = SharedMemory(os.dup(memory._file))
    for number in range(1000):
        assert worker.put(number, 0.0, pack(array(100_000, number)), fail)
        assert np.array_equal(results_of(memory)[0][1], array(100_000, number))
    small = os.fstat(memory._file).st_size
    assert small < 1_000_000  # of 100 MB that went through
    assert worker.put(0, 0.0, pack(array(10_000_000)), fail)
    assert np.array_equal(results_of(memory)[0][1], array(10_000_000))
    assert 10_000_000 < os.fstat(memory._file).st_size < 50_000_000
    memory.close()
    worker.close()


def test_a_worker_that_is_faster_than_its_parent_waits_and_nothing_is_overwritten(ends):
    parent, worker = ends
    draw = random.Random(1)
    sizes = [draw.choice((10, 3000, 70_000, 200_000)) for _ in range(400)]
    waits = []

    def work():
        for number, size in enumerate(sizes):
            assert worker.put(number, 0.0, pack(array(size, number)), lambda: waits.append(1))

    thread = threading.Thread(target=work)
    thread.start()
    received = []
    deadline = time.monotonic() + 60
    while not waits and time.monotonic() < deadline:  # nothing is taken until it has to wait
        time.sleep(0.001)
    assert waits
    while len(received) < len(sizes):
        received += results_of(parent)
    thread.join()
    assert [number for number, _ in received] == list(range(len(sizes)))
    for (number, result), size in zip(received, sizes, strict=True):
        assert np.array_equal(result, array(size, number))


def test_a_full_disk_is_told_and_what_fits_still_goes_through(ends):
    parent, worker = ends
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert worker.put(0, 0.0, pack(array(1000)), fail)
    assert len(results_of(parent)) == 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the kernel refuses larger files
    try:
        assert not worker.put(1, 0.0, pack(array(1_000_000)), fail)
        assert worker.put(2, 0.0, pack(array(1000)), fail)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [number for number, _ in results_of(parent)] == [2]
    assert worker.put(3, 0.0, pack(array(1_000_000)), fail)
    assert np.array_equal(results_of(parent)[0][1], array(1_000_000))


def test_what_has_been_scribbled_over_is_noticed(ends):
    parent, worker = ends
    assert worker.put(0, 0.0, pack(array(1000)), fail)
    worker._ring[16:32] = b"\xff" * 16
    with pytest.raises(ValueError, match="damaged"):
        results_of(parent)


def test_the_present_job_and_the_revoked_ones_are_seen(ends):
    parent, worker = ends
    assert parent.current()[0] is None
    assert worker.begin(0)
    number, since = parent.current()
    assert (number, since > 0) == (0, True)
    worker.end()
    assert parent.current()[0] is None
    parent.revoke(2, 4)
    assert [worker.begin(number) for number in range(1, 7)] == [True, False, False, False, True, True]


@pytest.mark.parametrize("forbidden", [False, True])
def test_where_memory_has_no_files_a_temporary_file_without_a_name_does(monkeypatch, tmp_path, forbidden):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if forbidden:
        monkeypatch.setattr(os, "memfd_create", lambda *_: os.open(tmp_path / "missing" / "x", os.O_RDONLY))
    else:
        monkeypatch.delattr(os, "memfd_create")
    memory = SharedMemory()
    assert memory.put(0, 0.0, pack(array(100_000)), fail)
    assert list(tmp_path.iterdir()) == [] and os.fstat(memory._file).st_nlink == 0
    memory.close()


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(3)"])
def test_a_process_that_is_killed_leaves_nothing_behind(end, tmp_path):
    """No name in any file system: neither in shared memory nor in the folder for temporary files."""
    script = (
        "import os, sys; from tools.media.workers.shared_memory import SharedMemory, pack; "
        "memory = SharedMemory(); memory.put(0, 0.0, pack(bytearray(10**7)), sys.exit); "
        f"print(os.fstat(memory._file).st_nlink, flush=True); {end}"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True)
    assert (ended.stdout, list(tmp_path.iterdir())) == ("0\n", []), ended.stderr
