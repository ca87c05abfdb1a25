"""What the tests let worker processes do with captions; a module of its own, for workers to import."""

import os
import time
from pathlib import Path


class OddError(Exception):
    """Does not survive pickling: it needs two arguments to be made and hands on one."""

    def __init__(self, first, second):
        super().__init__(first)
        self.second = second


def describe(texts):
    """Length, end, and process of each text."""
    return [(len(text), text[-4:], os.getpid()) for text in texts]


def note(folder, texts):
    """Write down which texts were given, one file for each call."""
    (Path(folder) / f"{time.monotonic_ns()}-{os.getpid()}").write_text("\n".join(texts))
    return texts


def fail(texts):
    if any(text.endswith("2500") for text in texts):
        raise ZeroDivisionError("at 2500")
    return texts


def fail_oddly(texts):
    raise OddError("odd", 2)


def die(texts):
    os._exit(7)


def lose(texts):
    return texts[1:]


def wait(folder, texts):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)
    return texts
