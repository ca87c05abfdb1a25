"""What the tests let worker processes do. In a module of its own, so that workers can import it."""

import importlib
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from tools.errors import MediaError, UserError

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


def die_while_writing(folder):
    """Be killed in the middle of handing over a large array."""
    Path(folder, f"unfinished-{os.getpid()}").write_bytes(b"x" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)


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


def start_the_second_time(*about):
    """Start of a worker, the first of which is killed at once."""
    started = Path(os.environ["TEST_STARTED"])
    if not started.exists():
        started.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def nap(argument):
    """Leave a note of the process, and take a short while."""
    folder, number = argument
    Path(folder, f"worker-{os.getpid()}").touch()
    time.sleep(0.1)
    return number


def sleep_on(*_: object) -> None:
    time.sleep(1000)


def import_named(name):
    importlib.import_module(name)


def open_media(path):
    raise MediaError("missing", path, "no such file")
