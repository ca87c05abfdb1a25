import dataclasses
import random
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import make_video
from tools.media.reading.probe import index_packets
from tools.media.writing.plan import frames_of
from tools.scene_cut.shots.boundaries import Shot
from tools.scene_cut.shots.scenes import make_scenes
from tools.scene_cut.timestamps import format_timestamps, parse_time, parse_timestamps, readable_boundary


def test_written_as_json_and_read_back_exactly():
    scenes = [
        (Fraction(0), Fraction(6, 5)),
        (Fraction(6, 5), Fraction(3600 * 2 + 61)),
        (Fraction(1, 8), Fraction(1, 4)),
    ]
    text = format_timestamps(scenes)
    first, second, third = (
        '"00:00:00.000", "00:00:01.200"',
        '"00:00:01.200", "02:01:01.000"',
        '"00:00:00.125", "00:00:00.250"',
    )
    assert text == f"[[{first}], [{second}], [{third}]]"
    assert parse_timestamps(text) == scenes
    assert parse_timestamps(format_timestamps([])) == []


@pytest.mark.parametrize(
    "text",
    [
        "[('00:00:00.000', '00:00:02.600'), ('00:00:02.600', '00:01:00.000')]",  # as Open-Sora 1.2 wrote it
        "[['00:00:00.000', '00:00:02.600'], ['00:00:02.600', '00:01:00.000']]",
        '(("0", "2.6"), ("00:02.6", "60"))',
        "[(0, 2.6), (2.6, 60.0)]",
        "[('0', '2.6s'), ('2.6s', '00:00:60.000')]",  # old PySceneDetect rounded up to 60 seconds
        "[('0', '2.6',), ('2.6', '60'),]",
        repr([(np.str_("00:00:00.000"), np.str_("00:00:02.600")), (np.str_("2.6"), np.str_("60"))]),
        repr([(np.float64(0), np.float64(2.6)), (np.float32(2.6), np.int64(60))]),
        str(np.array([["00:00:00.000", "00:00:02.600"], ["00:00:02.600", "00:01:00.000"]])),
        str(np.array([[0, 2.6], [2.6, 60]])),
        [["00:00:00.000", "00:00:02.600"], ["00:00:02.600", "00:01:00.000"]],  # a cell of JSON Lines
        [[0, 2.6], [2.6, 60]],
    ],
)
def test_old_textual_forms_are_read(text):
    assert parse_timestamps(text) == [(Fraction(0), Fraction(13, 5)), (Fraction(13, 5), Fraction(60))]


@pytest.mark.parametrize("text", ["[]", " [ ] ", "()", []])
def test_no_interval_at_all(text):
    assert parse_timestamps(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "None",
        "[1, 2]",
        "[('a', 'b')]",
        "[(2, 1)]",
        "[(1, 1)]",
        "[(0, 1) (1",
        "[__import__('os').getcwd()]",
        "[(0, 1e3)]",
        "nan",
        "[(0, nan)]",
        "[(0, inf)]",
        "[(-1, 1)]",
        "[(0, 1]]",
        "[(0, 1))",
        "[(0, 1)(1, 2)]",
        "[(0, 1),, (1, 2)]",
        "[,]",
        "[(0, 1, 2)]",
        "[(0, '1\")]",
        "['[0, 1]']",
        '"[[0, 1]]"',
        '[["\'0\'", "1"]]',
        "[(0, \u0661)]",
        "[(np.system('0'), 1)]",
        "[(np.str_('0'), np.str_('1')]",
        "[(0, " + "9" * 5000 + ")]",
        [1, 2],
        [["0", None]],
        None,
        float("nan"),
    ],
)
def test_anything_else_is_an_error(text):
    with pytest.raises(ValueError):
        parse_timestamps(text)


@pytest.mark.parametrize(
    "code", ["open({!r}, 'w')", "[({!r}, open({!r}, 'w'))]", "[(0, 1 if open({!r}, 'w') else 2)]"]
)
def test_code_in_a_cell_is_not_run(tmp_path, code):
    target = str(tmp_path / "made by the cell")
    with pytest.raises(ValueError, match="not a list of"):
        parse_timestamps(code.replace("{!r}", repr(target)))
    assert list(tmp_path.iterdir()) == []


def test_long_and_malicious_cells_are_read_quickly():
    scenes = [(Fraction(i), Fraction(i + 1)) for i in range(20_000)]
    start = time.process_time()
    assert parse_timestamps(format_timestamps(scenes)) == scenes
    for text in (
        "[[" + " " * 100_000,
        "[(0" + " " * 100_000 + "x]",
        "[(" + "0" * 100_000 + "]",
        "[" * 100_000 + "]",
    ):
        with pytest.raises(ValueError):
            parse_timestamps(text)
    assert time.process_time() - start < 5  # a second at most; hours where time grows with the square


def test_single_times():
    assert parse_time("01:02:03.5") == Fraction(7447, 2)
    assert parse_time("90.25") == Fraction(361, 4)
    with pytest.raises(ValueError, match="HH:MM:SS"):
        parse_time("30f")


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), 25, 240, 4000, "variable"]
)
def test_every_frame_stays_in_its_own_shot(rate):
    """A shot holds the frames with start <= time < end; rounding must not move one across."""
    chance = random.Random(0)
    times = [Fraction(0)]
    while len(times) < 2000:
        step = Fraction(chance.randint(1, 90_000), 90_000) if rate == "variable" else 1 / Fraction(rate)
        times.append(times[-1] + step)
    for i in range(1, len(times)):
        written = format_timestamps([(Fraction(0), readable_boundary(times[i], times[i - 1]))])
        boundary = parse_timestamps(written)[0][1]
        assert times[i - 1] < boundary <= times[i]


NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)


def frames_read_back(index, shots):
    """From frames to the text of a cell and back to frames, as cutting reads it."""
    scenes = make_scenes([Shot(frames, "edge", "edge") for frames in shots], index)
    text = format_timestamps([scene.interval for scene in scenes])
    return [frames_of(index, interval) for interval in parse_timestamps(text)]


@pytest.fixture(scope="module")
def some_index(tmp_path_factory):
    return index_packets(make_video(tmp_path_factory.mktemp("times") / "a.mp4", 2, size=(64, 48)))


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])  # ticks of the rate, of 1 ms, and of 1/90000 s
@pytest.mark.parametrize("rate", [FILM, NTSC, Fraction(60000, 1001), "variable"])
def test_every_boundary_of_a_file_leads_back_to_its_frame(tmp_path, container, rate):
    chance = random.Random(3)
    times = np.cumsum([0] + [chance.randint(4, 90) / 1000 for _ in range(119)]).tolist()
    moving = {"times": times} if rate == "variable" else {"fps": rate}
    path = make_video(tmp_path / f"a.{container}", 120, size=(64, 48), b_frames=2, **moving)
    index = index_packets(path)
    assert len(index.pts) == 120
    each = [range(i, i + 1) for i in range(120)]
    assert frames_read_back(index, each) == each


@given(
    steps=st.lists(st.integers(1, 9000), min_size=1, max_size=60),
    last=st.integers(0, 9000),
    first=st.integers(-(10**9), 10**9),
    base=st.sampled_from(
        [Fraction(1, 90_000), Fraction(1, 1000), Fraction(1001, 30_000), Fraction(1, 10**6)]
    ),
)
@settings(max_examples=300, deadline=None)
def test_boundaries_of_any_times_lead_back_to_their_frames(some_index, steps, last, first, base):
    pts = first + np.cumsum([0, *steps])
    index = dataclasses.replace(
        some_index,
        pts=pts.astype(np.int64),
        end_pts=int(pts[-1]) + last,
        time_base=base,
    )
    each = [range(i, i + 1) for i in range(len(pts))]
    assert frames_read_back(index, each) == each
