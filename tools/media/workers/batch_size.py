"""How many jobs a worker is given at once."""

from __future__ import annotations

MOST_JOBS = 64
"""Most jobs that a worker is given at once."""

_BATCH_SECONDS = 0.01  # they should take no longer


class BatchSize:
    """How many jobs a worker is given at once, by the time that jobs take.

    The estimate follows a long job at once and shorter ones slowly.
    """

    def __init__(self) -> None:
        self._seconds: float | None = None

    @property
    def jobs(self) -> int:
        """How many jobs; one while nothing is known."""
        if self._seconds is None:
            return 1
        return max(1, min(MOST_JOBS, int(_BATCH_SECONDS / max(self._seconds, 1e-9))))

    def note(self, seconds: float) -> None:
        """A job took so long."""
        before = seconds if self._seconds is None else self._seconds
        self._seconds = max(seconds, 0.9 * before + 0.1 * seconds)
