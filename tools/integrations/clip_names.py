"""CLIP by the names that other projects' documents use."""

from __future__ import annotations

from tools.errors import UserError

_SAME_MODELS = {
    "openai/clip-vit-large-patch14": "ViT-L/14",
    "openai/clip-vit-large-patch14-336": "ViT-L/14@336px",
    "openai/clip-vit-base-patch32": "ViT-B/32",
    "openai/clip-vit-base-patch16": "ViT-B/16",
}  # Hugging Face ids of models of which OpenAI's own file may be here


def known_clip(name: str) -> tuple[str | None, list[str]]:
    """What `tools.models.clip_checkpoint.find_clip` finds for a name.

    Args:
        name: A name that it takes. For the Hugging Face id of a model of OpenAI's, their own file is tried
            first: that needs no network.

    Returns:
        The name to give to it, None when it finds nothing; and why not, for each name that was tried before.
    """
    from tools.models.clip_checkpoint import find_clip

    reasons: list[str] = []
    for known in dict.fromkeys((_SAME_MODELS.get(name, name), name)):
        try:
            find_clip(known)
        except UserError as error:
            reasons.append(str(error))
        else:
            return known, reasons
    return None, reasons
