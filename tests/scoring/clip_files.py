"""A small CLIP with random weights in OpenAI's format, and its features from the definitions in float64."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.models.clip_vocabulary import ids, reference, save_openai
from tests.models.openai_clip import Shape, image_features, random_state, save_state, text_features
from tools.models.clip_preprocess import CLIP_MEAN, CLIP_STD

SHAPE = Shape(vocab=len(ids()), context=16)
ROOM = SHAPE.context - 2  # tokens of a text


class SmallClip:
    """Weights, vocabulary, and what comes out of them by an independent computation."""

    def __init__(self, folder: Path) -> None:
        self.state = random_state(SHAPE)
        self.weights = save_state(self.state, folder / "clip.pt")
        self.vocabulary = save_openai(folder / "bpe.txt.gz")
        self.environment = {
            "VIDSIEVE_CLIP_VIT_L_14": str(self.weights),
            "VIDSIEVE_CLIP_BPE": str(self.vocabulary),
        }

    def images(self, pictures: list[Image.Image], **how: bool) -> np.ndarray:
        """Unit-length features, float64."""
        pixels = [(_crop(picture) / 255 - CLIP_MEAN) / CLIP_STD for picture in pictures]
        return _unit(image_features(self.state, np.stack(pixels).transpose(0, 3, 1, 2), **how))

    def texts(self, texts: list[str], **how: bool) -> np.ndarray:
        """Unit-length features, float64; tokens are those of transformers, cut at the context length."""
        rows = np.zeros((len(texts), SHAPE.context), dtype=np.int64)
        for row, text in zip(rows, texts, strict=True):
            tokens = reference()(text)["input_ids"]
            tokens = [*tokens[: SHAPE.context - 1], tokens[-1]] if len(tokens) > SHAPE.context else tokens
            row[: len(tokens)] = tokens
        return _unit(text_features(self.state, rows, **how))


def pictures(path: Path) -> list[Image.Image]:
    """Every picture of a full decode; an image is itself."""
    if path.suffix in (".png", ".jpg"):
        with Image.open(path) as image:
            return [image.convert("RGB")]
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def _crop(image: Image.Image) -> np.ndarray:
    side = SHAPE.image_size
    width, height = image.size
    scale = side / min(width, height)
    size = (side, int(height * scale)) if width < height else (int(width * scale), side)
    left, top = round((size[0] - side) / 2), round((size[1] - side) / 2)
    resized = np.asarray(image.resize(size, Image.BICUBIC), dtype=np.float64)
    return resized[top : top + side, left : left + side]


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=1, keepdims=True)
