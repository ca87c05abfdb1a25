"""New images and videos: sizes and pixels against Pillow's, ffmpeg's and the numbers drawn into frames."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support import ffmpeg_frames, make_video, read_barcode, remux
from tools.datasets.transforms.images import choose_quadrant, quadrant, resized, transform_image
from tools.datasets.transforms.targets import plan_targets
from tools.datasets.transforms.videos import Encoding, crop_video, remux_video, resize_video
from tools.errors import MediaError
from tools.media.reading.frames import iter_frames
from tools.media.reading.probe import probe
from tools.stage.names.new_files import new_file


def gradient(width: int, height: int) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = 255 * columns // width, 255 * rows // height
    return Image.fromarray(np.stack([red, green, np.full_like(red, 90)], 2).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "longer", "expected"),
    [
        ((400, 300), False, (133, 100)),
        ((300, 400), False, (100, 133)),
        ((400, 300), True, (100, 75)),
        ((300, 400), True, (75, 100)),
        ((101, 4000), False, (100, 3960)),
        ((5000, 20), True, (100, 1)),
    ],
)
def test_the_side_that_is_asked_for_gets_the_length(
    tmp_path: Path, size: tuple[int, int], longer: bool, expected: tuple[int, int]
) -> None:
    gradient(*size).save(tmp_path / "a.png")
    new = tmp_path / "new"
    assert transform_image(tmp_path / "a.png", new, resized(100, longer=longer)) == expected
    image = Image.open(new)
    assert (image.size, image.format) == (expected, "PNG")
    reference = gradient(*size).resize(expected, Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(image), np.asarray(reference))


def test_small_images_are_copied_and_not_enlarged(tmp_path: Path) -> None:
    gradient(90, 80).save(tmp_path / "a.jpg", quality=30)
    assert transform_image(tmp_path / "a.jpg", tmp_path / "new", resized(100, longer=False)) == (90, 80)
    assert (tmp_path / "new").read_bytes() == (tmp_path / "a.jpg").read_bytes()


@pytest.mark.parametrize("length", [50, 1000])
def test_orientation_is_applied_and_forgotten(tmp_path: Path, length: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    gradient(300, 200).save(tmp_path / "a.jpg", exif=exif)
    transform_image(tmp_path / "a.jpg", tmp_path / "new", resized(length, longer=False))
    image = Image.open(tmp_path / "new")
    assert image.getexif().get(0x0112, 1) == 1
    assert image.size == ((50, 75) if length == 50 else (200, 300))
    turned = np.asarray(image).astype(int)
    assert turned[-1, 0, 0] > turned[0, 0, 0] + 150  # red grew to the right, now downwards
    assert turned[0, 0, 1] > turned[0, -1, 1] + 150  # green grew downwards, now to the left


def test_colour_profiles_and_formats_stay(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for form in ("jpg", "png", "webp", "tiff"):
        path, new = tmp_path / f"a.{form}", tmp_path / f"new_{form}"
        gradient(200, 100).save(path, icc_profile=profile)
        transform_image(path, new, resized(50, longer=False))
        image = Image.open(new)
        assert image.info["icc_profile"] == profile
        assert image.format == Image.open(path).format
    for mode in ("L", "CMYK"):
        gradient(200, 100).convert(mode).save(tmp_path / "a.jpg")
        transform_image(tmp_path / "a.jpg", tmp_path / "new", resized(50, longer=False))
        assert Image.open(tmp_path / "new").mode == mode


def test_transparent_pixels_lend_no_colour(tmp_path: Path) -> None:
    pixels = np.zeros((100, 100, 4), np.uint8)
    pixels[:, ::2] = (255, 255, 255, 255)  # the columns between are black, and not there
    Image.fromarray(pixels).save(tmp_path / "a.png")
    transform_image(tmp_path / "a.png", tmp_path / "new", resized(10, longer=False))
    small = np.asarray(Image.open(tmp_path / "new"))
    assert small[..., :3].min() >= 250
    assert 100 < small[..., 3].mean() < 155


def test_sixteen_bits_and_palettes(tmp_path: Path) -> None:
    wide = np.linspace(0, 65535, 200 * 100).astype(np.uint16).reshape(100, 200)
    Image.fromarray(wide).save(tmp_path / "a.png")
    transform_image(tmp_path / "a.png", tmp_path / "new", resized(50, longer=False))
    small = np.asarray(Image.open(tmp_path / "new"))
    means = wide.reshape(50, 2, 100, 2).mean(axis=(1, 3))
    assert np.abs(small[5:-5, 5:-5] - means[5:-5, 5:-5]).max() < 66  # a thousandth
    gradient(200, 100).quantize(16).save(tmp_path / "b.png")
    transform_image(tmp_path / "b.png", tmp_path / "new", resized(50, longer=False))
    assert Image.open(tmp_path / "new").mode == "RGB"


@pytest.mark.parametrize("size", [(40, 30), (41, 31)])
def test_quarters_are_the_corners(size: tuple[int, int]) -> None:
    image = gradient(*size)
    whole = np.asarray(image)
    width, height = size[0] // 2, size[1] // 2
    corners = [
        whole[:height, :width],
        whole[:height, -width:],
        whole[-height:, :width],
        whole[-height:, -width:],
    ]
    for number, corner in enumerate(corners):
        assert np.array_equal(np.asarray(quadrant(number)(image)), corner)


def test_quarters_are_chosen_evenly_and_by_name_alone() -> None:
    chosen = [choose_quadrant(f"{i}.png", 42) for i in range(4000)]
    counts = np.bincount(chosen, minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3  # chi-squared, 3 degrees of freedom, p = 0.001
    assert chosen == [choose_quadrant(f"{i}.png", 42) for i in range(4000)]
    other = [choose_quadrant(f"{i}.png", 43) for i in range(4000)]
    assert 2700 < sum(a != b for a, b in zip(chosen, other, strict=True)) < 3300  # three in four


def test_a_broken_image_is_an_error(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    gradient(300, 200).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue()[:-500])
    with pytest.raises(MediaError) as caught:
        transform_image(tmp_path / "a.jpg", tmp_path / "new", resized(5000, longer=False))
    assert caught.value.kind == "decode"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("rotation", [0, 90])
def test_a_video_is_scaled_upright_with_all_frames_and_sound(tmp_path: Path, rotation: int) -> None:
    source = make_video(
        tmp_path / "a.mp4", 30, size=(320, 240), rotation=rotation, audio="sine", fps=Fraction(24000, 1001)
    )
    resize_video(source, tmp_path / "b.mp4", 120, Encoding())
    info = probe(tmp_path / "b.mp4")
    assert (info.width, info.height, info.rotation, info.has_audio) == (160, 120, 0, True)
    assert info.fps == pytest.approx(24000 / 1001, rel=1e-6)
    shown = ffmpeg_frames(tmp_path / "b.mp4", 160, 120)
    assert [read_barcode(frame) for frame in shown] == list(range(30))


def test_square_pixels_and_no_enlarging(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", 10, size=(180, 144), sample_aspect_ratio=Fraction(16, 15))
    resize_video(source, tmp_path / "b.mp4", 1080, Encoding())
    info = probe(tmp_path / "b.mp4")
    assert (info.width, info.height, info.sample_aspect_ratio) == (192, 144, 1)


def test_variable_frame_rates_keep_their_times(tmp_path: Path) -> None:
    times = [0, 0.04, 0.12, 0.16, 0.36, 0.4, 0.5]
    source = make_video(tmp_path / "a.mp4", len(times), times=times)
    resize_video(source, tmp_path / "b.mp4", 64, Encoding())
    shown = [(frame.time, read_barcode(frame.image)) for frame in iter_frames(tmp_path / "b.mp4")]
    assert [number for _, number in shown] == list(range(len(times)))
    assert [time for time, _ in shown] == pytest.approx(times, abs=0.001)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (None, (96, 96)),
        ((64, 64), (64, 64)),
        ((64, 128), (48, 96)),  # as high as it gets
        ((400, 100), (160, 40)),  # as wide as it gets
        ((1000, 1000), (96, 96)),
    ],
)
def test_the_centre_is_what_pillow_crops(
    tmp_path: Path, size: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    still = gradient(160, 96)
    source = make_video(
        tmp_path / "a.mp4", pictures=[np.asarray(still)] * 5, options={"crf": "1"}, pix_fmt="yuv444p"
    )
    crop_video(source, tmp_path / "b.mp4", size, Encoding(crf=1))
    shown = ffmpeg_frames(tmp_path / "b.mp4", *expected)
    assert len(shown) == 5
    # The largest centred window of the shape, in the source's pixels.
    wanted = size or (1, 1)
    factor = min(160 / wanted[0], 96 / wanted[1])
    width, height = wanted[0] * factor, wanted[1] * factor
    left, top = (160 - width) / 2, (96 - height) / 2
    box = (left, top, left + width, top + height)
    reference = still.resize(expected, Image.Resampling.BICUBIC, box=box)
    difference = np.abs(shown[2].astype(int) - np.asarray(reference).astype(int))
    assert difference.mean() < 4  # of 256; an offset of 4 pixels is 6


def test_a_damaged_video_is_not_patched_up(videos_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        resize_video(videos_dir / "bikes_bitflip.mp4", tmp_path / "b.mp4", 100, Encoding())
    assert caught.value.kind == "decode"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mkv", "a.m2ts", "a.mov"])
def test_packets_move_into_mp4_as_they_are(tmp_path: Path, name: str) -> None:
    made = make_video(tmp_path / "made.mp4", 40, rotation=90 if name == "a.mov" else 0, audio="sine")
    source = remux(made, tmp_path / name, after=["-f", "mpegts"] if name == "a.m2ts" else [])
    assert remux_video(source, tmp_path / "b.mp4") == []
    before, after = probe(source), probe(tmp_path / "b.mp4")
    assert (after.num_frames, after.has_audio, after.rotation) == (40, True, before.rotation)
    size = (before.width, before.height)
    assert np.array_equal(ffmpeg_frames(source, *size), ffmpeg_frames(tmp_path / "b.mp4", *size))
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.format.name.startswith("mov,mp4")


def test_sound_that_mp4_does_not_hold_is_told(tmp_path: Path) -> None:
    made = make_video(tmp_path / "made.mp4", 25, audio="sine")
    source = remux(made, tmp_path / "a.mkv", after=["-c:a", "pcm_s16le"])
    assert remux_video(source, tmp_path / "b.mp4") == ["audio pcm_s16le"]
    assert not probe(tmp_path / "b.mp4").has_audio


def test_pictures_that_mp4_does_not_hold_are_refused(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.webm", 10, codec="vp8")
    with pytest.raises(MediaError, match="vid_resize"):
        remux_video(source, tmp_path / "b.mp4")


def test_places_mirror_and_never_collide() -> None:
    paths = ["in/a.mkv", "in/a.mp4", "in/s/a.mp4", None, "else/a.mp4", "in/a.mkv"]
    places = plan_targets(paths, input_dir="in", extension=".mp4")
    assert places == ["a_mkv.mp4", "a_mp4.mp4", "s/a.mp4", None, None, "a_mkv.mp4"]
    assert plan_targets(["in/a.jpg", "in/a.png"], input_dir="in") == ["a.jpg", "a.png"]
    flat = plan_targets(["x/a.jpg", "y/a.jpg", "y/b.jpg"])
    assert len(set(flat)) == 3
    assert flat[2] == "b.jpg"
    assert plan_targets(["x/a.jpg"], ["deep/er/a.jpg"]) == ["deep/er/a.jpg"]


def test_places_do_not_depend_on_the_order_of_rows() -> None:
    paths = ["x/a.jpg", "y/a.jpg", "z/a.png", "z/b.jpg"]
    backwards = plan_targets(paths[::-1])[::-1]
    assert plan_targets(paths) == backwards


def test_a_file_in_the_way(tmp_path: Path) -> None:
    source, place = tmp_path / "a.txt", tmp_path / "new.txt"
    source.write_text("source")
    place.write_text("other")

    def write(text: str, *, overwrite: bool = False, to: Path = place) -> None:
        with new_file(to, str(source), overwrite=overwrite) as new:
            new.write_text(text)

    with pytest.raises(MediaError, match="--overwrite"):
        write("mine")
    assert place.read_text() == "other"
    write("other")  # the same bytes are no conflict
    write("mine", overwrite=True)
    assert place.read_text() == "mine"
    with pytest.raises(MediaError, match="overwrite it"):
        write("mine", overwrite=True, to=source)
    assert source.read_text() == "source"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "new.txt"]
