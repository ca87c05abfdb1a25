"""The transforms as stages: one row of a file in, one row of the new file out, or one for each frame."""

from __future__ import annotations

import dataclasses
import shutil
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
    temporary_names,
)
from tools.errors import MediaError
from tools.media.frames import Frame
from tools.media.tracks import check_audio_track
from tools.scene_cut.clips.settings import check_encoding, check_side
from tools.stage.shards import current_shard
from tools.stage.stage import REMARKS, Row, Stage

_SIZE: dict[str, Any] = {
    "height": pl.Int64,
    "width": pl.Int64,
    "aspect_ratio": pl.Float64,
    "resolution": pl.Int64,
}
_LENGTH: dict[str, Any] = {"num_frames": pl.Int64, "fps": pl.Float64, "duration": pl.Float64}
_DECIMALS = 6


@dataclasses.dataclass
class FileStage(Stage):
    """Base: a new file for each file, under `output_dir`, and its path in the place of the old one.

    Adds path, original_path (the file that it was made of), relpath (below `output_dir`) and what follows
    from the new size.

    Attributes:
        output_dir: Folder of the new files.
        input_dir: The folder that is mirrored there; None goes by the column relpath, or by names alone.
        overwrite: Replace files in the way.
    """

    version: ClassVar[int] = 2
    uses: ClassVar[tuple[str, ...]] = ("relpath", TARGET)
    adds: ClassVar[dict[str, Any]] = {
        "path": pl.String,
        "original_path": pl.String,
        "relpath": pl.String,
        **_SIZE,
    }
    extension: ClassVar[str | None] = None

    output_dir: str
    input_dir: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        self._own: list[str] = []

    def asked(self) -> dict[str, Any]:
        """All options but those that only say how to run."""
        return {
            name: value for name, value in super().asked().items() if name not in ("overwrite", "threads")
        }

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose the places of all new files by the whole table."""
        relpaths = table["relpath"].cast(pl.String).to_list() if "relpath" in table.columns else None
        paths = table["path"].cast(pl.String).to_list()
        targets = plan_targets(paths, relpaths, input_dir=self.input_dir, extension=self.extension)
        self._own = [targets[row] for row in current_shard().rows(table.height) if targets[row]]
        return table.with_columns(pl.Series(TARGET, targets, dtype=pl.String))

    def stale(self, columns: Sequence[str]) -> list[str]:
        """What was measured on the old file: the new one looks and sounds otherwise."""
        return measured_on(columns, "file")

    def setup(self) -> None:
        """Make sure that the output folder can be written, before any file is read."""
        make_output_dir(self.output_dir)
        self.remove_leftovers()

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Make the new file of a row."""
        source = row["path"]
        place = place_of(row.get(TARGET), source, output_dir=self.output_dir, input_dir=self.input_dir)
        try:
            with new_file(place, source, overwrite=self.overwrite) as new:
                values = self.make(source, new, str(row.get(TARGET)))
        except MediaError as error:  # the file that the row is about is the source, not a temporary name
            raise MediaError(error.kind, source, error.message) from None
        relpath = str(place.relative_to(self.output_dir))
        return {"path": str(place), "original_path": source, "relpath": relpath, **values}

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Write the new file.

        Args:
            source: The file of the row.
            new: Where to.
            name: Path of the new file below the output folder.

        Returns:
            The values of the columns that are about the new file.
        """
        raise NotImplementedError  # what a subclass is for

    def still_there(self, values: dict[str, Any]) -> bool:
        """Whether the new file of a finished row was not removed since."""
        return Path(values["path"]).is_file()

    def remove_leftovers(self) -> None:
        """Remove what killed workers left half-written. No worker may be running."""
        for target in self._own:
            for name in temporary_names(Path(self.output_dir, target)):
                name.unlink(missing_ok=True)

    def remarks(self) -> list[str]:
        """Lines for the user on what this run left out."""
        return []


@dataclasses.dataclass
class ImageResizeStage(FileStage):
    """Scale images down so that one side has `length` pixels; smaller ones are not enlarged.

    Attributes:
        side: ``shorter`` or ``longer``.
        length: Its pixels.
        quality: Of JPEG and WebP files.
        plain: Name the table ``_resized<L>`` instead of ``_resize-<side>-<L>``.
    """

    name: ClassVar[str] = "img_resize"

    side: str = "shorter"
    length: int = 2160
    quality: int = 95
    plain: bool = False

    @property
    def suffix(self) -> str:
        """``_resized<L>`` or ``_resize-<side>-<L>``."""
        return f"_resized{self.length}" if self.plain else f"_resize-{self.side}-{self.length}"

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Resize one image."""
        from tools.datasets.transforms.images import resized, transform_image

        size = transform_image(
            source, new, resized(self.length, longer=self.side == "longer"), quality=self.quality
        )
        return _size(*size)


@dataclasses.dataclass
class ImageCropStage(FileStage):
    """Keep one quarter of each image, chosen by chance from the seed and the name of the file.

    Attributes:
        seed: Another seed, other quarters.
        quality: Of JPEG and WebP files.
    """

    name: ClassVar[str] = "img_rand_crop"
    suffix: ClassVar[str] = "_rand_crop"

    seed: int = 42
    quality: int = 95

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Crop one image."""
        from tools.datasets.transforms.images import choose_quadrant, quadrant, transform_image

        number = choose_quadrant(name, self.seed)
        return _size(*transform_image(source, new, quadrant(number), quality=self.quality))


@dataclasses.dataclass
class VideoStage(FileStage):
    """Base of what makes new videos; adds num_frames, fps, duration and has_audio, too.

    Attributes:
        codec: See `tools.datasets.transforms.videos.Encoding`, as for the next four.
        crf: Quality.
        preset: Speed.
        keep_audio: Keep the sound.
        audio_track: Which sound track.
        workers: Worker processes that will run side by side.
        threads: Threads of each.
    """

    version: ClassVar[int] = 2
    adds: ClassVar[dict[str, Any]] = {
        **FileStage.adds,
        **_LENGTH,
        "has_audio": pl.Boolean,
        REMARKS: pl.Object,
    }
    extension: ClassVar[str | None] = ".mp4"

    codec: str = "h264"
    crf: float | None = None
    preset: str | None = None
    keep_audio: bool = True
    audio_track: str | None = None
    hdr: str | None = None
    workers: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.audio_track = check_audio_track(self.audio_track)
        check_encoding(self.codec, self.crf, self.preset)

    def asked(self) -> dict[str, Any]:
        """All options but those that only say how to run."""
        return {name: value for name, value in super().asked().items() if name != "workers"}

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose places, and the threads of each worker by how many files there are."""
        from tools.media.pool import usable_cores

        cores = usable_cores()
        self.threads = max(1, cores // max(1, min(self.workers or 1, cores, table.height)))
        return super().plan(table)

    def setup(self) -> None:
        """Make sure that the folder can be written and the encoder works."""
        from tools.scene_cut.clips.codecs import check_encoder, find_codec
        from tools.scene_cut.clips.hdr import check_hdr

        check_hdr(self.hdr, self.codec)
        super().setup()
        check_encoder(find_codec(self.codec), crf=self.crf, preset=self.preset)

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Make one video."""
        from tools.datasets.transforms.videos import Encoding
        from tools.scene_cut.clips.sound import left_behind

        asked = Encoding(self.codec, self.crf, self.preset, self.keep_audio, self.audio_track, self.hdr)
        self.encode(source, new, asked)
        left = left_behind(source, keep_audio=self.keep_audio, audio_track=self.audio_track)
        return {**_video_facts(new), REMARKS: [f"{track} left behind" for track in sorted(set(left))]}

    def encode(self, source: str, new: Path, encoding: Any) -> None:
        """Encode one video; see `tools.datasets.transforms.videos`."""
        raise NotImplementedError  # what a subclass is for


@dataclasses.dataclass
class VideoResizeStage(VideoStage):
    """Scale videos down so that the shorter side has `length` pixels; smaller ones keep their size.

    Attributes:
        length: Pixels.
    """

    name: ClassVar[str] = "vid_resize"

    length: int = 1080

    def __post_init__(self) -> None:
        super().__post_init__()
        check_side("length", self.length)

    @property
    def suffix(self) -> str:
        """``_resized<L>``."""
        return f"_resized{self.length}"

    def encode(self, source: str, new: Path, encoding: Any) -> None:
        """Resize one video."""
        from tools.datasets.transforms.videos import resize_video

        resize_video(source, new, self.length, encoding, threads=self.threads)


@dataclasses.dataclass
class VideoCropStage(VideoStage):
    """Keep the centre of videos: the largest window of a shape, scaled down to a size.

    Attributes:
        size: Width and height, even; None is the largest square, unscaled.
    """

    name: ClassVar[str] = "vid_crop_center"
    suffix: ClassVar[str] = "_center-crop"

    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, side in zip(("width", "height"), self.size or (), strict=False):
            check_side(name, side)

    def encode(self, source: str, new: Path, encoding: Any) -> None:
        """Crop one video."""
        from tools.datasets.transforms.videos import crop_video

        crop_video(source, new, self.size, encoding, threads=self.threads)


@dataclasses.dataclass
class RemuxStage(FileStage):
    """Copy videos into mp4 without encoding. Adds dropped_streams: what was left behind.

    Attributes:
        audio_track: Which sound track, by number or language; None for the one marked default.
    """

    name: ClassVar[str] = "vid_remux"
    version: ClassVar[int] = 2
    suffix: ClassVar[str] = "_mp4"
    adds: ClassVar[dict[str, Any]] = {
        **FileStage.adds,
        **_LENGTH,
        "has_audio": pl.Boolean,
        "dropped_streams": pl.String,
    }
    extension: ClassVar[str | None] = ".mp4"

    audio_track: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.audio_track = check_audio_track(self.audio_track)
        self._dropped: dict[str, int] = {}

    def stale(self, columns: Sequence[str]) -> list[str]:
        """The packets are those of the old file; its size, times and further sound tracks are not."""
        return [name for name in columns if name in ("filesize", "timing", "audio_codec", "audio_tracks")]

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Copy one video into an mp4."""
        from tools.datasets.transforms.videos import remux_video

        # The copier goes by the extension, and moves its file into place itself.
        dropped = remux_video(source, new, audio_track=self.audio_track)
        return {**_video_facts(new), "dropped_streams": ", ".join(dropped) or None}

    def score(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Count what the user is told at the end; the rows are ready."""
        for values in batch:
            for stream in (values["dropped_streams"] or "").split(", "):
                if stream:
                    self._dropped[stream] = self._dropped.get(stream, 0) + 1
        return batch

    def remarks(self) -> list[str]:
        """Which streams were left behind."""
        return [f"{count} files: {stream} left behind" for stream, count in sorted(self._dropped.items())]


@dataclasses.dataclass
class CopyStage(FileStage):
    """Copy mp4 files byte for byte."""

    name: ClassVar[str] = "mp4_to_mp4"
    suffix: ClassVar[str] = "_copy"
    adds: ClassVar[dict[str, Any]] = {**FileStage.adds, **_LENGTH, "has_audio": pl.Boolean}

    def stale(self, columns: Sequence[str]) -> list[str]:
        """Nothing: the bytes are the same."""
        return []

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Copy one file."""
        if Path(source).suffix.lower() != ".mp4":
            raise MediaError("bad_value", source, "is no .mp4; mkv_to_mp4 and m2ts_to_mp4 copy other files")
        values = _video_facts(Path(source))
        shutil.copyfile(source, new)
        return values


def _size(width: int, height: int) -> dict[str, Any]:
    return {
        "height": height,
        "width": width,
        "aspect_ratio": height / width,
        "resolution": height * width,
    }


def _video_facts(path: Path) -> dict[str, Any]:
    from tools.media.probe import index_packets, media_info

    info = media_info(index_packets(path))
    return {
        **_size(info.width, info.height),
        "num_frames": info.num_frames,
        "fps": info.fps,
        "duration": round(info.duration, _DECIMALS),
        "has_audio": info.has_audio,
    }
