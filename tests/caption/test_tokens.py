"""Tokens of requests that are not sent; what is right are the examples in the documentation of the models."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tools.caption.api.pictures import chat_messages
from tools.caption.api.tokens import picture_tokens, prompt_tokens


@pytest.mark.parametrize(
    ("size", "detail", "tokens"),
    [
        ((1024, 1024), "high", 765),  # the three examples of OpenAI's page on images
        ((2048, 4096), "high", 1105),
        ((4096, 8192), "low", 85),
        ((512, 512), None, 255),
    ],
)
def test_pictures_as_openai_counts_them(size, detail, tokens):
    assert picture_tokens(*size, "gpt-4o", detail) == tokens


@pytest.mark.parametrize(("size", "tokens"), [((224, 224), 64), ((56, 84), 6), ((1, 1), 1)])
def test_pictures_as_qwen_counts_them(size, tokens):
    assert picture_tokens(*size, "Qwen/Qwen2.5-VL-7B-Instruct") == tokens


def test_a_request_has_those_of_its_text_and_its_pictures():
    file = io.BytesIO()
    Image.fromarray(np.zeros((512, 512, 3), np.uint8)).save(file, "JPEG")
    messages = chat_messages("x" * 40, [file.getvalue()] * 3, "low")
    assert prompt_tokens(messages, "gpt-4o") == 10 + 3 * 85
    assert prompt_tokens(chat_messages("x" * 41), "gpt-4o") == 11
    assert json.loads(messages)[0]["content"][0]["image_url"]["detail"] == "low"
