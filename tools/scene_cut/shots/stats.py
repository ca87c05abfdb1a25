"""What PySceneDetect's detectors measure on each frame, as a CSV: the numbers to choose a threshold by."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tools.stage.names.file_stems import tell_apart
from tools.stage.names.new_files import MadeFiles, new_file

if TYPE_CHECKING:
    from scenedetect.common import FrameTimecode
    from scenedetect.detector import SceneDetector

STATS_SUFFIX = ".stats.csv"
"""End of the files' names, as PySceneDetect calls them."""


class FrameStats:
    """Collects the measurements of a detector.

    The file has the columns that PySceneDetect's own has (its StatsManager): ``Frame Number`` from 1,
    ``Timecode``, and one for each number measured (``content_val``, ``adaptive_ratio (w=2)`` ...), "None"
    where there is none. Frame numbers are exact also where the frame rate varies; PySceneDetect computes them
    from the average rate.

    Args:
        detector: One of PySceneDetect's, before its first frame.
    """

    def __init__(self, detector: SceneDetector) -> None:
        from scenedetect.stats_manager import StatsManager

        self._measured = StatsManager()
        self._names = sorted(detector.get_metrics())
        self._codes: list[tuple[int, FrameTimecode]] = []
        detector.stats_manager = self._measured

    def add(self, number: int, code: FrameTimecode) -> None:
        """Add a frame that the detector has processed: its number and its time."""
        self._codes.append((number, code))

    def write(self, path: Path, source: str | Path, made: MadeFiles | None = None) -> None:
        """Write the file completely or not at all.

        Args:
            path: Where to.
            source: The video, for errors.
            made: What was made for the table; with it no other file is replaced.

        Raises:
            MediaError: encode: it cannot be written, or another file is there.
        """
        import polars as pl

        rows = [
            (str(number + 1), code.get_timecode(), *map(str, self._measured.get_metrics(code, self._names)))
            for number, code in self._codes
            if any(self._measured.metrics_exist(code, [name]) for name in self._names)
        ]
        columns = ["Frame Number", "Timecode", *self._names]
        table = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
        with suppress(OSError):  # new_file reports it
            path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path, str(source), overwrite=True, made=made, name=path.name) as new:
            table.write_csv(new)


def stats_name(name: str, digits: str) -> str:
    """The name of a file with digits that distinguish it."""
    return f"{tell_apart(name.removesuffix(STATS_SUFFIX), digits)}{STATS_SUFFIX}"


def stats_names(paths: Sequence[str | None]) -> list[str | None]:
    """Names for the files of several videos, distinct where their stems are the same."""
    from tools.stage.names.file_stems import file_stems

    return [f"{stem}{STATS_SUFFIX}" if stem else None for stem in file_stems(paths)]
