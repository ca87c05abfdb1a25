"""SIGTERM and SIGHUP end a command as Ctrl-C does: results are kept, temporary files removed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# Default handlers. Windows has no SIGHUP.
_DEFAULTS = {
    getattr(signal, name): default
    for name, default in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    )
    if hasattr(signal, name)
}


_TORCHRUN = "TORCHELASTIC_RUN_ID"  # environment variable of processes that torchrun has started
_PDEATHSIG = 1  # linux/prctl.h: PR_SET_PDEATHSIG


class Stopped(KeyboardInterrupt):
    """A signal requests that the command ends.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def is_known(self) -> bool:
        """Whether the user knows why: `torchrun` stops its ranks when it is stopped or one of them fails."""
        return self.number == signal.SIGTERM and _TORCHRUN in os.environ


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` at the first SIGTERM or SIGHUP, `KeyboardInterrupt` at the first Ctrl-C.

    Further signals are ignored, except a second Ctrl-C. Signals with another handler keep it: ``nohup``
    ignores SIGHUP.
    """
    ours = {number: default for number, default in _DEFAULTS.items() if signal.getsignal(number) == default}

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for other in ours:
            # Not SIG_IGN, which child processes would inherit.
            signal.signal(other, signal.default_int_handler if other == signal.SIGINT else _ignore)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(number)

    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, default in ours.items():
            signal.signal(number, default)


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def exit_code(stop: KeyboardInterrupt) -> int:
    """128 plus the number of the signal, as in shells: 130, 143 or 129."""
    return 128 + getattr(stop, "number", signal.SIGINT)


def ending_with_parent(number: int) -> Callable[[], object] | None:
    """What lets a child process end with its parent, as ``preexec_fn``; None where the system cannot.

    A parent that is killed with SIGKILL leaves no program behind.

    Args:
        number: The signal that the child gets.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def in_child() -> None:
        libc.prctl(_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before it could be named
            os.kill(os.getpid(), signal.SIGKILL)

    return in_child


def end_with_torchrun() -> None:
    """Let a rank get SIGTERM when `torchrun` ends, which cannot send one itself when it is killed.

    Otherwise the rank would go on, and the same command would find that it is running already.
    """
    if sys.platform == "linux" and _TORCHRUN in os.environ:
        import ctypes

        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
