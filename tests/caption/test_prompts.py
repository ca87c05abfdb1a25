"""Prompts by name, from files and as typed. The names are those of Open-Sora's table of prompts."""

from __future__ import annotations

import pytest

from tools.caption.prompts import PROMPTS, resolve_prompt
from tools.errors import UserError

NAMES = (
    "image image-text image-3ex video video-text video-f1-detail-3ex video-f1-detail-2ex-text "
    "video-f3-detail-3ex video-f3-detail-2ex-text video-template"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_names_say_what_is_in_a_prompt(name):
    prompt = resolve_prompt(name)
    examples = 3 if "3ex" in name else 2 if "2ex" in name else 0
    assert prompt.request.count("Example ") == examples
    assert prompt.num_frames == (1 if "f1" in name else 3 if "f3" in name else None)
    assert prompt.uses_text == name.endswith("text")
    with_text = prompt.fill("a very special caption")
    assert ("a very special caption" in with_text) == name.endswith("text")
    assert prompt.fill("") == prompt.fill(None) == prompt.fill("  ") == prompt.request
    assert "{" not in prompt.fill("a caption")


@pytest.mark.parametrize("name", NAMES.split())
def test_the_caption_so_far_goes_into_any_prompt(name):
    prompt = resolve_prompt(name, existing_text=True)
    assert "a very special caption" in prompt.fill("a very special caption")
    assert prompt.fill("a very special caption").startswith(PROMPTS[name].request)
    assert "a very special caption" in prompt.fill("a very special caption", image=True)


def test_an_image_among_videos_has_the_prompt_of_images():
    assert resolve_prompt("video").fill(image=True) == PROMPTS["image"].request
    assert resolve_prompt("video-f1-detail-3ex").fill(image=True) == PROMPTS["image-3ex"].request
    assert resolve_prompt("video-text").fill("a cat", image=True) == PROMPTS["image-text"].fill("a cat")
    assert resolve_prompt("Name the sport.").fill(image=True) == "Name the sport."


def test_prompts_of_ones_own(tmp_path):
    assert resolve_prompt(" Name the sport. ").fill("x") == "Name the sport."
    own = resolve_prompt("Improve '{text}' by two words.")
    assert own.fill("a {text} cat") == "Improve 'a {text} cat' by two words."
    assert own.uses_text
    file = tmp_path / "prompt.txt"
    file.write_text("What is\nthis?\n", encoding="utf-8-sig")
    assert resolve_prompt(str(file)).fill() == "What is\nthis?"
    assert "a cat" in resolve_prompt(str(file), existing_text=True).fill("a cat")


@pytest.mark.parametrize("value", ["", "  ", "vidoe", "missing.txt", "prompts/missing.md", "folder/name"])
def test_what_is_no_prompt(value):
    with pytest.raises(UserError, match="--prompt"):
        resolve_prompt(value)


def test_files_that_are_no_prompt(tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff")
    for name in ("empty.txt", "picture.jpg"):
        with pytest.raises(UserError, match=name):
            resolve_prompt(str(tmp_path / name))
