"""The transforms that make or copy videos, as stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tools.base.disk import copy_file
from tools.datasets.transforms.stages import FileStage, size_columns
from tools.errors import MediaError
from tools.media.reading.tracks import check_audio_track
from tools.media.writing.settings import check_encoding, check_side
from tools.stage.stage import REMARKS

_LENGTH: dict[str, Any] = {"num_frames": pl.Int64, "fps": pl.Float64, "duration": pl.Float64}
_DECIMALS = 6


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

    version = 2
    output_columns = {
        **FileStage.output_columns,
        **_LENGTH,
        "has_audio": pl.Boolean,
        REMARKS: pl.Object,
    }
    extension = ".mp4"

    codec: str = "h264"
    crf: float | None = None
    preset: str | None = None
    keep_audio: bool = True
    audio_track: str | None = None
    hdr: str | None = None
    workers: int = 1
    threads: int = 1

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        super().configure()
        self.audio_track = check_audio_track(self.audio_track)
        check_encoding(self.codec, self.crf, self.preset)

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose places, and the threads of each worker by how many files there are."""
        from tools.media.workers.pool import usable_cores

        cores = usable_cores()
        self.threads = max(1, cores // max(1, min(self.workers or 1, cores, table.height)))
        return super().plan(table)

    def setup(self) -> None:
        """Make sure that the folder can be written and the encoder works."""
        from tools.media.writing.codecs import check_encoder, find_codec
        from tools.media.writing.hdr import check_hdr

        check_hdr(self.hdr, self.codec)
        super().setup()
        check_encoder(find_codec(self.codec), crf=self.crf, preset=self.preset)

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Make one video."""
        from tools.datasets.transforms.videos import Encoding
        from tools.media.writing.sound import left_behind

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

    name = "vid_resize"

    length: int = 1080

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        super().configure()
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

    name = "vid_crop_center"
    suffix = "_center-crop"

    size: tuple[int, int] | None = None

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        super().configure()
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

    name = "vid_remux"
    version = 2
    suffix = "_mp4"
    output_columns = {
        **FileStage.output_columns,
        **_LENGTH,
        "has_audio": pl.Boolean,
        "dropped_streams": pl.String,
    }
    extension = ".mp4"

    audio_track: str | None = None

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        super().configure()
        self.audio_track = check_audio_track(self.audio_track)
        self._dropped: dict[str, int] = {}

    def stale_columns(self, columns: Sequence[str]) -> list[str]:
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

    name = "mp4_to_mp4"
    suffix = "_copy"
    output_columns = {
        **FileStage.output_columns,
        **_LENGTH,
        "has_audio": pl.Boolean,
    }

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
