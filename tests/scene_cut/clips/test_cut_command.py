"""The cut command: its table, what a second run does, and what a kill leaves."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from tests.support import MEASURED_ON_FILE, NOT_MEASURED_ON_FILE, make_video, run_command
from tools.errors import UserError
from tools.media.reading.probe import probe
from tools.scene_cut import cut
from tools.scene_cut.clips.cutting import CutOptions, cut_clips
from tools.table import merge_tables, read_table, write_table

TIMES = '[["00:00:00.000", "00:00:00.800"], ["00:00:00.800", "00:00:02.000"]]'


@pytest.fixture()
def meta(tmp_path: Path) -> Path:
    """Two videos with two scenes each, one that is no video, and one with a scene past its end."""
    for name in ("a.mp4", "sub/b.mkv", "short.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        make_video(tmp_path / "videos" / name, 10 if name == "short.mp4" else 50, audio="sine")
    (tmp_path / "videos" / "text.mp4").write_text("no video")
    names = ["a.mp4", "sub/b.mkv", "text.mp4", "short.mp4"]
    table = pl.DataFrame(
        {
            "path": [str(tmp_path / "videos" / name) for name in names],
            "id": ["a", "b", "text", "short"],
            "relpath": names,
            "text": ["None", "007", "NA", 'a "quoted", text'],
            "num_frames": ["50", "50", "0", "10"],
            "aes": ["5.5"] * 4,
            "timestamp": [TIMES] * 4,
        }
    )
    return write_table(table, tmp_path / "meta.csv")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_command(cut.main, *arguments, "--num_workers", "0", **environment)


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_table_of_clips(meta: Path, tmp_path: Path) -> None:
    done = run_command(cut.main, meta, "--save_dir", tmp_path / "clips", "--num_workers", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "meta_clips.csv")
    table = read_table(tmp_path / "meta_clips.csv")
    assert table["id"].to_list() == ["a_scene-0", "a_scene-1", "b_scene-0", "b_scene-1", "short_scene-0"]
    assert table["relpath"].to_list()[2] == "sub/b_scene-0.mp4"
    assert table["text"].to_list() == ["None", "None", "007", "007", 'a "quoted", text']
    assert "aes" not in table.columns and "timestamp" not in table.columns
    assert table["scene"].to_list() == ["0", "1", "0", "1", "0"]
    for row in table.to_dicts():
        info = probe(row["path"])
        assert Path(row["path"]).is_relative_to(tmp_path / "clips")
        assert int(row["num_frames"]) == info.num_frames == int(row["end_frame"]) - int(row["start_frame"])
        assert (int(row["height"]), int(row["width"])) == (info.height, info.width)
        assert float(row["fps"]) == info.fps == 25
        assert float(row["duration"]) == pytest.approx(info.duration, abs=1e-3)
        assert row["has_audio"] == "true" and info.has_audio
        assert float(row["end"]) - float(row["start"]) == pytest.approx(float(row["duration"]))
    failures = read_table(tmp_path / "meta_clips.failures.csv")
    assert failures["kind"].to_list() == ["unreadable", "too_short"]
    assert "scene 1" in failures["message"][1]


def test_what_was_measured_on_the_source_is_not_said_of_its_clips(meta: Path, tmp_path: Path) -> None:
    columns = [pl.lit("7").alias(name) for name in (*MEASURED_ON_FILE, *NOT_MEASURED_ON_FILE)]
    table = read_table(meta)[:1].with_columns(columns).with_columns(timestamp=pl.lit(TIMES))
    done = run(str(write_table(table, tmp_path / "scored.csv")), "--save_dir", str(tmp_path / "clips"))
    assert done.returncode == 0, done.stderr
    clips = read_table(tmp_path / "scored_clips.csv")
    assert set(MEASURED_ON_FILE) & set(clips.columns) == set()
    kept = [name for name in NOT_MEASURED_ON_FILE if name != "id"]
    assert clips.select(kept).unique().row(0) == ("7",) * len(kept)


def test_second_run_does_nothing_and_ends_well(meta: Path, tmp_path: Path) -> None:
    arguments = [str(meta), "--save_dir", str(tmp_path / "clips")]
    run(*arguments)
    before = snapshot(tmp_path)
    again = run(*arguments)
    assert again.returncode == 0 and "complete already" in again.stderr
    assert snapshot(tmp_path) == before


def test_a_removed_clip_is_made_again(meta: Path, tmp_path: Path) -> None:
    arguments = [str(meta), "--save_dir", str(tmp_path / "clips")]
    run(*arguments)
    table = (tmp_path / "meta_clips.csv").read_bytes()
    before = snapshot(tmp_path / "clips")
    (tmp_path / "clips" / "a_scene-1.mp4").unlink()
    assert run(*arguments).returncode == 0
    after = snapshot(tmp_path / "clips")
    assert set(after) == set(before)
    assert [n for n in after if after[n] != before[n]] == ["a_scene-1.mp4"]  # the others were left alone
    assert (tmp_path / "meta_clips.csv").read_bytes() == table


def test_other_options_do_not_mix_with_what_is_there(meta: Path, tmp_path: Path) -> None:
    arguments = [str(meta), "--save_dir", str(tmp_path / "clips")]
    run(*arguments)
    before = snapshot(tmp_path / "clips")
    refused = run(*arguments, "--drop-audio")
    assert refused.returncode == 2 and "--overwrite" in refused.stderr
    assert snapshot(tmp_path / "clips") == before
    assert run(*arguments, "--drop-audio", "--overwrite").returncode == 0
    assert read_table(tmp_path / "meta_clips.csv")["has_audio"].to_list() == ["false"] * 5
    assert not probe(tmp_path / "clips" / "a_scene-0.mp4").has_audio


def test_ranks_make_the_same_table_and_clips(meta: Path, tmp_path: Path) -> None:
    run(str(meta), "--save_dir", str(tmp_path / "clips"))
    alone = read_table(tmp_path / "meta_clips.csv")
    for rank in "01":
        done = run(
            str(meta), "--save_dir", str(tmp_path / "clips"), "--output", str(tmp_path / "two.csv"),
            RANK=rank, WORLD_SIZE="2", LOCAL_WORLD_SIZE="2",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    merged = merge_tables([tmp_path / "two_part0.csv", tmp_path / "two_part1.csv"]).collect()
    assert merged.equals(alone)


def test_without_timestamps_each_file_is_one_scene(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", 50)
    meta = write_table(pl.DataFrame({"path": [str(video)]}), tmp_path / "meta.csv")
    assert cut.main([str(meta), "--save_dir", str(tmp_path / "c"), "--max_seconds", "1", "--quiet"]) == 0
    table = read_table(tmp_path / "meta_clips.csv")
    assert (table["num_frames"].to_list(), table["end"].to_list()) == (["25"], ["1.0"])


def test_what_was_left_out_is_told(meta: Path, tmp_path: Path) -> None:
    done = run(str(meta), "--save_dir", str(tmp_path / "c"), "--min_seconds", "1", "--max_seconds", "1.1")
    assert "scenes shorter than 1 s left out" in done.stderr
    assert "0.2 s lie beyond" in done.stderr  # twice 1.2 s cut to 1.1 s


def test_old_timestamps_of_open_sora(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", 100, fps=Fraction(30000, 1001))
    cell = "[('00:00:00.000', '00:00:01.068'), ('00:00:01.068', '00:00:02.002')]"  # frames 0, 32, 60
    meta = write_table(pl.DataFrame({"path": [str(video)], "timestamp": [cell]}), tmp_path / "meta.csv")
    cut.main([str(meta), "--save_dir", str(tmp_path / "c"), "--quiet"])
    table = read_table(tmp_path / "meta_clips.csv")
    assert table["start_frame"].to_list() == ["0", "32"] and table["end_frame"].to_list() == ["32", "60"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--save_dir", ""], "--save-dir is required"),
        (["--save_dir", "c", "--codec", "nonsense"], "no encoder 'nonsense'"),
        (
            ["--save_dir", "c", "--preset", "nonsense"],
            r"Invalid preset \(nonsense\)\. .* libx264 are ultrafast",
        ),
        (
            ["--save_dir", "c", "--codec", "av1", "--preset", "fast"],
            r"of libsvtav1 are whole numbers from 0 to 13",
        ),
        (["--save_dir", "c", "--codec", "mpeg4", "--preset", "fast"], "mpeg4 has none"),
        (
            ["--save_dir", "c", "--crf", "99"],
            r"Invalid crf \(99\)\. Supported values of libx264 are numbers from 0",
        ),
        (["--save_dir", "c", "--crf", "nan"], r"Invalid crf \(nan\)"),
        (["--save_dir", "c", "--codec", "vp9", "--crf", "64"], r"whole numbers from 0 to 63"),
        (
            ["--save_dir", "c", "--codec", "h264_nvenc", "--crf", "52"],
            r"of h264_nvenc are numbers from 0 to 51",
        ),
        (["--save_dir", "c", "--codec", "mjpeg", "--crf", "0"], r"numbers from 1 to 31"),
        (["--save_dir", "c", "--target_fps", "fast"], r"Invalid target_fps \(fast\)"),
        (["--save_dir", "c", "--target_fps", "0"], r"Invalid target_fps \(0\)"),
        (["--save_dir", "c", "--target_fps", "1e9"], r"numbers above 0, up to 1000"),
        (
            ["--save_dir", "c", "--shorter_size", "33"],
            r"Invalid shorter_size \(33\)\. .* even numbers from 0 on",
        ),
        (["--save_dir", "c", "--shorter_size", "-2"], r"Invalid shorter_size"),
        (["--save_dir", "c", "--max_seconds", "inf"], r"Invalid max_seconds \(inf\)"),
        (["--save_dir", "c", "--min_seconds", "0"], r"Invalid min_seconds \(0\)\. .* numbers above 0"),
        (
            ["--save_dir", "c", "--min_seconds", "5", "--max_seconds", "2"],
            r"numbers from min_seconds \(5\) on",
        ),
        (["--save_dir", "c", "--audio_track", "english"], r"Invalid audio_track \(english\)"),
        (["--save_dir", "c", "--engine", "ffmpeg", "--codec", "nonsense"], "no ffmpeg program has"),
        (["--save_dir", "meta.csv"], "cannot create the folder"),
        (["--save_dir", "c", "--mode", "copy", "--shorter_size", "64"], "copy encodes nothing"),
    ],
)
def test_one_clear_line(meta: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    arguments = [str(meta) if a == "meta.csv" else a for a in arguments]
    arguments = [str(tmp_path / "c") if a == "c" else a for a in arguments]
    with pytest.raises(UserError, match=says):
        cut.main([str(meta), "--quiet", *arguments])
    assert not (tmp_path / "meta_clips.csv").exists()


@pytest.mark.parametrize("cell", [None, "soon", '[["00:00:02.000", "00:00:01.000"]]'])
def test_bad_cells_are_failures(tmp_path: Path, cell: str | None) -> None:
    video = make_video(tmp_path / "a.mp4", 10)
    rows = {"path": [str(video)] * 2, "timestamp": [cell, '[["00:00:00.000", "00:00:00.200"]]']}
    meta = write_table(pl.DataFrame(rows), tmp_path / "meta.csv")
    assert cut.main([str(meta), "--save_dir", str(tmp_path / "c"), "--quiet"]) == 0
    assert read_table(tmp_path / "meta_clips.csv").height == 1
    assert read_table(tmp_path / "meta_clips.failures.csv")["kind"].to_list() == ["bad_value"]


def any_left(group: int) -> bool:
    """Whether a process group has a process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_kill_leaves_no_half_clip_and_the_next_run_completes(tmp_path: Path) -> None:
    # The file of a clip is there from its first packet on, which x264 gives when it has 20 more pictures.
    video = make_video(tmp_path / "a.mp4", 400, size=(640, 360))
    scenes = [[f"00:00:{i:02}.000", f"00:00:{i + 2:02}.000"] for i in range(0, 16, 2)]
    cell = str(scenes).replace("'", '"')
    meta = write_table(pl.DataFrame({"path": [str(video)], "timestamp": [cell]}), tmp_path / "meta.csv")
    arguments = [str(meta), "--save_dir", str(tmp_path / "clips"), "--preset", "faster"]
    # nice, so that it cannot end unseen on a machine with one core
    command = ["nice", "-n", "19", sys.executable, "-m", "tools.scene_cut.cut", *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet, start_new_session=True)
    clips = tmp_path / "clips"
    while True:  # look while everything stands still: a clip is finished within milliseconds
        os.killpg(process.pid, signal.SIGSTOP)
        if len(list(clips.glob("*.mp4"))) >= 3 and list(clips.glob("*.part")):
            break
        os.killpg(process.pid, signal.SIGCONT)
        assert process.poll() is None, "finished before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.killpg(process.pid, signal.SIGCONT)  # for Python's resource tracker, which ends by itself
    while any_left(process.pid):  # the worker dies with its parent
        time.sleep(0.01)
    finished = snapshot(clips)
    left = [name for name in finished if name.endswith(".part")]
    whole = [name for name in finished if name.endswith(".mp4")]
    assert 3 <= len(whole) < 8 and left
    assert all(probe(clips / name).num_frames == 50 for name in whole)
    assert run(*arguments).returncode == 0
    after = snapshot(clips)
    assert sorted(after) == [".cut_tables", *(f"a_scene-{i}.mp4" for i in range(8))]
    assert all(after[name] == finished[name] for name in whole)  # not cut again
    table = (tmp_path / "meta_clips.csv").read_bytes()
    other = [
        str(meta),
        "--save_dir",
        str(clips),
        "--preset",
        "faster",
        "--output",
        str(tmp_path / "again.csv"),
    ]
    assert run(*other).returncode == 0
    assert (tmp_path / "again.csv").read_bytes() == table  # as an uninterrupted run writes it


def test_library_keeps_clips_of_the_same_source_and_options_only(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", 20)
    scene = [(Fraction(0), Fraction(1, 2))]
    (first,) = cut_clips(source, scene, tmp_path / "c").clips
    (second,) = cut_clips(source, scene, tmp_path / "c").clips
    (third,) = cut_clips(source, scene, tmp_path / "c", options=CutOptions(crf=30)).clips
    (same,) = cut_clips(source, scene, tmp_path / "c", options=CutOptions(crf=30, max_seconds=9)).clips
    assert same.reused  # the limits changed nothing for this scene
    make_video(source, 30)
    (fourth,) = cut_clips(source, scene, tmp_path / "c", options=CutOptions(crf=30)).clips
    assert [c.reused for c in (first, second, third, fourth)] == [False, True, False, False]
    assert {**vars(first), "reused": True} == vars(second)
