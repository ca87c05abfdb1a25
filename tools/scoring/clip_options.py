"""Options that scores with CLIP share: which CLIP, and what happens to long texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.models.clip_openvino import CLIP_BACKENDS
from tools.options import option
from tools.options.values import Choice, Text


def clip_model_option(default: str) -> Any:
    """The field ``clip_model: str``, see `tools.models.clip_checkpoint.find_clip`."""
    return option(
        default,
        "ViT-L/14, an OpenAI .pt file, or a Hugging Face folder or id",
        Text("NAME|PATH"),
        everyday=False,
    )


def clip_config_option() -> Any:
    """The field ``clip_config: str | None``: what the tensors of a CLIP do not say."""
    return option(
        None,
        "what a file of open_clip is: the name of its model (ViT-H-14), or its open_clip_config.json",
        Text("NAME|FILE"),
        shown="the one beside it",
        everyday=False,
    )


def clip_backend_option() -> Any:
    """The field ``backend: str``: what computes CLIP's features of pictures."""
    return option("auto", "what computes CLIP's features of pictures", Choice(CLIP_BACKENDS), everyday=False)


def long_text_option(choices: Mapping[str, str], default: str) -> Any:
    """The field ``long_text: str``: what happens to texts that are longer than CLIP reads.

    Args:
        choices: What can be done with them, and what it means.
        default: One of them.
    """
    return option(default, "a text of more than CLIP's 77 tokens", Choice(choices), everyday=False)


def other_pictures_notes(config: str | None) -> list[str]:
    """Notes for users where weights of this name are published that were trained with other pictures."""
    if not config:
        return []
    from tools.models.clip_architecture import other_pictures

    return [
        f"note: the published weights {other.partition(':')[2]} were trained with other pictures; "
        f"for them use --clip-config {other}"
        for other in other_pictures(config)
    ]
