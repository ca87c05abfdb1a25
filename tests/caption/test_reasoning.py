"""Answers of reasoning models, as their model cards and reports to their servers show them."""

from __future__ import annotations

import time

import pytest

from tools.caption.reasoning import without_reasoning

CAPTION = "A cat runs."

ANSWERED = [
    CAPTION,
    # a template that opens the mark itself: Qwen3-VL, DeepSeek
    "Okay, the user wants a caption. I see a cat.\n</think>\n\nA cat runs.",
    "One thing.</think>\nAnother.</think>A cat runs.",
    "hm</thinking>A cat runs.",
    "<think>\nhm,\na dog?\n</think>\n\nA cat runs.",
    "<THINK>hm</Think>A cat runs.",
    "<Thinking time='3'>hm</THINKING>\nA cat runs.",
    "< think >hm</ think >A cat runs.",
    "<think></think>A cat runs.",
    "<think/>A cat runs.",
    "<thought>hm</thought>A cat runs.",
    "<reasoning>hm</reasoning>A cat runs.",
    "<seed:think>hm</seed:think>A cat runs.",
    "&lt;think&gt;hm&lt;/think&gt;A cat runs.",
    "[THINK]hm[/THINK]A cat runs.",  # Magistral
    "◁think▷hm◁/think▷A cat runs.",  # Kimi-VL
    "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>A cat runs.<|END_RESPONSE|>",  # Command A
    "<|begin_of_thought|>hm<|end_of_thought|>\n<|begin_of_solution|>A cat runs.<|end_of_solution|>",
    "<unused94>thought\nhm<unused95>A cat runs.",  # MedGemma
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"  # gpt-oss
    "<|channel|>final<|message|>A cat runs.<|return|>",
    "Here is my thought process: hm. Here is my response: A cat runs.",  # Granite
    # several, one within the other, and thoughts about the marks
    "<think>one</think><think>two</think>A cat runs.",
    "<think>one<think>two</think>three</think>A cat runs.",
    "A cat <think>or a dog?</think>runs.",
    "A cat runs.<think>That will do.</think>",
    "<think>I write in <think> tags.</think>A cat runs.",
    '<think>The answer comes after "</think>", so.</think>A cat runs.',
    # marks around the answer
    "<answer>A cat runs.</answer>",
    "<ANSWER>A cat runs.</Answer>",
    "<answer>A cat runs.",
    "A cat runs.</answer>",
    "<answer><answer>A cat runs.</answer></answer>",
    "<answer>A draft.</answer> No: <answer>A cat runs.</answer>",
    "I see a cat. It is fast. <answer>A cat runs.</answer>",
    "<think>hm</think><answer>A cat runs.</answer>",
    "<think>hm <answer>A cat runs.</answer>",
    "<answer>hm</think>A cat runs.</answer>",
    "<think>hm</think>\n<response>\nA cat runs.\n</response>\n",  # ERNIE
    "<analysis>easy</analysis><think>hm</think><answer>A cat runs.</answer>",  # Keye-VL
    "<SUMMARY>s</SUMMARY><CAPTION>c</CAPTION><REASONING>r</REASONING><CONCLUSION>A cat runs.</CONCLUSION>",
    "<|begin_of_box|>A cat runs.<|end_of_box|>",  # GLM-4.5V
    "hm</think><|begin_of_box|>A cat runs.<|end_of_box|>",
    "<think>hm</think><answer><|begin_of_box|>A cat runs.<|end_of_box|></answer>",
    "<think>hm</think>The caption: <|begin_of_box|>A cat runs.<|end_of_box|>.",
    "A <|begin_of_box|>cat<|end_of_box|> runs.",
]

UNFINISHED = [
    ("<think>A cat runs.", "length"),
    ("<think>A cat runs.", "stop"),
    ("<THINKING>A cat", "length"),
    ("◁think▷A cat", "length"),
    ("[THINK]A cat", "length"),
    ("<|channel|>analysis<|message|>A cat", "length"),
    ("<|begin_of_thought|>A cat", "length"),
    ("<think>one</think><think>A cat", "length"),
    ("<think>one<think>two</think>A cat", "length"),
    ("<think>I could say <answer>A cat.</answer>", "length"),
    ("A cat runs. <think>Or is it a dog", "length"),
    # thoughts that a template opened and no mark closed
    ("Okay, the user wants a caption of a cat that", "length"),
    ("Got it, let's look at the picture. A cat", "length"),
    ("So, let's describe this: a cat", "length"),
    ("The user wants me to describe a cat that", "length"),
    ("Hmm, a cat", "length"),
    ("用户想要一个描述，图片里有一只猫", "length"),
    ("好的，用户让我描述这张图片。", "length"),
]

CUT_OFF = [
    "A cat runs and",
    "The user types on a laptop and",
    "So many birds that",
    "First light falls on the",
    "Okay signs hang on",
    "Well-dressed men wait for",
    "Right behind the house, we see",
    "一只猫在",
]


@pytest.mark.parametrize("said", ANSWERED)
def test_the_answer_alone_is_left(said):
    spoken = without_reasoning(said, "stop")
    assert " ".join(spoken.text.split()) == CAPTION
    assert not spoken.unfinished


@pytest.mark.parametrize(("said", "finish"), UNFINISHED)
def test_truncated_reasoning_is_no_answer(said, finish):
    spoken = without_reasoning(said, finish)
    assert spoken.text == "" and spoken.unfinished


@pytest.mark.parametrize("said", CUT_OFF)
def test_truncated_answers_stay(said):
    assert without_reasoning(said, "length") == (said, False, "")


def test_a_truncated_answer_after_the_reasoning_stays():
    assert without_reasoning("<think>hm</think>A cat", "length") == ("A cat", False, "marked")
    assert without_reasoning("hm</think><answer>A cat", "length") == ("A cat", False, "unopened")


def test_a_caption_may_speak_of_marks():
    text = 'A screen shows the line "<think>" in white.'
    assert without_reasoning(text, "stop").text == text


LOOPS = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<|begin_of_box|>",
    "< ",
    "<a",
    "<think ",
    " ",
    "!",
    ": *",
]


@pytest.mark.parametrize("part", LOOPS)
def test_an_answer_that_loops_takes_no_longer_than_its_length(part):
    """Some milliseconds for so many characters; with their square it would be minutes."""
    start = time.monotonic()
    without_reasoning("A. " + part * (40_000 // len(part)), "length")
    assert time.monotonic() - start < 3
