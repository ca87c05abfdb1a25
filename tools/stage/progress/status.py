"""--status: how far a run is, from its records and ledger; also of one that was killed, or has ended."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.base.locks import is_locked
from tools.base.terminal import counted
from tools.stage.ledger.files import unsealed
from tools.stage.progress import spell_rate, spell_seconds
from tools.stage.progress.status_file import FINISHED, RUNNING, STOPPED, read_record
from tools.stage.shards import state_of

KILLED, SILENT, UNKNOWN = "killed", "silent", "unknown"
"""Further states: it ended without a word; it may have, on another machine; nothing is known of it."""

EXIT_CODES = {FINISHED: 0, RUNNING: 3, SILENT: 3, STOPPED: 4, KILLED: 4, UNKNOWN: 5}
"""Exit code of --status by the state of the run."""

_SILENCE = 60.0  # seconds without a record after which a rank elsewhere may have died
_TAIL = 64 << 20  # bytes of a ledger that are read beyond the record


@dataclass(frozen=True)
class RankStatus:
    """How far a rank is.

    Attributes:
        rank: Its number.
        world: How many there are.
        node: Name of its machine.
        pid: Its process.
        state: ``running``, ``finished``, ``stopped``, ``killed``, ``silent`` (without a sign of life, on a
            machine that cannot be asked) or ``unknown`` (it has left no record).
        phase: What it is or was at: ``starting``, ``rows``, ``table``.
        rows: Rows of this rank.
        done: Those that are finished.
        now: Those of them that this run has finished.
        seconds: How long it has been running, or ran.
        rate: Rows per second, of this run.
        left: Seconds until it is done; None where that is not known.
        failures: Failures by kind.
        why: Why it stopped.
        estimate: What the run takes, see `tools.stage.estimate`.
    """

    rank: int
    world: int
    node: str = ""
    pid: int = 0
    state: str = UNKNOWN
    phase: str = ""
    rows: int = 0
    done: int = 0
    now: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    left: float | None = None
    failures: dict[str, int] = field(default_factory=dict)
    why: str = ""
    estimate: dict[str, Any] | None = None


def read_status(table: Path) -> list[RankStatus]:
    """How far each rank of the latest run over a table is; empty if nothing is known of any run.

    Args:
        table: The output of the run, without a rank's part.
    """
    folder = state_of(table)
    records = [record for rank in _ranks(folder) if (record := read_record(folder, rank)) is not None]
    if not records:
        return []
    # An earlier run may have had other ranks.
    world = max(records, key=lambda record: (record["number"], record["begun"]))["world"]
    known = {record["rank"]: record for record in records if record["world"] == world}
    return [_status(folder, known[r]) if r in known else RankStatus(r, world) for r in range(world)]


def _ranks(folder: Path) -> list[int]:
    names = [path.stem.removeprefix("rank") for path in folder.glob("rank*.status")]
    return sorted(int(name) for name in names if name.isdecimal())


def _status(folder: Path, record: dict[str, Any]) -> RankStatus:
    state, at = record["state"], record["at"]
    done, failures = record["done"], Counter(record["failures"])
    if state == RUNNING:
        state = _life(folder, record)
        since, kinds = _since(folder / f"rank{record['rank']}.jsonl", record["ledger"])
        done, failures = min(done + since, record["todo"]), failures + kinds
    since_then = max(0.0, time.time() - at) if state == RUNNING else 0.0
    seconds = record["ran"] + since_then
    left = record["left"] if state in (RUNNING, SILENT) else None
    return RankStatus(
        record["rank"],
        record["world"],
        str(record["node"]),
        record["pid"],
        state,
        str(record["phase"]),
        record["rows"],
        record["rows"] - record["todo"] + done if record["todo"] else record["earlier"],
        done,
        seconds,
        done / seconds if seconds else 0.0,
        None if left is None else max(0.0, left - since_then),
        dict(failures),
        str(record["why"]),
        record.get("estimate"),
    )


def _life(folder: Path, record: dict[str, Any]) -> str:
    """Whether a rank that says that it is running is.

    The lock of its ledger tells it. Where locks do not work, its process does, or the age of its record.
    """
    locked = is_locked(folder / f"rank{record['rank']}.jsonl")
    if locked is not None:
        return RUNNING if locked else KILLED
    if record["node"] == socket.gethostname():
        with suppress(ProcessLookupError):
            with suppress(PermissionError):
                os.kill(record["pid"], 0)
            return RUNNING
        return KILLED
    return RUNNING if time.time() - record["at"] < _SILENCE else SILENT


def _since(ledger: Path, start: int) -> tuple[int, Counter[str]]:
    """Rows that a ledger has got since a record was written, and their failures by kind."""
    rows, kinds = 0, Counter[str]()
    with suppress(OSError), ledger.open("rb") as file:
        file.seek(start)
        for data in file.read(_TAIL).splitlines(keepends=True):
            with suppress(ValueError, LookupError, TypeError, AttributeError):
                line = unsealed(data)
                if "failure" in line:
                    kinds[str(line["failure"][0])] += 1
                for kind, _ in (line.get("values") or {}).get("failures") or ():
                    kinds[str(kind)] += 1
                rows += "failure" in line or "values" in line
    return rows, kinds


def state_of_run(ranks: Sequence[RankStatus]) -> str:
    """The state of a run: running while a rank is, finished when all are."""
    states = [rank.state for rank in ranks]
    for state in (RUNNING, SILENT, KILLED, STOPPED):
        if state in states:
            return state
    return FINISHED if states and set(states) == {FINISHED} else UNKNOWN


def totals(ranks: Sequence[RankStatus]) -> dict[str, Any]:
    """All ranks together, as `RankStatus` has it of one; also ``ranks``."""
    failures = Counter[str]()
    for rank in ranks:
        failures.update(rank.failures)
    active = [rank for rank in ranks if rank.state in (RUNNING, SILENT)]
    left = [rank.left for rank in active]
    return {
        "state": state_of_run(ranks),
        "rows": sum(rank.rows for rank in ranks),
        "done": sum(rank.done for rank in ranks),
        "rate": sum(rank.rate for rank in active or ranks),
        "left": None if not left or None in left else max(one for one in left if one is not None),
        "seconds": max((rank.seconds for rank in ranks), default=0.0),
        "failures": dict(failures.most_common()),
        "ranks": [asdict(rank) for rank in ranks],
    }


def describe_status(table: Path, ranks: Sequence[RankStatus]) -> list[str]:
    """The state of a run in lines: all together, then each rank of several, by its machine."""
    if not ranks:
        return [f"{table}: no run is known"]
    whole = totals(ranks)
    head = f"{table}: {_words(whole['state'])}"
    lines = [f"{head}, {_numbers(whole)}"]
    if len(ranks) == 1:
        lines += [f"  {_where(ranks[0])}"]
    else:
        lines += [
            f"  rank {rank.rank} of {rank.world}: {_words(rank.state)}"
            + (f", {_numbers(asdict(rank))}, {_where(rank)}" if rank.state != UNKNOWN else "")
            for rank in ranks
        ]
    lines += [f"  rank {rank.rank}: {rank.why}" for rank in ranks if rank.why]
    if whole["state"] in (KILLED, STOPPED):
        lines.append("  the same command goes on with what is left")
    return lines


def _words(state: str) -> str:
    return {
        KILLED: "killed",
        STOPPED: "stopped before the end",
        SILENT: f"no sign of life for more than {_SILENCE:.0f} s",
        UNKNOWN: "not begun",
    }.get(state, state)


def _numbers(status: dict[str, Any]) -> str:
    parts = [f"{status['done']} of {status['rows']} rows"]
    if status["rate"] and status["state"] != FINISHED:
        parts.append(spell_rate(status["rate"]))
    if status["left"]:
        parts.append(f"{spell_seconds(status['left'])} left")
    if status["failures"]:
        kinds = ", ".join(f"{kind} {count}" for kind, count in status["failures"].items())
        parts.append(f"{counted(sum(status['failures'].values()), 'failure')}: {kinds}")
    return ", ".join(parts)


def _where(rank: RankStatus) -> str:
    phase = {"starting": "starting, ", "table": "writing the table, "}.get(rank.phase, "")
    phase = phase if rank.state == RUNNING else ""
    ran = "for" if rank.state in (RUNNING, SILENT) else "ran"
    return f"{phase}{rank.node}, process {rank.pid}, {ran} {spell_seconds(rank.seconds)}"


def show_status(table: Path, *, as_json: bool = False) -> int:
    """Print how far the run over a table is.

    Args:
        table: Its output, without a rank's part.
        as_json: One line of JSON, for scripts.

    Returns:
        The exit code, see `EXIT_CODES`.
    """
    ranks = read_status(table)
    if as_json:
        print(json.dumps({"table": str(table), **totals(ranks)}))
    else:
        print(*describe_status(table, ranks), sep="\n")
    return EXIT_CODES[state_of_run(ranks)]
