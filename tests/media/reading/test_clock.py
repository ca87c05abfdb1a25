"""Times of damaged files: the right ones stay, the others are put where they were before the damage."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.damage import set_times
from tests.support import make_video, read_barcode, remux, run_ffmpeg
from tools.errors import MediaError
from tools.media.reading.frames import iter_frames, read_frames
from tools.media.reading.probe import probe
from tools.media.reading.timeline.clock import find_breaks, repair
from tools.media.reading.timeline.scan import index_packets

FRAMES = 60
TICK = Fraction(1, 30)


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ([0, 30, 60, 60, 120], [0, 30, 60, 90, 120]),
        ([0, 30, 60, 10, 120], [0, 30, 60, 90, 120]),
        ([0, 30, 999, 90, 120], [0, 30, 60, 90, 120]),
        ([None, 30, None, None, 120, None], [0, 30, 60, 90, 120, 150]),
        ([0, 1, 1, 1, 2, 3], [0, 1, Fraction(4, 3), Fraction(5, 3), 2, 3]),
        ([7], [7]),
    ],
)
def test_times_between_sound_ones(times: list[int | None], wanted: list[Fraction]) -> None:
    repaired, finer = repair(times)
    assert [Fraction(int(time), finer) for time in repaired] == wanted


def test_times_in_the_order_of_storing_are_sorted() -> None:
    stored = [i + shift for i in range(0, 60, 3) for shift in (0, 2, 1)]  # I B B P B B, with PTS that are DTS
    repaired, finer = repair(stored)
    assert (repaired.tolist(), finer) == (list(range(60)), 1)
    assert repair([None, None]) is None


@pytest.mark.parametrize(
    ("second", "discontinuous", "restarts"),
    [
        (0, True, [100]),
        (0, False, [100]),
        (98, True, [100]),  # an overlap of two pictures: 0.067 s
        (98, False, []),
        (94, False, [100]),
        (100 + 299, True, []),  # a gap of 9.97 s
        (100 + 400, True, [100]),
        (100 + 400, False, []),
    ],
)
def test_new_starts_are_those_of_ffmpeg(second: int, discontinuous: bool, restarts: list[int]) -> None:
    stamps = [*range(100), *range(second, second + 100)]
    found = find_breaks(stamps, TICK, discontinuous=discontinuous)
    assert (found.restarts, found.wrong) == (restarts, set())


@pytest.mark.parametrize("discontinuous", [True, False])
def test_single_wrong_times_are_no_new_start(discontinuous: bool) -> None:
    wrong = {0: 9999, 40: -300, 41: 5000, 60: 20, 61: 21, 80: 2000, 99: 3}
    stamps = [wrong.get(i, i) for i in range(100)]
    found = find_breaks(stamps, TICK, discontinuous=discontinuous)
    assert (found.restarts, found.wrong) == ([], set(wrong))


@pytest.fixture(scope="module", params=[(ext, b) for ext in ("mkv", "ts", "flv") for b in (0, 2)], ids=str)
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    ext, b_frames = request.param
    return make_video(tmp_path_factory.mktemp("sound") / f"a.{ext}", FRAMES, gop=20, b_frames=b_frames)


def stored_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(p.pts * p.time_base) for p in container.demux(video=0) if p.size]


def damages(path: Path) -> Iterator[dict[int, float | None]]:
    times = stored_times(path)
    yield {30: times[29]}  # twice the same
    yield {13: times[12], 14: times[12], 15: times[12]}
    yield {25: times[25] - 0.9, 40: times[40] + 8, 50: times[50] + 30 if path.suffix != ".mkv" else 30.0}
    yield {0: times[0] + 9}
    yield {FRAMES - 1: times[FRAMES - 1] - 1}
    if path.suffix == ".ts":
        yield {0: None, 1: None, 22: None, 31: None, 32: None}


def test_every_frame_is_where_it_was(sound: Path, tmp_path: Path) -> None:
    assert index_packets(sound).timing == "ok"
    for number, damage in enumerate(damages(sound)):
        path = set_times(sound, tmp_path / f"{number}{sound.suffix}", damage)
        index = index_packets(path)
        assert index.times == pytest.approx(np.arange(FRAMES) / 25, abs=0.0011), damage
        assert (index.average_rate, index.duration) == (25, pytest.approx(FRAMES / 25, abs=0.0011))
        frames = read_frames(path, range(FRAMES), index=index)
        assert [read_barcode(frame.image) for frame in frames] == list(range(FRAMES)), damage
        for alone in (30, 5, 59):
            (frame,) = read_frames(path, [alone], index=index)
            assert read_barcode(frame.image) == alone
        got = read_frames(path, [50, 3, 31], index=index, decoder="decord")
        assert [read_barcode(frame.image) for frame in got] == [50, 3, 31], damage
        assert index.timing == "repaired" or stored_times(path) == stored_times(sound)


@pytest.mark.parametrize(
    "codec",
    [
        ("libx264", "-bf", "0"),
        ("libx264", "-bf", "2"),
        ("libx264", "-tune", "zerolatency"),
        ("mpeg4", "-q:v", "2"),
        ("mpeg4", "-q:v", "2", "-bf", "2"),
        ("mjpeg", "-q:v", "2"),
    ],
    ids=" ".join,
)
def test_avi_with_dropped_frames(tmp_path: Path, codec: tuple[str, ...]) -> None:
    source = make_video(tmp_path / "a.mkv", 48, options={"crf": "10"})
    dropped = tmp_path / "a.avi"
    late = "settb=1/25,setpts='if(lt(N,20),N,N+6)'"
    encoded = ["-frames:v", "48", "-vf", late, "-fps_mode", "passthrough", "-c:v", *codec, "-g", "12"]
    run_ffmpeg(["-i", str(source), *encoded, str(dropped)])
    index = index_packets(dropped)
    numbers = [read_barcode(f.image) for f in read_frames(dropped, range(len(index.pts)), index=index)]
    assert numbers[:40] == list(range(40))
    wanted = np.array([n / 25 if n < 20 else (n + 6) / 25 for n in numbers])
    assert index.times == pytest.approx(wanted, abs=1e-6)
    if "-bf" not in codec or codec[-1] == "0":
        assert index.pts[0] == 0  # where its sound begins, too


@pytest.mark.parametrize("factor", [0.1, 0.5, 1.25, 2, 3])
@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_a_header_that_lies_about_the_rate(tmp_path: Path, fps: Fraction, factor: float) -> None:
    path = make_video(tmp_path / "a.mkv", FRAMES, fps=fps)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x23\xe3\x83") + 3  # DefaultDuration, in nanoseconds (RFC 9559, 5.1.4.1.13)
    size = data[at] & 0x7F
    data[at + 1 : at + 1 + size] = round(factor / float(fps) * 1e9).to_bytes(size, "big")
    path.write_bytes(data)
    info = probe(path)
    assert info.fps == pytest.approx(float(fps), rel=1e-6)
    assert info.duration == pytest.approx(float(FRAMES / fps), abs=0.0011)
    assert index_packets(path).timing == "ok"


def test_frames_that_all_have_the_same_time(tmp_path: Path) -> None:
    """The header's rate is all that is known of their times; the decoder knows their order."""
    path = tmp_path / "same.mkv"
    remux(make_video(tmp_path / "plain.mp4", 40), path, after=["-c", "copy", "-bsf:v", "setts=pts=0:dts=0"])
    found = probe(path)
    assert (found.num_frames, found.fps, found.duration, found.timing) == (40, 25, 1.6, "repaired")
    assert [read_barcode(frame.image) for frame in iter_frames(path)] == list(range(40))
    assert [read_barcode(frame.image) for frame in read_frames(path, [31, 7])] == [31, 7]


def test_decord_is_not_believed_where_it_errs(tmp_path: Path) -> None:
    for name in ("b.ts", "n.avi"):
        path = make_video(tmp_path / name, FRAMES, gop=20, b_frames=2 if name == "b.ts" else 0)
        frames = read_frames(path, [0, 31, 59], decoder="decord")
        assert [read_barcode(frame.image) for frame in frames] == [0, 31, 59], name
    unknown = make_video(tmp_path / "b.avi", FRAMES, gop=20)
    with pytest.raises(MediaError, match="use decoder pyav"):
        read_frames(unknown, [0], decoder="decord")


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.flv"])
def test_pictures_in_the_order_of_storing(tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / "s.mkv", FRAMES, gop=20, b_frames=3)
    path = remux(source, tmp_path / name, after=["-bsf:v", "setts=pts=DTS"])
    index = index_packets(path)
    numbers = [read_barcode(f.image) for f in read_frames(path, range(len(index.pts)), index=index)]
    assert numbers == list(range(FRAMES))
    assert index.timing == "repaired"
    assert np.diff(index.times) == pytest.approx(1 / 25, abs=0.0021)


def test_parts_that_are_joined_within_a_group_of_pictures(tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.ts", FRAMES, gop=20).read_bytes()
    joined = tmp_path / "joined.ts"
    for share in (6, 7, 8, 9):
        cut = len(data) * share // 10 // 188 * 188
        joined.write_bytes(data[:cut] + data[len(data) - cut :])
        index = index_packets(joined)
        assert index.timing == "restarted"
        assert (np.diff(index.pts) > 0).all()
        shown = [frame.index for frame in iter_frames(joined, index=index)]
        assert shown == sorted(set(shown))
        assert len(shown) > 0.8 * len(index.pts)
        assert read_barcode(read_frames(joined, [5], index=index)[0].image) == 5
        last = len(index.pts) - 1
        assert read_barcode(read_frames(joined, [last], index=index)[0].image) == FRAMES - 1
