"""Sampling with ``~key``: the key frames nearest to the chosen frames, and nothing else decoded.

Which frames are key frames is what the ffmpeg program says of a full decode (filter ``select=key``); which
picture was read is told by the number in it.
"""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests.support import make_video, read_barcode, remux, run_ffmpeg
from tools.errors import UserError
from tools.media.reading.decoders import pyav
from tools.media.reading.frames import read_frames
from tools.media.reading.probe import index_packets
from tools.media.reading.requests import FrameRequest, chosen_frames, read_requests, read_sampled
from tools.media.reading.sampling import SAMPLING_POLICIES, Sampling, parse_sampling
from tools.scoring.ocr.stage import OcrStage

SIZE = (192, 128)
VARIABLE = np.cumsum(np.random.default_rng(3).choice([0.02, 0.04, 0.3], 60))
FORMATS = {
    "h264": ("a.mp4", {}),
    "h264 mkv": ("a.mkv", {"gop": 20}),
    "h264 ts": ("a.ts", {"gop": 20}),
    "h264 open GOP": ("a.mov", {"open_gop": True}),
    "hevc": ("b.mp4", {"codec": "hevc"}),
    "hevc open GOP": ("b.mkv", {"codec": "hevc", "open_gop": True, "b_frames": 4}),
    "vp9": ("c.webm", {"codec": "vp9"}),
    "av1": ("d.mp4", {"codec": "av1"}),
    "mpeg4": ("m.mp4", {"codec": "mpeg4"}),
    "mpeg2 ts": ("m.ts", {"codec": "mpeg2video"}),
    "rotated": ("r.mp4", {"rotation": 90}),
    "variable rate": ("v.mp4", {"times": VARIABLE.tolist(), "fps": 50}),
}


def key_numbers(path):
    """The number in each picture that the ffmpeg program takes for a key frame."""
    form = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    raw = run_ffmpeg(["-i", str(path), "-map", "0:v:0", "-vf", "select=key", *form, "-"])
    return [read_barcode(picture) for picture in np.frombuffer(raw, np.uint8).reshape(-1, *SIZE[::-1], 3)]


def nearest(keys, times, wanted):
    """By definition, with exact fractions: the least distance in time, then the earlier one."""
    exact = [Fraction(float(time)).limit_denominator(1_000_000) for time in times]
    return [min(keys, key=lambda key: (abs(exact[key] - exact[i]), key)) for i in wanted]


@pytest.fixture
def decoded(monkeypatch):
    """The packets that the reader gives to the decoder."""
    packets = []
    decode = pyav.decode_packet

    def counted(context, packet):
        packets.append(packet)
        return decode(context, packet)

    monkeypatch.setattr(pyav, "decode_packet", counted)
    return packets


@pytest.mark.parametrize("name", FORMATS)
def test_nearest_key_frames_of_every_format(tmp_path, decoded, name):
    file, options = FORMATS[name]
    path = make_video(tmp_path / file, 60, **{"gop": 12, **options})
    keys = key_numbers(path)
    assert len(keys) > 2
    index = index_packets(path)
    assert index.key_frames.tolist() == keys
    for policy in ("first_middle_last", "opensora:0.1,0.5,0.9", "uniform_mid:2", "middle", "fps:1"):
        wanted = parse_sampling(policy).indices(index.times)
        expected = nearest(keys, index.times, wanted)
        if "opensora" not in policy:
            expected = sorted(set(expected))
        decoded.clear()
        frames = read_sampled(path, parse_sampling(f"{policy}~key"))
        assert [frame.index for frame in frames] == expected
        assert [read_barcode(frame.image) for frame in frames] == expected
        assert sum(packet is not None for packet in decoded) <= len(set(expected))
        for frame, exact in zip(frames, read_frames(path, expected), strict=True):
            assert frame.time == exact.time
            assert np.array_equal(frame.image, exact.image)


def test_edit_list_hides_key_frames(tmp_path):
    whole = make_video(tmp_path / "whole.mp4", 120, gop=20)
    cut = remux(whole, tmp_path / "cut.mp4", before=["-ss", "1.0"])  # starts within the second group
    late = remux(whole, tmp_path / "late.mp4", before=["-itsoffset", "-0.5"], after=["-copyts"])
    for path in (cut, late):
        keys = key_numbers(path)
        frames = read_sampled(path, Sampling("interval_frames", step=1, nearest="key"))
        assert [read_barcode(frame.image) for frame in frames] == [key for key in keys if key is not None]


@pytest.mark.parametrize(
    "policy", ["first_middle_last:3", "middle", "fps:10", "opensora", "timestamps:0.5,1"]
)
def test_a_video_with_one_key_frame_is_read_as_without(tmp_path, policy):
    path = make_video(tmp_path / "v.mp4", 40, gop=100)
    assert key_numbers(path) == [0]
    times = index_packets(path).times
    frames = read_sampled(path, parse_sampling(f"{policy}~key"))
    assert [frame.index for frame in frames] == parse_sampling(policy).indices(times)


def test_frames_known_by_counting_alone_are_read_as_without(tmp_path):
    path = make_video(tmp_path / "v.avi", 60)  # H.264 in AVI has no presentation times
    index = index_packets(path)
    assert index.counted
    assert [frame.index for frame in read_sampled(path, parse_sampling("uniform_mid:3~key"))] == [10, 30, 50]


def test_an_image_is_its_only_frame(tmp_path):
    Image.new("RGB", (8, 8), (9, 8, 7)).save(tmp_path / "i.png")
    for policy in SAMPLING_POLICIES:
        values = {"interval": 1, "step": 1, "fps": 1, "timestamps": (0.0,)}
        (frame,) = read_sampled(tmp_path / "i.png", Sampling(policy, nearest="key", **values))
        assert frame.image[0, 0].tolist() == [9, 8, 7]


def test_key_frames_outside_start_and_end_are_not_taken():
    times, keys = np.arange(100) / 10, np.array([0, 30, 60, 90])
    within = {"start": 2.0, "end": 6.5, "nearest": "key"}
    assert Sampling("first_middle_last", **within).indices(times, keys) == [30, 60]
    assert Sampling("first_middle_last", start=3.5, end=8, nearest="key").indices(times, keys) == [35, 58, 80]
    assert Sampling("interval_frames", step=1, max_frames=40, nearest="key").indices(times, keys) == [0, 30]


def test_policies_that_repeat_frames_repeat_key_frames():
    times, keys = np.arange(100) / 10, np.array([0, 30, 60, 90])
    asked = "timestamps:0.2,1.4,1.5,1.6,9.9"  # 1.5 is as near to 0 as to 3: the earlier one
    assert parse_sampling(f"{asked}~key").indices(times, keys) == [0, 0, 0, 30, 90]
    assert parse_sampling("opensora:0,0.1,0.5~key").indices(times, keys) == [0, 0, 60]
    # one key frame for all of them would be the same picture thrice
    assert parse_sampling("timestamps:0.2,0.5,1.4~key").indices(times, keys) == [2, 5, 14]
    assert parse_sampling("timestamps:0.2,0.2~key").indices(times, keys) == [0, 0]


def test_key_frames_are_chosen_within_a_span_of_the_video(tmp_path):
    path = make_video(tmp_path / "v.mp4", 120, gop=20)
    index = index_packets(path)
    chosen = chosen_frames(parse_sampling("first_middle_last~key"), index, range(30, 110))
    assert [30 + number for number in chosen] == [40, 60, 100]  # wanted: 30, 70 (as near to 80), 109


def test_other_frames_of_the_file_stay_exact(tmp_path):
    path = make_video(tmp_path / "v.mp4", 90, gop=30)
    requests = [FrameRequest(parse_sampling(text)) for text in ("uniform_mid:3", "uniform_mid:3~key")]
    exact, near = read_requests(path, [*requests])
    assert [frame.index for frame in exact] == [15, 45, 75]
    assert [frame.index for frame in near] == [0, 30, 60]
    assert [read_barcode(frame.image) for frame in exact + near] == [15, 45, 75, 0, 30, 60]


def test_the_option_is_part_of_the_sampling():
    plain, near = parse_sampling("middle"), parse_sampling("by_middle~key", 1)
    assert near == Sampling("middle", count=1, nearest="key")
    assert near.asdict() == {"policy": "middle", "count": 1, "start": 0.0, "nearest": "key"}
    assert "nearest" not in plain.asdict()  # finished rows of former runs stay valid
    assert Sampling(**near.asdict()) == near
    assert parse_sampling("fps:2~key").fps == 2
    for wrong in ("middle~", "middle~keys", "middle~key~key"):
        with pytest.raises(UserError, match="Supported values are key"):
            parse_sampling(wrong)


def test_rows_scored_without_it_are_not_reused():
    exact, near = (OcrStage(sampling=text).config() for text in ("middle", "middle~key"))
    assert exact != near
