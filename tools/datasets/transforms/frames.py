"""Frames of videos as image files: chosen ones, a row for each; or the first, as a column."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from tools.columns import measured_on
from tools.datasets.transforms.places import (
    TARGET,
    make_output_dir,
    new_file,
    place_of,
    plan_targets,
)
from tools.errors import MediaError, UserError
from tools.media.frames import Frame
from tools.stage.stage import Row, Stage

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
"""Formats of frames, by extension."""
_DECIMALS = 6


@dataclasses.dataclass
class FrameStage(Stage):
    """Write exact frames of videos as images, one output row for each.

    Attributes:
        output_dir: Folder of the images ``<stem>_frame-<number>.<format>``.
        input_dir: The folder that is mirrored there; None goes by the column relpath, or by names alone.
        points: Fractions of the video: frame int(p x frames), at most the last.
        points_index: Numbers of frames; negative ones count from the end.
        image_format: jpg, png or webp.
        quality: Of JPEG and WebP files.
        overwrite: Replace files in the way.
    """

    name: ClassVar[str] = "vid_frame_extract"
    suffix: ClassVar[str] = "_vid_frame_extract"
    version: ClassVar[int] = 2
    uses: ClassVar[tuple[str, ...]] = ("relpath", TARGET)
    adds: ClassVar[dict[str, Any]] = {"rows": pl.List, "failures": pl.List}
    one_to_many: ClassVar[bool] = True
    row_columns: ClassVar[dict[str, Any]] = {
        "path": pl.String,
        "id": pl.String,
        "relpath": pl.String,
        "source": pl.String,
        "frame": pl.Int64,
        "time": pl.Float64,
        "point": pl.Float64,
        "num_frames": pl.Int64,
        "height": pl.Int64,
        "width": pl.Int64,
        "aspect_ratio": pl.Float64,
        "resolution": pl.Int64,
        "fps": pl.Float64,
        "duration": pl.Float64,
    }

    output_dir: str
    input_dir: str | None = None
    points: tuple[float, ...] | None = None
    points_index: tuple[int, ...] | None = None
    image_format: str = "jpg"
    quality: int = 95
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.points and self.points_index:
            raise UserError("--points and --points-index exclude each other")
        if not self.points and not self.points_index:
            self.points = (0.1, 0.5, 0.9)
        if self.points and not all(0 <= p <= 1 for p in self.points):
            raise UserError("--points are fractions of the video, from 0 to 1; --points-index takes numbers")
        _check_format(self.image_format)

    def asked(self) -> dict[str, Any]:
        """All options but the one that only says how to run."""
        return {name: value for name, value in super().asked().items() if name != "overwrite"}

    def stale(self, columns: Sequence[str]) -> list[str]:
        """What was measured on the video, and where it was cut from: now the video is the source."""
        return measured_on(columns, "file", "clip")

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose the places of all images by the whole table."""
        return _plan(table, self.input_dir, f".{self.image_format}")

    def write_under(self, folder: Path) -> None:
        """Make the new files there."""
        self.output_dir = str(folder)

    def setup(self) -> None:
        """Make sure that the output folder can be written, before any file is read."""
        make_output_dir(self.output_dir)

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Write the frames of one video."""
        from tools.datasets.transforms.videos import open_index

        source = row["path"]
        index = open_index(source)
        place = place_of(row.get(TARGET), source, output_dir=self.output_dir, input_dir=self.input_dir)
        rows, failures = [], []
        for number, point in self._wanted(index.num_frames).items():
            image = place.with_name(f"{place.stem}_frame-{number}{place.suffix}")
            try:
                frame = _read(source, number, index)
                _write(frame, image, source, self.image_format, self.quality, self.overwrite)
            except MediaError as error:
                failures.append(error)
                continue
            rows.append(self._row(source, image, frame, point))
        if failures and not rows:
            raise failures[0]
        return {"rows": rows, "failures": [[error.kind, error.message] for error in failures]}

    def _wanted(self, num_frames: int) -> dict[int, float | None]:
        """Numbers of the frames, each once, with the fraction that asked for it first."""
        if self.points:
            wanted: dict[int, float | None] = {}
            for point in self.points:
                wanted.setdefault(min(int(point * num_frames), num_frames - 1), point)
            return wanted
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

    def still_there(self, values: dict[str, Any]) -> bool:
        """Whether no image of a finished row was removed since."""
        return all(Path(row["path"]).is_file() for row in values["rows"])


@dataclasses.dataclass
class FirstFrameStage(Stage):
    """Write the first frame of each video as an image, and its path into the column first_frame_path.

    Attributes:
        output_dir: Folder of the images ``<stem>_first_frame.<format>``.
        input_dir: The folder that is mirrored there; None goes by the column relpath, or by names alone.
        image_format: jpg, png or webp.
        quality: Of JPEG and WebP files.
        overwrite: Replace files in the way.
    """

    name: ClassVar[str] = "first_frame"
    suffix: ClassVar[str] = "_first-frame"
    uses: ClassVar[tuple[str, ...]] = ("relpath", TARGET)
    adds: ClassVar[dict[str, Any]] = {"first_frame_path": pl.String}

    output_dir: str
    input_dir: str | None = None
    image_format: str = "jpg"
    quality: int = 95
    overwrite: bool = False

    def __post_init__(self) -> None:
        _check_format(self.image_format)

    def asked(self) -> dict[str, Any]:
        """All options but the one that only says how to run."""
        return {name: value for name, value in super().asked().items() if name != "overwrite"}

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose the places of all images by the whole table."""
        return _plan(table, self.input_dir, f".{self.image_format}")

    def write_under(self, folder: Path) -> None:
        """Make the new files there."""
        self.output_dir = str(folder)

    def setup(self) -> None:
        """Make sure that the output folder can be written, before any file is read."""
        make_output_dir(self.output_dir)

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Write the first frame of one video."""
        from tools.datasets.transforms.videos import open_index

        source = row["path"]
        frame = _read(source, 0, open_index(source))
        place = place_of(row.get(TARGET), source, output_dir=self.output_dir, input_dir=self.input_dir)
        image = place.with_name(f"{place.stem}_first_frame{place.suffix}")
        _write(frame, image, source, self.image_format, self.quality, self.overwrite)
        return {"first_frame_path": str(image)}

    def still_there(self, values: dict[str, Any]) -> bool:
        """Whether the image of a finished row was not removed since."""
        return Path(values["first_frame_path"]).is_file()


def _plan(table: pl.DataFrame, input_dir: str | None, extension: str) -> pl.DataFrame:
    relpaths: Sequence[str | None] | None = None
    if "relpath" in table.columns:
        relpaths = table["relpath"].cast(pl.String).to_list()
    paths = table["path"].cast(pl.String).to_list()
    targets = plan_targets(paths, relpaths, input_dir=input_dir, extension=extension)
    return table.with_columns(pl.Series(TARGET, targets, dtype=pl.String))


def _read(source: str, number: int, index: Any) -> Frame:
    from tools.media.frames import read_frames

    if number < 0:
        raise MediaError("too_short", source, f"has no frame {number}: it has {index.num_frames}")
    return read_frames(source, [number], index=index)[0]


def _write(frame: Frame, place: Path, source: str, form: str, quality: int, overwrite: bool) -> None:
    from PIL import Image

    from tools.datasets.transforms.images import save_image

    with new_file(place, source, overwrite=overwrite) as new:
        save_image(Image.fromarray(frame.image), new, FORMATS[form], quality=quality)


def _check_format(form: str) -> None:
    if form not in FORMATS:
        raise UserError(f"Invalid image format ({form}). Supported values are {', '.join(FORMATS)}.")
