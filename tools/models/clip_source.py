"""Where the weights of a CLIP are: a published model by name, a file, or a Hugging Face folder or id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tools.errors import UserError
from tools.models.clip_openai import openai_config, read_openai_checkpoint
from tools.models.digests import combined_sha256
from tools.models.hub import hub_folder, is_hub_id, weight_files
from tools.models.weights import FoundWeights, find_weights

CLIP_MODELS: dict[str, tuple[str, int]] = {
    "ViT-L/14": ("clip-vit-l-14", 224),
    "ViT-L/14@336px": ("clip-vit-l-14-336px", 336),
    "ViT-B/32": ("clip-vit-b-32", 224),
    "ViT-B/16": ("clip-vit-b-16", 224),
}
"""OpenAI's models: name to (key of the weights, image side in pixels)."""

_BESIDE_WEIGHTS = ("config.json", "vocab.json", "merges.txt", "tokenizer.json")


@dataclass(frozen=True)
class ClipSource:
    """Where the weights of a CLIP are, and what is known before they are loaded.

    Attributes:
        path: An OpenAI ``.pt`` file, or a folder in the Hugging Face format.
        digest: SHA-256 that stands for the weights.
        image_size: Side in pixels of the square images it takes.
        context_length: Tokens of a text, the two around it included.
    """

    path: Path
    digest: str
    image_size: int
    context_length: int = 77


def find_clip(name_or_path: str | Path = "ViT-L/14") -> ClipSource:
    """Find the weights of a CLIP without loading the model.

    Args:
        name_or_path: A name of `CLIP_MODELS` (also spelled ``ViT-L-14``), an OpenAI ``.pt`` file, a folder
            with a Hugging Face CLIP, or a Hugging Face id such as ``openai/clip-vit-large-patch14`` (taken
            from the local cache when it is there).

    Raises:
        UserError: There is no such model, its weights are missing or are not the published ones.
    """
    name = str(name_or_path)
    path = Path(name).expanduser()
    if path.is_file():
        return _file_source(find_weights("clip-vit-l-14", path), image_size=None)
    if path.is_dir():
        return _folder_source(path)
    if known := _published(name):
        key, image_size = known
        return _file_source(find_weights(key), image_size)
    if not is_hub_id(name):
        raise UserError(
            f"{name}: no such file or folder, and no known model; the names are {', '.join(CLIP_MODELS)}"
        )
    return _folder_source(hub_folder(name, _BESIDE_WEIGHTS, known=tuple(CLIP_MODELS)))


def _published(name: str) -> tuple[str, int] | None:
    spelled = {known.replace("/", "-").replace("@", "-").lower(): known for known in CLIP_MODELS}
    known = spelled.get(name.replace("/", "-").replace("@", "-").lower().removeprefix("clip-"))
    return CLIP_MODELS[known] if known else None


def _file_source(found: FoundWeights, image_size: int | None) -> ClipSource:
    if image_size is not None and found.published:
        return ClipSource(found.path, found.sha256, image_size)
    config = openai_config(read_openai_checkpoint(found.path), found.path)
    sizes = config["vision_config"]["image_size"], config["text_config"]["max_position_embeddings"]
    return ClipSource(found.path, found.sha256, *sizes)


def _folder_source(folder: Path) -> ClipSource:
    weights = weight_files(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: not a Hugging Face model: config.json cannot be read ({error})"
        ) from error
    if config.get("model_type") != "clip":
        raise UserError(f"{folder}: a model of type {config.get('model_type')}, not clip")
    if not weights:
        raise UserError(f"{folder}: no weights (model.safetensors or pytorch_model.bin) beside config.json")
    vision = config.get("vision_config") or config.get("vision_config_dict") or {}
    text = config.get("text_config") or config.get("text_config_dict") or {}
    digest = combined_sha256([folder / "config.json", *weights])
    # 224 and 77 are the format's own defaults
    sizes = vision.get("image_size", 224), text.get("max_position_embeddings", 77)
    return ClipSource(folder, digest, *sizes)
