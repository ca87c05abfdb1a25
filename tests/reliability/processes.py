"""Start commands, stop them at a file operation or after a time, kill some of their processes.

Two ways to start: a process of its own, as a user types it, or a fork of this process, which has imported
what earlier runs have imported, and so takes a tenth of the time. Then this process may have no threads, and
may not have used Polars or PyTorch.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.stops import sitecustomize as stops

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("parent", "worker", "all", "the one")
"""Which processes are killed: those that were started, a child of theirs, every one, the one that stopped."""

_MARK = "VIDSIEVE_CRASH_TEST"  # environment variable by which processes of a run are known
_POLL = 0.002  # seconds
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_NAMED = 2  # processes in a report
_PATIENCE = 10.0  # seconds that processes may take to end after their parent


@dataclass(frozen=True)
class Kill:
    """When, which and how.

    Attributes:
        target: One of `TARGETS`.
        signal: The signal.
        at: Number of the file operation; None for a time.
        seconds: The time after the start, where `at` is None.
        torn: A write that is stopped at is half done.
    """

    target: str
    signal: int
    at: int | None = None
    seconds: float = 0.0
    torn: bool = False


@dataclass
class Ended:
    """How the processes of a command ended.

    Attributes:
        codes: Exit codes of those that were started, minus the signal for those that one killed.
        operations: The file operations, each as process, event and name.
        killed: What was killed, where, and how; empty when the command had ended before.
        faults: What is wrong: processes that are left, or that do not end.
        told: What they wrote to standard error.
    """

    codes: list[int] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    killed: str = ""
    faults: list[str] = field(default_factory=list)
    told: str = ""


class Runner:
    """Runs commands in a folder.

    Args:
        folder: The current folder of the commands.
        state: Folder for what the runner itself writes.
        environment: Variables beside those of this process.
        forks: Fork instead of starting processes.
        limit: Seconds that a command may take.
        told: A file in which others are told, too, at which operation to stop.
    """

    def __init__(
        self,
        folder: Path,
        state: Path,
        environment: Mapping[str, str],
        *,
        forks: bool,
        limit: float = 300,
        told: Path | None = None,
    ) -> None:
        self._folder, self._state, self._forks, self._limit = folder, state, forks, limit
        self._told = told
        self._mark = f"{os.getpid()}-{state.name}-{random.getrandbits(32):08x}"
        self._environment = {**environment, _MARK: self._mark}
        self._count = 0

    def run(
        self, words: Sequence[str], *, ranks: int = 1, kill: Kill | None = None, chance: random.Random
    ) -> Ended:
        """Run a command to its end.

        Args:
            words: What is typed after ``python -m``.
            ranks: Processes, with RANK and WORLD_SIZE.
            kill: What is killed meanwhile.
            chance: Chooses between processes.
        """
        self._count += 1
        if self._forks:
            self._import()
        log = self._state / f"operations{self._count}"
        log.touch()
        told = self._state / f"told{self._count}"
        watched = {
            "log": str(log),
            "folders": [f"{self._folder}/"],
            "at": kill and kill.at,
            "torn": bool(kill and kill.torn),
        }
        if self._told is not None:
            self._told.write_text(json.dumps(watched))
        path = f"{Path(stops.__file__).parent}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"
        shared = {**self._environment, stops.VARIABLE: json.dumps(watched), "PYTHONPATH": path}
        begun = time.monotonic()
        started: dict[int, int | None] = {}
        for rank in range(ranks):
            own = shared if ranks == 1 else {**shared, "RANK": str(rank), "WORLD_SIZE": str(ranks)}
            started[self._start(words, own, told)] = None
        ended = Ended()
        try:
            self._wait(started, kill, log, begun, ended, chance)
        except BaseException:  # the test itself is ended: some may have stopped themselves, for good
            for pid in self._processes(started):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise
        ended.codes = [code if code is not None else -signal.SIGKILL for code in started.values()]
        ended.operations = _lines(log)
        ended.told = told.read_text(errors="replace")
        self._wait_for_children(set(started), ended)
        if self._told is not None:
            self._told.unlink()
        log.unlink()
        told.unlink()
        return ended

    def _import(self) -> None:
        """Import what an earlier run has imported: the next one need not."""
        found = self._state / "imported"
        if found.is_file():
            for name in found.read_text().split("\n"):
                if name not in sys.modules and not name.startswith("__"):
                    with suppress(Exception):
                        importlib.import_module(name)
            found.unlink()

    def _start(self, words: Sequence[str], environment: Mapping[str, str], told: Path) -> int:
        if self._forks:
            return self._fork(words, environment, told)
        with told.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=self._folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        process.returncode = 0  # this module waits for it itself
        return process.pid

    def _fork(self, words: Sequence[str], environment: Mapping[str, str], told: Path) -> int:
        pid = os.fork()
        if pid:
            return pid
        code: object = 70
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setsid()
            os.chdir(self._folder)
            os.environ.update(environment)
            for file, name, flags in (
                (0, os.devnull, os.O_RDONLY),
                (1, os.devnull, os.O_WRONLY),
                (2, told, _APPEND),
            ):
                os.dup2(os.open(name, flags, 0o666), file)
            from tools import cli

            module = importlib.import_module(main_module(words[0]))
            sys.argv = [str(module.__file__), *words[1:]]
            stops.install()
            cli.run(lambda: module.main(list(words[1:])))
            code = 0
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            sys.stderr.flush()
            (self._state / "imported").write_text("\n".join(sys.modules))
            os._exit(code if isinstance(code, int) else 0 if code is None else 1)

    def _wait(
        self,
        started: dict[int, int | None],
        kill: Kill | None,
        log: Path,
        begun: float,
        ended: Ended,
        chance: random.Random,
    ) -> None:
        while None in started.values():
            for pid in [pid for pid, code in started.items() if code is None]:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    started[pid] = os.waitstatus_to_exitcode(status)
            if kill is not None and not ended.killed and None in started.values():
                reached = (
                    log.stat().st_size > stops.LINE * kill.at
                    if kill.at is not None
                    else (time.monotonic() - begun > kill.seconds)
                )
                if reached:
                    ended.killed = self._kill(kill, log, started, chance)
            if time.monotonic() - begun > self._limit:
                ended.faults.append(f"still running after {self._limit:g} s")
                for pid in self._processes(started):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                begun = float("inf")
            time.sleep(_POLL)

    def _kill(self, kill: Kill, log: Path, started: Mapping[int, int | None], chance: random.Random) -> str:
        alive = [pid for pid, code in started.items() if code is None]
        where, stopped = f"after {kill.seconds:.2f} s", 0
        if kill.at is not None:
            where = f"at operation {kill.at}, {_lines(log)[kill.at]}{', half of it' if kill.torn else ''}"
            stopped = int(_lines(log)[kill.at].split()[0])
            until = time.monotonic() + 2
            while _state(stopped) not in "TZ" and time.monotonic() < until:
                time.sleep(_POLL)
        every = self._processes(started)
        children = sorted(every - set(started))
        if kill.target == "all":
            chosen = sorted(every)
        elif kill.target == "worker" and children:
            chosen = [chance.choice(children)]
        elif kill.target == "the one" and stopped:
            chosen = [stopped]
        else:
            chosen = [chance.choice(alive)] if alive else []
        what = ", ".join(_what(pid, started) for pid in chosen[:_NAMED])
        what += f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
        for pid in chosen:
            with suppress(ProcessLookupError):
                os.kill(pid, kill.signal)
        if stopped:
            with suppress(ProcessLookupError):
                os.kill(stopped, signal.SIGCONT)
        return f"{signal.Signals(kill.signal).name} to {what} {where}"

    def _processes(self, started: Mapping[int, int | None]) -> set[int]:
        """All living processes of the run: in the sessions of those that were started, or with the mark."""
        mark = f"{_MARK}={self._mark}".encode()
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                with suppress(OSError, ValueError, IndexError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    ours = int(fields[3]) in started or mark in (entry / "environ").read_bytes().split(b"\0")
                    if ours and fields[0] not in "ZX":
                        found.add(int(entry.name))
        return found

    def _wait_for_children(self, started: set[int], ended: Ended) -> None:
        until = time.monotonic() + _PATIENCE
        while (left := self._processes(dict.fromkeys(started))) and time.monotonic() < until:
            time.sleep(0.02)
        for pid in sorted(left):
            ended.faults.append(f"a process is left: {_what(pid, {})}")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def main_module(module: str) -> str:
    """The module that ``python -m`` runs."""
    found = importlib.util.find_spec(module)
    is_package = found is not None and found.submodule_search_locations is not None
    return f"{module}.__main__" if is_package else module


def _lines(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text(errors="replace").splitlines()]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def _what(pid: int, started: Mapping[int, int | None]) -> str:
    if pid in started:
        return f"the parent {pid}"
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return f"{pid} ({' '.join(words)[-60:].strip()})"
    return str(pid)
