"""The aesthetic command on real videos, against an independent computation of the same score.

CLIP has random weights in OpenAI's file format, the head is the real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from tests.models.openai_clip import Shape, image_features, random_state, save_archive, save_state
from tests.scoring.commands import run_as_ranks
from tools.errors import UserError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import parse_sampling
from tools.models.clip_preprocess import CLIP_MEAN, CLIP_STD
from tools.scoring.aesthetic.inference import main
from tools.scoring.aesthetic.scorer import AestheticScorer
from tools.scoring.aesthetic.stage import AestheticStage
from tools.table import merge_tables, write_table

ROOT = Path(__file__).resolve().parents[2]
SIDE = Shape().image_size
VIDEOS = ("skv_bikes.mp4", "tc_av1_video.mkv", "bikes_vfr.mp4", "gradio_b.avi", "decord_video_0.mov")
IMAGES = ("123_456.jpg", "321_421.jpg")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state()


@pytest.fixture(scope="module")
def clip_file(state, tmp_path_factory) -> Path:
    return save_archive(state, tmp_path_factory.mktemp("weights") / "clip.pt")


@pytest.fixture(scope="module")
def head_file(data_dir: Path) -> Path:
    return data_dir / "aesthetic" / "sac+logos+ava1-l14-linearMSE.pth"


@pytest.fixture(scope="module")
def head_layers(head_file) -> dict[str, np.ndarray]:
    state = torch.load(head_file, map_location="cpu", weights_only=True)
    return {name: tensor.double().numpy() for name, tensor in state.items()}


@pytest.fixture(scope="module")
def files(data_dir: Path) -> list[Path]:
    return [data_dir / "videos" / name for name in VIDEOS] + [
        data_dir / "clip_preprocess" / name for name in IMAGES
    ]


@pytest.fixture
def table(files, tmp_path: Path) -> Path:
    """Images between videos, and a file that is none."""
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    paths = [files[0], files[5], files[1], broken, files[2], files[6], files[3], files[4]]
    return write_table(
        pl.DataFrame({"path": [str(p) for p in paths], "id": [f"{i:03}" for i in range(8)]}),
        tmp_path / "meta.csv",
    )


def reference_score(state, head_layers, images: list[Image.Image]) -> float:
    """The score from the definitions, in float64: nothing of it is shared with the toolkit."""
    pixels = []
    for image in images:
        width, height = image.size
        scale = SIDE / min(width, height)
        if width < height:
            width, height = SIDE, int(height * scale)
        else:
            width, height = int(width * scale), SIDE
        left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
        resized = image.convert("RGB").resize((width, height), Image.BICUBIC)
        crop = np.asarray(resized, dtype=np.float64)[top : top + SIDE, left : left + SIDE] / 255
        pixels.append(((crop - CLIP_MEAN) / CLIP_STD).transpose(2, 0, 1))
    x = image_features(state, np.stack(pixels))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for index in (0, 2, 4, 6, 7):
        x = x @ head_layers[f"layers.{index}.weight"].T + head_layers[f"layers.{index}.bias"]
    return float(x.mean())


def decoded(path: Path) -> list[Image.Image]:
    """First, middle and last picture of a full decode; an image is itself."""
    if path.suffix == ".jpg":
        with Image.open(path) as image:
            return [image.convert("RGB")]
    with av.open(str(path)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    return [frames[0], frames[len(frames) // 2], frames[-1]]


def command(*arguments: object, ranks: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    module = ["tools.scoring.aesthetic.inference", *map(str, arguments)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)]
    return subprocess.run(
        [sys.executable, *(torchrun if ranks else []), "-m", *module],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_scores_are_those_of_the_definition(state, head_layers, clip_file, head_file, files):
    images = [decoded(path)[0] for path in files]
    scorer = AestheticScorer(clip_file, head_file, device="cpu", precision="fp32")
    scores = scorer.score(images)
    assert scores.dtype == np.float32
    expected = [reference_score(state, head_layers, [image]) for image in images]
    assert np.ptp(expected) > 0.05  # the pictures are told apart
    assert np.abs(scores - expected).max() < 1e-5
    arrays = [np.asarray(image) for image in images]
    assert np.array_equal(scorer.score(arrays), scores)
    assert scorer.score([]).shape == (0,)


def test_a_loaded_clip_can_be_shared(clip_file, head_file, files):
    scorer = AestheticScorer(clip_file, head_file, device="cpu", precision="fp32")
    other = AestheticScorer(scorer.clip, head_file)
    images = decoded(files[-1])
    assert other.clip is scorer.clip
    assert np.array_equal(other.score(images), scorer.score(images))


def test_a_clip_of_another_width_is_refused(head_file, tmp_path):
    clip = save_state(random_state(Shape(embed_dim=512)), tmp_path / "clip.pt")
    with pytest.raises(UserError, match="768 numbers, this CLIP gives 512"):
        AestheticScorer(clip, head_file, device="cpu")


def test_a_row_scores_the_same_in_any_batch(clip_file, head_file, files):
    stage = AestheticStage(clip_model=str(clip_file), head=str(head_file), device="cpu", precision="fp32")
    rows = [stage.prepare({}, read_sampled(path, stage.sampling)) for path in files]
    assert [len(row.crops) for row in rows] == [3, 3, 3, 3, 3, 1, 1]
    stage.setup()
    together = stage.score(rows)
    assert [stage.score([row])[0] for row in rows] == together
    assert stage.score(rows[::-1])[::-1] == together


def test_what_was_asked_changes_with_weights_and_frames_only(clip_file, head_file, state, tmp_path):
    def asked(**options: object) -> dict[str, object]:
        options = {"clip_model": str(clip_file), "head": str(head_file), "precision": "fp32", **options}
        return AestheticStage(**options).config()

    same = asked()
    assert asked(device="cpu") == same
    copy = tmp_path / "copy.pt"
    copy.write_bytes(clip_file.read_bytes())
    assert asked(clip_model=str(copy)) == same  # the bytes count, not their place
    other = save_state({**state, "logit_scale": torch.tensor(1.0)}, tmp_path / "other.pt")
    for options in (
        {"clip_model": str(other)},
        {"sampling": parse_sampling("middle")},
        {"precision": "bf16"},
        {"decoder": "decord"},
    ):
        assert asked(**options) != same


def test_the_table_is_the_same_alone_and_as_ranks(
    state, head_layers, clip_file, head_file, table, monkeypatch, capsys
):
    monkeypatch.setenv("VIDSIEVE_CLIP_VIT_L_14", str(clip_file))
    monkeypatch.setenv("VIDSIEVE_AESTHETIC", str(head_file))
    options = ("--precision", "fp32", "--device", "cpu")
    alone = table.with_name("alone.csv")
    assert main([str(table), "--output", str(alone), "--num_workers", "2", *options]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(alone)

    rows = pl.read_csv(alone)
    assert rows["id"].to_list() == list(range(8))
    for path, score in rows.select("path", "aes").iter_rows():
        if path.endswith("broken.mp4"):
            assert score is None
        else:
            expected = reference_score(state, head_layers, decoded(Path(path)))
            assert score == pytest.approx(expected, abs=2e-5), path
    assert "broken.mp4" in alone.with_name("alone.failures.csv").read_text()

    run_as_ranks(main, table, *options, "--num_workers", 0, "--bs", 2)
    parts = [table.with_name(f"meta_aes_part{rank}.csv") for rank in range(2)]
    merged = write_table(merge_tables(parts), table.with_name("merged.csv"))
    assert merged.read_bytes() == alone.read_bytes()


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 0.01), ("bf16", 0.05)])
def test_the_table_on_a_gpu(state, head_layers, clip_file, head_file, table, tmp_path, precision, tolerance):
    weights = {"VIDSIEVE_CLIP_VIT_L_14": str(clip_file), "VIDSIEVE_AESTHETIC": str(head_file)}
    options = ("--precision", precision, "--device", "cuda", "--num_workers", 2)
    tables = {size: tmp_path / f"bs{size}.csv" for size in (1, 64)}
    for size, output in tables.items():
        run = command(table, "--output", output, "--bs", size, *options, **weights)
        assert run.returncode == 0, run.stderr
    assert tables[1].read_bytes() == tables[64].read_bytes()
    for path, score in pl.read_csv(tables[64]).select("path", "aes").iter_rows():
        if not path.endswith("broken.mp4"):
            expected = reference_score(state, head_layers, decoded(Path(path)))
            assert score == pytest.approx(expected, abs=tolerance), path
    run = command(table, *options, ranks=2, **weights)  # more ranks than GPUs share them
    assert run.returncode == 0, run.stderr
    parts = [table.with_name(f"meta_aes_part{rank}.csv") for rank in range(2)]
    merged = write_table(merge_tables(parts), tmp_path / "merged.csv")
    assert merged.read_bytes() == tables[64].read_bytes()


def test_missing_weights_are_one_line(table, tmp_path):
    run = command(table, HOME=str(tmp_path), VIDSIEVE_CLIP_VIT_L_14=str(tmp_path / "gone.pt"))
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith("error: ")
    assert "gone.pt" in run.stderr.splitlines()[-1] and "Traceback" not in run.stderr


def test_open_soras_flags_are_taken():
    run = command("--help-all")
    for flag in ("--bs", "--num-workers", "--prefetch-factor", "--num-frames", "--skip-if-existing"):
        assert flag in run.stdout


def test_workers_do_not_load_torch():
    """What a worker imports to prepare a row: it would cost seconds and half a gigabyte in each of them."""
    script = (
        "import sys, tools.scoring.aesthetic.stage; print(sorted({'torch', 'transformers'} & {*sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert run.stdout.strip() == "[]", run.stderr
