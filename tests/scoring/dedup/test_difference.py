"""Pictures that stand still and differ in a word or a figure; moving ones with something laid over them.

What is a copy of what is known from how the clips were made.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.scoring.dedup.drawn import card, drawing, faded, groups, slide
from tests.scoring.dedup.scenes import Scene, cropped, film, padded, resized
from tests.scoring.dedup.test_duplicates import copies_among
from tools.media.reading.frames import iter_frames

FPS = 8
GROUPS = groups()


def clip(path, shown, seconds: float = 4.0):
    return film(path, [shown(i / FPS) for i in range(int(seconds * FPS))], fps=FPS)


@pytest.mark.parametrize("group", GROUPS)
def test_other_words_and_figures_are_other_content(group, tmp_path):
    clips = [clip(tmp_path / f"{number}.mp4", shown) for number, shown in enumerate(GROUPS[group].values())]
    assert copies_among(clips) == {}


@pytest.fixture(scope="module")
def cards(tmp_path_factory) -> dict[str, str]:
    """Copies of three pictures that stand still, in one table with what is like them."""
    folder = tmp_path_factory.mktemp("cards")
    signs = [("ring", 0.3, 0.4, 0.18, (200, 60, 60)), ("square", 0.65, 0.4, 0.12, (60, 60, 200))]
    stills = {
        "slide": slide("Optimisation", ["gradient descent", "learning rate: 0.1", "momentum"]),
        "card": card("Chapter 1", "The river"),
        "signs": drawing(signs, "white"),
    }
    paths = [
        film(folder / "slide2.mp4", [slide("Optimisation", ["gradient descent", "rate: 0.5"])] * 20, fps=FPS),
        film(folder / "card2.mp4", [card("Chapter 2", "The river")] * 20, fps=FPS),
        film(folder / "signs2.mp4", [drawing(signs[:1], "white")] * 20, fps=FPS),
    ]
    for name, picture in stills.items():
        some = [picture] * 20
        paths += [film(folder / f"{name}.mp4", some, fps=FPS)]
        made = {
            "crf 35": film(folder / f"{name} crf 35.mp4", some, fps=FPS, options={"crf": "35"}),
            "half": film(folder / f"{name} half.mp4", resized(some, 320, 180), fps=FPS),
            "cropped": film(folder / f"{name} cropped.mp4", cropped(some, 0.05, 0.03, 0.04, 0.05), fps=FPS),
            "mirrored": film(folder / f"{name} mirrored.mp4", [p[:, ::-1] for p in some], fps=FPS),
            "darker": film(
                folder / f"{name} darker.mp4", [(p * 0.7 + 20).astype(np.uint8) for p in some], fps=FPS
            ),
            "barred": film(folder / f"{name} barred.mp4", padded(some, 0, 60), fps=FPS),
        }
        paths += made.values()
    return {name: kept for name, (kept, _) in copies_among(paths, keep=["first"]).items()}


@pytest.mark.parametrize("kind", ["crf 35", "half", "cropped", "mirrored", "darker", "barred"])
def test_copies_of_cards_are_found(cards, kind):
    found = {name: cards.get(f"{name} {kind}.mp4") for name in ("slide", "card", "signs")}
    assert found == {name: f"{name}.mp4" for name in found}


def test_nothing_else_is_a_copy_of_a_card(cards):
    assert len(cards) == 18


def test_a_title_that_fades_is_found_again(tmp_path):
    title = card("Episode 3", "The river")
    whole = clip(tmp_path / "whole.mp4", lambda time: faded(title, time))
    piece = film(tmp_path / "piece.mp4", [faded(title, i / FPS) for i in range(5, 29)], fps=FPS)
    assert set(copies_among([whole, piece], keep=["first"])) == {"piece.mp4"}


def with_logo(picture: np.ndarray, time: float = 0.0) -> np.ndarray:
    image = Image.fromarray(picture)
    width, height = image.size
    draw = ImageDraw.Draw(image)
    draw.rectangle((0.8 * width, 0.05 * height, 0.96 * width, 0.18 * height), (200, 30, 30))
    draw.text(
        (0.88 * width, 0.115 * height),
        "NEWS",
        "white",
        ImageFont.load_default(size=0.07 * height),
        anchor="mm",
    )
    return np.asarray(image)


def with_subtitles(picture: np.ndarray, time: float) -> np.ndarray:
    image = Image.fromarray(picture)
    width, height = image.size
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0.84 * height, width, height), (10, 10, 10))
    text = "Where are the keys?" if time < 1.5 else "On the table."
    draw.text(
        (0.5 * width, 0.92 * height), text, "white", ImageFont.load_default(size=0.08 * height), anchor="mm"
    )
    return np.asarray(image)


LAID_OVER = {"logo": with_logo, "subtitles": with_subtitles}


@pytest.mark.parametrize("kind", LAID_OVER)
def test_what_is_laid_over_moving_pictures_leaves_them_copies(kind, tmp_path):
    lay = LAID_OVER[kind]
    paths = []
    for seed in (0, 1):
        scene = Scene(seed, fixed=seed)  # dark and of one camera: the hardest
        dark = [(p * 0.4).astype(np.uint8) for p in scene.film(0, 4, FPS)]
        paths.append(film(tmp_path / f"{seed}.mp4", dark, fps=FPS))
        over = [lay(p, i / FPS) for i, p in enumerate(dark)]
        paths.append(film(tmp_path / f"{seed} {kind}.mp4", over, fps=FPS))
    found = {name: kept for name, (kept, _) in copies_among(paths, keep=["first"]).items()}
    assert found == {f"{seed} {kind}.mp4": f"{seed}.mp4" for seed in (0, 1)}


@pytest.mark.parametrize("kind", LAID_OVER)
def test_what_is_laid_over_real_pictures(kind, tmp_path, videos_dir):
    lay = LAID_OVER[kind]
    rates = {"skv_bikes.mp4": 25, "skv_carphone_pristine.mp4": 30, "gradio_b.avi": 30}
    paths = []
    for name, fps in rates.items():
        frames = list(iter_frames(videos_dir / name))[:100]
        height, width = (side // 2 * 2 for side in frames[0].image.shape[:2])  # as the encoder wants them
        over = [lay(f.image[:height, :width], f.time) for f in frames[::2]]
        paths += [videos_dir / name, film(tmp_path / f"{kind} {Path(name).stem}.mp4", over, fps=fps / 2)]
    found = {name: kept for name, (kept, _) in copies_among(paths, keep=["first"]).items()}
    assert found == {f"{kind} {Path(name).stem}.mp4": name for name in rates}


def test_what_is_laid_over_a_card_is_other_content(tmp_path):
    picture = slide("Biology 101", ["The cell wall of plants", "Mitochondria make energy"])
    plain = film(tmp_path / "plain.mp4", [picture] * 20, fps=FPS)
    for name, lay in LAID_OVER.items():
        over = film(tmp_path / f"{name}.mp4", [lay(picture, 0.0)] * 20, fps=FPS)
        assert copies_among([plain, over]) == {}


def test_the_same_background_without_motion_proves_nothing(tmp_path):
    """Two clips of one camera, in which things move at the bottom only: the rest stands still in both."""
    clips = []
    for seed in (2, 3):
        scene, back = Scene(seed), Scene(1).at(0.0)
        pictures = []
        for number, moving in enumerate(scene.film(0, 4, FPS)):
            picture = back.copy()
            picture[140:] = moving[(number % 30) : (number % 30) + 40]
            pictures.append(picture)
        clips.append(film(tmp_path / f"{seed}.mp4", pictures, fps=FPS))
    assert copies_among(clips) == {}


def test_images_that_differ_in_a_word(tmp_path):
    for name in ("Chapter 1", "Chapter 2"):
        Image.fromarray(card(name)).save(tmp_path / f"{name}.png")
    Image.fromarray(card("Chapter 2")).save(tmp_path / "again.jpg", quality=60)
    paths = [tmp_path / n for n in ("Chapter 1.png", "Chapter 2.png", "again.jpg")]
    found = {name: kept for name, (kept, _) in copies_among(paths, keep=["first"]).items()}
    assert found == {"again.jpg": "Chapter 2.png"}
