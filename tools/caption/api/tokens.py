"""About how many tokens a request has, without sending it.

Servers count tokens, each model in its own way. Text is taken to have a token for every 4 characters, which
is OpenAI's rule of thumb for English; a picture has those that the model's documentation says.
"""

from __future__ import annotations

import base64
import io
import json
import math
from typing import Any

HOW = " (4 characters of text a token; pictures as OpenAI or Qwen2-VL count them)"
"""How `prompt_tokens` counts, as the end of a sentence."""

_CHARACTERS = 4
_PATCH = 28  # pixels of a token's side: Qwen2-VL and Qwen2.5-VL
_OPENAI = ("gpt-", "chatgpt-", "o1", "o3", "o4")
# https://platform.openai.com/docs/guides/images-vision: a picture is scaled to fit into 2048 x 2048, then to
# 768 on its shorter side; each tile of 512 x 512 has 170 tokens, and a picture 85 more, or 85 alone.
_FITS, _SHORTER, _TILE, _OF_TILE, _OF_PICTURE = 2048, 768, 512, 170, 85


def prompt_tokens(messages: bytes, model: str) -> int:
    """About how many tokens the messages of a request have.

    Args:
        messages: The messages as JSON, see `tools.caption.api.pictures.chat_messages`.
        model: Name of the model.
    """
    from PIL import Image

    count = 0.0
    for message in json.loads(messages):
        content = message["content"]
        parts: list[dict[str, Any]] = [{"text": content}] if isinstance(content, str) else content
        for part in parts:
            if "image_url" in part:
                picture = part["image_url"]
                data = base64.b64decode(picture["url"].partition(",")[2])
                with Image.open(io.BytesIO(data)) as image:  # the header alone is read
                    width, height = image.size
                count += picture_tokens(width, height, model, picture.get("detail"))
            else:
                count += len(part.get("text") or "") / _CHARACTERS
    return math.ceil(count)


def picture_tokens(width: int, height: int, model: str, detail: str | None = None) -> int:
    """About how many tokens a picture has.

    Args:
        width: In pixels.
        height: In pixels.
        model: Name of the model.
        detail: ``low``, ``high`` or ``auto``, of OpenAI's models.
    """
    if not model.startswith(_OPENAI):
        return max(1, round(width / _PATCH)) * max(1, round(height / _PATCH))
    if detail == "low":
        return _OF_PICTURE
    scale = min(1.0, _FITS / max(width, height))
    scale = min(scale, _SHORTER / min(width, height))
    tiles = math.ceil(width * scale / _TILE) * math.ceil(height * scale / _TILE)
    return _OF_PICTURE + _OF_TILE * tiles
