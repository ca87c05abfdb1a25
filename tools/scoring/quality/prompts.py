"""The pairs of opposite prompts that pictures are compared with, and the names of their columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tools.errors import UserError

PROMPTS: dict[str, tuple[str, str]] = {
    "quality": ("Good photo.", "Bad photo."),
    "brightness": ("Bright photo.", "Dark photo."),
    "noisiness": ("Clean photo.", "Noisy photo."),
    "colorfullness": ("Colorful photo.", "Dull photo."),
    "sharpness": ("Sharp photo.", "Blurry photo."),
    "contrast": ("High contrast photo.", "Low contrast photo."),
    "complexity": ("Complex photo.", "Simple photo."),
    "natural": ("Natural photo.", "Synthetic photo."),
    "happy": ("Happy photo.", "Sad photo."),
    "scary": ("Scary photo.", "Peaceful photo."),
    "new": ("New photo.", "Old photo."),
    "warm": ("Warm photo.", "Cold photo."),
    "real": ("Real photo.", "Abstract photo."),
    "beautiful": ("Beautiful photo.", "Ugly photo."),
    "lonely": ("Lonely photo.", "Sociable photo."),
    "relaxing": ("Relaxing photo.", "Stressful photo."),
}
"""The pairs of TorchMetrics 1.9 (``clip_image_quality_assessment``), by its names.

A score near 1 means the first of a pair."""

_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class PromptPair:
    """Two opposite prompts.

    Attributes:
        column: Name of the column with their score.
        positive: What a picture with a score near 1 is like.
        negative: What one with a score near 0 is like.
    """

    column: str
    positive: str
    negative: str


def parse_prompts(texts: Sequence[str]) -> tuple[PromptPair, ...]:
    """Read what a user types.

    Args:
        texts: Names of `PROMPTS`; own pairs ``positive|negative``, or ``name=positive|negative``. Columns are
            ``quality`` for the pair of that name, ``quality_<name>`` for others, and ``quality_user0``,
            ``quality_user1`` ... for own pairs without a name.

    Raises:
        UserError: An unknown name, a pair that is none, or two with the same column.
    """
    pairs: list[PromptPair] = []
    unnamed = 0
    for text in texts:
        name, prompts = text, PROMPTS.get(text)
        if prompts is None:
            named = _NAMED.fullmatch(text)
            name, pair = named.groups() if named else (f"user{unnamed}", text)
            unnamed += not named
            prompts = _own_pair(text, pair)
        column = "quality" if name == "quality" else f"quality_{name}"
        if column in [known.column for known in pairs]:
            raise UserError(
                f"prompts: two of them make the column {column}; name one: NAME={'|'.join(prompts)}"
            )
        pairs.append(PromptPair(column, *prompts))
    if not pairs:
        raise UserError(f"prompts: name at least one of {', '.join(PROMPTS)}")
    return tuple(pairs)


def _own_pair(text: str, pair: str) -> tuple[str, str]:
    positive, bar, negative = (part.strip() for part in pair.partition("|"))
    if not bar:
        raise UserError(
            f"Invalid prompts ({text}). Supported values are {', '.join(PROMPTS)}, "
            "and pairs like 'a good photo|a bad photo'."
        )
    if not positive or not negative or "|" in negative:
        raise UserError(f"Invalid prompts ({text}). A pair is two texts with one | between them.")
    return positive, negative
