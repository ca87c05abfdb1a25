"""Frames of videos as image files: chosen ones, a row for each; or the first, as a column."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.columns import MADE_VIDEO, kinds_of, measured_on
from tools.datasets.transforms.folder_stage import FolderStage
from tools.datasets.transforms.stages import quality_option
from tools.errors import MediaError, UserError
from tools.options import option
from tools.options.values import Choice, Number, Whole
from tools.stage.names.file_stems import with_stem
from tools.stage.stage import MADE_FILES, Row, origin

if TYPE_CHECKING:
    from tools.media.reading.frames import Frame

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
"""Formats of frames, by extension."""
_DECIMALS = 6


def _format_option() -> Any:
    return option("jpg", "format of the images", Choice(tuple(FORMATS)))


@dataclasses.dataclass
class FrameStage(FolderStage):
    """Write exact frames of videos as images ``<stem>_frame-<number>.<format>``, one output row for each.

    A fraction p of the video is frame int(p x frames), at most the last.
    """

    name = "vid_frame_extract"
    suffix = "_vid_frame_extract"
    output_columns = {"rows": "List", "failures": "List", MADE_FILES: "List"}
    one_to_many = True
    row_columns = kinds_of(
        "path",
        "id",
        "relpath",
        "source",
        "frame",
        "time",
        "point",
        *MADE_VIDEO,
    )

    points: tuple[float, ...] | None = option(
        None,
        "frames by fraction of the video",
        Number(0, 1, metavar="P"),
        shown="0.1 0.5 0.9",
        many=True,
        none=True,
    )
    points_index: tuple[int, ...] | None = option(
        None, "frames by number from 0; -1 is the last", Whole(metavar="I"), many=True, none=True
    )
    image_format: str = _format_option()
    quality: int = quality_option()

    def configure(self) -> None:
        """Choose the default frames."""
        super().configure()
        if self.points and self.points_index:
            raise UserError("--points and --points-index exclude each other")
        if not self.points and not self.points_index:
            self.points = (0.1, 0.5, 0.9)

    def made_with(self) -> dict[str, Any]:
        """Options of the images: which frames are written does not change them."""
        return {"image_format": self.image_format, "quality": self.quality}

    def file_name(self, target: str) -> str:
        """``<stem>_frame-*.<format>``."""
        return _named(target, "_frame-*")

    def target_extension(self) -> str:
        """That of the format."""
        return f".{self.image_format}"

    def stale_columns(self, columns: Sequence[str]) -> list[str]:
        """What was measured on the video, and where it was cut from: now the video is the source."""
        return measured_on(columns, "file", "clip")

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Write the frames of one video."""
        from tools.datasets.transforms.videos import open_index

        source = row["path"]
        index = open_index(source)
        target = self.target_path(row)
        rows, failures = [], []
        for number, point in self._frame_numbers(index.num_frames).items():
            image = target.with_name(_named(target.name, f"_frame-{number}"))
            try:
                frame = _read(source, number, index)
                with self.new_file(image, row) as new:
                    _save(frame, new, self.image_format, self.quality)
            except MediaError as error:
                failures.append(error)
                continue
            rows.append(self._row(origin(row), image, frame, point))
        if failures and not rows:
            raise failures[0]
        failed = [[error.kind, error.message] for error in failures]
        return {"rows": rows, "failures": failed, **self.made(*(Path(row["path"]) for row in rows))}

    def _frame_numbers(self, num_frames: int) -> dict[int, float | None]:
        """Numbers of the frames, each once, with the first fraction that gives it."""
        if self.points:
            numbers: dict[int, float | None] = {}
            for point in self.points:
                numbers.setdefault(min(int(point * num_frames), num_frames - 1), point)
            return numbers
        return {number + num_frames if number < 0 else number: None for number in self.points_index or ()}

    def _row(self, source: str, image: Path, frame: Frame, point: float | None) -> dict[str, Any]:
        height, width = frame.image.shape[:2]
        return {
            "path": str(image),
            "id": image.stem,
            "relpath": str(image.relative_to(self.output_dir)),
            "source": source,
            "frame": frame.index,
            "time": round(frame.time, _DECIMALS),
            "point": point,
            "num_frames": 1,
            "height": height,
            "width": width,
            "aspect_ratio": height / width,
            "resolution": height * width,
            "fps": None,
            "duration": 0.0,
        }

    def is_own(self, name: str, targets: set[str]) -> bool:
        """Whether a file of this name is an image of some targets."""
        stem, found, _ = Path(name).stem.rpartition("_frame-")
        return bool(found) and f"{stem}{Path(name).suffix}" in targets


@dataclasses.dataclass
class FirstFrameStage(FolderStage):
    """Write the first frame of each video as an image ``<stem>_first_frame.<format>``.

    Its path goes into the column first_frame_path.
    """

    name = "first_frame"
    suffix = "_first-frame"
    output_columns = {"first_frame_path": "String", MADE_FILES: "List"}

    image_format: str = _format_option()
    quality: int = quality_option()

    def file_name(self, target: str) -> str:
        """``<stem>_first_frame.<format>``."""
        return _named(target, "_first_frame")

    def target_extension(self) -> str:
        """That of the format."""
        return f".{self.image_format}"

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Write the first frame of one video."""
        from tools.datasets.transforms.videos import open_index

        source = row["path"]
        frame = _read(source, 0, open_index(source))
        target = self.target_path(row)
        image = target.with_name(self.file_name(target.name))
        with self.new_file(image, row) as new:
            _save(frame, new, self.image_format, self.quality)
        return {"first_frame_path": str(image), **self.made(image)}

    def is_own(self, name: str, targets: set[str]) -> bool:
        """Whether a file of this name is an image of some targets."""
        stem, found, _ = Path(name).stem.rpartition("_first_frame")
        return bool(found) and f"{stem}{Path(name).suffix}" in targets


def _named(target: str, what: str) -> str:
    """The name of an image of a target, with a suffix before the extension."""
    return with_stem(target, lambda stem: f"{stem}{what}")


def _read(source: str, number: int, index: Any) -> Frame:
    from tools.media.reading.frames import read_frames

    if number < 0:
        raise MediaError("too_short", source, f"has no frame {number}: it has {index.num_frames}")
    return read_frames(source, [number], index=index)[0]


def _save(frame: Frame, new: Path, form: str, quality: int) -> None:
    from PIL import Image

    from tools.datasets.transforms.images import save_image

    save_image(Image.fromarray(frame.image), new, FORMATS[form], quality=quality)
