"""Scores with a CLIP of open_clip: by the command, against features in float64."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from tests.scoring.clip_files import SHAPE, SmallClip
from tools.errors import UserError
from tools.scoring.fused import FusedStage
from tools.scoring.matching.inference import main
from tools.scoring.scorers import make_scorer
from tools.stage.stage import weights_later

TEXTS = ["the cat", "a dog of the harbour"]


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)) for _ in TEXTS]
    paths = [str(tmp_path / f"{n}.png") for n in range(len(TEXTS))]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    pl.DataFrame({"path": paths, "text": TEXTS}).write_csv(tmp_path / "m.csv")
    return pictures


def test_the_command_takes_a_config_and_refuses_without(tmp_path, clip_environment: SmallClip, table):
    weights = tmp_path / "weights.pt"
    torch.save(clip_environment.state, weights)
    command = [str(tmp_path / "m.csv"), "--clip-model", str(weights), "--quiet", "--num-workers", "0"]
    with pytest.raises(UserError, match=r"--clip-config NAME\|FILE"):
        main(command)
    assert not (tmp_path / "m_match.csv").exists()
    vision = {"image_size": SHAPE.image_size, "width": SHAPE.width, "layers": SHAPE.layers, "patch_size": 8}
    text = {"context_length": SHAPE.context, "vocab_size": SHAPE.vocab, "width": 64, "heads": 1, "layers": 2}
    config = tmp_path / "config.json"
    for quick in (False, True):
        model = {"embed_dim": SHAPE.embed_dim, "vision_cfg": vision, "text_cfg": text, "quick_gelu": quick}
        config.write_text(json.dumps({"model_cfg": model}))
        flags = ["--clip-config", str(config), "--precision", "fp32", "--device", "cpu", "--overwrite"]
        assert main([*command, *flags]) == 0
        how = {"exact_gelu": not quick}
        cosines = (clip_environment.images(table, **how) * clip_environment.texts(TEXTS, **how)).sum(axis=1)
        found = pl.read_csv(tmp_path / "m_match.csv")["match"]
        assert found.to_list() == pytest.approx(100 * cosines, abs=1e-3)


def test_a_name_with_published_weights_of_other_pictures_says_so_once():
    with weights_later():
        options = {"clip_config": "ViT-L/14"}
        fused = FusedStage(stages=(make_scorer("match", options), make_scorer("quality", options)))
    (note,) = fused.notes()
    assert note.endswith("for them use --clip-config ViT-L-14:laion2b_s32b_b82k")
