"""SIGTERM and SIGHUP end a command as Ctrl-C does: what is safe is kept, what is temporary goes."""

from __future__ import annotations

import signal
from types import FrameType

_STOPPING = ("SIGTERM", "SIGHUP")


class Stopped(KeyboardInterrupt):
    """A signal asks the command to end.

    Args:
        number: Which.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def stop_on_signals() -> None:
    """Raise `Stopped` in the main thread at the first SIGTERM or SIGHUP; later ones find it ending already.

    A signal that the caller has silenced stays so: ``nohup`` silences SIGHUP.
    """
    for name in _STOPPING:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)


def exit_code(stop: KeyboardInterrupt) -> int:
    """128 and the number of the signal, as shells have it: 130, 143 or 129."""
    return 128 + getattr(stop, "number", signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> None:
    ignore_further()
    raise Stopped(number)


def ignore_further() -> None:
    """Let nothing but a second Ctrl-C or SIGKILL interrupt the cleaning up."""
    for name in _STOPPING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _stop:
            signal.signal(number, _ignore)


def _ignore(number: int, frame: FrameType | None) -> None:
    """No SIG_IGN, which programs that are started would inherit."""
