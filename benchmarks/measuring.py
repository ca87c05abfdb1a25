"""What the benchmarks share: flags, ways that take turns, children, what is left out, tables and JSON.

Importing it makes the scripts measure the project that they lie in, whichever one is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.base.packages import how_to_install, is_installed
from tools.errors import MediaError, UserError

ROOT = Path(__file__).resolve().parents[1]


def make_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the docstring of the script, with ``--json FILE``."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="write the figures there, too")
    return parser


def _new_file(text: str) -> Path:
    """A path whose folder is there: that it is not should be said before anything is measured."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def run(main: Callable[[], object]) -> None:
    """Run a script; an error that the user can fix is one line, exit status 2."""
    try:
        main()
    except (UserError, MediaError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def finish(path: Path | None, figures: Any) -> None:
    """Write the figures as JSON.

    Raises:
        UserError: There are none, because every input was left out.
    """
    if not figures:
        raise UserError("nothing was measured")
    if path:
        path.write_text(json.dumps(figures, indent=1) + "\n")


def leave_out(what: object, why: object) -> None:
    """Say on standard error that a file or a peer is not measured."""
    print(f"left out: {what}: {why}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def leaving_out(what: object) -> Iterator[None]:
    """Leave a video out that cannot be measured: it is broken, shorter than needed, has no video."""
    import av  # here, so that a script that measures memory stays small

    try:
        yield
    except (MediaError, UserError, av.FFmpegError) as error:
        leave_out(what, error.reason if isinstance(error, MediaError) else error)


def ways_that_work(ways: Mapping[str, Callable[[], object]], what: object) -> dict[str, Callable[[], object]]:
    """The peers that do not fail on a video; the others are left out."""
    found = {}
    for peer, way in ways.items():
        try:
            way()
        except Exception as error:  # each has its own classes of errors
            leave_out(f"{peer} on {what}", str(error).strip().partition("\n")[0])
        else:
            found[peer] = way
    return found


def readable(videos: Iterable[Path]) -> list[Path]:
    """The videos that can be opened; the others are left out.

    Raises:
        UserError: There are none.
    """
    from tools.media.reading.probe import probe

    found = []
    for video in videos:
        with leaving_out(video):
            probe(video)
            found.append(video)
    if not found:
        raise UserError("no video can be read")
    return found


@functools.cache
def installed(peer: str, *packages: str) -> bool:
    """Whether a peer can be measured; if not, which package it lacks is said."""
    for package in packages:
        if not is_installed(package):
            how = "pip install faiss-cpu" if package == "faiss" else how_to_install(package)
            leave_out(peer, f"{package} is not installed ({how})")
            return False
    return True


def medians_in_turn(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Median seconds of each way, by default of CPU; they take turns, after one that is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = clock()
            way()
            if turn:  # the first one imports and warms up
                spent[name].append(clock() - start)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


class Child(NamedTuple):
    """What a process took.

    Attributes:
        cpu: CPU seconds (user and system) of it and of all that it started.
        wall: Seconds on the clock.
        peak: Largest resident set of it or of one that it started, in bytes.
        output: Its standard output.
    """

    cpu: float
    wall: float
    peak: int
    output: str


def run_child(command: Sequence[str], *, folder: Path = ROOT, **environment: str) -> Child:
    """Run a process that measures this project; what it says is shown only if it fails."""
    return run_children([(command, environment)], folder=folder)


def run_children(
    commands: Iterable[tuple[Sequence[str], Mapping[str, str]]], *, folder: Path = ROOT
) -> Child:
    """Run commands at the same time, each with its own environment; the output is that of the first."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with contextlib.ExitStack() as stack:
        # Files and not pipes: nobody reads while they run.
        commands = list(commands)
        files = [_temporary_pair(stack) for _ in commands]
        running = [
            subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": paths, **extra},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
            for (command, extra), (output, errors) in zip(commands, files, strict=True)
        ]
        usages = [os.wait4(process.pid, 0)[1:] for process in running]
        wall = time.monotonic() - begun
        told = [[_text_of(file) for file in pair] for pair in files]
    for (command, _), (status, _), (_, errors) in zip(commands, usages, told, strict=True):
        if code := os.waitstatus_to_exitcode(status):
            raise UserError(f"{' '.join(map(str, command))}: exit status {code}\n{errors.strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Child(cpu, wall, max(peak_bytes(usage) for _, usage in usages), told[0][0])


def peak_bytes(usage: resource.struct_rusage | None = None) -> int:
    """Largest resident set so far of a process that has ended, or of this one."""
    peak = (usage or resource.getrusage(resource.RUSAGE_SELF)).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def _temporary_pair(stack: contextlib.ExitStack) -> tuple[Any, ...]:
    return tuple(stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))


def _text_of(file: Any) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def ratio_of(one: float, other: float) -> float | None:
    """One by another of two CPU times that are less that of a start; None if one is within its noise."""
    return one / other if min(one, other) > 0.05 else None


def print_head(*columns: str) -> None:
    """The first two lines of a Markdown table."""
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def print_row(*cells: object) -> None:
    """A line of a Markdown table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
