"""Workers that are forked ahead, in processes of their own: that of the tests has threads already."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import make_video, process_exists

ROOT = Path(__file__).resolve().parents[3]

START = """
import json, os, signal, sys
import numpy as np
from tests.media.workers import pool_jobs
from tools.media.workers import ahead
from tools.media.workers.pool import WorkerPool

def jobs(arguments):
    return [(i, f"file {i}", argument) for i, argument in enumerate(arguments)]

"""


def python(code, **options):
    done = subprocess.run(
        [sys.executable, "-c", START + code], cwd=ROOT, capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_forked_worker_is_set_up_as_a_spawned_one():
    """Expected is what a spawned worker says: the same job is given to both."""
    found = python("""
np.ones((400, 400)) @ np.ones((400, 400))  # by now OpenBLAS has its threads
ahead.start_ahead(1)
begun = [process._process.pid for process in ahead._waiting]
with WorkerPool(1) as pool:
    forked = dict(pool.imap_unordered(pool_jobs.settings, jobs([None])))[0]
    who = dict(pool.imap_unordered(pool_jobs.threads_and_signals, jobs([None])))[0]
with WorkerPool(1) as pool:
    spawned = dict(pool.imap_unordered(pool_jobs.settings, jobs([None])))[0]
    other = dict(pool.imap_unordered(pool_jobs.threads_and_signals, jobs([None])))[0]
pids = [begun == [who.pop("pid")], other.pop("pid") in begun]
print(json.dumps([*pids, forked, spawned, who, other], default=int))
""")
    was_forked, was_again, forked, spawned, who, other = found
    assert was_forked
    assert not was_again
    assert forked == spawned
    assert who == other == {"threads": 1, "sigterm": signal.SIG_DFL, "sighup": signal.SIG_DFL}


def test_the_death_of_one_costs_its_own_file_alone():
    found = python("""
ahead.start_ahead(2)
with WorkerPool(2) as pool:
    given = jobs(["segfault" if i == 3 else i for i in range(40)])
    results = dict(pool.imap_unordered(pool_jobs.misbehave, given))
print(json.dumps({i: getattr(result, "kind", "value") for i, result in results.items()}))
""")
    assert found == {str(i): "crash" if i == 3 else "value" for i in range(40)}


@pytest.mark.parametrize("package", ["polars", "cv2"])
def test_none_is_forked_once_there_may_be_threads(package):
    found = python(f"""
import {package}
ahead.start_ahead(1)
print(json.dumps(len(ahead._waiting)))
""")
    assert found == 0


def test_none_is_kept_if_there_are_threads():
    found = python("""
import threading
over = threading.Event()
threading.Thread(target=over.wait).start()
ahead.start_ahead(1)
over.set()
print(json.dumps(len(ahead._waiting)))
""")
    assert found == 0


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_system_without_room_for_a_thread_has_none_for_a_worker(ahead):
    """The thread that spawns workers is refused: its stack would be larger than all address space."""
    found = python(f"""
import threading
from tools.errors import UserError
ahead.start_ahead({ahead})
threading.stack_size(1 << 50)
try:
    with WorkerPool(2) as pool:
        found = sorted(dict(pool.imap_unordered(pool_jobs.misbehave, jobs(range(20)))).values())
except UserError as error:
    found = str(error)
print(json.dumps(found))
""")
    refused = f"worker processes cannot start: {os.strerror(errno.EAGAIN)}"
    assert found == ([i * i for i in range(20)] if ahead else refused)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_none_outlives_its_parent(ending):
    code = (
        START
        + """
ahead.start_ahead(2)
print(*[process._process.pid for process in ahead._waiting], flush=True)
signal.pause()
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.send_signal(ending)
    end = time.monotonic() + 60
    while any(map(process_exists, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(process_exists, pids))


@pytest.mark.parametrize(
    "command", [("tools.datasets.datautil", "--info"), ("tools.scoring.technical.inference",)]
)
def test_a_command_with_one_row_starts_one_interpreter(command, tmp_path):
    """Each interpreter runs ``sitecustomize`` as it starts."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import os; open({str(tmp_path / 'started')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
    )
    video = make_video(tmp_path / "a.mp4", 8)
    meta = tmp_path / "meta.csv"
    meta.write_text(f"path\n{video}\n")
    module, *flags = command
    done = subprocess.run(
        [sys.executable, "-m", module, str(meta), *flags, "--quiet"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "started").read_text().split()) == 1
