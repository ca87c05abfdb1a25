"""Display matrices: every reader and every way to cut shows what the ffmpeg program shows."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import ffmpeg_frames, make_video, remux
from tools.errors import MediaError
from tools.media.reading.frames import read_frames
from tools.media.reading.orientation import Orientation
from tools.media.reading.probe import probe
from tools.media.reading.timeline.scan import index_packets
from tools.scene_cut.clips.cutting import CutOptions, cut_clips

# What the ffmpeg program (ffmpeg_filter.c) makes of these matrices, as an operation on the stored arrays.
EIGHT = {
    (0, False): lambda stored: stored,
    (90, False): lambda stored: np.rot90(stored, 1, (1, 2)),
    (180, False): lambda stored: stored[:, ::-1, ::-1],
    (270, False): lambda stored: np.rot90(stored, -1, (1, 2)),
    (0, True): lambda stored: stored[:, :, ::-1],
    (90, True): lambda stored: stored[:, ::-1, ::-1].swapaxes(1, 2),
    (180, True): lambda stored: stored[:, ::-1],
    (270, True): lambda stored: stored.swapaxes(1, 2),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("plain") / "plain.mp4", 6)


def with_matrix(plain: Path, target: Path, degrees: float, flip: bool) -> Path:
    """A copy whose header asks for a turn, counter-clockwise in the words of ffmpeg, and for mirroring."""
    arguments = ["-display_rotation", str(degrees)] + (["-display_hflip"] if flip else [])
    return remux(plain, target, before=arguments)


def shown(path: Path) -> np.ndarray:
    info = probe(path)
    return ffmpeg_frames(path, info.width, info.height)


@pytest.mark.parametrize(("degrees", "flip"), EIGHT)
def test_all_eight_are_those_of_ffmpeg(plain: Path, tmp_path: Path, degrees: int, flip: bool) -> None:
    path = with_matrix(plain, tmp_path / "a.mp4", degrees, flip)
    wanted = shown(path)
    assert np.array_equal(wanted, EIGHT[degrees, flip](ffmpeg_frames(plain, 192, 128)))
    for decoder in ("pyav", "decord"):
        got = np.stack([frame.image for frame in read_frames(path, range(6), decoder=decoder)])
        assert np.array_equal(got, wanted), decoder
    for options in ({}, {"engine": "ffmpeg"}, {"mode": "copy"}, {"mode": "smart"}):
        (clip,) = cut_clips(
            path, None, tmp_path / "-".join(options.values()), options=CutOptions(**options)
        ).clips
        assert (clip.width, clip.height) == (wanted.shape[2], wanted.shape[1])
        difference = np.abs(shown(clip.path).astype(int) - wanted).mean()
        assert difference < 3, options


@pytest.mark.parametrize(
    ("degrees", "flip"), [(30, False), (200, True), (1, False), (359, False), (89.7, False)]
)
def test_oblique_ones_are_those_of_ffmpeg(plain: Path, tmp_path: Path, degrees: float, flip: bool) -> None:
    path = with_matrix(plain, tmp_path / "a.mkv", degrees, flip)
    wanted = shown(path)
    got = np.stack([frame.image for frame in read_frames(path, range(6))])
    assert np.array_equal(got, wanted)
    (clip,) = cut_clips(path, None, tmp_path).clips
    assert np.abs(shown(clip.path).astype(int) - wanted).mean() < 3
    if index_packets(path).orientation.oblique:
        with pytest.raises(MediaError, match="decoder pyav"):
            read_frames(path, [0], decoder="decord")


@pytest.mark.parametrize("numbers", [(0, 2, -2, 0), (0, -3, -3, 0), (-2, 0, 0, 2), (0.5, 0, 0, -0.5)])
def test_a_scale_does_not_hide_the_turn(plain: Path, tmp_path: Path, numbers: tuple[float, ...]) -> None:
    path = with_matrix(plain, tmp_path / "a.mp4", 90, False)
    data = bytearray(path.read_bytes())
    at = (
        data.index(b"tkhd") + 44
    )  # ISO/IEC 14496-12, 8.3.2, version 0: the matrix {a, b, u, c, d, v, x, y, w}
    for place, number in zip((0, 4, 12, 16), numbers, strict=True):
        data[at + place : at + place + 4] = round(number * 65536).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    got = np.stack([frame.image for frame in read_frames(path, range(6))])
    assert np.array_equal(got, shown(path))
    assert index_packets(path).orientation != Orientation()


def test_without_the_matrix_pictures_are_as_stored(plain: Path, tmp_path: Path) -> None:
    from tools.media.reading.frames import iter_frames

    path = with_matrix(plain, tmp_path / "a.mp4", 0, True)
    stored = np.stack([frame.image for frame in iter_frames(path, apply_rotation=False)])
    assert np.array_equal(stored, ffmpeg_frames(plain, 192, 128))
