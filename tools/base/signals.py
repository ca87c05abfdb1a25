"""SIGTERM and SIGHUP end a command as Ctrl-C does: what is safe is kept, what is temporary goes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# What a signal does when nobody has asked for anything else. Windows has no SIGHUP.
_USUAL = {
    getattr(signal, name): usual
    for name, usual in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    )
    if hasattr(signal, name)
}


class Stopped(KeyboardInterrupt):
    """A signal asks the command to end.

    Args:
        number: Which.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def is_known(self) -> bool:
        """Whether the user knows why: `torchrun` ends its ranks when it is ended, or one of them fails."""
        return self.number == signal.SIGTERM and "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` at the first SIGTERM or SIGHUP, `KeyboardInterrupt` at the first Ctrl-C.

    Further ones find it ending already, but for a second Ctrl-C. A signal for which somebody else has decided
    stays as it is: ``nohup`` silences SIGHUP.
    """
    ours = {number: usual for number, usual in _USUAL.items() if signal.getsignal(number) == usual}

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for other in ours:
            # No SIG_IGN, which programs that are started would inherit.
            signal.signal(other, signal.default_int_handler if other == signal.SIGINT else _ignore)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(number)

    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, usual in ours.items():
            signal.signal(number, usual)


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def exit_code(stop: KeyboardInterrupt) -> int:
    """128 and the number of the signal, as shells have it: 130, 143 or 129."""
    return 128 + getattr(stop, "number", signal.SIGINT)
