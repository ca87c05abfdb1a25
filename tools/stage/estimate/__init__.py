"""What a run takes, estimated from a sample of its rows: time, CPU and GPU hours, bytes, tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tools.stage.estimate.meter import Meter
from tools.stage.estimate.sample import Rates


@dataclass(frozen=True)
class Estimate:
    """What a run takes.

    Attributes:
        rows: Rows of the run.
        measured: Rows from which it was estimated.
        seconds: From the first row to the last, after all has started; None where that is not known.
        cpu_hours: CPU time of all processes, in hours.
        gpu_hours: Time on the GPU, in hours; None where no GPU is used.
        written: Bytes that the run writes.
        requests: What is sent to a server, by what it is called: ``tokens in``, ``tokens out``, ``cost``.
    """

    rows: int
    measured: int
    seconds: float | None
    cpu_hours: float
    gpu_hours: float | None
    written: float
    requests: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As scripts read it."""
        return asdict(self)

    def work(self) -> str:
        """``3.2 CPU hours, 0.4 GPU hours, 1.3 GB written``."""
        hours = [f"{_short(self.cpu_hours)} CPU hours"]
        if self.gpu_hours is not None:
            hours.append(f"{_short(self.gpu_hours)} GPU hours")
        return ", ".join([*hours, f"{spell_bytes(self.written)} written"])

    def asked(self) -> str:
        """``1,200,000 tokens in, 30,000 tokens out, cost 3.25``; empty where no server is asked."""
        return ", ".join(
            f"{name} {value:.4g}" if name.startswith("cost") else f"{value:,.0f} {name}"
            for name, value in self.requests.items()
        )


def estimate(
    meter: Meter, *, workers: int, cores: int, gpu: bool, ranks: int = 1, table_bytes: float = 0.0
) -> Estimate:
    """Estimate a run from what was measured.

    Workers, device and cores work at the same time, so the time is that of the one that has most to do; it is
    at least that of the longest row.

    Args:
        meter: What was measured, on at least one row.
        workers: Worker processes.
        cores: Cores that they and this process share.
        gpu: Whether rows are scored on a GPU.
        ranks: How many ranks have as much to do as this one; all but `Estimate.seconds` is of all of them.
        table_bytes: Bytes of the cells that the table of this rank has already.
    """
    prepare, score = meter.total(meter.prepare), meter.total(meter.score)
    cpu = meter.total(meter.prepare_cpu) + meter.total(meter.score_cpu)
    longest = max(seconds + meter.score.get(number, 0.0) for number, seconds in meter.prepare.items())
    return Estimate(
        meter.sample.rows * ranks,
        len(meter.prepare),
        max(prepare / max(1, workers), score, cpu / max(1, cores), longest),
        cpu * ranks / 3600,
        score * ranks / 3600 if gpu else None,
        (meter.total(meter.written) + table_bytes) * ranks,
    )


def rates_of(meter: Meter) -> Rates:
    """How the time of a row depends on its cost; in which unit does not matter."""
    times = {n: seconds + meter.score.get(n, 0.0) for n, seconds in meter.prepare.items()}
    return meter.sample.rates(times)


def _short(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else f"{hours:,.0f}"


def spell_bytes(count: float) -> str:
    """A size in words: 340 kB, 1.3 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
