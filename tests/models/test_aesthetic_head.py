"""The folded head against its own layers, one after another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tools.errors import UserError
from tools.models.aesthetic_head import load_head


@pytest.fixture(scope="module")
def head_file(data_dir: Path) -> Path:
    return data_dir / "aesthetic" / "sac+logos+ava1-l14-linearMSE.pth"


def layer_by_layer(state: dict[str, torch.Tensor], features: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(features)
    for index in (0, 2, 4, 6, 7):
        x = torch.nn.functional.linear(
            x, state[f"layers.{index}.weight"].double(), state[f"layers.{index}.bias"].double()
        )
    return x[:, 0].numpy()


def test_the_published_head_gives_its_documented_value(head_file):
    """4.8833 on a vector of equal numbers: the figure that comes with the file."""
    features = np.full((1, 768), 768**-0.5)
    assert load_head(head_file)(features) == pytest.approx([4.8833], abs=5e-5)


def test_folding_changes_nothing(head_file):
    features = np.random.default_rng(0).standard_normal((200, 768))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    expected = layer_by_layer(torch.load(head_file, map_location="cpu", weights_only=True), features)
    assert np.abs(load_head(head_file)(features) - expected).max() < 1e-9


def test_a_score_depends_on_its_own_row_alone(head_file):
    head, features = load_head(head_file), np.random.default_rng(1).standard_normal((97, 768))
    together = head(features)
    assert np.array_equal(together, np.concatenate([head(row[None]) for row in features]))
    assert np.array_equal(together[::-1], head(features[::-1]))


def test_other_files_are_refused(head_file, tmp_path):
    state = torch.load(head_file, map_location="cpu", weights_only=True)
    renamed = tmp_path / "renamed.pth"
    torch.save({f"head.{name.replace('.', '_')}": tensor for name, tensor in state.items()}, renamed)
    with pytest.raises(UserError, match=r"found head\.layers_0_bias.*expected layers\.0\.weight"):
        load_head(renamed)
    bent = tmp_path / "bent.pth"
    torch.save({**state, "layers.4.weight": torch.zeros(64, 100)}, bent)
    with pytest.raises(UserError, match="do not fit together"):
        load_head(bent)
    wide = tmp_path / "wide.pth"
    torch.save({**state, "layers.7.weight": torch.zeros(2, 16), "layers.7.bias": torch.zeros(2)}, wide)
    with pytest.raises(UserError, match="2 outputs"):
        load_head(wide)
    text = tmp_path / "notes.pth"
    text.write_text("not weights\n")
    with pytest.raises(UserError, match="not a state dict"):
        load_head(text)


def test_features_of_another_length_are_refused(head_file):
    with pytest.raises(ValueError, match=r"\(N, 768\)"):
        load_head(head_file)(np.zeros((1, 512)))
