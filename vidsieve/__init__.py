"""Turn raw videos into training data, from Python: probe, find shots, cut, score, caption, filter.

Each function does what the command of the same purpose does, by the same code::

    import vidsieve

    scenes = vidsieve.detect_scenes("film.mp4")
    clips = vidsieve.cut_clips("film.mp4", scenes, "clips").clips
    table = vidsieve.score([clip.path for clip in clips], "flow,technical", flow={"method": "dis"})
    good = vidsieve.filter_table(table, motionmin=0.02, where="sharpness > 50")

Importing costs nothing to speak of: a name is loaded when it is first used. Nothing is printed; what is worth
a word goes to the logger ``vidsieve``. What the toolkit raises is a `VidsieveError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    from tools import __version__
    from tools.base.lazy import loader
except ImportError as error:
    import tools

    _where = getattr(tools, "__file__", None) or next(iter(getattr(tools, "__path__", ["?"])))
    raise ImportError(
        f"vidsieve works with its own package tools, and another of that name comes first: {_where}; "
        "put that folder behind in PYTHONPATH, or rename it"
    ) from error

if TYPE_CHECKING:
    from tools.errors import MediaError, UserError, VidsieveError
    from tools.media.reading.frames import iter_frames
    from tools.media.reading.probe import probe
    from tools.media.reading.sampling import Sampling
    from tools.scene_cut.clips.cutting import CutOptions
    from tools.scene_cut.shots.detect import detect_scenes
    from tools.stage.run_options import RunOptions
    from tools.stage.runner import run_stage
    from tools.stage.stage import Stage
    from tools.table import read_table, write_table
    from vidsieve._clips import cut_clips
    from vidsieve._frames import read_frames
    from vidsieve._scores import caption, score
    from vidsieve._tables import filter_table

_HOMES = {
    "CutOptions": "tools.scene_cut.clips.cutting",
    "MediaError": "tools.errors",
    "RunOptions": "tools.stage.run_options",
    "Sampling": "tools.media.reading.sampling",
    "Stage": "tools.stage.stage",
    "UserError": "tools.errors",
    "VidsieveError": "tools.errors",
    "caption": "vidsieve._scores",
    "cut_clips": "vidsieve._clips",
    "detect_scenes": "tools.scene_cut.shots.detect",
    "filter_table": "vidsieve._tables",
    "iter_frames": "tools.media.reading.frames",
    "probe": "tools.media.reading.probe",
    "read_frames": "vidsieve._frames",
    "read_table": "tools.table",
    "run_stage": "tools.stage.runner",
    "score": "vidsieve._scores",
    "write_table": "tools.table",
}
"""Each name, and the module that has it."""

__all__ = [
    "CutOptions",
    "MediaError",
    "RunOptions",
    "Sampling",
    "Stage",
    "UserError",
    "VidsieveError",
    "__version__",
    "caption",
    "cut_clips",
    "detect_scenes",
    "filter_table",
    "iter_frames",
    "probe",
    "read_frames",
    "read_table",
    "run_stage",
    "score",
    "write_table",
]

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
