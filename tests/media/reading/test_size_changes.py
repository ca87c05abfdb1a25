"""Files whose pictures change their size: they are found, and pictures keep their shape."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from tests.support import ffmpeg_frames, make_video, read_barcode, remux, run_ffmpeg
from tools.datasets import datautil
from tools.media.reading.frames import iter_frames, read_frames
from tools.media.reading.probe import index_packets, probe
from tools.scene_cut.clips.cutting import CutOptions, cut_clips
from tools.table import read_table, write_table

WIDE, TALL = (192, 128), (128, 192)
FORMATS = [
    ("h264", "ts"),
    ("hevc", "ts"),
    ("mpeg2video", "ts"),
    ("h264", "mp4"),
    ("vp8", "webm"),
    ("vp9", "webm"),
    ("av1", "mkv"),
    ("mjpeg", "mkv"),
    ("mpeg4", "avi"),
]


def disc(size: tuple[int, int]) -> np.ndarray:
    """A white disc of 80 pixels across, on mid grey."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    inside = (rows - size[1] / 2 + 0.5) ** 2 + (columns - size[0] / 2 + 0.5) ** 2 < 40**2
    return np.where(inside[..., None], 255, 120).repeat(3, axis=2).astype(np.uint8)


def joined(folder: Path, codec: str, extension: str, sizes: list[tuple[int, int]], frames: int = 12) -> Path:
    """Several videos behind each other in one stream, packet by packet, as recorders and joiners do it."""
    names = []
    for number, size in enumerate(sizes):
        part = folder / f"part{number}.{extension}"
        form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        make_video(part, codec=codec, pictures=[disc(size)] * frames, b_frames=0, pix_fmt=form)
        names.append(f"file '{part}'\n")
    (folder / "parts.txt").write_text("".join(names))
    target = folder / f"joined.{extension}"
    run_ffmpeg(["-f", "concat", "-safe", "0", "-i", str(folder / "parts.txt"), "-c", "copy", str(target)])
    return target


def decoded_sizes(path: Path) -> list[tuple[int, int]]:
    """Size of every picture that a full decode gives."""
    with av.open(str(path)) as container:
        return [(picture.width, picture.height) for picture in container.decode(video=0)]


def extent(image: np.ndarray) -> tuple[int, int]:
    """Width and height of the disc."""
    inside = image.mean(axis=2) > 200
    return int(inside.any(axis=0).sum()), int(inside.any(axis=1).sum())


def turned_within(folder: Path, codec: str) -> Path:
    """A recording that says from its second half on that it is to be turned by 90 degrees clockwise."""
    names = []
    for number, filters in enumerate((None, f"{codec}_metadata=display_orientation=insert:rotate=-90")):
        part, said = folder / f"part{number}.ts", folder / f"said{number}.ts"
        picture = horizon(WIDE) if number == 0 else np.ascontiguousarray(np.rot90(horizon(TALL)))
        make_video(part, codec=codec, pictures=[picture] * 12, b_frames=0)
        remux(part, said, after=["-bsf:v", filters] if filters else [])
        names.append(f"file '{said}'\n")
    (folder / "parts.txt").write_text("".join(names))
    target = folder / "turned.ts"
    run_ffmpeg(["-f", "concat", "-safe", "0", "-i", str(folder / "parts.txt"), "-c", "copy", str(target)])
    return target


def horizon(size: tuple[int, int]) -> np.ndarray:
    """White above, grey below."""
    picture = np.full((size[1], size[0], 3), 100, np.uint8)
    picture[: size[1] // 2] = 255
    return picture


def test_an_orientation_that_changes(tmp_path: Path) -> None:
    """A clip of the second half stands upright, as the ffmpeg program shows this half by itself."""
    path = turned_within(tmp_path, "h264")
    assert probe(path).size_changes == 1
    expected = ffmpeg_frames(tmp_path / "said1.ts", *TALL)[6]
    assert expected[:90].min() > 200
    scene = [(Fraction(12, 25), Fraction(24, 25))]
    (clip,) = cut_clips(path, scene, tmp_path / "clips", options=CutOptions(crf=10)).clips
    assert (clip.width, clip.height) == TALL
    shown = read_frames(clip.path, [6])[0].image
    assert np.abs(shown.astype(int) - expected).mean() < 4


@pytest.mark.parametrize(("codec", "extension"), FORMATS)
def test_changes_are_found_where_a_full_decode_has_them(tmp_path: Path, codec: str, extension: str) -> None:
    path = joined(tmp_path, codec, extension, [WIDE, TALL, TALL, (96, 64)])
    sizes = decoded_sizes(path)
    changes = [size for before, size in itertools.pairwise(sizes) if size != before]
    assert changes == [TALL, (96, 64)]
    assert [(c.width, c.height) for c in index_packets(path).size_changes] == changes
    assert probe(path).size_changes == 2


def test_flash_video_hands_over_a_new_header(tmp_path: Path) -> None:
    """Live recordings do so in the middle; frames behind it are found there by a seek, too."""
    first, second = (
        make_video(tmp_path / f"{size[0]}.flv", 12, size=size, gop=4, b_frames=0) for size in (WIDE, TALL)
    )
    data, joint, at = second.read_bytes(), bytearray(first.read_bytes()), 13
    while at < len(data):  # Adobe Flash Video File Format, E.4.1: tags with size and time in milliseconds
        end = at + 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
        if data[at] == 9:
            time = int.from_bytes(data[at + 4 : at + 7], "big") + 480
            joint += data[at : at + 4] + time.to_bytes(3, "big") + data[at + 7 : end]
        at = end
    path = tmp_path / "joined.flv"
    path.write_bytes(joint)
    (change,) = index_packets(path).size_changes
    assert (change.position, change.width, change.height) == (12, *TALL)
    for number in (13, 17, 22):
        (frame,) = read_frames(path, [number])
        assert read_barcode(frame.image[:, 54:139]) == number - 12


def test_other_parameters_of_the_same_size_are_no_change(tmp_path: Path) -> None:
    parts = [
        make_video(tmp_path / f"{profile}.ts", 12, options={"profile": profile})
        for profile in ("high", "main")
    ]
    (tmp_path / "parts.txt").write_text("".join(f"file '{part}'\n" for part in parts))
    path = tmp_path / "joined.ts"
    run_ffmpeg(["-f", "concat", "-safe", "0", "-i", str(tmp_path / "parts.txt"), "-c", "copy", str(path)])
    assert index_packets(path).size_changes == ()


def test_pictures_keep_their_shape(tmp_path: Path) -> None:
    path = joined(tmp_path, "h264", "ts", [WIDE, TALL])
    wide, tall = (frame.image for frame in read_frames(path, [3, 18]))
    assert (read_frames(path, [18], decoder="decord")[0].image == tall).all()
    assert wide.shape == tall.shape == (128, 192, 3)
    assert extent(wide) == pytest.approx((80, 80), abs=2)
    # 192 lines become 128, so the disc of 80 becomes one of 53; 53 columns of 192 are black on either side.
    assert extent(tall) == pytest.approx((53, 53), abs=2)
    assert tall[:, :50].max() < 40
    assert tall[:, -50:].max() < 40
    assert tall[:, 56:-56].min() > 100
    (gray,) = (f.image for f in iter_frames(path, format="gray", size=(96, 64), start=0.72, end=0.75))
    assert gray[:, :25].max() < 40


def test_the_same_shape_in_another_size_fills_the_picture(tmp_path: Path) -> None:
    path = joined(tmp_path, "h264", "ts", [WIDE, (96, 64)])
    (small,) = (frame.image for frame in read_frames(path, [18]))
    assert small.min() > 80


def test_clips_have_the_size_of_their_pictures(tmp_path: Path) -> None:
    path = joined(tmp_path, "h264", "ts", [WIDE, TALL])
    half = Fraction(12, 25)
    scenes = [(Fraction(0), half), (half, 2 * half), (half / 2, 3 * half / 2)]
    clips = cut_clips(path, scenes, tmp_path / "clips", options=CutOptions(crf=10)).clips
    assert [(clip.width, clip.height) for clip in clips] == [WIDE, TALL, WIDE]
    assert [clip.num_frames for clip in clips] == [12, 12, 12]
    assert [clip.mixed for clip in clips] == [False, False, True]
    for clip in clips[:2]:
        assert set(decoded_sizes(clip.path)) == {(clip.width, clip.height)}
        assert extent(read_frames(clip.path, [6])[0].image) == pytest.approx((80, 80), abs=2)
    mixed = read_frames(clips[2].path, [2, 9])
    assert extent(mixed[0].image) == pytest.approx((80, 80), abs=2)
    assert extent(mixed[1].image) == pytest.approx((53, 53), abs=2)
    assert mixed[1].image[:, :50].max() < 40


def test_copies_are_refused_where_the_header_is_not_true(tmp_path: Path) -> None:
    """A HEVC clip in mp4 would say the size of the first pictures, and decode to rubbish behind them."""
    path = joined(tmp_path, "hevc", "ts", [WIDE, TALL])
    half = Fraction(12, 25)
    scenes = [(Fraction(0), half), (half, 2 * half)]
    copied = cut_clips(path, scenes, tmp_path / "copies", options=CutOptions(mode="copy"))
    assert [clip.scene for clip in copied.clips] == [0]
    assert "another size" in copied.failures[1].message
    smart = cut_clips(path, scenes, tmp_path / "smart", options=CutOptions(mode="smart")).clips
    assert [clip.mode for clip in smart] == ["exact", "exact"]
    assert [(clip.width, clip.height) for clip in smart] == [WIDE, TALL]


def test_the_command_says_which_files_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = joined(tmp_path, "vp8", "webm", [WIDE, TALL])
    files = [str(make_video(tmp_path / "a.mp4", 6)), str(path)]
    meta = write_table(pl.DataFrame({"path": files}), tmp_path / "meta.csv")
    assert datautil.main([str(meta), "--info", "--size-changesmax", "0", "--num-workers", "1"]) == 0
    said = capsys.readouterr()
    assert f"1 file: the size or orientation of the pictures changes within, the first: {path}" in said.err
    assert read_table(said.out.split()[-1])["path"].to_list() == files[:1]


def test_pixels_whose_shape_changes_keep_that_of_the_first_frame(tmp_path: Path) -> None:
    square = make_video(tmp_path / "square.ts", 30)
    wide = make_video(tmp_path / "wide.ts", 30, sample_aspect_ratio=Fraction(4, 3))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(square.read_bytes() + wide.read_bytes())
    assert [probe(path).width for path in (square, wide, joined)] == [192, 256, 192]
