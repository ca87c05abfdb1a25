"""Captions: one line, cleaned, with what was asked for. Expected values are written by hand."""

from __future__ import annotations

import pytest

from tools.export.captions import Captions, caption_line
from tools.export.trainers.judgement import Reason


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\nc", "a b c"),
        ("  a \t b\x0b\u2028c\x85d ", "a b c d"),
        ("\ufeffa\x00b", "a b"),
        ("\ud83d", "?"),
        ("", ""),
    ],
)
def test_caption_line(text, line):
    assert caption_line(text) == line


@pytest.mark.parametrize(
    ("captions", "text", "cells", "caption"),
    [
        (Captions(), "The video shows a dog.\n\nIt runs.", {}, "A dog. It runs."),
        (Captions(keep_prefixes=True), "The video shows a dog.", {}, "The video shows a dog."),
        (Captions(trigger="zwx"), "A dog.", {}, "zwx, A dog."),
        (Captions(trigger="zwx"), "zwx, a dog.", {}, "zwx, a dog."),
        (Captions(trigger="A"), "Aardvark", {}, "A, Aardvark"),
        (Captions(trigger="zwx", allow_empty=True), None, {}, "zwx"),
        (Captions(allow_empty=True), " \n", {}, ""),
        (
            Captions(template="{text} {fps:.0f} FPS, {vmafmotion:.1f} motion score."),
            "A {dog}.",
            {"fps": 23.976, "vmafmotion": "4.25"},
            "A {dog}. 24 FPS, 4.2 motion score.",
        ),
        (
            Captions(template="{a} {b} {c} {d}"),
            "x",
            {"a": "007", "b": "1_000", "c": "Infinity", "d": "5.0"},
            "007 1_000 Infinity 5.0",
        ),
        (
            Captions(template="{a:.3} {b:03d} {c:.0%}"),
            "x",
            {"a": "5.1234", "b": "7", "c": "0.5"},
            "5.12 007 50%",
        ),
        (
            Captions(template="{a:05} {b:+} {c:,} {d:.<4} {e:.4} {e:8}!"),
            "x",
            {"a": "42", "b": "3", "c": "12345", "d": "007", "e": "noise"},
            "00042 +3 12,345 007. nois noise !",
        ),
    ],
)
def test_caption(captions, text, cells, caption):
    assert captions.caption(text, cells) == caption


@pytest.mark.parametrize(
    ("captions", "text", "cells", "kind"),
    [
        (Captions(), None, {}, "no caption"),
        (Captions(), "The video shows\n", {}, "no caption"),
        (Captions(trigger="zwx"), "", {}, "no caption"),
        (Captions(template="{text} {aes:.1f}"), "A dog.", {"aes": None}, "template"),
        (Captions(template="{text} {aes:.1f}"), "A dog.", {"aes": float("nan")}, "template"),
        (Captions(template="{text} {aes:.1f}"), "A dog.", {"aes": "high"}, "template"),
        (Captions(template="{text} {aes:.1f}"), "A dog.", {"aes": "NaN"}, "template"),
        (Captions(template="{text} {aes:.1f}"), "A dog.", {"aes": "1_0"}, "template"),
    ],
)
def test_lost_captions(captions, text, cells, kind):
    found = captions.caption(text, cells)
    assert isinstance(found, Reason)
    assert found.kind == kind
