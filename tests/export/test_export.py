"""The command: the right frames in files of the right size, and a trainer that takes them all."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import make_video, read_barcode, run_command
from tools.export.__main__ import main
from tools.export.explain import judge
from tools.export.presets import preset
from tools.export.trainers.judgement import Clip

COLUMNS = ("path", "width", "height", "num_frames", "fps", "text", "has_audio")
ROOT = Path(__file__).resolve().parents[2]
WAN = "wan2.1@diffusion-pipe"


def write_table(path: Path, rows: list[tuple], columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def numbers_in(path: Path) -> list[int | None]:
    """The number that each frame carries, read with PyAV alone."""
    with av.open(str(path)) as file:
        return [read_barcode(frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]


def facts(path: Path) -> tuple[int, int, int, Fraction | None, bool]:
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = sum(1 for _ in file.decode(video=0))
        return stream.width, stream.height, frames, stream.average_rate, bool(file.streams.audio)


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.*")) if p.is_file()
    }


@pytest.mark.parametrize(
    ("name", "rate", "stated", "target"),
    [
        (WAN, Fraction(24000, 1001), 23.976, 16),
        (WAN, Fraction(30), 30.0, 16),
        (WAN, Fraction(25), 25.0, 16),
        ("ltx-2@diffusion-pipe", Fraction(24000, 1001), 23.976, 24),
        ("ltx-2@diffusion-pipe", Fraction(30), 30.0, 24),
        ("ltx-2@diffusion-pipe", Fraction(25), 25.0, 24),
    ],
)
def test_each_frame_is_the_one_on_screen_at_its_time(tmp_path, name, rate, stated, target):
    """By construction: at k / target seconds frame floor(k / target * rate) is on screen."""
    source = make_video(tmp_path / "a.mp4", 60, size=(320, 192), fps=rate)
    table = write_table(tmp_path / "m.csv", [(source, 320, 192, 60, stated, "A dog.", "")])
    done = run_command(
        main, table, "--for", name, "-o", tmp_path / "out", "--frames", 17, "--sizes", "256x160",
        "--num-workers", 0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "out").rglob("*.mp4")
    assert numbers_in(made) == [int(Fraction(k, target) * rate) for k in range(17)]
    assert facts(made)[2:4] == (17, target)
    (caption,) = (tmp_path / "out").rglob("a.txt")
    assert caption.read_text() == "A dog."


def test_the_configuration_holds_wherever_training_starts(tmp_path, monkeypatch):
    source = make_video(tmp_path / "a.mp4", 20, size=(320, 192), fps=16)
    table = write_table(tmp_path / "m.csv", [(source, 320, 192, 20, 16, "A dog.", "")])
    monkeypatch.chdir(tmp_path)
    done = run_command(
        main, table, "--for", "wan2.1@finetrainers", "-o", "out", "--frames", 17, "--sizes", "256x160",
        "--num-workers", 0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (dataset,) = json.loads((tmp_path / "out" / "training.json").read_text())["datasets"]
    assert dataset["data_root"] == str(tmp_path / "out" / "clips")
    assert dataset["video_resolution_buckets"] == [[17, 160, 256]]


def test_pieces_of_a_long_clip_follow_one_another(tmp_path):
    """By construction: at the clip's own rate piece k begins with frame 17 k, and 9 frames are left over."""
    source = make_video(tmp_path / "a.mp4", 60, size=(320, 192), fps=16)
    table = write_table(tmp_path / "m.csv", [(source, 320, 192, 60, 16, "A dog.", "")])
    common = ("--for", WAN, "--sizes", "256x160", "--num-workers", 0)
    done = run_command(main, table, "-o", tmp_path / "w", "--frames", 17, 9, "--windows", *common)
    assert done.returncode == 0, done.stderr
    made = sorted((tmp_path / "w").rglob("*.mp4"))
    assert [numbers_in(path) for path in made] == [
        [*range(17)], [*range(17, 34)], [*range(34, 51)], [*range(51, 60)],
    ]  # fmt: skip
    done = run_command(main, table, "-o", tmp_path / "m", "--frames", 17, "--from", "middle", *common)
    (middle,) = (tmp_path / "m").rglob("*.mp4")
    assert numbers_in(middle) == [*range(21, 38)]


def test_a_damaged_piece_does_not_take_the_others_with_it(tmp_path):
    """The bytes of one picture in the last of three groups of pictures are destroyed."""
    source = make_video(tmp_path / "a.mp4", 51, size=(320, 192), fps=16, gop=17, b_frames=0)
    with av.open(str(source)) as file:
        places = [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]
    content = bytearray(source.read_bytes())
    begin, size = places[34]
    content[begin + 5 : begin + size] = bytes(255 for _ in range(size - 5))
    source.write_bytes(content)
    table = write_table(tmp_path / "m.csv", [(source, 320, 192, 51, 16, "A dog.", "")])
    done = run_command(
        main, table, "--for", WAN, "-o", tmp_path / "out", "--frames", 17, "--sizes", "256x160", "--windows",
        "--num-workers", 0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = sorted((tmp_path / "out").rglob("*.mp4"))
    assert [numbers_in(path) for path in made] == [[*range(17)], [*range(17, 34)]]
    assert "decode" in (tmp_path / "out_clips.failures.csv").read_text()


def test_black_bars_are_cropped_first_and_nothing_is_enlarged(tmp_path):
    """A white picture with black bars above and below: what is written is white to its edges."""
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[40:200] = 255
    source = make_video(tmp_path / "a.mp4", fps=16, pictures=[picture] * 20)
    rows = [(source, 320, 240, 20, 16, "A dog.", "", "320:160:0:40")]
    small = make_video(tmp_path / "b.mp4", 20, size=(128, 80), fps=16)
    rows.append((small, 128, 80, 20, 16, "A cat.", "", ""))
    table = write_table(tmp_path / "m.csv", rows, (*COLUMNS, "crop"))
    done = run_command(
        main, table, "--for", WAN, "-o", tmp_path / "out", "--frames", 17, "--sizes", "224x112",
        "--num-workers", 0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "out").rglob("*.mp4")
    with av.open(str(made)) as file:
        image = next(file.decode(video=0)).to_ndarray(format="gray")
    assert image.shape[0] % 16 == 0 and image.shape[1] % 16 == 0
    assert image.shape[0] <= 160
    assert image.min() > 200
    assert "too small" in done.stdout


def test_what_is_explained_is_what_is_written_and_what_the_trainer_takes(tmp_path):
    """Rows of every kind of fate; the trainer's own rule counts what came out."""
    long = make_video(tmp_path / "a.b.mp4", 40, size=(320, 192), fps=25, audio="sine")
    short = make_video(tmp_path / "c.mp4", 10, size=(320, 192), fps=25)
    (tmp_path / "damaged.mp4").write_bytes(b"no video")
    rows = [
        (long, 320, 192, 40, 25.0, "The video shows a dog.\nIt runs.\r\n", "True"),
        (long, 320, 192, 40, 25.0, "", "True"),
        (short, 320, 192, 10, 25.0, "Short.", ""),
        (long, 320, 192, 40, "", "No rate.", ""),
        (tmp_path / "damaged.mp4", 320, 192, 40, 25.0, "Damaged.", ""),
    ]
    table = write_table(tmp_path / "m.csv", rows)
    common = (table, "--for", WAN, "--frames", 17, "--sizes", "256x160", "--num-workers", 0)
    told = run_command(main, *common, "--explain", "--explain-out", tmp_path / "why.csv")
    assert told.returncode == 0
    trial = run_command(main, *common, "-o", tmp_path / "out", "--dry-run")
    assert (trial.returncode, trial.stdout) == (0, run_command(main, *common, "--explain").stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.b.mp4", "c.mp4", "damaged.mp4", "m.csv", "why.csv",
    ]  # fmt: skip
    with (tmp_path / "why.csv").open() as file:
        why = [(row["written"].lower(), row["reason"]) for row in csv.DictReader(file)]
    assert why == [
        ("true", ""), ("false", "no caption"), ("false", "too short"), ("false", "no frame rate"),
        ("true", ""),
    ]  # fmt: skip
    done = run_command(main, *common, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "1 clip of 1 row; 3 rows lost, 1 row failed" in done.stdout
    made = list((tmp_path / "out").rglob("*.mp4"))
    assert [path.stem for path in made] == ["a_b"]  # keys have no dots
    (caption,) = (tmp_path / "out").rglob("a_b.txt")
    assert caption.read_bytes() == b"A dog. It runs."
    width, height, frames, rate, sound = facts(made[0])
    assert not sound  # Wan hears nothing
    chosen = preset(WAN)
    setup = chosen.trainer.setup(chosen.model, frames=(17,), sizes=((256, 160),))
    clip = Clip(made[0].name, width, height, frames, float(rate or 0), caption.read_text())
    (piece,) = judge(clip, chosen.trainer, setup).pieces
    assert (piece.bucket.width, piece.bucket.height, piece.bucket.frames) == (width, height, frames)
    assert (tmp_path / "out_clips.failures.csv").exists()


def test_without_frames_clips_of_all_lengths_are_used(tmp_path):
    """By hand, at 16 fps of 25: 60, 40, 12 and 5 frames are 38, 25, 7 and 3, so 37, 25, 5 and too few."""
    rows = []
    for number in (60, 40, 12, 5):
        source = make_video(tmp_path / f"v{number}.mp4", number, size=(320, 192), fps=25)
        rows.append((source, 320, 192, number, 25, f"Clip {number}.", ""))
    table = write_table(tmp_path / "m.csv", rows)
    out = tmp_path / "out"
    common = ("--for", "wan2.1@musubi", "--sizes", "256x160", "--num-workers", 0)
    done = run_command(main, table, *common, "-o", out)
    assert done.returncode == 0, done.stderr
    assert "frames: 37 25 5, chosen from the lengths of the clips" in done.stdout
    assert "musubi uses 3 of 3" in done.stdout
    made = {path.stem: facts(path)[2:4] for path in sorted(out.rglob("*.mp4"))}
    assert made == {"v12": (5, 16), "v40": (25, 16), "v60": (37, 16)}
    assert sorted(path.name for path in out.glob("clips_*")) == [
        "clips_25frames.jsonl", "clips_37frames.jsonl", "clips_5frames.jsonl",
    ]  # fmt: skip
    assert run_command(main, "--verify", out).returncode == 0
    checked = run_command(main, "--check", out, *common)  # it knows what the folder was made with
    assert "3 of 3 clips are used" in " ".join(checked.stdout.split())
    assert "counted several times" not in checked.stdout
    (out / "clips" / "dataset.json").write_text('{"splits": "of another program"}')
    inner = run_command(main, "--check", out / "clips", *common)
    assert "3 of 3 clips are used" in " ".join(inner.stdout.split())
    other = run_command(main, "--check", out, *common, "--frames", 37)
    assert "1 of 3 clips are used" in " ".join(other.stdout.split())


def test_a_motion_score_of_ffmpeg_in_the_caption(tmp_path, monkeypatch):
    """The page's way to the column; by construction uniform pictures differ by 8 of 256 levels."""
    (code,) = re.findall(r"```python\n([^`]*vmafmotion[^`]*)```", (ROOT / "docs" / "export.md").read_text())
    still, moving = (
        [np.full((192, 320, 3), 90 + step * n % 64, np.uint8) for n in range(9)] for step in (0, 8)
    )
    rows = [
        (make_video(tmp_path / f"{name}.mp4", fps=16, pictures=pictures), 320, 192, 9, 16, "A dog.", "")
        for name, pictures in (("still", still), ("moving", moving))
    ]
    table = write_table(tmp_path / "meta.csv", rows)
    template = "{text} {fps:.0f} FPS, {vmafmotion:.1f} motion score."
    words = ("--for", WAN, "--sizes", "256x160", "--explain", "--caption-template", template)
    refused = run_command(main, table, *words)
    assert refused.returncode == 2
    assert "no column 'vmafmotion'" in refused.stderr and "docs/export.md" in refused.stderr
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    done = run_command(main, "meta_vmafmotion.csv", *words, "--explain-out", "why.csv")
    assert done.returncode == 0, done.stderr
    with Path("why.csv").open() as file:
        first, second = (row["caption"] for row in csv.DictReader(file))
    assert first == "A dog. 16 FPS, 0.0 motion score."
    (score,) = re.findall(r"16 FPS, ([0-9.]+) motion score", second)
    # Luma has 220 levels for 256; of nine pictures eight differ from the one before, one of them by 56.
    assert float(score) == pytest.approx((7 * 8 + 56) * 220 / 256 / 9, abs=0.7)


def test_sound_is_kept_where_the_model_hears_it(tmp_path):
    source = make_video(tmp_path / "a.mp4", 60, size=(320, 192), fps=24, audio="sine")
    table = write_table(tmp_path / "m.csv", [(source, 320, 192, 60, 24, "A dog.", "True")])
    done = run_command(
        main, table, "--for", "ltx-2@ltx-trainer", "-o", tmp_path / "out", "--frames", 17,
        "--sizes", "256x160", "--num-workers", 0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "out").rglob("*.mp4")
    assert facts(made)[4]
    with av.open(str(made)) as file:
        heard = sum(frame.samples for frame in file.decode(audio=0)) / 48_000
    assert heard == pytest.approx(17 / 24, abs=0.05)  # AAC pads to whole blocks of 1024 samples


def test_files_as_they_are_are_linked(tmp_path):
    source = make_video(tmp_path / "a.mp4", 40, size=(320, 192), fps=16)
    table = write_table(tmp_path / "m.csv", [(source, 320, 192, 40, 16, "A dog.", "")])
    words = (table, "--for", WAN, "-o", tmp_path / "out", "--frames", 17, "--keep-source", "--num-workers", 0)
    for _ in range(2):  # again after a finished run
        done = run_command(main, *words)
        assert done.returncode == 0, done.stderr
        (made,) = (tmp_path / "out").rglob("*.mp4")
        assert made.samefile(source)


def test_a_killed_export_is_resumed_to_the_same_bytes(tmp_path):
    rows = []
    for number, frames in enumerate((60, 45, 30, 60)):
        source = make_video(tmp_path / f"v{number}.mp4", frames, size=(640, 384), fps=25)
        rows.append((source, 640, 384, frames, 25, f"Clip {number}.", ""))
    table = write_table(tmp_path / "m.csv", rows)
    words = ["--for", WAN, "--sizes", "512x320", "--batch-size", "2", "--num-workers", "0"]
    broken = tmp_path / "run" / "out"
    broken.parent.mkdir()
    command = [sys.executable, "-m", "tools.export", str(table), *words]
    running = subprocess.Popen(
        [*command, "-o", str(broken)], start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list(broken.rglob("*.mp4")) and running.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert list(broken.rglob("*.mp4"))
    assert not list(broken.rglob("v3.txt"))  # it was killed before its end
    done = run_command(main, table, *words, "-o", broken)
    assert done.returncode == 0, done.stderr
    resumed = files_below(broken)
    broken.parent.rename(tmp_path / "first")  # the configuration names the folder, so it must be the same
    broken.parent.mkdir()
    assert run_command(main, table, *words, "-o", broken).returncode == 0
    assert files_below(broken) == resumed


def test_a_file_that_cannot_be_read_is_not_linked_into_the_folder(tmp_path):
    """The trainer would find it there."""
    good = make_video(tmp_path / "a.mp4", 40, size=(320, 192), fps=16)
    bad = tmp_path / "b.mp4"
    bad.write_bytes(b"no video")
    rows = [(path, 320, 192, 40, 16, "A dog.", "") for path in (good, bad)]
    table = write_table(tmp_path / "m.csv", rows)
    words = ("--frames", 17, "--keep-source", "--num-workers", 0)
    done = run_command(main, table, "--for", WAN, "-o", tmp_path / "out", *words)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out" / "clips").iterdir()) == ["a.mp4", "a.txt"]
    assert "unreadable" in (tmp_path / "out_clips.failures.csv").read_text()


def test_what_earlier_runs_left_is_named_and_pruned(tmp_path):
    rows = []
    for name in "ab":
        source = make_video(tmp_path / f"{name}.mp4", 40, size=(320, 192), fps=16)
        rows.append((source, 320, 192, 40, 16, f"Clip {name}.", ""))
    table = write_table(tmp_path / "m.csv", rows)
    out = tmp_path / "out"
    words = (table, "--for", WAN, "-o", out, "--frames", 17, "--keep-source", "--num-workers", 0)
    assert run_command(main, *words).returncode == 0
    assert run_command(main, "--verify", out).returncode == 0
    checked = run_command(main, "--check", out, "--for", WAN, "--frames", 17, "--num-workers", 0)
    assert checked.returncode == 0
    assert "2 of 2 clips are used" in checked.stdout
    split = run_command(main, *words, "--split", "train:0.5,val:0.5")
    assert split.returncode == 2 and "made with other frames, sizes, pieces or splits" in split.stderr
    write_table(table, rows[:1])
    again = run_command(main, *words, "--overwrite")
    assert "1 more files" in again.stderr
    (out / "clips" / "theirs.mp4").write_bytes(b"of somebody else")
    again = run_command(main, *words, "--prune")
    assert "1 more files" in again.stderr
    assert sorted(p.name for p in (out / "clips").iterdir()) == ["a.mp4", "a.txt", "theirs.mp4"]
    (out / "clips" / "theirs.mp4").rename(out / "clips" / "added.mp4")
    assert run_command(main, "--verify", out).returncode == 1


def test_ranks_share_the_work_and_the_last_one_writes_the_texts(tmp_path):
    """The same folder as of one process."""
    rows = []
    for number in range(3):
        source = make_video(tmp_path / f"v{number}.mp4", 40, size=(320, 192), fps=25)
        rows.append((source, 320, 192, 40, 25, f"Clip {number}.", ""))
    table = write_table(tmp_path / "m.csv", rows)
    words = (table, "--for", WAN, "--frames", 9, "--sizes", "256x160", "--num-workers", 0)
    shared = tmp_path / "run" / "out"
    shared.parent.mkdir()
    assert run_command(main, *words, "-o", shared).returncode == 0
    alone = files_below(shared)
    shared.parent.rename(tmp_path / "first")
    shared.parent.mkdir()
    for rank in "01":
        done = run_command(main, *words, "-o", shared, RANK=rank, WORLD_SIZE="2")
        assert done.returncode == 0, done.stderr
        assert (shared / "dataset.json").exists() == (rank == "1")
    assert files_below(shared) == alone


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--for", "wan2.1@diffusion-pip"], "there is no preset"),
        (["--for", "cogvideox@cogvideo", "--frames", "9", "17"], "one number for all clips"),
        (["--for", WAN, "--frames", "80"], "4k+1 frames; near it: 77, 81"),
        (["--for", WAN, "--sizes", "850x480"], "multiples of 16"),
        (["--for", WAN, "--set", "num_repeat=2"], "no option 'num_repeat'"),
        (["--for", WAN, "--caption-template", "{text} {motoin:.1f}"], "'motoin'"),
        (["--for", WAN, "--caption-template", "{text.__class__}"], "is no column"),
        (["--for", WAN, "--caption-column", "caption"], "'caption'"),
        (["--for", "wan2.1@musubi", "--root", "/data/[a]"], "musubi takes [ in a path for a pattern"),
        ([], "--for is missing"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said_before_anything_is_done(tmp_path, words, says):
    table = write_table(tmp_path / "m.csv", [("a.mp4", 320, 192, 40, 25, "A dog.", "")])
    done = run_command(main, table, *words, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((1920, 1080, 7, 25), "4 frames at 16 fps, 5 needed (a longer clip)"),
        ((320, 192, 10, 25), "too small"),  # and that is said, not that it is short
    ],
)
def test_nothing_to_write_is_an_error(tmp_path, row, why):
    table = write_table(tmp_path / "m.csv", [("a.mp4", *row, "A dog.", "")])
    done = run_command(main, table, "--for", WAN, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert why in done.stdout


def test_texts_of_others_are_not_replaced(tmp_path):
    source = make_video(tmp_path / "a.mp4", 40, size=(320, 192), fps=16)
    table = write_table(tmp_path / "m.csv", [(source, 320, 192, 40, 16, "A dog.", "")])
    words = (table, "--for", WAN, "-o", tmp_path / "out", "--frames", 17, "--keep-source", "--num-workers", 0)
    assert run_command(main, *words).returncode == 0
    (caption,) = (tmp_path / "out").rglob("a.txt")
    write_table(table, [(source, 320, 192, 40, 16, "A cat.", "")])
    assert run_command(main, *words, "--overwrite").returncode == 0  # the table has changed; its own text
    assert caption.read_text() == "A cat."
    caption.write_text("by hand")
    done = run_command(main, *words)
    assert done.returncode == 2
    assert "another file is there" in done.stderr
    assert caption.read_text() == "by hand"


def test_a_text_of_others_is_found_before_a_clip_is_written(tmp_path):
    """Another table's export to the same folder, and a caption that is as it would be."""
    words = ("--for", WAN, "-o", tmp_path / "out", "--frames", 17, "--keep-source", "--num-workers", 0)
    for name in "ab":
        source = make_video(tmp_path / f"{name}.mp4", 40, size=(320, 192), fps=16)
        write_table(tmp_path / f"{name}.csv", [(source, 320, 192, 40, 16, "A dog.", "")])
    (tmp_path / "out" / "clips").mkdir(parents=True)
    (tmp_path / "out" / "clips" / "a.txt").write_text("A dog.")
    first = run_command(main, tmp_path / "a.csv", *words)
    assert first.returncode == 0, first.stderr
    before = files_below(tmp_path / "out")
    other = ("--output", tmp_path / "other.csv", "--set", "num_repeats=2")
    done = run_command(main, tmp_path / "b.csv", *words, *other)
    assert done.returncode == 2 and "dataset.toml: another file is there" in done.stderr
    assert files_below(tmp_path / "out") == before and not (tmp_path / "other.csv").exists()


def test_two_tables_with_the_same_names_share_a_folder(tmp_path):
    words = ("--for", WAN, "-o", tmp_path / "out", "--frames", 17, "--keep-source", "--num-workers", 0)
    for name, text in {"one": "A dog.", "two": "A cat."}.items():
        (tmp_path / name).mkdir()
        source = make_video(tmp_path / name / "a.mp4", 40, size=(320, 192), fps=16)
        table = write_table(tmp_path / f"{name}.csv", [(source, 320, 192, 40, 16, text, "")])
        done = run_command(main, table, *words, "--output", tmp_path / f"{name}_clips.csv")
        assert done.returncode == 0, done.stderr
    clips = tmp_path / "out" / "clips"
    assert sorted(path.read_text() for path in clips.glob("*.txt")) == ["A cat.", "A dog."]
    assert {path.stem for path in clips.glob("*.mp4")} == {path.stem for path in clips.glob("*.txt")}
