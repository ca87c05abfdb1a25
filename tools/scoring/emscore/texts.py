"""Texts for EMScore: their tokens, and the features of each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from tools.scoring.clip_features import mean_feature, unit_length
from tools.scoring.emscore.metrics import TextFeatures
from tools.scoring.matching.scorer import TextTokens

if TYPE_CHECKING:
    from tools.models.clip import CLIPEncoder
    from tools.models.clip_tokenizer import CLIPTokenizer
    from tools.scoring.emscore.idf import Idf

LONG_TEXT: dict[str, str] = {
    "split": "read chunks of whole sentences, score the tokens of all",
    "truncate": "cut it there",
    "error": "the row fails",
}
"""What can be done with a text that has more tokens than CLIP reads."""

_TEXTS = 256  # encoded at a time: 40 MB at 77 tokens of 512 numbers; a multiple of the GPU's batch


def token_features(encoder: CLIPEncoder, texts: Sequence[TextTokens], idf: Idf | None) -> list[TextFeatures]:
    """Features and weights of the tokens of texts.

    A text of several chunks has one start token, which is the same in all; the words of all; and one end
    token, the mean of theirs, scaled to length 1.

    Args:
        encoder: A loaded CLIP.
        texts: What `tools.scoring.matching.scorer.tokenize` gave.
        idf: Weights of the tokens; None for 1 each.

    Returns:
        One for each text; it depends on that text alone, to the last bit.
    """
    unique = {row.tobytes(): row for text in texts for row in text.ids}
    features = {}
    rows = iter(unique.items())
    while part := list(islice(rows, _TEXTS)):
        features |= zip(
            (key for key, _ in part), _encode(encoder, np.stack([row for _, row in part])), strict=True
        )
    return [_join([features[row.tobytes()] for row in text.ids], token_ids(text), idf) for text in texts]


def token_ids(text: TextTokens) -> list[int]:
    """Ids of the tokens in the order of `token_features`: start token, words of all chunks, end token."""
    chunks = [row[: _length(row)].tolist() for row in text.ids]
    return [chunks[0][0], *(number for chunk in chunks for number in chunk[1:-1]), chunks[0][-1]]


def words(tokenizer: CLIPTokenizer, text: TextTokens) -> list[tuple[str, slice]]:
    """The words of a text, with the positions of each in what `token_features` gave."""
    found, position = [], 1
    for word, count in tokenizer.words(token_ids(text)[1:-1]):
        found.append((word, slice(position, position + count)))
        position += count
    return found


def _encode(encoder: CLIPEncoder, ids: np.ndarray) -> list[np.ndarray]:
    """For each text float64, shape (L, D), of length 1: up to and with the end token."""
    import torch

    features = encoder.encode_tokens(torch.from_numpy(ids)).numpy()
    return [unit_length(own[: _length(row)]) for row, own in zip(ids, features, strict=True)]


def _join(chunks: list[np.ndarray], ids: list[int], idf: Idf | None) -> TextFeatures:
    end = chunks[0][-1:] if len(chunks) == 1 else mean_feature(np.stack([c[-1] for c in chunks]))[None]
    tokens = np.concatenate([chunks[0][:1], *(chunk[1:-1] for chunk in chunks), end])
    return TextFeatures(tokens, np.ones(len(ids)) if idf is None else idf.weights(ids))


def _length(row: np.ndarray) -> int:
    """Tokens up to and with the end token, which has the highest id."""
    return int(row.argmax()) + 1
