"""Cards, slides, drawings, charts and screens that differ in little, and are no copies of each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Picture = np.ndarray
Shown = Callable[[float], Picture]
"""What is on the screen at a time in seconds: uint8, (height, width, 3)."""
Figure = tuple[str, float, float, float, tuple[int, int, int]]
"""Shape, place of the middle and radius (in parts of the width, height and height), and colour."""

SIZE = (640, 360)
SECONDS = 4.0


def still(picture: Picture) -> Shown:
    """The same picture all the time."""
    return lambda time: picture


def card(
    text: str, below: str = "", *, letters: int = 48, back: object = "black", ink: object = "white"
) -> Picture:
    """A title in the middle, and a smaller line below it."""
    image, draw = _sheet(back)
    width, height = SIZE
    draw.text((width / 2, height * 0.45), text, ink, _font(letters), anchor="mm")
    draw.text((width / 2, height * 0.65), below, ink, _font(letters / 2), anchor="mm")
    return np.asarray(image)


def slide(title: str, lines: Sequence[str], *, letters: int = 20, back: object = "white") -> Picture:
    """A slide of a lecture: dark text on white, or white on a dark ground."""
    image, draw = _sheet(back)
    ink = (20, 20, 60) if back == "white" else (235, 235, 235)
    draw.text((38, 14), title, ink, _font(letters * 1.5))
    for number, line in enumerate(lines):
        draw.text((50, 86 + 1.7 * letters * number), f"- {line}", ink, _font(letters))
    return np.asarray(image)


def drawing(figures: Sequence[Figure], back: object = (235, 225, 205)) -> Picture:
    """Flat figures with smooth edges."""
    image = Image.new("RGB", (2 * SIZE[0], 2 * SIZE[1]), back)
    draw = ImageDraw.Draw(image)
    for shape, x, y, radius, colour in figures:
        x, y, r = x * image.width, y * image.height, radius * image.height
        around = (x - r, y - r, x + r, y + r)
        if shape == "circle":
            draw.ellipse(around, colour)
        elif shape == "ring":
            draw.ellipse(around, outline=colour, width=int(0.3 * r))
        elif shape == "square":
            draw.rectangle(around, colour)
        elif shape == "triangle":
            draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], colour)
        else:
            tips = [(r * (1 if tip % 2 == 0 else 0.45), math.pi * tip / 5) for tip in range(10)]
            draw.polygon([(x + far * math.sin(a), y - far * math.cos(a)) for far, a in tips], colour)
    return np.asarray(image.resize(SIZE, Image.Resampling.LANCZOS))


def bars(values: Sequence[float], title: str) -> Picture:
    """A bar chart."""
    image, draw = _sheet("white")
    draw.text((320, 22), title, "black", _font(18), anchor="mm")
    draw.line((51, 43, 51, 324, 608, 324), "black", 2)
    step = 540 / len(values)
    for number, value in enumerate(values):
        left = 64 + step * number
        draw.rectangle((left, 324 - 270 * value, left + 0.7 * step, 324), (70, 110, 180))
        draw.text((left + 0.35 * step, 339), "ABCDEFGH"[number], "black", _font(14), anchor="mm")
    return np.asarray(image)


def screen(title: str, lines: Sequence[str], time: float, *, typed: float = 0) -> Picture:
    """A window with a menu, lines of text, the last of which may be typed, and a pointer that moves."""
    image, draw = _sheet((248, 248, 248))
    draw.rectangle((0, 0, 640, 26), (60, 65, 75))
    draw.text((10, 5), title, "white", _font(15))
    draw.rectangle((0, 26, 128, 360), (225, 228, 232))
    for number, entry in enumerate(("Inbox", "Sent", "Drafts", "Archive")):
        draw.text((10, 40 + 24 * number), entry, "black", _font(14))
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        draw.text(
            (154, 36 + 24 * number), line[: int(typed * time)] if typed and last else line, "black", _font(15)
        )
    x, y = 200 + 130 * math.sin(1.3 * time) + 16 * time, 200 + 100 * math.cos(0.9 * time)
    draw.polygon([(x, y), (x, y + 16), (x + 5, y + 12), (x + 11, y + 12)], "black", "white")
    return np.asarray(image)


def faded(picture: Picture, time: float) -> Picture:
    """It comes out of black and goes back there."""
    return (picture * min(1.0, time / 0.6, (SECONDS - time) / 0.6)).astype(np.uint8)


def after(first: Picture, second: Picture, time: float) -> Picture:
    """One picture, then another."""
    return first if time < SECONDS / 2 else second


def _sheet(back: object) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", SIZE, back)
    return image, ImageDraw.Draw(image)


def _font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=size)


def _all(pictures: dict[str, Picture]) -> dict[str, Shown]:
    return {name: still(picture) for name, picture in pictures.items()}


_LECTURE = ["gradient descent minimises a loss", "learning rate: 0.1", "momentum averages gradients"]
_CELLS = ["The cell wall of plants", "Mitochondria make energy", "DNA is copied in the nucleus", "n = 120"]
_HOUSE: list[Figure] = [
    ("triangle", 0.25, 0.5, 0.2, (120, 40, 30)),
    ("circle", 0.8, 0.2, 0.1, (240, 200, 40)),
    ("square", 0.7, 0.7, 0.1, (120, 80, 50)),
]
_SIGNS: list[Figure] = [
    ("ring", 0.3, 0.4, 0.18, (200, 200, 200)),
    ("square", 0.65, 0.4, 0.12, (200, 60, 60)),
    ("circle", 0.5, 0.8, 0.07, (60, 90, 200)),
]
_MAIL = ["Hello Anna,", "please find the report attached.", "The meeting is on Thursday at 10.", "Jon"]


def groups() -> dict[str, dict[str, Shown]]:
    """Groups of what looks alike; nothing in them is a copy of anything else."""
    return {
        "chapters": _all({str(n): card(f"Chapter {n}") for n in (1, 2, 3, 8)}),
        "small chapters": _all({str(n): card(f"Lesson 1{n}", letters=28) for n in (0, 6, 8)}),
        "parts": _all(
            {n: card(n, letters=64, back=(240, 240, 235), ink=(30, 30, 30)) for n in ("Part I", "Part II")}
        ),
        "credits": _all(
            {n: card(n, "Anna Berg", letters=30) for n in ("Edited by", "Music by", "Directed by")}
        ),
        "names": _all({n: card("Music by", n, letters=36) for n in ("Jon Falk", "Jan Falk", "Ida Holm")}),
        "lecture": _all(
            {
                "a": slide("Optimisation", _LECTURE),
                "b": slide("Optimisation", [_LECTURE[0], "learning rate: 0.5", _LECTURE[2]]),
                "c": slide("Optimisation", [*_LECTURE[:2], "dropout removes some units"]),
            }
        ),
        "dark lecture": _all(
            {
                "a": slide("Biology 101", _CELLS, back=(10, 40, 40)),
                "b": slide("Biology 102", _CELLS, back=(10, 40, 40)),
                "c": slide("Biology 101", [*_CELLS[:3], "n = 180"], back=(10, 40, 40)),
            }
        ),
        "house": _all(
            {
                "all": drawing(_HOUSE),
                "no door": drawing(_HOUSE[:2]),
                "round": drawing([*_HOUSE[:2], ("circle", 0.7, 0.7, 0.1, (120, 80, 50))]),
                "star": drawing([*_HOUSE, ("star", 0.5, 0.25, 0.05, (250, 250, 250))]),
            }
        ),
        "signs": _all(
            {
                "all": drawing(_SIGNS, "black"),
                "other": drawing(
                    [_SIGNS[0], ("triangle", 0.65, 0.4, 0.12, (200, 60, 60)), _SIGNS[2]], "black"
                ),
                "less": drawing(_SIGNS[:2], "black"),
            }
        ),
        "charts": _all(
            {
                "0": bars([0.3, 0.5, 0.8, 0.6, 0.9], "Sales 2021"),
                "1": bars([0.3, 0.5, 0.7, 0.6, 0.9], "Sales 2021"),
                "2": bars([0.3, 0.5, 0.8, 0.6, 0.9], "Sales 2024"),
            }
        ),
        "screens": {
            "0": partial(screen, "Mail - report.pdf", _MAIL),
            "1": partial(screen, "Mail - report.pdf", [*_MAIL[:2], "The meeting is on Friday at 9.", "Jon"]),
            "standing": still(
                screen("Settings", ["Language: English", "Region: Europe", "Updates: on"], 0.0)
            ),
        },
        "typed": {
            n: partial(screen, "Form", ["Name: Berg", "City: Oslo", f"Phone: {n}"], typed=6)
            for n in ("555 1234", "555 9876")
        },
        "faded": {n: partial(faded, card(f"Episode {n}", "The river")) for n in "123"},
        "two cards": {
            n: partial(after, card("Introduction", letters=40), card(f"Section {n}", letters=40))
            for n in "125"
        },
    }
