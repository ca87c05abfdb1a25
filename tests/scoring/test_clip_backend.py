"""What computes CLIP, as an option of a run: it never changes between the rows of a table."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tools.errors import UserError
from tools.scoring.matching.stage import MatchingStage
from tools.scoring.quality.stage import QualityStage
from tools.stage.run_options import RunOptions
from tools.stage.runner import run_stage

pytest.importorskip("openvino", reason="openvino of the extra ocr is not installed")


@pytest.fixture
def options(clip_environment) -> dict[str, str]:
    return {"clip_model": str(clip_environment.weights), "device": "cpu", "precision": "fp32"}


def test_a_run_does_not_go_on_with_another_backend(options, clip_environment, tmp_path):
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    table, output = tmp_path / "meta.csv", tmp_path / "out.csv"
    rows = {"path": [str(tmp_path / f"{number}.png") for number in range(3)], "text": ["the cat"] * 3}
    pl.DataFrame(rows).write_csv(table)

    def run(backend: str, **how: object):
        quiet = RunOptions(num_workers=0, progress=False, **how)
        return run_stage(MatchingStage(backend=backend, **options), table, output=output, options=quiet)

    assert run("pytorch", limit=2).fresh == 2
    first = run("pytorch")
    assert (first.fresh, first.reused) == (1, 2)
    by_pytorch = pl.read_csv(output)["match"].to_numpy()
    with pytest.raises(UserError, match=r"with other options .*backend pytorch, now openvino"):
        run("auto")
    second = run("auto", overwrite=True)
    assert (second.fresh, second.reused) == (3, 0)
    assert run("openvino").already_complete
    assert np.abs(pl.read_csv(output)["match"].to_numpy() - by_pytorch).max() < 1e-3


def test_what_differs_is_the_backend_alone(options):
    one, other = (QualityStage(backend=backend, **options) for backend in ("openvino", "pytorch"))
    assert {name for name in one.config() if one.config()[name] != other.config()[name]} == {"backend"}
    assert QualityStage(**options).config() == one.config()  # what was asked is what was found
    assert one.encoder_key() != other.encoder_key()  # so that a fused run does not share them
    (note,) = one.notes()
    assert note.startswith("note: CLIP's features of pictures are computed by OpenVINO 20")
    assert other.notes() == []


def test_openvino_on_any_device_is_the_cpu(options):
    assert QualityStage(backend="openvino", **{**options, "device": "auto"}).device == "cpu"
    for wrong in ({"precision": "fp16"}, {"compile": True}):
        with pytest.raises(UserError, match="--backend openvino does not go together with --"):
            QualityStage(backend="openvino", **{**options, **wrong})
