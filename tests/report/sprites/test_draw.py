"""What is seen in a sprite: frames that carry their number, sizes by hand, and real videos."""

import base64
import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.hdr_videos import make_hdr_video, patches
from tests.support import SAMPLE_RATE, ffmpeg_frames, make_video, read_barcode, run_ffmpeg
from tools.errors import MediaError, UserError
from tools.media.reading.colour.tonemap import light_to_pq
from tools.media.reading.frames import read_frames
from tools.media.reading.requests import Frames
from tools.report.sprites.draw import SpriteStage, frame_size


def draw(path: Path, **options) -> list[np.ndarray]:
    """The frames of a sprite, decoded from its JPEG; its size is checked."""
    values = SpriteStage(**options).prepare({"path": str(path)}, Frames())
    jpeg = base64.b64decode(values["jpeg"])
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        picture = np.asarray(image.convert("RGB"))
    frames, width, height = values["frames"], values["width"], values["height"]
    assert picture.shape == (height, frames * width, 3)
    return np.split(picture, frames, axis=1)


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((1920, 1080), (160, 90)),
        ((3840, 2160), (160, 90)),
        ((1080, 1920), (90, 160)),
        ((1000, 1000), (120, 120)),  # 120² = 160 * 90
        ((64, 36), (64, 36)),  # nothing is enlarged
        ((8000, 100), (320, 4)),  # twice as wide as 16:9
        ((100, 8000), (2, 160)),
        ((10_000, 1), (320, 1)),
    ],
)
def test_frames_of_all_shapes_have_one_area(picture, size):
    assert frame_size(picture, 90) == size


@pytest.mark.parametrize(
    ("num_frames", "frames", "numbers"),
    [
        (60, 4, [7, 22, 37, 52]),  # the middle of each quarter, by hand
        (60, 3, [10, 30, 50]),
        (60, 6, [5, 15, 25, 35, 45, 55]),
        (1, 4, [0]),
        (3, 4, [0, 1, 2]),
    ],
)
def test_frames_are_spread_over_the_clip(tmp_path, num_frames, frames, numbers):
    """Each frame of the video shows its own number."""
    video = make_video(tmp_path / "a.mp4", num_frames, size=(384, 216))
    assert [read_barcode(frame) for frame in draw(video, frames=frames)] == numbers


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_videos_are_upright(tmp_path, rotation):
    """The numbers can be read only from an upright picture; stored, this one lies on its side or head."""
    video = make_video(tmp_path / "a.mp4", 12, size=(216, 384), rotation=rotation)
    frames = draw(video, frames=3)
    assert [read_barcode(frame) for frame in frames] == [2, 6, 10]
    assert frames[0].shape == (160, 90, 3)


def test_pixels_that_are_not_square(tmp_path):
    """Stored 192 x 216 with pixels twice as wide as high: 16:9."""
    video = make_video(tmp_path / "a.mp4", 4, size=(192, 216), sample_aspect_ratio=Fraction(2))
    assert draw(video)[0].shape == (90, 160, 3)


def test_hdr_is_mapped_to_what_a_screen_shows(tmp_path):
    """As exact frames are, see tests/media/reading/test_hdr.py: not the 58 % that 203 cd/m² are in PQ."""
    video = make_hdr_video(tmp_path / "pq.mp4", light_to_pq(patches([203] * 16)))
    level = np.median(draw(video, frames=1)[0])
    assert level == pytest.approx(np.median(read_frames(video, [0])[0].image), abs=4)
    assert level > 0.58 * 255 + 25


@pytest.mark.parametrize(("size", "shape"), [((900, 30), (11, 320, 3)), ((30, 900), (160, 5, 3))])
def test_very_wide_and_very_tall_pictures(tmp_path, size, shape):
    Image.new("RGB", size, (200, 30, 30)).save(tmp_path / "a.png")
    (frame,) = draw(tmp_path / "a.png")
    assert frame.shape == shape
    assert np.abs(frame.mean(axis=(0, 1)) - [200, 30, 30]).max() < 8


def test_an_image_is_one_upright_frame(tmp_path):
    """Stored with the top to the right; orientation 6 of EXIF turns it by 90 degrees clockwise."""
    stored = np.zeros((90, 160, 3), np.uint8)
    stored[:, :40] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=95)
    (frame,) = draw(tmp_path / "a.jpg")
    assert frame.shape == (160, 90, 3)
    assert frame[:36].min() > 200 and frame[44:].max() < 50


def test_damaged_frames_are_left_out(tmp_path):
    """The third of four groups of pictures is overwritten, and with it the third of four frames."""
    video = make_video(tmp_path / "a.mp4", 48, gop=12, b_frames=0, size=(384, 216))
    with av.open(str(video)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(video.read_bytes())
    for start, size in places[24:36]:
        data[start + 8 : start + size] = bytes(255 - byte for byte in data[start + 8 : start + size])
    video.write_bytes(data)
    assert [read_barcode(frame) for frame in draw(video)] == [6, 18, 42]


@pytest.mark.parametrize("kind", ["missing", "empty", "not_a_file", "unreadable", "no_video"])
def test_what_is_no_video_has_no_sprite(tmp_path, kind):
    path = tmp_path / "a.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "not_a_file":
        path.mkdir()
    elif kind == "unreadable":  # cut off before its index, which mp4 has at the end
        whole = make_video(tmp_path / "whole.mp4", 30).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "no_video":
        run_ffmpeg(["-f", "lavfi", "-i", f"sine=duration=0.2:sample_rate={SAMPLE_RATE}", str(path)])
    with pytest.raises(MediaError) as failed:
        draw(path)
    assert failed.value.kind == kind


def test_a_real_video_shows_what_the_ffmpeg_program_shows(videos_dir):
    """Stored lying on its side, 4 of its frames; small pictures of two programs differ by their filters."""
    video = videos_dir / "bikes_rot90.mp4"
    frames = draw(video, frames=3)
    height, width = frames[0].shape[:2]
    whole = ffmpeg_frames(video, 272, 640)
    for i, frame in enumerate(frames):
        other = whole[(2 * i + 1) * len(whole) // 6]
        small = np.asarray(Image.fromarray(other).resize((width, height), Image.Resampling.BOX))
        assert np.abs(frame.astype(int) - small).mean() < 8


@pytest.mark.parametrize("options", [{"frames": 0}, {"frames": 7}, {"height": 4}, {"quality": 100}])
def test_options_out_of_range(options):
    with pytest.raises(UserError, match=f"Invalid {next(iter(options))}"):
        SpriteStage(**options)
