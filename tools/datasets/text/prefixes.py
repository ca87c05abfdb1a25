"""Remove what language models put before a caption: "The video shows a cat" becomes "A cat"."""

from __future__ import annotations

import re

_VERBS = ("shows", "captures", "features", "depicts", "presents", "portrays")

OPENINGS: dict[str, tuple[str, ...]] = {
    "video": (*_VERBS, "is"),
    "image": (*_VERBS, "is"),
    "clip": (*_VERBS, "is"),
    "footage": (*_VERBS, "is"),
    "scene": _VERBS,
    "picture": _VERBS,
    "photo": _VERBS,
    "frame": tuple(verb for verb in _VERBS if verb != "features"),
}
"""What the picture is called, and the verbs that may follow, after "The" or "This".

"is" and "features" are left out where the noun may well be a thing in the picture: "The frame is made of
wood", "The picture is hung askew". "In the" or "In this", noun and comma go for every noun.

Open-Sora removes "The video" and "The image" with these verbs ("portrays" for images only), and
"In the video," and "In the image,"; what is said of other nouns, of "this", and of word boundaries is ours.
"""


def refine_caption(text: str) -> str:
    """Remove the openings that name the medium, and capitalise what is left.

    An opening counts in its usual case or all in lower case, at the beginning of the caption, with its words
    whole ("The video showstopper" stays). Openings are removed until none is left, so refining twice is
    refining once.

    Args:
        text: A caption.

    Returns:
        The caption without its openings, stripped, its first letter upper-case; "" when there was nothing
        else. A caption that has no opening comes back exactly as it is.
    """
    while match := _OPENING.match(text):
        rest = text[match.end() :].strip()
        text = rest[:1].upper() + rest[1:]
    return text


def refine_captions(texts: list[str]) -> list[str]:
    """`refine_caption` of each."""
    return [refine_caption(text) for text in texts]


def _pattern() -> re.Pattern[str]:
    openings = []
    for noun, verbs in OPENINGS.items():
        followed = "|".join(r"is(?!\S)" if verb == "is" else rf"{verb}(?![\w'’-])" for verb in verbs)
        openings += [rf"(?:[Tt]he|[Tt]his) {noun} (?:{followed})", rf"[Ii]n (?:the|this) {noun},"]
    return re.compile(r"\s*(?:" + "|".join(openings) + ")")


_OPENING = _pattern()
