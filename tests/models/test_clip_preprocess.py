"""Preprocessing against tensors that another project made with openai/CLIP's own transform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tools.models.clip_preprocess import CLIP_MEAN, CLIP_STD, clip_crop, clip_preprocess, normalize_crops


def test_equals_the_reference_tensors_exactly(data_dir: Path):
    folder = data_dir / "clip_preprocess"
    with np.load(folder / "clip_retrieval_vitb32_goldens.npz") as golden:
        names, tensors = golden["names"], golden["tensors"]
    assert len(names) == 7
    for name, expected in zip(names, tensors, strict=True):
        with Image.open(folder / f"{name}.jpg") as image:
            assert np.array_equal(clip_preprocess(image).numpy(), expected), name
            array = np.asarray(image.convert("RGB"))
        assert np.array_equal(clip_preprocess(array).numpy(), expected), name


@pytest.mark.parametrize(
    ("size", "scaled", "corner"),
    [  # shorter side 224, longer int(224 * longer / shorter), offset round((longer - 224) / 2), half to even
        ((576, 320), (403, 224), (90, 0)),  # 179 / 2 = 89.5 goes to 90
        ((641, 480), (299, 224), (38, 0)),  # 75 / 2 = 37.5 goes to 38
        ((320, 577), (224, 403), (0, 90)),
        ((1920, 1080), (398, 224), (87, 0)),
        ((100, 30), (746, 224), (261, 0)),  # enlarged
        ((224, 225), (224, 225), (0, 0)),  # 0.5 goes to 0
    ],
)
def test_scaled_size_and_crop_offset(size, scaled, corner):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    resized = np.asarray(noise.resize(scaled, Image.Resampling.BICUBIC))
    left, top = corner
    assert np.array_equal(clip_crop(noise), resized[top : top + 224, left : left + 224])


def test_gray_palette_and_transparent_pictures_become_rgb():
    rgb = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    for mode in ("L", "P", "RGBA", "1"):
        assert clip_crop(rgb.convert(mode), 32).shape == (32, 32, 3)
    assert np.array_equal(clip_crop(rgb.convert("L"), 32)[..., 0], clip_crop(rgb.convert("L"), 32)[..., 2])


def test_normalisation_is_that_of_the_formula():
    crops = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    expected = (crops / 255.0 - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    actual = normalize_crops(torch.from_numpy(crops)).permute(0, 2, 3, 1).numpy()
    assert actual.dtype == np.float32
    assert np.abs(actual - expected).max() < 1e-6


def test_other_arrays_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        clip_crop(np.zeros((8, 8, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="H x W x 3"):
        clip_crop(np.zeros((8, 8), dtype=np.uint8))
