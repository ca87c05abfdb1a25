"""Pictures and a prompt as the messages of a chat."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

DETAILS = ("auto", "low", "high")
"""Resolutions at which OpenAI's models view a picture; other servers ignore it."""

_QUALITY = 90  # of JPEG: no artefact that a caption would mention


def encode_jpeg(image: np.ndarray, shorter_side: int | None = None) -> bytes:
    """Encode a picture as JPEG.

    Args:
        image: uint8, shape (H, W, 3), RGB.
        shorter_side: Pixels that the shorter side is scaled down to (PIL, bicubic); a picture is never scaled
            up. None leaves it as it is.

    Returns:
        The bytes of the file.
    """
    from PIL import Image

    picture = Image.fromarray(image)
    shorter = min(picture.size)
    if shorter_side is not None and shorter > shorter_side:
        width, height = (max(1, round(side * shorter_side / shorter)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def chat_messages(prompt: str, pictures: Sequence[bytes] = (), detail: str | None = None) -> bytes:
    """One message of the user: pictures in their order, then the prompt.

    Args:
        prompt: The text.
        pictures: JPEG files.
        detail: One of `DETAILS`; None leaves it to the server.

    Returns:
        The list of messages as JSON.
    """
    if not pictures:
        return json.dumps([{"role": "user", "content": prompt}]).encode()
    content: list[dict[str, Any]] = []
    for picture in pictures:
        url = {"url": f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"}
        content.append({"type": "image_url", "image_url": {**url, "detail": detail} if detail else url})
    content.append({"type": "text", "text": prompt})
    return json.dumps([{"role": "user", "content": content}]).encode()
