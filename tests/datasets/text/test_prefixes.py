"""Openings of captions. The documented rule is that of Open-Sora's datautil, --refine-llm-caption."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.datasets.text.prefixes import OPENINGS, refine_caption, refine_captions

DOCUMENTED = [
    *(f"The video {verb}" for verb in ("shows", "captures", "features", "depicts", "presents", "is")),
    *(
        f"The image {verb}"
        for verb in ("shows", "captures", "features", "depicts", "presents", "is", "portrays")
    ),
    "In the video,",
    "In the image,",
]
REMAINDERS = [
    " a cat on a mat. The video shows no dog.",
    " A cat.",
    "  two  spaces\n",
    " 3 men",
    " élan vital",
    " ßharp",
    " «quoted»",
    " 猫",
    " the",
    " shows",
]


def documented(text, opening):
    """The rule in words: take the opening off, strip, capitalise the first letter."""
    rest = text[len(opening) :].strip()
    return rest[0].upper() + rest[1:]


@pytest.mark.parametrize("opening", DOCUMENTED)
def test_documented_openings_give_what_the_documented_rule_gives(opening):
    for form in (opening, opening.lower()):
        for rest in REMAINDERS:
            assert refine_caption(form + rest) == documented(form + rest, opening)


@pytest.mark.parametrize("opening", DOCUMENTED)
def test_a_caption_that_is_only_an_opening_becomes_empty(opening):
    for text in (opening, opening.lower(), opening + " ", opening + "\n\t"):
        assert refine_caption(text) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The video portrays a king", "A king"),
        ("This video shows a cat.", "A cat."),
        ("this clip captures a cat.", "A cat."),
        ("This scene depicts a cat.", "A cat."),
        ("This image is a photo of a cat.", "A photo of a cat."),
        ("This footage presents a cat.", "A cat."),
        ("The scene shows a cat.", "A cat."),
        ("The frame captures a cat.", "A cat."),
        ("In this video, a cat sleeps.", "A cat sleeps."),
        ("In the clip, a cat sleeps.", "A cat sleeps."),
        ("In the scene,a cat sleeps.", "A cat sleeps."),
        ("  The video shows a cat.", "A cat."),
        ("In the video, the video shows a cat.", "A cat."),
        ("The image shows The image is This video shows x", "X"),
        ("In the video,, a cat", ", a cat"),
    ],
)
def test_further_openings(text, expected):
    assert refine_caption(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " A cat. ",
        "a cat",
        "The video showstopper of the year",
        "The video showsé",
        "The video features-rich camera",
        "The video isn't sharp",
        "The video island",
        "The video, shows a cat",
        "The videos shows a cat",
        "THE VIDEO SHOWS A CAT",
        "The Video Shows a cat",
        "A cat. The video shows a dog.",
        "In the video a cat sleeps",
        "The frame is made of wood.",
        "The frame features carvings.",
        "The picture is hung askew.",
        "Therein the video shows",
    ],
)
def test_without_an_opening_nothing_changes(text):
    assert refine_caption(text) == text


def test_every_opening_of_the_table_is_removed():
    for noun, verbs in OPENINGS.items():
        openings = [f"{word} {noun} {verb}" for word in ("The", "This") for verb in verbs]
        for opening in [*openings, f"In the {noun},", f"In this {noun},"]:
            assert refine_caption(f"{opening} a cat") == refine_caption(f"{opening.lower()} a cat") == "A cat"


PIECES = st.sampled_from(
    [*DOCUMENTED, "This clip shows", "in this scene,", " ", "a", "é", "ß", "ŉ", ",", "\n"]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES).map(" ".join), st.lists(PIECES).map("".join))


@given(TEXTS)
def test_refining_twice_is_refining_once(text):
    once = refine_caption(text)
    assert refine_caption(once) == once
    assert once == text or (once == once.strip() and len(once) < len(text))


def test_batches():
    assert refine_captions(["The video shows a cat", "", "x"]) == ["A cat", "", "x"]
    assert refine_caption("the video shows " * 6000) == ""
