"""The optical flow command: rows, columns, failures, ranks; GMFlow's score against Open-Sora's procedure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from tests.models.gmflow_weights import parameter, pictures
from tests.scoring.commands import run_as_ranks
from tests.scoring.moving_pictures import mean_speed, pan, render, texture
from tests.support import make_video
from tools.errors import MediaError, UserError
from tools.media.reading.frames import Frame, read_frames
from tools.media.reading.requests import Frames
from tools.models.gmflow.estimator import load_gmflow
from tools.models.gmflow.model import GMFlow
from tools.scoring.optical_flow.dis import dis_flow
from tools.scoring.optical_flow.inference import main
from tools.scoring.optical_flow.pairs import MotionPair
from tools.scoring.optical_flow.pictures import averaged_picture
from tools.scoring.optical_flow.scorer import Clip, score_clips
from tools.scoring.optical_flow.stage import OpticalFlowStage
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.table import merge_tables, write_table

ROOT = Path(__file__).resolve().parents[2]
CAMERA = pan(0.2, -0.1)
FPS = 24


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, Path]:
    """One pan in two sizes, upright and on its side; clips that are short; an image."""
    folder = tmp_path_factory.mktemp("videos")
    content = texture()

    def video(name: str, frames: int, width: int, height: int) -> Path:
        shots = [render(content, CAMERA, number / FPS, height, width) for number in range(frames)]
        return make_video(folder / name, fps=FPS, pictures=shots)

    from PIL import Image

    Image.fromarray(render(content, CAMERA, 0, 90, 160)).save(folder / "image.png")
    return {
        "large": video("large.mp4", 36, 320, 180),
        "small": video("small.mp4", 36, 192, 108),
        "portrait": video("portrait.mp4", 36, 180, 320),
        "twelve": video("twelve.mp4", 12, 192, 108),
        "ten": video("ten.mp4", 10, 192, 108),
        "image": folder / "image.png",
    }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """GMFlow with random weights in the published form; see `tests.models.gmflow_weights`."""
    path = tmp_path_factory.mktemp("weights") / "gmflow.pth"
    shapes = {name: tuple(tensor.shape) for name, tensor in GMFlow().state_dict().items()}
    state = {name: torch.from_numpy(parameter(name, shape)).float() for name, shape in shapes.items()}
    torch.save({"model": state}, path)
    return path


def run(stage: OpticalFlowStage, *paths: Path) -> list:
    options = RunOptions(num_workers=0, progress=False)
    return map_rows(stage, [{"path": str(path)} for path in paths], options)


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.scoring.optical_flow.inference", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_motion_of_real_files(videos):
    large, small, portrait = run(
        OpticalFlowStage(method="dis"), *(videos[n] for n in ("large", "small", "portrait"))
    )
    assert large["motion"] == pytest.approx(mean_speed(CAMERA, 180, 320), rel=0.03)
    assert small["motion"] == pytest.approx(large["motion"], rel=0.03)
    assert portrait["motion"] == pytest.approx(mean_speed(CAMERA, 320, 180), rel=0.03)
    # 10 frames of the pan: 0.2 and 0.1 heights a second, on a grid of 576 x 320 pixels
    pixels = (0.2 * 180 * 576 / 320 + 0.1 * 320) * 10 / FPS / 2
    assert large["flow"] == pytest.approx(pixels, rel=0.03)
    assert small["flow"] == pytest.approx(pixels, rel=0.03)


def test_short_clips_and_images_are_failures(videos):
    twelve, ten, image = run(OpticalFlowStage(method="dis"), *(videos[n] for n in ("twelve", "ten", "image")))
    assert twelve["motion"] == pytest.approx(mean_speed(CAMERA, 108, 192), rel=0.03)
    assert isinstance(ten, MediaError) and ten.kind == "too_short" and "10 frames" in ten.message
    assert isinstance(image, MediaError) and image.kind == "no_video"


def test_compat_fills_up_with_the_last_frame(videos):
    """Open-Sora on 12 frames: flow from frame 0 to 10, from 10 to 11, and from 11 to itself."""
    stage = OpticalFlowStage(method="dis", compat="opensora")
    twelve, image, large = run(stage, *(videos[n] for n in ("twelve", "image", "large")))
    first, tenth, last = (
        averaged_picture(frame.image) for frame in read_frames(videos["twelve"], [0, 10, 11])
    )
    flows = dis_flow(np.array([[first, tenth], [tenth, last]]))
    expected = np.abs(flows).mean(axis=(1, 2, 3)).sum() / 3
    assert twelve == {"flow": pytest.approx(expected, abs=1e-5)}
    assert image == {"flow": 0.0}
    (honest,) = run(OpticalFlowStage(method="dis"), videos["large"])
    assert large == {"flow": honest["flow"]}  # where the frames exist both are the same


@pytest.mark.slow
def test_gmflow_scores_as_open_soras_procedure(checkpoint):
    """A portrait pair of 360 x 640 through the stage, at the full 320 x 576.

    Expected: transpose, F.interpolate and abs().mean() of tools/scoring/optical_flow/inference.py (Open-Sora
    1.2) around UniMatch (autonomousvision/unimatch, commit 943a990) with the same random weights, in fp32.
    """
    stage = OpticalFlowStage(weights=str(checkpoint), device="cpu", motion_pairs=0)
    first, second = (picture[0] for picture in pictures(640, 360, 1))
    frames = Frames([Frame(0, 0, 0.0, first), Frame(10, 10, 0.4, second)], np.arange(12) / 25)
    prepared = stage.prepare({"path": "clip.mp4"}, frames)
    stage.setup()
    assert stage.score([prepared]) == [{"flow": pytest.approx(13.316364, abs=1e-4)}]


def test_a_clip_scores_the_same_in_any_batch(checkpoint):
    """The network on small pictures: the grid's own would take minutes on a CPU."""
    estimate = load_gmflow(checkpoint, device="cpu", threads=2)

    def clip(seed: int, pairs: int) -> Clip:
        shots = [np.roll(pictures(32, 64, seed)[0][-1], shift, axis=1) for shift in range(3)]
        near = MotionPair(0, 2, near=1)
        return Clip(
            flow_pictures=[shot.astype(np.float32) for shot in shots],
            pictures=dict(enumerate(shots)),
            times={0: 0.0, 1: 0.04, 2: 0.08},
            pairs=[near, MotionPair(1, 2)][:pairs],
            pixel=(0.004, 0.004),
        )

    clips = [clip(1, 2), clip(2, 0), clip(3, 1)]
    together = score_clips(estimate, clips)
    assert [sorted(scores) for scores in together] == [
        ["flow", "motion", "motion_p95"],
        ["flow"],
        ["flow", "motion", "motion_p95"],
    ]
    assert score_clips(estimate, clips[::-1])[::-1] == together
    assert score_clips(load_gmflow(checkpoint, device="cpu", threads=1), clips[2:]) == together[2:]


def test_a_cpu_compiles_nothing(checkpoint):
    with pytest.raises(UserError, match=r"--compile: .* on a GPU alone"):
        OpticalFlowStage(weights=str(checkpoint), device="cpu", compile=True)


def test_missing_weights_name_both_ways_on(tmp_path, videos):
    table = write_table(pl.DataFrame({"path": [str(videos["ten"])]}), tmp_path / "meta.csv")
    done = command(table, HOME=str(tmp_path), VIDSIEVE_WEIGHTS=str(tmp_path), VIDSIEVE_GMFLOW="gone.pth")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: gone.pth") and "--method dis" in last
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIDSIEVE_GMFLOW", raising=False)
        patch.setattr("tools.models.weights._PROJECT", tmp_path)
        patch.setenv("VIDSIEVE_WEIGHTS", str(tmp_path))
        patch.chdir(tmp_path)
        with pytest.raises(UserError, match=r"weights download gmflow.*--method dis"):
            OpticalFlowStage()


def test_options_that_contradict_each_other_are_refused():
    with pytest.raises(UserError, match="--compat opensora gives flow alone"):
        OpticalFlowStage(method="dis", compat="opensora", split_camera=True)
    with pytest.raises(UserError, match="--motion-pairs 0 leaves flow alone"):
        OpticalFlowStage(method="dis", motion_pairs=0, split_camera=True)
    with pytest.raises(UserError, match=r"Invalid method \(raft\)"):
        OpticalFlowStage(method="raft")


def test_what_was_asked_is_what_changes_values(checkpoint, tmp_path):
    def asked(**options: object) -> dict:
        return OpticalFlowStage(**{"weights": str(checkpoint), "device": "cpu", **options}).config()

    same = asked()
    copy = tmp_path / "copy.pth"
    copy.write_bytes(checkpoint.read_bytes())
    assert asked(weights=str(copy), precision="fp32") == same
    for options in ({"method": "dis"}, {"precision": "bf16"}, {"motion_pairs": 3}, {"split_camera": True}):
        assert asked(**options) != same
    dis = {"method": "dis", "weights": None}
    assert asked(**dis, precision="fp16", device="auto") == asked(**dis)


def test_the_table_is_the_same_alone_and_as_ranks(videos, tmp_path, capsys):
    paths = [str(videos[name]) for name in ("large", "image", "small", "ten", "portrait")]
    table = write_table(
        pl.DataFrame({"path": paths, "id": ["007", "1", "2", "3", "4"]}), tmp_path / "meta.csv"
    )
    alone = tmp_path / "alone.csv"
    flags = ("--method", "dis", "--split_camera")
    assert main([str(table), "--output", str(alone), "--num_workers", "0", *flags]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(alone)
    rows = pl.read_csv(alone)
    assert rows.columns[2:] == ["flow", "motion", "motion_p95", "motion_camera", "motion_subject"]
    assert rows["motion"].is_null().to_list() == [False, True, False, True, False]
    pan_only = rows.drop_nulls()
    assert (pan_only["motion_subject"] < 0.05 * pan_only["motion_camera"]).all()
    failures = alone.with_name("alone.failures.csv").read_text()
    assert "image.png,no_video" in failures and "ten.mp4,too_short" in failures

    run_as_ranks(main, table, *flags, "--num_workers", 1)
    parts = [tmp_path / f"meta_flow_part{rank}.csv" for rank in range(2)]
    merged = write_table(merge_tables(parts), tmp_path / "merged.csv")
    assert merged.read_bytes() == alone.read_bytes()


def test_workers_do_not_load_torch():
    """Seconds and half a gigabyte in each of them, for nothing."""
    script = "import sys, tools.scoring.optical_flow.stage; print(sorted({'torch', 'cv2'} & {*sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.stdout.strip() == "[]", done.stderr
