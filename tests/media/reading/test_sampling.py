"""Which frames each policy chooses. Expected values: the policies' published definitions, and numpy."""

import json
import pickle

import numpy as np
import pytest

from tools.errors import UserError
from tools.media.reading.sampling import SAMPLING_POLICIES, Sampling, SamplingError, parse_sampling


def steady(num_frames, fps=25.0):
    return np.arange(num_frames) / fps


VARIABLE = np.cumsum([0, 0.04, 0.04, 1.0, 0.04, 0.04, 0.5, 0.02, 0.02, 2.0])
"""Ten frames at 0, .04, .08, 1.08, 1.12, 1.16, 1.66, 1.68, 1.70, 3.70 s."""


@pytest.mark.parametrize(
    ("name", "num_frames", "expected"),
    [
        ("first_middle_last", None, [0, 125, 249]),
        ("first_middle_last", 1, [125]),
        ("first_middle_last", 2, [0, 249]),
        ("first_middle_last", 6, [0, 50, 100, 149, 199, 249]),  # numpy.linspace(0, 249, 6), rounded
        # Open-Sora 1.2: points .1 .5 .9, or .5, or .25 .5, of the frame count, cut off to an integer
        ("opensora", None, [25, 125, 225]),
        ("opensora", 1, [125]),
        ("opensora", 2, [62, 125]),
        ("opensora:0.0,1.0", None, [0, 249]),
        ("middle", None, [125]),
        ("first", None, [0]),
        ("uniform_mid:5", None, [25, 75, 125, 175, 225]),
        # start + i * (end - start) / (K - 1), both ends included: 0, 2.49, 4.98, 7.47, 9.96 s
        ("by_count_uniform", 5, [0, 62, 124, 186, 249]),
        ("interval_time:2.5", None, [0, 62, 125, 187]),
        ("by_fps:0.4", None, [0, 62, 125, 187]),
        ("interval_frames:100", None, [0, 100, 200]),
        ("timestamps:1.333,0,9.97", None, [0, 33, 249]),  # 1.333 s at 25 fps is frame 33
    ],
)
def test_policies_on_250_frames_at_25_fps(name, num_frames, expected):
    assert parse_sampling(name, num_frames).indices(steady(250)) == expected


@pytest.mark.parametrize("policy", ["first_middle_last", "uniform_mid", "count_uniform"])
@pytest.mark.parametrize("count", range(1, 9))
def test_count_policies_keep_their_promise(policy, count):
    rng = np.random.default_rng(count)
    for num_frames in range(1, 30):
        for times in (steady(num_frames), np.cumsum(rng.exponential(0.1, num_frames))):
            times = times - times[0]
            chosen = Sampling(policy, count=count).indices(times)
            assert len(chosen) == min(count, num_frames)
            assert chosen == sorted(set(chosen))
            assert chosen[0] >= 0 and chosen[-1] < num_frames


def test_both_ends_are_included():
    for num_frames in range(2, 30):
        for policy in ("first_middle_last", "count_uniform"):
            chosen = Sampling(policy, count=4).indices(steady(num_frames))
            assert (chosen[0], chosen[-1]) == (0, num_frames - 1)


def test_first_middle_last_is_linspace_rounded():
    for num_frames in range(3, 60):
        for count in range(2, num_frames + 1):
            places = np.linspace(0, num_frames - 1, count)
            expected = np.floor(places + 0.5 + 1e-9).astype(int).tolist()
            assert Sampling("first_middle_last", count=count).indices(steady(num_frames)) == expected


def test_a_clip_shorter_than_the_count_gives_each_frame_once():
    assert Sampling("first_middle_last").indices(steady(2)) == [0, 1]
    assert Sampling("first_middle_last").indices(steady(1)) == [0]
    assert Sampling("opensora").indices(steady(2)) == [0, 1, 1]  # int(p * n) repeats, as Open-Sora does


def test_time_policies_go_by_the_true_times_of_a_variable_rate():
    assert Sampling("interval_time", interval=0.5).indices(VARIABLE) == [0, 2, 5, 8]
    assert Sampling("timestamps", timestamps=[0.5, 1.11, 3.0]).indices(VARIABLE) == [2, 3, 8]
    assert Sampling("count_uniform", count=3).indices(VARIABLE) == [0, 8, 9]  # 0, 1.85, 3.70 s


def test_count_uniform_gives_distinct_frames_where_targets_share_one():
    # 0, 0.74, 1.48, 2.22, 2.96, 3.70 s show frames 0 2 5 8 8 9: a frame is not given twice
    assert Sampling("count_uniform", count=6).indices(VARIABLE) == [0, 2, 5, 7, 8, 9]


def test_times_rounded_to_milliseconds_do_not_shift_frames():
    times = np.round(np.arange(300) * 1001 / 30000, 3)
    assert Sampling("fps", fps=30000 / 1001).indices(times) == list(range(300))


def test_a_rate_above_the_source_gives_each_frame_once():
    assert Sampling("fps", fps=100).indices(steady(20)) == list(range(20))


def test_start_and_end_bound_every_policy():
    for policy, values in {
        "first_middle_last": {},
        "opensora": {},
        "middle": {},
        "first": {},
        "uniform_mid": {},
        "count_uniform": {"count": 5},
        "interval_time": {"interval": 0.3},
        "interval_frames": {"step": 7},
        "fps": {"fps": 3},
        "timestamps": {"timestamps": [0.5, 2.5, 7.0]},
    }.items():
        chosen = Sampling(policy, start=2.0, end=4.0, **values).indices(steady(250))
        assert chosen and all(50 <= i <= 100 for i in chosen), policy
    assert Sampling("first", start=2.0).indices(steady(250)) == [50]
    assert Sampling("first_middle_last", start=2.0, end=4.0).indices(steady(250)) == [50, 75, 100]


def test_max_frames_keeps_the_beginning():
    assert Sampling("fps", fps=5, max_frames=3).indices(steady(250)) == [0, 5, 10]
    assert parse_sampling("interval_frames:10", 2).indices(steady(250)) == [0, 10]


def test_what_the_video_does_not_have_is_said():
    with pytest.raises(SamplingError, match=r"12 s.* ends at 10\.000 s"):
        Sampling("timestamps", timestamps=[1, 12]).indices(steady(250))
    with pytest.raises(SamplingError, match=r"no frame from 11 s; the last is at 9\.960 s"):
        Sampling("first", start=11).indices(steady(250))
    with pytest.raises(SamplingError, match="no frames"):
        Sampling("first").indices(np.array([]))


def test_survives_json_and_pickle():
    for sampling in (
        Sampling("opensora", points=(0.2, 0.8)),
        parse_sampling("timestamps:1,2.5"),
        Sampling("fps", fps=2),
    ):
        assert Sampling(**json.loads(json.dumps(sampling.asdict()))) == sampling
        assert pickle.loads(pickle.dumps(sampling)) == sampling
        assert hash(sampling) == hash(Sampling(**sampling.asdict()))


@pytest.mark.parametrize(
    ("name", "num_frames", "message"),
    [
        ("frist", None, "Invalid sampling"),
        ("fps", None, "needs fps, for example fps:2"),
        ("interval_time:soon", None, "invalid value"),
        ("interval_frames:0", None, "greater than 0"),
        ("first_middle_last", 0, "greater than 0"),
        ("middle", 3, "takes one frame"),
        ("opensora", 4, "1, 2 or 3 frames"),
        ("opensora:0.5,1.5", None, "between 0 and 1"),
        ("count_uniform:4", 5, "names 4 frames"),
        ("fps:nan", None, "greater than 0"),
    ],
)
def test_what_cannot_be_used_is_refused_with_one_line(name, num_frames, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_sampling(name, num_frames)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [{"count": 2.5}, {"count": "3"}, {"max_frames": 1.5}, {"fps": "2"}, {"start": "0"}, {"end": [1]}]
    + [{"timestamps": given} for given in ("12", 1.0, ["1", "x"])],
    ids=str,
)
def test_values_of_another_kind_are_refused(values):
    policy = "timestamps" if "timestamps" in values else "fps" if "fps" in values else "count_uniform"
    with pytest.raises(UserError, match=f"{next(iter(values))} must be a"):
        Sampling(policy, **values)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError) as caught:
        parse_sampling("random")
    assert all(name in str(caught.value) for name in SAMPLING_POLICIES)
