"""A process that runs one command: signals, streams, exit codes, and how errors reach the user."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from tools.base.disk import disk_error
from tools.base.packages import missing_package
from tools.base.signals import Stopped, end_with_torchrun, exit_code, stopping_on_signals
from tools.base.streams import keep_standard_streams
from tools.base.terminal import harmless
from tools.errors import DiskError, VidsieveError
from tools.typed_names import as_typed

STEP_VARIABLE = "VIDSIEVE_STEP"
"""Environment variable: what errors of a command begin with, when a step of a pipeline runs it."""


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's ``main`` and exit with its code; errors become one line on stderr.

    Exit codes: 0 done; 1 nothing could be done, a full or read-only disk, or an unexpected error; 2 bad
    input; 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP. ``TOOLS_DEBUG=1`` shows the traceback.
    """
    from tools.base.log import show_log

    global _is_program
    _is_program = True
    keep_standard_streams()
    show_log()
    end_with_torchrun()
    try:
        with stopping_on_signals():
            code = main() or 0
    except KeyboardInterrupt as stop:
        if not (isinstance(stop, Stopped) and stop.is_known):
            why = f" by {stop}" if str(stop) else ""
            complain(f"interrupted{why}; run the same command again to go on")
        code = exit_code(stop)
        # Python may wait for a worker as it exits: a further Ctrl-C ends that, and shows no traceback.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)
    except VidsieveError as error:
        complain(str(error))
        code = 1 if isinstance(error, DiskError) else 2
    except ModuleNotFoundError as error:
        complain(str(missing_package(error) or f"{error} (unexpected; TOOLS_DEBUG=1 shows where)"))
        code = 2
    except BaseException as error:  # the last resort: still one line, still a failing exit code
        # A panic of Polars is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        code = 1
        if isinstance(error, OSError) and _output_fails():  # `_flushed` tells why
            pass
        elif isinstance(error, OSError) and (fault := disk_error(error.filename or "the output", error)):
            complain(str(fault))
        else:
            # What follows the first line of an error of Polars is its expression.
            what = next(iter(str(error).strip().splitlines()), "")
            complain(f"{type(error).__name__}: {what} (unexpected; TOOLS_DEBUG=1 shows where)")
    sys.exit(_flushed(code))


_is_program = False


def is_program() -> bool:
    """Whether this process runs one command and nothing else."""
    return _is_program


def _output_fails() -> bool:
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _flushed(code: int) -> int:
    """Hand on what was printed; the exit code, which is 1 where that is lost."""
    try:
        sys.stdout.flush()
        return code
    except OSError as error:
        lost = error
    # What is left in the buffer would be written again, and reported, at the very end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    complain(str(disk_error("standard output", lost) or f"standard output: {lost}"))
    return 1


def complain(line: str) -> None:
    """Print an error in one line; with ``TOOLS_DEBUG=1`` also where it came from."""
    if os.environ.get("TOOLS_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    print(f"error: {of_step()}{harmless(as_typed(line))}", file=sys.stderr)


def of_step() -> str:
    """What errors begin with: of a command that a pipeline runs, its step."""
    return os.environ.get(STEP_VARIABLE, "")
