"""Small pictures from chosen rows beside those that libswscale and OpenCV make of whole pictures."""

import cv2
import numpy as np
import pytest

from tests.support import make_video
from tools.media.reading.pictures import PictureConverter
from tools.media.reading.probe import index_packets
from tools.media.reading.video_frames import iter_video_frames
from tools.scene_cut.shots.small_pictures import SmallPictures

# Stored size, size that PySceneDetect scales to, rows that it reads: of 5 and 15 one, of 7.5 two, of 6 two.
BY_ROWS = [
    ((1280, 720), (256, 144), 144),
    ((1278, 720), (256, 144), 144),
    ((720, 1280), (144, 256), 256),
    ((1920, 1080), (256, 144), 288),
    ((1536, 600), (256, 100), 200),
]
WHOLE = [(640, 272), (960, 540), (1279, 720), (1280, 719), (256, 256), (64, 48)]


def noise(path, size, frames=2, pix_fmt="yuv420p", codec="rawvideo", black=0, **options):
    """A video of black pictures and then random pixels, each of another colour than those beside it."""
    chance = np.random.default_rng(3)
    pictures = [np.zeros((size[1], size[0], 3), np.uint8)] * black
    pictures += [chance.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(frames)]
    return make_video(path, pictures=pictures, codec=codec, pix_fmt=pix_fmt, options=options)


def as_opencv_does(index, picture):
    """The whole picture, converted by libswscale and scaled by OpenCV."""
    width, height = index.coded_width, index.coded_height
    factor = max(width, height) / 256
    array = PictureConverter(index, size=(width, height), format="bgr24")(picture)
    if factor <= 1:
        return array
    return cv2.resize(array, (round(width / factor), round(height / factor)))


def made(path):
    index = index_packets(path)
    small = SmallPictures(index)
    pictures = [frame.picture for frame in iter_video_frames(path, index=index)]
    return small, [(small(picture), as_opencv_does(index, picture)) for picture in pictures]


@pytest.mark.parametrize(("stored", "size", "rows"), BY_ROWS)
def test_rows_that_are_read_give_the_bytes_of_whole_pictures(tmp_path, stored, size, rows):
    small, pairs = made(noise(tmp_path / "a.mkv", stored))
    assert small._rows is not None and len(small._rows.numbers) == rows
    for ours, theirs in pairs:
        assert ours.shape == (size[1], size[0], 3)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("matrix", "code"), [("bt709", 1), ("smpte170m", 6)])
@pytest.mark.parametrize(("pixels", "whole_range"), [("yuv420p", 1), ("yuvj420p", 2)])
def test_matrix_and_range_are_those_of_the_stream(tmp_path, matrix, code, pixels, whole_range):
    options = {"colorspace": matrix, "color_range": ("tv", "pc")[whole_range - 1]}
    path = noise(tmp_path / "a.mkv", (1280, 720), pix_fmt=pixels, **options)
    picture = next(iter_video_frames(path)).picture
    assert (int(picture.colorspace), int(picture.color_range)) == (code, whole_range)
    small, pairs = made(path)
    assert small._rows is not None
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("stored", WHOLE)
def test_other_sizes_are_converted_whole(tmp_path, stored):
    small, pairs = made(noise(tmp_path / "a.mkv", stored))
    assert small._rows is None
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv444p"])
def test_other_formats_are_converted_whole(tmp_path, pixels):
    _, pairs = made(noise(tmp_path / "a.mkv", (1280, 720), pix_fmt=pixels, codec="ffv1"))
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("black", [0, 2])
def test_rows_that_do_not_give_the_same_bytes_are_found_out(tmp_path, black):
    path = noise(tmp_path / "a.mkv", (1280, 720), black=black)
    index = index_packets(path)
    small = SmallPictures(index)
    assert small._rows is not None
    small._rows.numbers = small._rows.numbers + 1
    for frame in iter_video_frames(path, index=index):
        np.testing.assert_array_equal(small(frame.picture), as_opencv_does(index, frame.picture))
    assert small._rows is None
