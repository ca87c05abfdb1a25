"""Shot detection as a stage: column ``path`` in, columns ``timestamp`` and ``boundary`` out."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.base.addresses import refuse_address
from tools.base.disk import make_folder
from tools.errors import MediaError, UserError
from tools.media.reading.extensions import is_image
from tools.media.reading.timeline.remarks import TIMING_REMARKS
from tools.media.writing.output_files import safe_join
from tools.options import option, option_field
from tools.options.values import Choice, Text, Whole
from tools.scene_cut.shots.boundaries import Shot, gaps_at_cuts, shots_between
from tools.scene_cut.shots.choice import AUTO, ChosenDetector, check_auto_options, choose_detector
from tools.scene_cut.shots.detectors import find_cuts
from tools.scene_cut.shots.fast import find_cuts_fast
from tools.scene_cut.shots.limits import (
    DIVIDE_AT_TRANSITIONS,
    LENGTH,
    MIN_SCENE_LEN,
    POSITION,
    SCENE_LENGTH,
    Position,
    check_order,
    check_usable,
    frames_to_search,
    limits_without_transnetv2,
)
from tools.scene_cut.shots.options import DETECTORS, DetectorOptions, detector_options
from tools.scene_cut.shots.scenes import Scene, make_scenes, shots_of_network
from tools.scene_cut.shots.stats import stats_name, stats_names
from tools.scene_cut.timestamps import format_timestamps
from tools.stage.common_options import device_option
from tools.stage.ledger import digest
from tools.stage.names.new_files import MadeFiles
from tools.stage.names.owners import FileNames, NameRequest
from tools.stage.stage import MADE_FILES, REMARKS, Row, Stage, made_file

if TYPE_CHECKING:
    import polars as pl

    from tools.media.reading.frames import Frame
    from tools.media.reading.timeline.packets import PacketIndex
    from tools.scene_cut.shots.transnet import TransNet

_STATS_NAME = "_stats_name"


class Search(NamedTuple):
    """The result of searching one video on the CPU.

    Attributes:
        index: The packets of the video.
        frames: Numbers of the frames that were searched.
        shots: The shots; empty where TransNetV2 is still to find them.
        pictures: The input of TransNetV2, see `tools.scene_cut.shots.transnet.read_small_frames`; None with
            other detectors.
    """

    index: PacketIndex
    frames: range
    shots: list[Shot] = []
    pictures: np.ndarray | None = None


@dataclasses.dataclass
class SceneDetectStage(Stage):
    """Shots of a video; see `tools.scene_cut.shots.detect.detect_scenes` for the attributes.

    PySceneDetect's detectors run in the workers. For TransNetV2 the workers decode, and the network runs in
    the parent, on the GPU where there is one.

    Raises:
        UserError: A value that is not supported, or an option of another detector.
    """

    name = "timestamp"
    suffix = "_timestamp"
    checks_order = True
    version = 2
    optional_columns = (_STATS_NAME,)
    output_columns = {
        "timestamp": "String",
        "boundary": "String",
        REMARKS: "Object",
    }

    detector: str = option(
        AUTO,
        "auto: transnetv2 where it is installed and has a GPU or a core, else hash with --trim-transitions",
        Choice((AUTO, *DETECTORS)),
        shown="auto; adaptive with flags that transnetv2 does not have",
    )
    options: dict[str, Any] = option_field(
        (),
        DetectorOptions(
            "options of the detector", group="options of the detectors, with PySceneDetect's defaults"
        ),
    )
    min_scene_len: int | float = option(
        MIN_SCENE_LEN,
        "shortest shot: frames (15 or 15f) or seconds (0.6s or HH:MM:SS.mmm)",
        SCENE_LENGTH,
        shown=str(MIN_SCENE_LEN),
    )
    start_time: Position | None = option(
        None,
        "leave out what lies before: seconds (12.5 or 12.5s), HH:MM:SS.mmm, or a frame number (30f)",
        POSITION,
        everyday=False,
    )
    end_time: Position | None = option(
        None,
        "leave out what starts then or later; 60f is the first frame left out",
        POSITION,
        everyday=False,
    )
    max_seconds: Fraction | None = option(
        None, "slice longer shots into parts of at most S (20, 20s, 00:00:20)", LENGTH
    )
    frame_skip: int = option(0, "frames left out after each one that is examined", Whole(0), everyday=False)
    trim_transitions: bool = option(
        False, "leave out the frames of dissolves and fades; transnetv2 and fast always do"
    )
    stats_dir: str | None = option(
        None,
        "write what the detector measures on each frame to DIR/<video>.stats.csv, its path to column stats",
        Text("DIR"),
        everyday=False,
    )
    device: str = device_option("where transnetv2 runs")
    fast: bool = option(
        False,
        "detector fast: hard cuts by packets, key frames and reference frames, without decoding the rest",
    )

    def configure(self) -> None:
        """Check options that must go together, and set what follows from them."""
        check_order(self.start_time, self.end_time)
        self._choice: ChosenDetector | None = None
        self._network: TransNet | None = None
        if self.fast:
            if self.detector not in (AUTO, "fast"):
                raise UserError(f"--fast is a detector of its own: not with --detector {self.detector}")
            self.detector = "fast"
        if self.detector == AUTO:
            check_auto_options(self.options)
        else:
            self._check_detector()
        if self.stats_dir is not None:
            refuse_address(self.stats_dir)
            self.output_columns = {**self.output_columns, "stats": "String", MADE_FILES: "List"}
        self._names: FileNames | None = None
        self.output: Path | None = None  # the table that the statistics are of

    def _check_detector(self) -> None:
        self.options = detector_options(self.detector, self.options)
        check_usable(
            self.detector, self.min_scene_len, self.frame_skip, with_stats=self.stats_dir is not None
        )

    def find(self) -> None:
        """Replace ``auto`` by the detector that it stands for on this machine.

        So results of one detector are never taken for another's.
        """
        if self.detector == AUTO:
            given = limits_without_transnetv2(
                self.min_scene_len, self.frame_skip, with_stats=self.stats_dir is not None
            )
            self._use(choose_detector(device=self.device, options=self.options, limits=given))
            self._check_detector()
        self.trim_transitions |= self.detector in DIVIDE_AT_TRANSITIONS

    def _use(self, choice: ChosenDetector) -> None:
        """Go on as if the user had named the detector; so does a stage that is created from the spec."""
        self._choice = choice
        self.detector = choice.detector
        self.trim_transitions |= choice.trim_transitions
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        self._arguments = ((), fields)

    def detector_used(self) -> str:
        """A line for the user: which detector finds the shots, why, with ``auto``, and what computed it."""
        optional = self.detector not in DIVIDE_AT_TRANSITIONS
        trimmed = " --trim-transitions" if self.trim_transitions and optional else ""
        why = f" ({AUTO}: {self._choice.reason})" if self._choice else ""
        computed = f"; {self._network.backend()}" if self._network else ""
        return f"detector {self.detector}{trimmed}{why}{computed}"

    def config(self) -> dict[str, Any]:
        """All options but the device; times as text."""
        config = {name: value for name, value in super().config().items() if name != "device"}
        times = ("start_time", "end_time", "max_seconds")
        return config | {name: str(config[name]) for name in times if config[name] is not None}

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose the names of the statistics by the whole table, so that no two rows share one."""
        import polars as pl

        if self.stats_dir is None:
            return table
        names = stats_names(table["path"].cast(pl.String).to_list())
        return table.with_columns(pl.Series(_STATS_NAME, names, dtype=pl.String))

    def claim(self, table: pl.DataFrame, output: Path) -> pl.DataFrame:
        """Choose names that no other table uses there for other sources or options."""
        import polars as pl

        if self.stats_dir is None:
            return table
        config = {name: value for name, value in self.config().items() if name != "stats_dir"}
        how, names = digest(config), table[_STATS_NAME].to_list()
        paths = table["path"].cast(pl.String).to_list()
        requests = [name and NameRequest(name, path, (how,)) for name, path in zip(names, paths, strict=True)]
        self.output = output
        self._names = FileNames(self.stats_dir, output)
        chosen = self._names.choose(requests, stats_name)
        names = [n and stats_name(n, digits or "") for n, digits in zip(names, chosen, strict=True)]
        return table.with_columns(pl.Series(_STATS_NAME, names, dtype=pl.String))

    def prepare(self, row: Row, frames: list[Frame]) -> Search | dict[str, Any]:
        """Find the shots; for TransNetV2, decode its input."""
        path = row["path"]
        stats_path = None if self.stats_dir is None else safe_join(self.stats_dir, row[_STATS_NAME], path)
        search = self.search(path, stats_path)
        if search.pictures is not None:
            return search
        found = self._cells(search)
        if stats_path is None:
            return found
        return found | {"stats": str(stats_path), MADE_FILES: [made_file(stats_path)]}

    def search(self, path: str, stats_path: Path | None = None) -> Search:
        """Search the frames of one video, on the CPU.

        Args:
            path: The video.
            stats_path: Where to write what the detector measures on each frame; None not to write it.

        Raises:
            MediaError: The video cannot be decoded, or nothing lies between start and end (too_short).
        """
        from tools.media.reading.probe import index_packets

        if is_image(path):
            raise MediaError("no_video", path, "is an image")
        index = index_packets(path)
        frames_searched = frames_to_search(index, self.start_time, self.end_time)
        if self.detector == "transnetv2":
            from tools.scene_cut.shots.transnet import read_small_frames

            return Search(index, frames_searched, pictures=read_small_frames(path, index, frames_searched))
        if self.detector == "fast":
            cuts, transitions = find_cuts_fast(path, index, frames_searched)
        else:
            cuts, transitions = find_cuts(
                path,
                index,
                frames_searched,
                self.detector,
                self.options,
                min_scene_len=self.min_scene_len,
                frame_skip=self.frame_skip,
                stats_path=stats_path,
                made=MadeFiles(self.stats_dir, self.output) if self.stats_dir and self.output else None,
            )
        gaps = gaps_at_cuts(cuts, transitions, trim=self.trim_transitions)
        return Search(index, frames_searched, shots=shots_between(gaps, frames_searched))

    def scenes(self, search: Search) -> list[Scene]:
        """The scenes of a video that was searched, once the stage is set up."""
        shots = search.shots
        if search.pictures is not None:
            threshold = self.options["threshold"]
            assert self._network is not None, "setup loads it"
            shots = shots_of_network(self._network, search.pictures, search.frames, threshold)
        return make_scenes(shots, search.index, max_seconds=self.max_seconds)

    def write_under(self, folder: Path) -> None:
        """Write the measurements of the detector there, if at all."""
        if self.stats_dir is not None:
            self.stats_dir, self.output, self._names = str(folder), None, None

    def setup(self) -> None:
        """Create the folder of the statistics; load TransNetV2, if that is the detector."""
        if self.stats_dir is not None:
            make_folder(self.stats_dir, "--stats-dir")
        if self._names is not None:
            self._names.reserve()
        if self.detector == "transnetv2":
            from tools.scene_cut.shots.transnet import TransNet

            self._network = TransNet(self.device)

    def score(self, batch: list[Search | dict[str, Any]]) -> list[dict[str, Any]]:
        """Run TransNetV2 over each video; of the other detectors, pass on what the workers found."""
        return [self._cells(found) if isinstance(found, Search) else found for found in batch]

    def _cells(self, search: Search) -> dict[str, Any]:
        scenes = self.scenes(search)
        remark = TIMING_REMARKS.get(search.index.timing)
        return {
            REMARKS: [remark] if remark else [],
            "timestamp": format_timestamps([scene.interval for scene in scenes]),
            "boundary": json.dumps([[scene.begins, scene.ends] for scene in scenes]),
        }
