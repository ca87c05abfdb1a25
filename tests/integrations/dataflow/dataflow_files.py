"""Weights in the real file formats, the scores that follow from them, and pictures that score differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from tests.scoring.clip_files import SmallClip

LAYERS = {0: (768, 1024), 2: (1024, 128), 4: (128, 64), 6: (64, 16), 7: (16, 1)}


class Weights(SmallClip):
    """A small CLIP and a random head, and the score that follows from the definitions in float64."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        rng = np.random.default_rng(7)
        self.layers = {}
        for number, (inputs, outputs) in LAYERS.items():
            weight = rng.standard_normal((outputs, inputs)) * 1.5 / inputs**0.5
            self.layers[f"layers.{number}.weight"] = torch.tensor(weight, dtype=torch.float32)
            self.layers[f"layers.{number}.bias"] = torch.tensor(
                rng.standard_normal(outputs), dtype=torch.float32
            )
        self.head = folder / "head.pth"
        torch.save(self.layers, self.head)
        self.environment["VIDSIEVE_AESTHETIC"] = str(self.head)

    def scores(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Score of each picture."""
        x = self.images([Image.fromarray(picture) for picture in pictures])
        for number in LAYERS:
            weight, bias = (
                self.layers[f"layers.{number}.{part}"].double().numpy() for part in ("weight", "bias")
            )
            x = x @ weight.T + bias
        return x[:, 0]


def drifting_pictures(count: int, seed: int = 0, size: tuple[int, int] = (96, 64)) -> list[np.ndarray]:
    """Pictures that turn from one random scene into others."""
    rng = np.random.default_rng(seed)
    scenes = rng.integers(0, 256, (4, 4, 6, 3)).astype(np.float64)
    pictures = []
    for position in np.linspace(0, 2.999, count):
        scene, share = int(position), position % 1
        mixed = scenes[scene] * (1 - share) + scenes[scene + 1] * share
        pictures.append(np.asarray(Image.fromarray(mixed.astype(np.uint8)).resize(size, Image.BICUBIC)))
    return pictures


class Memory:
    """A storage of another make, with nothing but what operators use."""

    def __init__(self, rows: Any) -> None:
        self.frame = pd.DataFrame(rows)

    def read(self, output_type: str) -> pd.DataFrame:
        assert output_type == "dataframe"
        return self.frame

    def write(self, data: pd.DataFrame) -> None:
        self.frame = data
