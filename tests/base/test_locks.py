"""Locks of files, between open files of one process: flock knows no processes."""

from __future__ import annotations

import fcntl
import os
import threading

import pytest

from tools.base.locks import holding, is_locked, take


def test_a_file_is_locked_as_long_as_it_is_held(tmp_path):
    path = tmp_path / "lock"
    assert is_locked(path) is None
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    assert is_locked(path) is False
    with holding(file):
        assert is_locked(path) is True
    assert is_locked(path) is False
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_one_waits_for_the_other(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    other = os.open(path, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    entered = threading.Event()

    def wait() -> None:
        with holding(os.open(path, os.O_RDWR)):
            entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not entered.wait(0.1)
    os.close(other)
    assert entered.wait(10)
    thread.join()


def test_a_lock_that_another_has_is_waited_for_and_not_taken(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    one, other = (os.open(path, os.O_RDWR) for _ in range(2))
    assert take(one) and not take(other) and not take(other, patience=0.01)
    threading.Timer(0.1, os.close, [one]).start()
    assert take(other, patience=60)
    os.close(other)
