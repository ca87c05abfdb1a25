"""Caption cleaning against the implementation that training code used.

`cleaning_pairs.json` holds captions and what ``IFPipeline._clean_caption`` of diffusers gave for them, twice
applied; the file says the versions. Its captions set off every rule, alone and mixed.
"""

import json
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.datasets.text import cleaning
from tools.datasets.text.cleaning import clean_caption, clean_captions
from tools.errors import UserError

PAIRS = json.loads((Path(__file__).parent / "cleaning_pairs.json").read_text())["pairs"]


@pytest.mark.parametrize(("text", "expected"), PAIRS)
def test_the_same_as_the_implementation_of_diffusers(text, expected):
    assert clean_caption(text) == expected


def test_observed_outputs_of_datautil():
    observed = {  # run with Open-Sora's datautil --clean-caption
        "The Video shows a Cat &amp; dog.": "the video shows a cat dog.",
        "https://example.com/x?y=1 now": "?y=1 now",
        "猫 cat 1920x1080": "cat",
        "#1234": "1234",
        "a,b.c": "a, b. c",
        "e.g. this": "e. g. this",
        "C++ / C#": "c c",
        "1.5x2": "1.",
        "free shipping worldwide": "worldwide",
    }
    assert clean_captions(list(observed)) == list(observed.values())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<![a section] of words", "words"),  # Beautiful Soup: ParserRejectedMarkup
        ("<![if x]>of words<![endif]>", "words"),
        ("words &#" + "1" * 5000 + ";", "words"),  # int() refuses so many digits
        ("words ＆＃" + "1" * 5000 + "a;", "words"),
        ("words &#55296; &#0; &#x110000;", "words"),  # no characters
        ("<?xml version='1.0'?> words", "words"),
        ("/files/a.html&b words.txt", "words"),
        ("\x00\x01\x7f words", "words"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_the_original_crashes_on_or_warns_of(text, kept):
    assert kept in clean_caption(text)


SPECIAL = st.text("ab1.x:-_/@#&;<>'\" ,+%é!?[]\n\t²猫’–×х＆٣pngcomhttw", max_size=40)
PIECES = st.lists(st.sampled_from(sorted({word for text, _ in PAIRS for word in text.split()})), max_size=12)


@given(st.one_of(st.text(), SPECIAL, PIECES.map(" ".join), PIECES.map("".join)))
@settings(max_examples=400, deadline=None)
def test_any_text_is_cleaned(text):
    cleaned = clean_caption(text)
    assert cleaned == cleaned.strip()
    assert not re.search(r"\s\s|[^\S ]", cleaned)  # at most single spaces
    assert not re.search(r"[\u31c0-\u9fff]", cleaned)


# The plain form of each rule, in quadratic time, and the form that is used.
PLAIN_FORMS = {
    "http": (
        r"\b(?:https?:(?:/{1,3}|[a-z0-9%])|[a-z0-9.-]+\.(?:com|co|ru|net|org|edu|gov|it)[\w/-]*\b/?(?!@))",
        cleaning._HTTP_LINK,
        "ax.-/@:com ithtps%",
    ),
    "file": (r"\S+\.(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)", cleaning._FILE, "a. pngjesmp4"),
    "lone dot": (r"\s+\.\s+", cleaning._LONE_DOT, "a . \n"),
    "long id": (r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", cleaning._LONG_ID, "a1b2_. é"),
    "dimensions": (r"\b\d+\.?\d*[xх×]\d+\.?\d*\b", cleaning._DIMENSIONS, "12.xх×a "),
    "long number": (r"\b\d{6,}\b", cleaning._LONG_NUMBER, "1٣a_ ."),
}
LINK_PIECES = (
    "http:",
    "https://",
    ".com",
    ".co",
    ".it",
    ".net@",
    "a",
    "-",
    ".",
    "/",
    "@",
    " ",
    "_x",
    ".comma",
    "http",
)
FILE_PIECES = (".png", ".jpg", "a", ".", " ", "s", ".mp4", "webp")


@pytest.mark.parametrize("name", PLAIN_FORMS)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_linear_forms_find_what_the_plain_forms_find(name, data):
    plain, linear, alphabet = PLAIN_FORMS[name]
    strategies = [st.text(alphabet, max_size=30)]
    if name in ("http", "file"):
        pieces = LINK_PIECES if name == "http" else FILE_PIECES
        strategies.append(st.lists(st.sampled_from(pieces), max_size=12).map("".join))
    text = data.draw(st.one_of(strategies))
    kept = r"\1" if linear.groups else ""
    assert linear.sub(kept, text) == re.sub(plain, "", text)


LENGTH = 100_000
LONG = {
    "letters": "a" * LENGTH,
    "dots": "a." * (LENGTH // 2),
    "hyphens": "a-" * (LENGTH // 2),
    "hosts that are none": ".com@" * (LENGTH // 5),
    "a tail that is none": "a" + ".b" * (LENGTH // 2) + ".com@",
    "files": "a.png" * (LENGTH // 5),
    "blanks": "a" + " " * LENGTH + "b",
    "digits": "a1a" + "1" * LENGTH + "_",
    "digits and a letter": "1" * LENGTH + "a",
    "unclosed tags": "<a " * (LENGTH // 3),
    "unclosed attributes": "<a x=" * (LENGTH // 5),
    "unclosed comments": "<!--" * (LENGTH // 4),
    "nested tags": "<b>" * (LENGTH // 3),
    "entities": "&amp;" * (LENGTH // 5),
    "combining marks": "\u0301\u0323" * (LENGTH // 2),
    "Han": "猫" * LENGTH,
    "kana": "か" * LENGTH,
    "mojibake": "Ã©" * (LENGTH // 2),
    "words": "A well-lit “room”, e.g. 1920x1080. " * (LENGTH // 35),
}


@pytest.mark.parametrize("name", LONG)
def test_100_kb_take_seconds_at_most(name):
    start = time.process_time()
    clean_caption(LONG[name])
    assert time.process_time() - start < 4  # the plain forms take minutes


def test_unclosed_tags_in_a_long_caption_are_text():
    cleaned = clean_caption("<a " * 30_000 + "<b>the end</b>")
    assert cleaned.startswith("<a <a <a") and cleaned.endswith("<a the end")


def test_a_missing_package_is_named(monkeypatch):
    cleaning._tools.cache_clear()
    monkeypatch.setitem(sys.modules, "ftfy", None)  # as if it were not there
    with pytest.raises(UserError, match=r"--clean-caption: package ftfy is not installed: pip install ftfy"):
        clean_caption("a cat")
