import random
from fractions import Fraction

import pytest

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
    ],
)
def test_old_textual_forms_are_read(text):
    assert parse_timestamps(text) == [(Fraction(0), Fraction(13, 5)), (Fraction(13, 5), Fraction(60))]


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
    ],
)
def test_anything_else_is_an_error_and_is_not_evaluated(text):
    with pytest.raises(ValueError):
        parse_timestamps(text)


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
