"""One decode for several users of a file; what each gets is what it would get alone."""

import numpy as np
import pytest

from tests.support import make_video, read_barcode
from tools.errors import MediaError
from tools.media.reading import container
from tools.media.reading.decoders import pyav
from tools.media.reading.frames import iter_frames, read_frames
from tools.media.reading.probe import probe
from tools.media.reading.requests import FrameRequest, Snapshots, read_requests, read_sampled
from tools.media.reading.sampling import Sampling

CHOICES = [
    Sampling("first_middle_last", 3),
    Sampling("uniform_mid", 5),
    Sampling("timestamps", timestamps=(0.5,)),
]


@pytest.fixture
def decodes(monkeypatch) -> list:
    """Decoders that were opened."""
    opened = []

    class Counted(pyav.Decoder):
        def __enter__(self):
            opened.append(self.path)
            return super().__enter__()

    monkeypatch.setattr(pyav, "Decoder", Counted)
    return opened


def test_requests_share_one_decode(tmp_path, decodes):
    path = make_video(tmp_path / "v.mp4", 50)
    wanted = [*(FrameRequest(choice) for choice in CHOICES), FrameRequest(None, (32, 18))]
    *chosen, small = read_requests(path, wanted)
    assert decodes == [path]
    times = np.array([frame.time for frame in iter_frames(path)])
    for choice, frames in zip(CHOICES, chosen, strict=True):
        numbers = choice.indices(times)
        alone = read_frames(path, numbers)
        assert [frame.index for frame in frames] == numbers
        assert all(
            np.array_equal(a.image, b.image) and a.time == b.time for a, b in zip(frames, alone, strict=True)
        )
        assert frames.times == pytest.approx(times)
        assert frames.thumbnails is None
    assert not small and small.thumbnails.shape == (50, 18, 32)
    assert small.times == pytest.approx(times)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_a_file_with_an_index_is_opened_once(tmp_path, monkeypatch, suffix):
    path = make_video(tmp_path / f"v.{suffix}", 50, open_gop=suffix == "mov")
    opened = []
    monkeypatch.setattr(
        container,
        "open_container",
        lambda path, wrapped=container.open_container: opened.append(path) or wrapped(path),
    )
    for choice in (*CHOICES, Sampling("first"), Sampling("interval_frames", step=1, nearest="key")):
        opened.clear()
        frames = read_sampled(path, choice)
        assert opened == [path]
        for frame, alone in zip(frames, read_frames(path, [frame.index for frame in frames]), strict=True):
            assert read_barcode(frame.image) == frame.index
            assert (frame.pts, frame.time) == (alone.pts, alone.time)
            assert np.array_equal(frame.image, alone.image)


def test_frames_and_thumbnails_of_recordings_that_were_joined(tmp_path):
    """Where their clocks start anew, a file that was read to its end cannot be sought in."""
    part, joined = make_video(tmp_path / "part.mkv", 30), tmp_path / "joined.mkv"
    joined.write_bytes(2 * part.read_bytes())
    (found,) = read_requests(joined, [FrameRequest(Sampling("count_uniform", 12), thumbnails=(16, 9))])
    assert [read_barcode(frame.image) for frame in found] == [frame.index % 30 for frame in found]
    assert len(found) == 12 and len(found.thumbnails) == 60


def test_thumbnails_are_means_of_the_luma(tmp_path):
    path = make_video(tmp_path / "v.mp4", 5)
    (small,) = read_requests(path, [FrameRequest(None, (16, 8))])
    full = np.stack([frame.image for frame in iter_frames(path, format="gray")]).astype(float)
    means = full.reshape(5, 8, 16, 16, 12).mean(axis=(2, 4))  # 192 x 128
    assert np.abs(small.thumbnails - means).mean() < 2


def test_each_request_fails_for_itself(tmp_path):
    path = make_video(tmp_path / "v.mp4", 10)
    late, fine = read_requests(path, [FrameRequest(Sampling("first", start=60)), FrameRequest(CHOICES[0])])
    assert isinstance(late, MediaError) and late.kind == "too_short"
    assert len(fine) == 3
    with pytest.raises(MediaError, match="no such file"):
        read_requests(tmp_path / "gone.mp4", [FrameRequest(CHOICES[0])])


def test_damage_costs_the_requests_for_damaged_frames_only(videos_dir):
    path = videos_dir / "bikes_bitflip.mp4"
    first, end, small = read_requests(
        path,
        [
            FrameRequest(Sampling("first")),
            FrameRequest(Sampling("interval_frames", step=1, start=9.5)),
            FrameRequest(None, (16, 9)),
        ],
    )
    assert isinstance(first, MediaError) and first.kind == "decode"
    counted = probe(path).num_frames
    whole = [frame.index for frame in iter_frames(path, on_damage="drop") if frame.index < counted]
    assert len(small.times) == len(small.thumbnails) == len(whole)
    assert isinstance(end, MediaError) or {frame.index for frame in end} <= set(whole)


def test_an_image_is_its_only_frame(tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    full, small = read_requests(tmp_path / "a.png", [FrameRequest(CHOICES[1]), FrameRequest(None, (16, 9))])
    assert [frame.index for frame in full] == [0]
    assert np.array_equal(full[0].image, pixels)
    assert small.thumbnails.shape == (1, 9, 16) and not small
    luma = (pixels @ [0.299, 0.587, 0.114]).reshape(9, 10, 16, 10).mean(axis=(1, 3))
    assert small.thumbnails[0] == pytest.approx(luma, abs=1)
    assert np.array_equal(read_sampled(tmp_path / "a.png", CHOICES[0])[0].image, pixels)


def test_snapshots_are_of_the_first_frame_in_each_interval(tmp_path):
    """Beside thumbnails, in one decode; against the frames themselves."""
    path = make_video(tmp_path / "v.mp4", 50)  # 25 per second
    asked = Snapshots((48, 32), 0.5)
    small, both, image = read_requests(
        path, [FrameRequest(None, (16, 8)), FrameRequest(None, (16, 8), asked), FrameRequest(CHOICES[0])]
    )
    full = list(iter_frames(path, format="gray"))
    first = [next(f for f in full if f.time >= k * 0.5 - 1e-6) for k in range(4)]
    assert both.snapshot_times == pytest.approx([f.time for f in first])
    means = np.stack([f.image for f in first]).astype(float).reshape(4, 32, 4, 48, 4).mean(axis=(2, 4))
    assert np.abs(both.snapshots - means).mean() < 2
    assert np.array_equal(both.thumbnails, small.thumbnails)
    assert small.snapshots is None and image.snapshots is None
