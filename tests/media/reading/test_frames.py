"""Exact frames. Truth: numbers stamped into every frame, the ffmpeg program, and a plain linear decode."""

import gc
import os
import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support import barcode_picture, ffmpeg_frames, make_video, read_barcode, remux, run_ffmpeg
from tools.errors import MediaError
from tools.media.reading.frames import iter_frames, read_frames, read_frames_at
from tools.media.reading.probe import index_packets, probe
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import Sampling
from tools.media.reading.video_frames import iter_video_frames

FORMATS = {
    "h264": ("a.mp4", {"codec": "h264"}),
    "h264 open GOP": ("a.mov", {"codec": "h264", "open_gop": True}),
    "h264 mkv": ("a.mkv", {"codec": "h264"}),
    "h264 ts": ("a.ts", {"codec": "h264"}),
    "h264 avi": ("h.avi", {"codec": "h264"}),  # no presentation times in the file
    "h264 flv": ("a.flv", {"codec": "h264"}),
    "h264 all intra": ("i.mp4", {"codec": "h264", "gop": 1, "b_frames": 0}),
    "hevc open GOP": ("b.mp4", {"codec": "hevc", "open_gop": True, "b_frames": 4}),
    "hevc open GOP ts": ("b.ts", {"codec": "hevc", "open_gop": True}),
    "hevc open GOP mkv": ("b.mkv", {"codec": "hevc", "open_gop": True}),
    "vp8": ("c8.webm", {"codec": "vp8"}),
    "vp9": ("c.webm", {"codec": "vp9"}),
    "av1": ("d.mp4", {"codec": "av1"}),
    "av1 mkv": ("d.mkv", {"codec": "av1"}),
    "mpeg4 avi": ("m.avi", {"codec": "mpeg4"}),
    "mpeg2 ts": ("m.ts", {"codec": "mpeg2video"}),
    "mpeg1 ps": ("m.mpg", {"codec": "mpeg1video"}),
    "gif": ("g.gif", {"codec": "gif", "pix_fmt": "rgb8"}),
    "rotated 90": ("r90.mp4", {"rotation": 90}),
    "rotated 180": ("r180.mp4", {"rotation": 180}),
    "rotated 270": ("r270.mp4", {"rotation": 270}),
    "wide pixels": ("s.mp4", {"sample_aspect_ratio": Fraction(4, 3)}),
}
NUM_FRAMES = 60


def numbers(frames):
    return [read_barcode(frame.image) for frame in frames]


def deep(picture):
    """A picture with 16 bits per colour, so that no stored bit is lost."""
    return picture.to_ndarray(format="rgb48le")


def plain_decode(path):
    """Every picture of a linear decode, by presentation time."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return {picture.pts: deep(picture) for picture in container.decode(video=0)}


@pytest.fixture(scope="module", params=FORMATS)
def stamped(request, tmp_path_factory):
    name, options = FORMATS[request.param]
    return make_video(tmp_path_factory.mktemp("stamped") / name, NUM_FRAMES, **options)


def test_every_frame_alone_and_in_any_order(stamped):
    index = index_packets(stamped)
    assert index.num_frames == NUM_FRAMES
    for number in range(NUM_FRAMES):
        (frame,) = read_frames(stamped, [number], index=index)
        assert read_barcode(frame.image) == number
        assert frame.index == number and frame.pts == index.pts[number]
        assert frame.time == pytest.approx(number / 25, abs=0.0011)
        assert frame.image.shape == (index.displayed_size[1], index.displayed_size[0], 3)
    chosen = [*random.Random(1).choices(range(NUM_FRAMES), k=9), 0, NUM_FRAMES - 1, 0]
    assert numbers(read_frames(stamped, chosen)) == chosen


def test_linear_pass_gives_each_frame_once(stamped):
    frames = list(iter_frames(stamped))
    assert [frame.index for frame in frames] == numbers(frames) == list(range(NUM_FRAMES))
    part = list(iter_frames(stamped, start=0.6, end=1.4))
    assert [frame.index for frame in part] == numbers(part) == list(range(15, 35))
    assert numbers(iter_frames(stamped, start=1.0, step=10)) == [25, 35, 45, 55]


def test_variable_rate_by_time(tmp_path):
    times = np.cumsum([0, 0.02, 0.1, 0.04, 0.5] + [0.03, 0.3, 0.01] * 8)
    for name in ("a.mp4", "a.mkv"):
        path = make_video(tmp_path / name, len(times), times=times.tolist())
        asked = [0.0, 0.1, float(times[4]), 1.0, float(times[-1])]
        shown = [max(i for i, t in enumerate(times) if t <= when + 1e-6) for when in asked]
        frames = read_frames_at(path, asked)
        assert numbers(frames) == shown
        assert [frame.time for frame in frames] == pytest.approx(times[shown], abs=0.001)
        assert numbers(read_sampled(path, Sampling("timestamps", timestamps=asked))) == shown


def test_edit_list(tmp_path):
    for codec, open_gop in (("h264", False), ("h264", True), ("hevc", True)):
        whole = make_video(tmp_path / "whole.mp4", 120, codec=codec, gop=50, open_gop=open_gop)
        cut = remux(whole, tmp_path / "cut.mp4", before=["-ss", "3.3"])
        expected = [read_barcode(picture) for picture in ffmpeg_frames(cut, 192, 128)]
        assert expected[-1] == 119
        assert numbers(iter_frames(cut)) == expected
        assert numbers(read_frames(cut, range(len(expected)))) == expected
        assert read_frames(cut, [3])[0].time == pytest.approx(3 / 25)


def test_recordings_that_start_and_stop_anywhere(tmp_path):
    for codec in ("h264", "hevc"):
        whole = make_video(tmp_path / "whole.mp4", 150, codec=codec, gop=40, open_gop=codec == "hevc")
        stream = remux(whole, tmp_path / "whole.ts").read_bytes()
        cut = tmp_path / "cut.ts"
        cut.write_bytes(stream[188 * (len(stream) // 188 // 4) + 77 : len(stream) * 9 // 10])
        expected = [read_barcode(picture) for picture in ffmpeg_frames(cut, 192, 128)]
        index = index_packets(cut)
        assert numbers(iter_frames(cut)) == expected
        assert numbers(read_frames(cut, range(index.num_frames))) == expected[: index.num_frames]
        assert len(expected) - index.num_frames <= 1  # the one that is cut in two


def test_a_key_frame_that_cannot_be_started_from(tmp_path):
    # With intra refresh no picture is whole by itself, though the file marks some as key frames.
    refresh = "intra-refresh=1:keyint=40:bframes=0:scenecut=0"
    made = make_video(tmp_path / "a.mp4", 120, options={"x264-params": refresh})
    path = remux(made, tmp_path / "a.ts")
    index = index_packets(path)
    assert len(index.key_positions) > 1
    expected = plain_decode(path)
    for number in (0, 40, 41, 60, 85, 119):
        (frame,) = read_frames(path, [number], index=index)
        assert read_barcode(frame.image) == number
        (raw,) = iter_video_frames(path, frames=[number], index=index)
        assert np.array_equal(deep(raw.picture), expected[frame.pts])


@pytest.mark.parametrize(
    "options",
    [
        {"codec": "h264", "b_frames": 3, "options": {"x264-params": "bframes=3:b-pyramid=2:keyint=40:ref=4"}},
        {"codec": "h264", "open_gop": True, "b_frames": 3, "gop": 30},
        {"codec": "hevc", "open_gop": True, "b_frames": 4, "gop": 30},
        # pictures that are "non-reference" in their own layer and yet referred to by a higher one
        {"codec": "hevc", "options": {"x265-params": "keyint=40:bframes=4:temporal-layers=2:log-level=none"}},
        {"codec": "mpeg2video", "b_frames": 2},
        {"codec": "mpeg4", "b_frames": 2},
        {"codec": "vp9"},
    ],
    ids=["b-pyramid", "h264 open", "hevc open", "hevc layers", "mpeg2", "mpeg4", "vp9"],
)
def test_pictures_are_those_of_a_plain_decode(tmp_path, options):
    """What is skipped on the way must not change the pictures that are wanted, not by one bit."""
    path = make_video(tmp_path / "a.mkv", 80, **options)
    expected = plain_decode(path)
    order = sorted(expected)
    for wanted in ([0, 40, 79], [7], [33], [38, 39, 41], list(range(3, 80, 11))):
        for frame in iter_video_frames(path, frames=wanted):
            assert np.array_equal(deep(frame.picture), expected[order[frame.index]]), frame.index


def test_real_videos_are_those_of_a_plain_decode(videos_dir):
    for name in ("bikes_hevc10.mp4", "bikes_av1.mkv", "bikes_vfr.mp4", "iscc_demo.mpg", "psd_fades.mp4"):
        path = videos_dir / name
        expected = plain_decode(path)
        order = sorted(expected)
        wanted = sorted(
            {0, 1, len(order) // 2, len(order) - 1, *random.Random(2).sample(range(len(order)), 6)}
        )
        frames = list(iter_video_frames(path, frames=wanted))
        assert [frame.index for frame in frames] == wanted
        for frame in frames:
            assert np.array_equal(deep(frame.picture), expected[order[frame.index]]), (
                name,
                frame.index,
            )


@pytest.mark.parametrize(
    "name",
    ["skv_bikes.mp4", "bikes_rot90.mp4", "decord_video_180.mov", "tc_bt709_full_range.mp4", "bikes_vfr.mp4"],
)
def test_colours_and_turning_are_those_of_the_ffmpeg_program(videos_dir, name):
    path = videos_dir / name
    info = probe(path)
    expected = ffmpeg_frames(path, info.width, info.height)
    assert len(expected) == info.num_frames
    wanted = [0, info.num_frames // 2, info.num_frames - 1]
    for frame in read_frames(path, wanted):
        assert np.array_equal(frame.image, expected[frame.index])


@pytest.mark.parametrize(("number", "location"), [(0, "left"), (1, "center"), (2, "topleft"), (5, "bottom")])
def test_scaled_chroma_is_where_the_stream_says(tmp_path, number, location):
    """Beside the ffmpeg program, which is told where: its filter does not go by the stream."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 16, 24, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    path = make_video(tmp_path / "a.mp4", 1, pictures=noise, options={"x264-params": f"chromaloc={number}"})
    scaled = f"scale=80:50:flags=bicubic:in_chroma_loc={location}"
    raw = run_ffmpeg(["-i", str(path), "-vf", scaled, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    (frame,) = read_frames(path, [0], size=(80, 50))
    assert np.array_equal(frame.image, np.frombuffer(raw, np.uint8).reshape(50, 80, 3))


def test_sizes_and_pixel_formats(tmp_path):
    path = make_video(tmp_path / "a.mp4", 12, rotation=90, sample_aspect_ratio=Fraction(2, 1))
    info = probe(path)
    assert (info.width, info.height) == (192, 256)  # stored 128x192, pixels twice as wide, then turned
    assert read_frames(path, [5])[0].image.shape == (256, 192, 3)
    (small,) = read_frames(path, [5], size=(96, 48))
    assert small.image.shape == (48, 96, 3) and read_barcode(small.image) == 5
    stored = next(iter_frames(path, size=(128, 192), apply_rotation=False))
    assert stored.image.shape == (192, 128, 3)
    upright = next(iter_frames(path, size=(192, 128)))
    assert np.array_equal(np.rot90(stored.image, -1), upright.image)
    reverse = next(iter_frames(path, size=(192, 128), format="bgr24"))
    assert np.array_equal(reverse.image[..., ::-1], upright.image)
    gray = next(iter_frames(path, size=(192, 128), format="gray"))
    assert gray.image.shape == (128, 192) and read_barcode(gray.image) == 0


def test_pictures_look_like_what_was_encoded(tmp_path):
    path = make_video(tmp_path / "a.mp4", 20, options={"crf": "1"})
    for frame in read_frames(path, [0, 13]):
        difference = np.abs(frame.image.astype(int) - barcode_picture(frame.index, 192, 128))
        assert difference.mean() < 6  # chroma is stored at half the resolution


def test_threads_change_nothing(tmp_path):
    path = make_video(tmp_path / "a.mp4", 60, gop=30)
    one = [frame.image for frame in iter_frames(path)]
    many = [frame.image for frame in iter_frames(path, threads="auto")]
    assert np.array_equal(one, many)
    assert np.array_equal(one[44], read_frames(path, [44], threads="auto")[0].image)


@pytest.fixture
def damaged(tmp_path):
    """Frame 40 of 90 has a packet whose first length points past its end, so that decoders refuse it."""
    path = make_video(
        tmp_path / "damaged.mp4", 90, gop=30, b_frames=0, options={"x264-params": "keyint=30:bframes=0:ref=1"}
    )
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][40]
    data[place : place + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)
    return path


def test_a_damaged_packet_costs_its_own_frame_only(damaged):
    numbers_given = [frame.index for frame in iter_frames(damaged)]
    assert numbers_given == [i for i in range(90) if i != 40]
    assert numbers(read_frames(damaged, [39, 75, 0])) == [39, 75, 0]
    for asked in ([40], [0, 40, 89]):
        with pytest.raises(MediaError, match=r"decode: frame 40 \(at 1\.600 s\) is damaged"):
            read_frames(damaged, asked)
    with pytest.raises(MediaError, match="frame 40"):
        list(iter_frames(damaged, on_damage="raise"))
    assert probe(damaged).num_frames == 40
    assert [frame.index for frame in read_sampled(damaged, Sampling("first_middle_last"))] == [0, 20, 39]


def test_patched_up_pictures_are_told_from_whole_ones(videos_dir):
    path = videos_dir / "bikes_bitflip.mp4"
    frames = list(iter_frames(path, size=(64, 28)))
    assert len(frames) == 248  # of 250 packets the ffmpeg program too shows 248
    assert 0 < sum(frame.damaged for frame in frames) < 248
    whole = list(iter_frames(path, size=(64, 28), on_damage="drop"))
    assert [frame.index for frame in whole] == [frame.index for frame in frames if not frame.damaged]
    with pytest.raises(MediaError, match=r"decode: frame 0 .* is damaged"):
        read_sampled(path, Sampling("first_middle_last"))


def test_frames_that_do_not_exist(tmp_path):
    path = make_video(tmp_path / "a.mp4", 10)
    for call in (
        lambda: read_frames(path, [3, 10]),
        lambda: read_frames_at(path, [0.41]),
        lambda: read_sampled(path, Sampling("timestamps", timestamps=[5])),
        lambda: read_sampled(path, Sampling("first", start=2)),
    ):
        with pytest.raises(MediaError) as caught:
            call()
        assert caught.value.kind == "too_short"
    assert read_frames(path, []) == []
    assert list(iter_frames(path, start=5)) == []
    with pytest.raises(ValueError, match="from 0"):
        read_frames(path, [-1])


@pytest.mark.parametrize("reader", [lambda p: read_frames(p, [0]), lambda p: list(iter_frames(p))])
def test_bad_files_are_named(tmp_path, reader):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, kind in {
        "gone.mp4": "missing",
        "empty.mp4": "empty",
        "text.mp4": "unreadable",
        "pipe.mp4": "not_a_file",
    }.items():
        with pytest.raises(MediaError) as caught:
            reader(tmp_path / name)
        assert (caught.value.kind, caught.value.path) == (kind, str(tmp_path / name))


def test_images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (frame,) = read_sampled(tmp_path / "a.png", Sampling("first_middle_last"))
    assert (frame.index, frame.time) == (0, 0.0) and np.array_equal(frame.image, pixels)
    turned = Image.Exif()
    turned[0x0112] = 6  # EXIF 2.3: shown turned 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "b.png", exif=turned)
    assert np.array_equal(read_sampled(tmp_path / "b.png", Sampling("first"))[0].image, np.rot90(pixels, -1))
    deep = np.full((4, 4), 0x80FF, np.uint16)
    Image.fromarray(deep).save(tmp_path / "c.png")
    assert (read_sampled(tmp_path / "c.png", Sampling("first"))[0].image == 0x80).all()
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError) as caught:
        read_sampled(tmp_path / "half.png", Sampling("first"))
    assert caught.value.kind == "decode"


def test_files_are_closed(tmp_path):
    path = make_video(tmp_path / "a.mp4", 30)
    (tmp_path / "text.mp4").write_text("no video\n" * 100)

    def use():
        read_frames(path, [3, 25])
        next(iter_frames(path))  # left in the middle
        probe(path)
        with pytest.raises(MediaError):
            probe(tmp_path / "text.mp4")

    def open_files():
        gc.collect()
        return sorted(link.name for link in Path("/proc/self/fd").iterdir())

    use()
    before = len(open_files())
    for _ in range(20):
        use()
    assert len(open_files()) == before


def test_packed_pictures_as_old_encoders_stored_them(tmp_path):
    """DivX put a B-picture into the packet of the picture before it, and an empty one into its own place."""
    plain = make_video(tmp_path / "plain.avi", 61, codec="mpeg4", b_frames=1)
    with av.open(str(plain)) as container:
        stored = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    start = b"\x00\x00\x01\xb6"  # ISO/IEC 14496-2: vop_start_code, then two bits of picture type, 2 for B
    is_b = [packet[packet.find(start) + 4] >> 6 == 2 for packet in stored] + [False]
    packed = []
    for i, packet in enumerate(stored):
        if is_b[i]:
            packed.append(start + b"\x50\x00\x7f")
        else:
            packed.append(packet + stored[i + 1] if is_b[i + 1] else packet)
    assert sum(is_b) > 20
    packed[0] = packed[0].replace(start, b"\x00\x00\x01\xb2DivX503b1393p" + start, 1)
    path = tmp_path / "packed.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv420p"
        out.start_encoding()
        for number, data in enumerate(packed):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, stream.time_base
            packet.pts = packet.dts = number
            packet.is_keyframe = number == 0
            out.mux_one(packet)
    shown = [read_barcode(picture) for picture in ffmpeg_frames(path, 192, 128)]
    assert shown == list(range(61))
    assert (probe(path).num_frames, probe(path).fps) == (61, 25.0)
    assert numbers(iter_frames(path)) == shown
    assert numbers(read_frames(path, [60, 3, 17])) == [60, 3, 17]


@pytest.mark.parametrize(("name", "codec"), [("v.avi", "rawvideo"), ("v.mov", "smc")])
def test_palettes_that_are_stored_beside_pictures(tmp_path, name, codec):
    """The file has them once, so no picture in the middle can be decoded alone, not even a key frame."""
    plain = make_video(tmp_path / "plain.avi", 30, codec="ffv1", pix_fmt="bgr0")
    path = remux(plain, tmp_path / name, after=["-c:v", codec, "-pix_fmt", "pal8", "-g", "5"])
    assert probe(path).pix_fmt == "pal8"
    assert numbers(read_frames(path, [20, 7, 29])) == [20, 7, 29]
    assert index_packets(path).key_frames.tolist() == [0]


@pytest.mark.parametrize("width", [192, 98, 62])  # libav pads the rows of the last two
@pytest.mark.parametrize("form", ["rgb24", "bgr24", "gray"])
def test_pixels_are_those_that_pyav_copies(tmp_path, width, form):
    path = make_video(tmp_path / "v.mp4", 3, size=(width, 66))
    frames = list(iter_frames(path, format=form, size=(width, 66)))
    for frame, given in zip(iter_video_frames(path), frames, strict=True):
        copied = frame.picture.to_ndarray(format=form, interpolation="BICUBIC")
        assert np.array_equal(given.image, copied)
        assert given.image.flags.writeable and given.image.flags.c_contiguous


def test_arrays_are_no_memory_of_the_decoder(tmp_path):
    pictures = [np.full((64, 64, 3), value, np.uint8) for value in (10, 10, 90)]
    path = make_video(tmp_path / "v.avi", pictures=pictures, codec="ffv1", pix_fmt="bgr0")
    plain = [frame.image.copy() for frame in iter_frames(path)]
    for frame, expected in zip(iter_frames(path), plain, strict=True):
        assert np.array_equal(frame.image, expected)
        frame.image[:] = 0
