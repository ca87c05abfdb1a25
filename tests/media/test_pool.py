"""The guarded pool with real processes. What comes back is known: the argument, or damage done on purpose."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tools.errors import MediaError
from tools.media.handover import Handover, Parcel, pack
from tools.media.pool import WorkerPool, usable_cores


def act(argument):
    """What a worker does with its argument."""
    match argument:
        case "hang":
            time.sleep(3600)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "eat":
            return bytearray(2 << 30)[:1]
        case "refuse":
            raise MediaError("decode", "file", "damaged")
        case "bug":
            return 1 / 0
        case "environment":
            return os.environ["OMP_NUM_THREADS"], os.getpid()
        case int(side):
            return {"array": np.full((side, side), side, np.uint16), "side": side}
    return argument


def run(arguments, **options):
    with WorkerPool(2, **options) as pool:
        jobs = ((i, f"file{i}", a) for i, a in enumerate(arguments))
        return dict(pool.imap_unordered(act, jobs))


def test_every_job_gives_its_own_result():
    results = run([*range(40), 500, 700])
    assert len(results) == 42
    for result in results.values():
        side = result["side"]
        assert result["array"].shape == (side, side)
        assert (result["array"] == side).all()


def test_damage_costs_its_own_job():
    results = run(
        ["a", "hang", "b", "kill", "eat", "c", "refuse", "bug", *["d"] * 10],
        timeout=1.5,
        memory_bytes=1 << 30,
    )
    kinds = [r.kind if isinstance(r, MediaError) else r for _, r in sorted(results.items())]
    assert kinds == ["a", "timeout", "b", "crash", "memory", "c", "decode", "internal", *["d"] * 10]
    assert (results[1].path, results[3].message) == ("file1", "the worker process died (SIGKILL)")
    assert "ZeroDivisionError" in results[7].message


def test_without_workers_the_function_runs_here():
    with WorkerPool(0) as pool:
        results = dict(
            pool.imap_unordered(
                act, [(0, "f", "environment" if "OMP_NUM_THREADS" in os.environ else "x"), (1, "f", "bug")]
            )
        )
    assert not isinstance(results[0], MediaError)
    assert results[1].kind == "internal"


def test_workers_compute_on_one_thread_each():
    (threads, pid), *_ = run(["environment"]).values()
    assert threads == "1"
    assert pid != os.getpid()


def test_jobs_are_taken_as_workers_get_free():
    taken = []

    def jobs():
        for i in range(200):
            taken.append(i)
            yield i, "f", "x"

    with WorkerPool(1) as pool:
        for done, _ in enumerate(pool.imap_unordered(act, jobs()), start=1):
            assert len(taken) - done <= 8


def test_cores_are_shared_among_ranks(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores))
    assert usable_cores() == 1
    assert WorkerPool(16).num_workers == 1


def test_leaving_the_pool_early_stops_its_workers():
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), WorkerPool(1) as pool:
        for _, result in pool.imap_unordered(act, [(0, "f", "environment"), (1, "f", "hang")]):
            pid = result[1]
            raise KeyboardInterrupt
    assert time.monotonic() - started < 60
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_large_arrays_travel_as_files_and_small_ones_do_not():
    handover = Handover()
    folder = Path(handover.folder)
    large = {"a": np.arange(100_000), "b": [np.ones(50_000, np.uint8)], "c": "text"}
    parcel = pack(large, handover.folder)
    assert isinstance(parcel, Parcel)
    assert Path(parcel.file).parent == folder
    back = handover.unpack(parcel)
    assert (back["a"] == large["a"]).all()
    assert (back["b"][0] == 1).all()
    assert [p.name for p in folder.iterdir()] == ["lock"]
    assert not isinstance(pack({"a": np.arange(10)}, handover.folder), Parcel)
    handover.close()
    assert not folder.exists()


def test_without_room_in_shared_memory_the_pipe_takes_the_array(tmp_path):
    array = np.zeros(1 << 20)
    assert pack(array, str(tmp_path / "gone")) is array


def test_folders_of_killed_parents_are_removed(monkeypatch, tmp_path):
    monkeypatch.setattr("tools.media.handover._shared_memory", lambda: str(tmp_path))
    stale = tmp_path / "vidsieve-stale"
    stale.mkdir()
    (stale / "lock").touch()
    (stale / "frames").write_bytes(b"x")
    os.utime(stale, (0, 0))
    living = Handover()
    os.utime(living.folder, (0, 0))
    other = Handover()
    assert not stale.exists()
    assert Path(living.folder).exists()
    living.close()
    other.close()
