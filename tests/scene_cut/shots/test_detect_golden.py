"""Cut lists of made videos: those of PySceneDetect, run in the same test, and those they were made with."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from tests.support import make_video
from tools.scene_cut.shots.scenes import detect_scenes

FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)
CUTS = [40, 70, 78, 110, 150]
FRAMES = 200
DETECTORS = ["adaptive", "content", "threshold", "hash", "histogram"]


def shots(lengths, seed=5, width=192, height=128):
    """Pictures of shots that hardly move: 8 x 6 fields in random colours, in other ones for each shot."""
    chance = np.random.default_rng(seed)
    rows = np.linspace(0, 5, height).astype(int)
    pictures = []
    for length in lengths:
        fields = chance.integers(40, 255, (6, 8, 3), np.uint8)
        for i in range(length):
            columns = np.linspace(0.01 * i, 6.5 + 0.01 * i, width).astype(int).clip(0, 7)
            pictures.append(fields[rows][:, columns])
    return pictures


def faded(first=80, second=140, **kwargs):
    """Three shots with black between them: out over 12 frames, 6 black ones, in over 10; black at the end."""
    light = np.ones(FRAMES)
    for cut in (first, second):
        light[cut - 14 : cut - 2] = np.linspace(1, 0, 12)
        light[cut - 2 : cut + 4] = 0
        light[cut + 4 : cut + 14] = np.linspace(0, 1, 10)
    light[190:] = np.linspace(1, 0, 10)
    plain = shots([first, second - first, FRAMES - second], seed=7)
    return [(p * brightness).astype(np.uint8) for p, brightness in zip(plain, light, strict=True)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    hard = shots([b - a for a, b in pairwise([0, *CUTS, FRAMES])])
    steps = np.random.default_rng(1).integers(10, 60, FRAMES - 1) / 1000
    times = np.concatenate([[0], np.cumsum(steps)]).tolist()
    return {
        "film": make_video(folder / "film.mp4", pictures=hard, fps=FILM, b_frames=3),
        "ntsc": make_video(folder / "ntsc.mkv", pictures=hard, fps=NTSC, codec="hevc", b_frames=3),
        "vfr": make_video(folder / "vfr.mp4", pictures=hard, times=times),
        "fades": make_video(folder / "fades.mp4", pictures=faded(), fps=NTSC),
    }


def theirs(path, detector, *, frame_skip=0, start=None, end=None, stats=None, **options):
    """Cuts of PySceneDetect itself, in seconds: its frame numbers are off where the rate varies."""
    from scenedetect import SceneManager, detectors, open_video

    names = {"adaptive": "AdaptiveDetector", "content": "ContentDetector", "threshold": "ThresholdDetector",
             "hash": "HashDetector", "histogram": "HistogramDetector"}  # fmt: skip
    manager = SceneManager(stats)
    manager.add_detector(getattr(detectors, names[detector])(**options))
    video = open_video(str(path))
    if start is not None:
        video.seek(start)
    manager.detect_scenes(video, frame_skip=frame_skip, end_time=end)
    return [start.seconds for start, _ in manager.get_scene_list(start_in_scene=True)][1:]


def ours(path, detector, **kwargs):
    return [float(scene.start) for scene in detect_scenes(path, detector, **kwargs)][1:]


def same(ours, theirs):
    """OpenCV's times are rounded to whole milliseconds, ours are rounded down to them."""
    assert len(ours) == len(theirs), (ours, theirs)
    assert all(abs(a - b) <= 0.0015 for a, b in zip(ours, theirs, strict=True)), (ours, theirs)


@pytest.mark.parametrize("detector", [d for d in DETECTORS if d != "threshold"])
@pytest.mark.parametrize("name", ["film", "ntsc", "vfr"])
def test_hard_cuts_are_those_the_video_was_made_with(videos, name, detector):
    found = [scene.start_frame for scene in detect_scenes(videos[name], detector)][1:]
    assert found == [40, 70, 110, 150]  # 78 follows too soon: less than 15 frames
    found = [scene.start_frame for scene in detect_scenes(videos[name], detector, min_scene_len=8)][1:]
    assert found == CUTS


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("name", ["film", "ntsc", "vfr", "fades"])
def test_cuts_are_those_of_pyscenedetect_within_all_limits(videos, name, detector):
    path = videos[name]
    same(ours(path, detector, min_scene_len=35), theirs(path, detector, min_scene_len=35))
    same(ours(path, detector, min_scene_len="0.3s"), theirs(path, detector, min_scene_len="0.3s"))
    same(ours(path, detector, frame_skip=2), theirs(path, detector, frame_skip=2))
    if name != "vfr":  # there PySceneDetect begins 1 to 2 frames away from the time asked for
        same(ours(path, detector, start_time=1.9, end_time=4.4), theirs(path, detector, start=1.9, end=4.4))


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("name", ["film", "fades"])
def test_frame_numbers_as_limits_are_those_of_pyscenedetect(videos, name, detector):
    cuts = ours(videos[name], detector, start_time="50f", end_time="148f")
    same(cuts, theirs(videos[name], detector, start=50, end=148))


@pytest.mark.parametrize(
    ("name", "detector", "options"),
    [
        ("film", "adaptive", {"window_width": 5, "adaptive_threshold": 6.0}),
        ("film", "adaptive", {"min_content_val": 60.0, "luma_only": True}),
        ("film", "content", {"threshold": 60.0, "kernel_size": 5}),
        ("film", "hash", {"size": 16, "lowpass": 3, "threshold": 0.45}),
        ("film", "histogram", {"bins": 16, "threshold": 0.6}),
        ("fades", "threshold", {"fade_bias": -1.0}),
        ("fades", "threshold", {"fade_bias": 1.0}),
        ("fades", "threshold", {"fade_bias": 0.5, "threshold": 40, "add_final_scene": True}),
    ],
)
def test_options_mean_what_they_mean_to_pyscenedetect(videos, name, detector, options):
    same(ours(videos[name], detector, options=options), theirs(videos[name], detector, **options))


def test_options_that_are_names_or_weights(videos):
    from scenedetect.detector import FlashFilter
    from scenedetect.detectors import ContentDetector, ThresholdDetector

    same(
        ours(videos["film"], "content", options={"filter_mode": "suppress", "weights": "1,0.5,2,3"}),
        theirs(
            videos["film"],
            "content",
            filter_mode=FlashFilter.Mode.SUPPRESS,
            weights=ContentDetector.Components(1, 0.5, 2, 3),
        ),
    )
    same(
        ours(videos["fades"], "threshold", options={"method": "ceiling", "threshold": 60}),
        theirs(videos["fades"], "threshold", method=ThresholdDetector.Method.CEILING, threshold=60),
    )


def test_fades_are_cut_where_the_bias_says(videos):
    black = [picture.mean() < 20 for picture in faded()]  # the levels around 20 are 13 and 27, 16 and 33
    outs = [i for i in range(1, FRAMES) if black[i] and not black[i - 1]]
    ins = [i for i in range(1, FRAMES) if black[i - 1] and not black[i]]
    assert (len(outs), len(ins)) == (3, 2)  # the last one fades out for good

    def cuts(**options):
        found = detect_scenes(videos["fades"], "threshold", options={"threshold": 20, **options})
        return [scene.start_frame for scene in found][1:]

    assert cuts(fade_bias=-1) == outs[:2]
    assert cuts(fade_bias=1) == ins
    assert cuts() == [round((a + b) / 2) for a, b in zip(outs, ins, strict=False)]
    assert cuts(fade_bias=1, add_final_scene=True) == [*ins, outs[2]]


@pytest.mark.parametrize("detector", DETECTORS)
def test_statistics_are_the_file_that_pyscenedetect_writes(videos, tmp_path, detector):
    from scenedetect import StatsManager

    detect_scenes(videos["film"], detector, stats_path=tmp_path / "ours.csv")
    stats = StatsManager()
    theirs(videos["film"], detector, stats=stats)
    stats.save_to_csv(tmp_path / "theirs.csv")
    assert (tmp_path / "ours.csv").read_text() == (tmp_path / "theirs.csv").read_text()


def test_statistics_of_a_variable_rate_have_the_true_frame_numbers(videos, tmp_path):
    detect_scenes(videos["vfr"], "content", stats_path=tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    header, first, *_, last = (line.split(",") for line in lines)
    assert header[:3] == ["Frame Number", "Timecode", "content_val"]
    assert (first[0], last[0], len(lines)) == ("2", "200", 200)  # the first frame has none before it
    changes = [float(line.split(",")[2]) for line in lines[1:]]
    assert sorted(np.argsort(changes)[-5:] + 1) == CUTS
