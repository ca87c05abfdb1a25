"""The pool with real processes that really hang, die and eat memory."""

import os
import random
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.media.workers import pool_jobs
from tests.support import make_video, process_exists
from tools.errors import MediaError, UserError
from tools.media.workers import dispatch, worker
from tools.media.workers.batch_size import MOST_JOBS
from tools.media.workers.pool import WorkerPool, usable_cores

ROOT = Path(__file__).resolve().parents[3]


def run(function, arguments, **options):
    jobs = [(i, f"file {i}", argument) for i, argument in enumerate(arguments)]
    with WorkerPool(options.pop("num_workers", 2), **options) as pool:
        results = list(pool.imap_unordered(function, jobs))
    assert len(results) == len(jobs)
    return dict(results)


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("where", ["waiting", "using a result"])
def test_time_in_which_the_run_is_suspended_counts_for_no_job(monkeypatch, tmp_path, where):
    """As after Ctrl-Z and fg: the clock, which goes on meanwhile, is later by an hour at the next look."""
    clock = {"late": 0.0}
    select = selectors.DefaultSelector.select

    def late_select(*args):
        found = select(*args)
        clock["late"] += 3600.0 * (where == "waiting" and not found)
        return found

    monkeypatch.setattr(dispatch.selectors.DefaultSelector, "select", late_select)
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + clock["late"]))
    jobs = [(i, f"file {i}", (str(tmp_path), i, seconds)) for i, seconds in enumerate((0.0, 0.8))]
    with WorkerPool(2, timeout=30) as pool:
        results = {}
        for key, result in pool.imap_unordered(pool_jobs.nap, jobs):
            clock["late"] += 3600.0 * (where != "waiting")
            results[key] = result
    assert results == {0: 0, 1: 1}


CASES = {
    "hang": ("timeout", "longer than 5 s"),
    "hang without python": ("timeout", "longer than 5 s"),
    "segfault": ("crash", "SIGSEGV"),
    "kill": ("killed", "from outside twice (SIGKILL)"),
    "exit 3": ("crash", "exit code 3"),
    "exit 0": ("crash", "exited in the middle"),
    "sys.exit": ("internal", "SystemExit: 0"),
    "too much memory": ("memory", "more memory"),
    "system refuses memory": ("memory", "more memory"),
    "bug": ("internal", "KeyError: 'bug'"),
    "media error": ("too_short", "one frame"),
    "cannot be sent": ("internal", "pickle"),
    "cannot be received": ("internal", "ValueError: invalid literal"),
}


def test_trouble_costs_its_own_item_and_nothing_else():
    arguments = [piece for i, case in enumerate(CASES) for piece in (i, case)] + list(range(100, 140))
    results = run(pool_jobs.misbehave, arguments, timeout=5, memory_bytes=1 << 30)
    for i, argument in enumerate(arguments):
        if argument in CASES:
            kind, message = CASES[argument]
            assert isinstance(results[i], MediaError), argument
            assert (results[i].kind, message in results[i].message) == (kind, True), results[i]
            assert results[i].path == ("the file" if argument == "media error" else f"file {i}")
        else:
            assert results[i] == argument**2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_the_user_can_mend_ends_the_run(num_workers):
    with pytest.raises(UserError, match=r"^install decord$"):
        run(pool_jobs.misbehave, [1, "user error", 2], num_workers=num_workers)


def test_without_workers_the_items_run_here():
    results = run(pool_jobs.square_and_pid, [2, 3], num_workers=0)
    assert results == {0: (4, os.getpid()), 1: (9, os.getpid())}
    results = run(pool_jobs.misbehave, [3, "bug", "sys.exit", "media error"], num_workers=0)
    assert [getattr(r, "kind", r) for r in results.values()] == [9, "internal", "internal", "too_short"]


def test_an_item_that_dies_at_once_is_never_lost():
    results = run(pool_jobs.misbehave, ["exit 3", 1] * 15)
    assert [getattr(r, "kind", r) for _, r in sorted(results.items())] == ["crash", 1] * 15


def test_of_a_batch_the_job_at_which_its_worker_dies_is_lost_and_no_other_is_begun_twice(tmp_path):
    what = {150: "segfault", 170: "exit 3", 190: "kill", 210: "hang", 230: "exit 0"}
    arguments = [(str(tmp_path), i, what.get(i)) for i in range(400)]
    results = run(pool_jobs.note_and_misbehave, arguments, timeout=4)  # its imports count, too
    kinds = {i: result.kind for i, result in results.items() if isinstance(result, MediaError)}
    assert kinds == {150: "crash", 170: "crash", 190: "killed", 210: "timeout", 230: "crash"}
    assert all(results[i] == i for i in range(400) if i not in what)
    begun = {i: (tmp_path / f"begun-{i}").stat().st_size for i in range(400)}
    assert [i for i, times in begun.items() if times != 1] == [190, 230]  # once more, with no other


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_slow_job_holds_no_other_up(tmp_path, num_workers):
    """It ends when the caller has seen the results before it, and with a second worker all others."""
    go = tmp_path / "go"
    slow, seen = 150, set()
    others = set(range(slow) if num_workers == 1 else range(400)) - {slow}
    if num_workers > usable_cores():
        others = set(range(slow))
    jobs = [(i, "", (i, str(go) if i == slow else None)) for i in range(400)]
    with WorkerPool(num_workers) as pool:
        for key, result in pool.imap_unordered(pool_jobs.wait_for_file, jobs):
            assert result == key
            seen.add(key)
            if others <= seen:
                go.touch()
    assert seen == set(range(400))


def test_large_arguments_and_large_results_at_once():
    """More than a socket holds in both directions, so that one must not wait for the other."""
    text = "x" * 300_000
    with WorkerPool(1) as pool:
        jobs = [(i, "", [text, i]) for i in range(100)]
        for key, result in pool.imap_unordered(pool_jobs.same_in_small_files, jobs):
            assert result == [text, key]


def test_a_caller_that_stops_reading_leaves_the_pool_usable():
    with WorkerPool(2) as pool:
        jobs = [(i, "", i) for i in range(1000)]
        results = pool.imap_unordered(pool_jobs.square_and_pid, jobs)
        for _ in range(200):
            next(results)
        results.close()
        again = {key: square for key, (square, _) in pool.imap_unordered(pool_jobs.square_and_pid, jobs)}
    assert again == {i: i * i for i in range(1000)}


def test_idle_workers_may_be_killed():
    pids = set()

    def jobs():
        for i in range(4):
            yield i, "", i
        # The bound on items in flight lets the generator be asked for more before results are seen.
        yield 4, "", 4
        assert wait_until(lambda: len(pids) > 0)
        time.sleep(0.5)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        for i in range(5, 9):
            yield i, "", i

    squares = {}
    with WorkerPool(1) as pool:
        for key, (square, pid) in pool.imap_unordered(pool_jobs.square_and_pid, jobs()):
            squares[key] = square
            pids.add(pid)
    assert squares == {i: i * i for i in range(9)}
    assert len(pids) == 2


def test_a_job_whose_worker_is_killed_from_outside_is_done_again_alone(tmp_path):
    sent = {3: signal.SIGKILL, 5: signal.SIGTERM, 8: signal.SIGHUP}
    results = run(pool_jobs.die_first, [(str(tmp_path), i, sent.get(i)) for i in range(12)], timeout=60)
    assert results == {i: 0 if i in sent else None for i in range(12)}


def test_killing_workers_costs_no_file_its_good_name(tmp_path):
    """Whatever is at work when a worker is killed, beside it or after it, no file is the cause."""
    over = threading.Event()

    def kill():
        for _ in range(12):
            over.wait(0.25)
            noted = [int(p.name.removeprefix("worker-")) for p in tmp_path.glob("worker-*")]
            if alive := [pid for pid in noted if process_exists(pid)]:
                os.kill(random.choice(alive), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    results = run(pool_jobs.nap, [(str(tmp_path), i) for i in range(40)], timeout=60)
    over.set()
    killer.join()
    blamed = {i: result for i, result in results.items() if result != i}
    assert all(isinstance(result, MediaError) and result.kind == "killed" for result in blamed.values())
    assert len(blamed) <= 6  # it takes two kills each


def test_workers_may_be_killed_before_they_take_a_job(monkeypatch, tmp_path):
    monkeypatch.setenv("TEST_STARTED", str(tmp_path / "started"))
    monkeypatch.setattr(worker, "main", pool_jobs.work_the_second_time)
    assert run(pool_jobs.misbehave, [3], num_workers=1) == {0: 9}
    assert (tmp_path / "started").exists()


def test_workers_that_never_take_a_job_end_the_run(monkeypatch):
    monkeypatch.setattr(dispatch, "_STALL_SECONDS", 0.5)
    monkeypatch.setattr(dispatch, "_MAX_STALLS", 1)
    monkeypatch.setattr(worker, "main", pool_jobs.sleep_on)
    with (
        WorkerPool(1) as pool,
        pytest.raises(UserError, match="take no jobs, even after 1"),
    ):
        list(pool.imap_unordered(pool_jobs.square_and_pid, [(0, "", 1)]))


def test_memory_that_others_left_behind_fails_nobody():
    # 200 MB of a leak in each of 12 items, under a limit of 300 MB for one: nobody takes too much himself.
    results = run(pool_jobs.keep, [200] * 12, num_workers=1, memory_bytes=300 << 20)
    assert not [r for r in results.values() if isinstance(r, MediaError)]
    assert len({pid for pid, _ in results.values()}) > 1  # but workers that hold much are replaced
    assert max(before for _, before in results.values()) <= 2 * 200
    results = run(pool_jobs.keep, [400], num_workers=1, memory_bytes=300 << 20)
    assert results[0].kind == "memory"


def test_items_that_take_long_are_taken_one_by_one(tmp_path):
    taken = []

    def jobs():
        for i in range(12):
            taken.append(i)
            yield i, "", (str(tmp_path), i)

    with WorkerPool(1) as pool:
        results = pool.imap_unordered(pool_jobs.nap, jobs())
        for seen in range(1, 12):
            next(results)
            assert len(taken) <= seen + 1


def test_items_are_taken_only_as_workers_get_free():
    taken = []

    def jobs():
        for i in range(1000):
            taken.append(i)
            yield i, "", i

    with WorkerPool(1) as pool:
        results = pool.imap_unordered(pool_jobs.square_and_pid, jobs())
        for seen in range(1, 500):
            next(results)
            assert (
                len(taken) <= seen + 3 * MOST_JOBS
            )  # two tasks of the worker, and one whose results are left


def test_the_caller_is_called_while_there_is_nothing_to_do():
    calls = []
    with WorkerPool(1, timeout=2) as pool:
        jobs = [(0, "", "hang")]
        list(pool.imap_unordered(pool_jobs.misbehave, jobs, idle=lambda: calls.append(1)))
    assert 2 <= len(calls) <= 10


def test_workers_take_one_thread_and_no_torch(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    values = run(pool_jobs.settings, [None], num_workers=1)[0]
    assert values == {"omp": "1", "cv2": 1, "sigint": signal.SIG_IGN, "torch": False}


def test_workers_are_no_more_than_cores(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    assert WorkerPool(1000).num_workers == usable_cores() == cores
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores))
    assert WorkerPool(1000).num_workers == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(100 * cores))
    assert WorkerPool(1000).num_workers == 1


_LEFT_EARLY = """
import os
from tests.media.workers import pool_jobs
from tools.media.workers.pool import WorkerPool

try:
    with WorkerPool(1) as pool:
        for _, (_, pid) in pool.imap_unordered(pool_jobs.square_and_pid, [(0, "", 3)]):
            print(pid)
        next(pool.imap_unordered(pool_jobs.interrupt_then_sleep, [(0, "", os.getpid())]))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_leaving_the_pool_early_stops_its_workers():
    done = subprocess.run(  # whose Ctrl-C is not that of the tests
        [sys.executable, "-c", _LEFT_EARLY],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,  # the job sleeps for an hour
        check=False,
    )
    pid, told = done.stdout.split()
    assert told == "interrupted", done.stderr
    assert wait_until(lambda: not process_exists(int(pid)))


@pytest.mark.parametrize("number", [1, 40])
def test_every_array_comes_back_under_its_own_key(number):
    sizes = [4 * (i + 1) if i % 2 else 40_000 * (i + 1) for i in range(number)]
    results = run(pool_jobs.array, sizes)
    for i, size in enumerate(sizes):
        assert np.array_equal(results[i]["matrix"].ravel(), (np.arange(size) % 256).astype(np.uint8))


def test_large_arrays_arrive_whole_and_writable():
    result = run(pool_jobs.array, [4_000_000])[0]
    expected = (np.arange(4_000_000) % 256).astype(np.uint8)
    assert np.array_equal(result["matrix"].ravel(), expected)
    assert np.array_equal(result["row"], expected[::4])
    assert result["text"] == "x"
    result["matrix"][0] = 1  # an array on read-only memory would refuse


def test_where_no_memory_can_be_shared_large_arrays_go_through_the_pipe():
    results = run(pool_jobs.array_in_small_files, [1_000_000, 8, 2_000_000], num_workers=1)
    for i, size in enumerate((1_000_000, 8, 2_000_000)):
        assert np.array_equal(results[i]["matrix"], pool_jobs.array(size)["matrix"])


def test_a_worker_that_is_killed_while_it_hands_over_costs_nothing_else(monkeypatch):
    monkeypatch.setattr(worker, "main", pool_jobs.work_and_die_while_handing_over)
    results = run(pool_jobs.array, [4000 * (i + 1) for i in range(20)])
    for i in range(20):
        assert np.array_equal(results[i]["matrix"], pool_jobs.array(4000 * (i + 1))["matrix"])


CRAWLING = """
import sys
from tests.media.workers.pool_jobs import crawl
from tools.media.workers.pool import WorkerPool

if __name__ == "__main__":
    with WorkerPool(2) as pool:
        list(pool.imap_unordered(crawl, [(i, "", (sys.argv[1], i)) for i in range(9)]))
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(tmp_path, ending):
    script = tmp_path / "crawling.py"
    script.write_text(CRAWLING)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(tmp_path)]
    parent = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wanted = min(2, usable_cores())
    assert wait_until(lambda: len(list(tmp_path.glob("worker-*"))) == wanted)
    workers = [int(p.name.removeprefix("worker-")) for p in tmp_path.glob("worker-*")]
    assert all(process_exists(pid) for pid in workers)
    if ending == signal.SIGINT:
        os.killpg(parent.pid, ending)  # as a terminal does: workers get it too, and leave it to the parent
    else:
        parent.send_signal(ending)
    _, err = parent.communicate(timeout=600)
    assert wait_until(lambda: not any(process_exists(pid) for pid in workers))
    if ending == signal.SIGINT:
        assert "KeyboardInterrupt" in err


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess:
    """Run a script that has no guard."""
    script = folder / "unguarded.py"
    script.write_text(text)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)


def test_a_script_needs_no_guard(tmp_path):
    """Its workers do not run it again: whatever of ours it calls."""
    make_video(tmp_path / "a.mp4", 30, size=(96, 64))
    (tmp_path / "meta.csv").write_text("path\na.mp4\n")
    ended = run_script(
        tmp_path,
        """
from tools.datasets.datautil import run_datautil
from tools.datasets.probe_stage import ProbeStage
from tools.stage.runner import run_stage

print("begins")
run_datautil(["meta.csv"], {"info": True}, output="by_function.csv")
print(run_stage(ProbeStage(), "meta.csv").rows)
print(__file__ is not None and __spec__ is None)
""",
    )
    assert (ended.returncode, ended.stdout.split()) == (0, ["begins", "1", "True"]), ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "by_function.csv").read_text() == (tmp_path / "meta_info.csv").read_text()


WORK_OF_ITS_OWN = """
from tools.media.workers.pool import WorkerPool

def double(x):
    return 2 * x

if GUARD:
    with WorkerPool(1) as pool:
        print(list(pool.imap_unordered(double, [(0, "", 21)])))
"""


def test_a_script_that_defines_the_work_is_told_that_it_needs_a_guard(tmp_path):
    guarded = run_script(tmp_path, WORK_OF_ITS_OWN.replace("GUARD", '__name__ == "__main__"'))
    assert (guarded.returncode, guarded.stdout) == (0, "[(0, 42)]\n"), guarded.stderr
    ended = run_script(tmp_path, WORK_OF_ITS_OWN.replace("GUARD", "True"))
    assert ended.returncode == 1 and "if __name__ == '__main__':" in ended.stderr.splitlines()[-1]
    assert ended.stderr.count("Traceback") == 1  # that of the script: its workers end without a word


def test_a_function_that_workers_cannot_import_ends_the_run(tmp_path):
    program = "from tools.media.workers.pool import WorkerPool\ndef f(x): return x\n"
    program += "with WorkerPool(1) as pool: print(list(pool.imap_unordered(f, [(0, '', 1), (1, '', 2)])))"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 1
    assert "must be defined in a module that can be imported" in ended.stderr.splitlines()[-1]


def test_a_limit_too_small_for_what_a_job_imports_is_told_as_memory():
    results = run(pool_jobs.import_named, ["cv2", "cv2"], num_workers=1, memory_bytes=20 << 20)
    assert [result.kind for result in results.values()] == ["memory"] * 2
    assert run(pool_jobs.import_named, ["cv2"], num_workers=1, memory_bytes=worker.IMPORTS) == {0: None}


def test_a_missing_file_is_missing_under_any_limit():
    results = run(pool_jobs.open_media, ["nowhere.mp4"], num_workers=1, memory_bytes=1 << 20)
    assert [result.kind for result in results.values()] == ["missing"]


FEW_DESCRIPTORS = """
import resource
from tools.media.workers.pool import WorkerPool

with WorkerPool(1) as pool:
    pool.num_workers = 100  # as on a machine of many cores
    resource.setrlimit(resource.RLIMIT_NOFILE, (36, 36))
    results = dict(pool.imap_unordered(abs, ((i, str(i), -i) for i in range(200))))
    print(results == {i: i for i in range(200)}, 0 < len(pool.processes) == pool.num_workers < 9)
"""


def test_fewer_workers_where_there_are_descriptors_for_no_more():
    """Each needs three or four in this process."""
    code = f"import logging\nlogging.basicConfig()\n{FEW_DESCRIPTORS}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.stdout == "True True\n", done.stderr
    assert done.stderr.count("worker processes: Too many open files; raise the limit") == 1


def test_a_machine_short_of_memory_kills_workers_and_not_their_parent():
    (score,) = run(pool_jobs.oom_score, [0], num_workers=1).values()
    assert score >= 500 > int(Path("/proc/self/oom_score_adj").read_text())
