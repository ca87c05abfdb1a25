"""What the tests let worker processes do. In a module of its own, so that workers can import it."""

import importlib
import os
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np

from tools.errors import MediaError, UserError
from tools.media.workers import worker

_kept = []


class FailsToUnpickle:
    def __reduce__(self):
        return int, ("not a number",)


def misbehave(what):
    """Do what the word says; any other argument is squared."""
    match what:
        case "hang":
            time.sleep(3600)
        case "hang without python":  # no signal handler of Python runs before the system call ends
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            time.sleep(3600)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit 3":
            os._exit(3)
        case "exit 0":
            os._exit(0)
        case "sys.exit":
            sys.exit(0)
        case "too much memory":
            bytearray(3 << 30)
        case "system refuses memory":
            raise OSError(12, "Cannot allocate memory")
        case "bug":
            raise KeyError("bug")
        case "media error":
            raise MediaError("too_short", "the file", "one frame")
        case "user error":
            raise UserError("install decord")
        case "cannot be sent":
            return lambda: None
        case "cannot be received":
            return FailsToUnpickle()
    return what * what


def note_and_misbehave(argument):
    """Note in a file that the job was begun; then see `misbehave`."""
    folder, number, what = argument
    with Path(folder, f"begun-{number}").open("a") as file:
        file.write("x")
    return misbehave(what) if what else number


def wait_for_file(argument):
    """Return the number, at once or when there is a file."""
    number, file = argument
    end = time.monotonic() + 60
    while file and not Path(file).exists():
        if time.monotonic() > end:
            raise TimeoutError(file)
        time.sleep(0.01)
    return number


def square_and_pid(number):
    return number * number, os.getpid()


def array(size):
    """Bytes 0, 1, ..., 255, 0, 1, ... as a matrix, and its transpose's first row."""
    made = np.arange(size, dtype=np.uint8).reshape(-1, 4)
    return {"matrix": made, "row": made.T[0], "text": "x"}


def keep(megabytes):
    """Hold on to memory for ever, as a leaking library does; tell who held how much before."""
    before = sum(len(block) for block in _kept) >> 20
    _kept.append(bytearray(megabytes << 20))
    return os.getpid(), before


def settings(_):
    import cv2

    return {
        "omp": os.environ.get("OMP_NUM_THREADS"),
        "cv2": cv2.getNumThreads(),
        "sigint": signal.getsignal(signal.SIGINT),
        "torch": "torch" in sys.modules,
    }


def array_in_small_files(size):
    """The same, in a process for which no file may grow beyond 100 kB, and so neither shared memory."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    return array(size)


def same_in_small_files(argument):
    """The argument, which goes back through the pipe."""
    array_in_small_files(4)
    return argument


def work_and_die_while_handing_over(connection, memory, *others):
    """A worker that is killed as it hands over its third result: it is at no job then."""

    class Dying:
        def put(self, number, *result):
            if number % 10 == 7 and number < 20:
                os.kill(os.getpid(), signal.SIGKILL)
            return memory.put(number, *result)

        def __getattr__(self, name):
            return getattr(memory, name)

    worker.main(connection, Dying(), *others)


def interrupt_then_sleep(parent):
    """Press Ctrl-C for the parent and go on working."""
    os.kill(parent, signal.SIGINT)
    time.sleep(3600)


def crawl(argument):
    """Tell the process id in a file, then take long."""
    folder, number = argument
    Path(folder, f"worker-{os.getpid()}").touch()
    time.sleep(60)
    return number


def die_first(argument):
    """Be sent a signal the first time; the second time tell how many others are at work."""
    folder, number, sent = argument
    busy = Path(folder, f"busy-{number}")
    busy.touch()
    time.sleep(0.2)
    if sent:
        died = Path(folder, f"died-{number}")
        if not died.exists():
            died.touch()
            busy.unlink()
            os.kill(os.getpid(), sent)
        others = len(list(Path(folder).glob("busy-*"))) - 1
    else:
        others = None
    busy.unlink()
    return others


def work_the_second_time(*about):
    """A worker, the first of which is killed at once."""
    started = Path(os.environ["TEST_STARTED"])
    if not started.exists():
        started.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    worker.main(*about)


def nap(argument):
    """Leave a note of the process, and take a short while."""
    folder, number, *seconds = argument
    Path(folder, f"worker-{os.getpid()}").touch()
    time.sleep(*seconds or (0.1,))
    return number


def sleep_on(*_: object) -> None:
    time.sleep(1000)


def import_named(name):
    importlib.import_module(name)


def open_media(path):
    raise MediaError("missing", path, "no such file")


def oom_score(_):
    return int(Path("/proc/self/oom_score_adj").read_text())


def threads_and_signals(_):
    """This process, its threads after a product of matrices, and what two signals do."""
    matrix = np.ones((400, 400))
    assert (matrix @ matrix)[0, 0] == 400
    return {
        "pid": os.getpid(),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "sigterm": signal.getsignal(signal.SIGTERM),
        "sighup": signal.getsignal(signal.SIGHUP),
    }
