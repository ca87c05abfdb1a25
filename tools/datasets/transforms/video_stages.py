"""The transforms that make or copy videos, as stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.disk import copy_file
from tools.columns import kinds_of
from tools.datasets.transforms.stages import FileStage, size_columns
from tools.errors import MediaError, UserError
from tools.media.writing.hdr import HDR_OPTION, check_hdr
from tools.media.writing.settings import check_encoding, check_side
from tools.options import option, option_field
from tools.options.values import Number, Parsed, Text, Whole
from tools.stage.common_options import audio_track_option
from tools.stage.stage import REMARKS

if TYPE_CHECKING:
    import polars as pl

_VIDEO: dict[str, Any] = {
    **FileStage.output_columns,
    **kinds_of("num_frames", "fps", "duration", "has_audio"),
}
_DECIMALS = 6


def _audio_track() -> Any:
    return audio_track_option("audio track", "the one marked default")


def _size(given: Any) -> tuple[int, int]:
    """Width and height, from ``512x768`` or from two numbers."""
    width, height = given.lower().split("x") if isinstance(given, str) else given
    if not all(str(side).isdecimal() and int(side) for side in (width, height)):
        raise ValueError
    return int(width), int(height)


@dataclasses.dataclass
class VideoStage(FileStage):
    """Base of what makes new videos; adds num_frames, fps, duration and has_audio, too.

    Attributes:
        workers: Worker processes that will run side by side.
        threads: Threads of each.
    """

    output_columns = {**_VIDEO, REMARKS: "Object"}
    extension = ".mp4"

    codec: str = option("h264", "encoding of videos: h264, hevc, av1, vp9, or an encoder", Text("NAME"))
    crf: float | None = option(
        None, "quality of videos, lower is better", Number(metavar="Q"), shown="h264: 18", none=True
    )
    preset: str | None = option(
        None, "speed of the encoder", Text("NAME"), shown="h264: veryfast", none=True, everyday=False
    )
    keep_audio: bool = option(True, "keep the audio", flag="drop-audio", off="write silent videos")
    audio_track: str | None = _audio_track()
    hdr: str | None = option_field(None, HDR_OPTION)
    workers: int = 1
    threads: int = 1

    def configure(self) -> None:
        """Check the options of the encoder."""
        super().configure()
        check_encoding(self.codec, self.crf, self.preset)

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose paths, and the threads of each worker by the number of files."""
        from tools.media.workers.pool import threads_each

        self.threads = threads_each(self.workers, table.height)
        return super().plan(table)

    def claim(self, table: pl.DataFrame, output: Path) -> pl.DataFrame:
        """Choose names that no other table has taken, and the threads with which this one was begun."""
        claimed = super().claim(table, output)
        assert self._names is not None, "they were just chosen"
        self.threads = self._names.kept_threads(self.threads)
        return claimed

    def setup(self) -> None:
        """Make sure that the folder can be written and the encoder works."""
        from tools.media.writing.codecs import check_encoder, find_codec

        check_hdr(self.hdr, self.codec)
        super().setup()
        check_encoder(find_codec(self.codec), crf=self.crf, preset=self.preset)

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Make one video."""
        from tools.datasets.transforms.videos import Encoding
        from tools.media.writing.sound import left_behind

        encoding = Encoding(self.codec, self.crf, self.preset, self.keep_audio, self.audio_track, self.hdr)
        self.encode(source, new, encoding)
        left = left_behind(source, keep_audio=self.keep_audio, audio_track=self.audio_track)
        return {**_video_facts(new), REMARKS: [f"{track} left behind" for track in sorted(set(left))]}

    def encode(self, source: str, new: Path, encoding: Any) -> None:
        """Encode one video; see `tools.datasets.transforms.videos`."""
        raise NotImplementedError


@dataclasses.dataclass
class VideoResizeStage(VideoStage):
    """Scale videos down so that the shorter side has `length` pixels; smaller ones keep their size."""

    name = "vid_resize"

    length: int = option(1080, "pixels of the shorter side", Whole(2, even=True, metavar="PX"))

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
        length: Side of a square window; replaced by `size`.
    """

    name = "vid_crop_center"
    suffix = "_center-crop"

    length: int | None = option(None, "pixels of the side of a square", Whole(1, metavar="PX"), none=True)
    size: tuple[int, int] | None = option(
        None,
        "window of vid_crop_center: 512x768",
        Parsed(_size, "WxH", "widths and heights such as 512x768"),
        shown="the largest square",
        none=True,
    )

    def configure(self) -> None:
        """Check the size of the window."""
        super().configure()
        if self.length is not None:
            if self.size is not None:
                raise UserError("--length and --size exclude each other")
            self.size, self.length = (self.length, self.length), None
        for name, side in zip(("width", "height"), self.size or (), strict=False):
            check_side(name, side)

    def config(self) -> dict[str, Any]:
        """All options but `length`, which `size` says."""
        return {name: value for name, value in super().config().items() if name != "length"}

    def encode(self, source: str, new: Path, encoding: Any) -> None:
        """Crop one video."""
        from tools.datasets.transforms.videos import crop_video

        crop_video(source, new, self.size, encoding, threads=self.threads)


@dataclasses.dataclass
class RemuxStage(FileStage):
    """Copy videos into mp4 without encoding. Adds dropped_streams: what was left behind."""

    name = "vid_remux"
    suffix = "_mp4"
    output_columns = {**_VIDEO, "dropped_streams": "String", REMARKS: "Object"}
    extension = ".mp4"

    audio_track: str | None = _audio_track()

    def stale_columns(self, columns: Sequence[str]) -> list[str]:
        """The packets are those of the old file; its size, times and further sound tracks are not."""
        return [name for name in columns if name in ("filesize", "timing", "audio_codec", "audio_tracks")]

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Copy one video into an mp4."""
        from tools.datasets.transforms.videos import remux_video

        # The copier goes by the extension, and renames its file itself.
        dropped = remux_video(source, new, audio_track=self.audio_track)
        return {
            **_video_facts(new),
            "dropped_streams": ", ".join(dropped) or None,
            REMARKS: [f"{stream} left behind" for stream in sorted(set(dropped))],
        }


@dataclasses.dataclass
class CopyStage(FileStage):
    """Copy mp4 files byte for byte."""

    name = "mp4_to_mp4"
    suffix = "_copy"
    output_columns = _VIDEO

    def stale_columns(self, columns: Sequence[str]) -> list[str]:
        """Nothing: the bytes are the same."""
        return []

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Copy one file."""
        if Path(source).suffix.lower() != ".mp4":
            raise MediaError("bad_value", source, "is no .mp4; mkv_to_mp4 and m2ts_to_mp4 copy other files")
        values = _video_facts(Path(source))
        copy_file(source, new)
        return values


def _video_facts(path: Path) -> dict[str, Any]:
    from tools.media.reading.probe import index_packets, media_info

    info = media_info(index_packets(path))
    return {
        **size_columns(info.width, info.height),
        "num_frames": info.num_frames,
        "fps": info.fps,
        "duration": round(info.duration, _DECIMALS),
        "has_audio": info.has_audio,
    }
