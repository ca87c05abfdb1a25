"""Models in the layout of LLaVA's own code, and the same weights in the format of transformers."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

_OWN_KEYS = ("mm_vision_tower", "mm_projector_type", "mm_hidden_size")  # of config.json in that layout
_OWN_TYPES = ("llava_llama", "llava_mistral", "llava_mpt", "llava_qwen", "llava_mixtral", "llava_gemma")

# The last part of the id of a model, which is mostly the name of its folder too, in lower case.
_CONVERTED = {
    "llava-v1.5-7b": "llava-hf/llava-1.5-7b-hf",
    "llava-v1.5-13b": "llava-hf/llava-1.5-13b-hf",
    "llava-v1.6-vicuna-7b": "llava-hf/llava-v1.6-vicuna-7b-hf",
    "llava-v1.6-vicuna-13b": "llava-hf/llava-v1.6-vicuna-13b-hf",
    "llava-v1.6-mistral-7b": "llava-hf/llava-v1.6-mistral-7b-hf",
    "llava-v1.6-34b": "llava-hf/llava-v1.6-34b-hf",
    "llama3-llava-next-8b": "llava-hf/llama3-llava-next-8b-hf",
    "llava-next-72b": "llava-hf/llava-next-72b-hf",
    "llava-next-110b": "llava-hf/llava-next-110b-hf",
    "llava-next-video-7b": "llava-hf/LLaVA-NeXT-Video-7B-hf",
    "llava-next-video-7b-dpo": "llava-hf/LLaVA-NeXT-Video-7B-DPO-hf",
    "llava-next-video-34b": "llava-hf/LLaVA-NeXT-Video-34B-hf",
    "llava-next-video-34b-dpo": "llava-hf/LLaVA-NeXT-Video-34B-DPO-hf",
} | {
    f"llava-onevision-qwen2-{size}-{kind}": f"llava-hf/llava-onevision-qwen2-{size}-{kind}-hf"
    for size, kinds in (
        ("0.5b", ("ov", "si")),
        ("7b", ("ov", "si", "ov-chat")),
        ("72b", ("ov", "si", "ov-chat")),
    )
    for kind in kinds
}
# Architecture, whether pictures are cut into tiles, and width of the language model, from config.json.
_BY_SHAPE: dict[tuple[str, bool, Any], str] = {
    ("llava_llama", False, 4096): "llava-v1.5-7b",
    ("llava_llama", False, 5120): "llava-v1.5-13b",
    ("llava_llama", True, 4096): "llava-v1.6-vicuna-7b",
    ("llava_llama", True, 5120): "llava-v1.6-vicuna-13b",
    ("llava_llama", True, 7168): "llava-v1.6-34b",
    ("llava_qwen", True, 896): "llava-onevision-qwen2-0.5b-ov",
    ("llava_qwen", True, 3584): "llava-onevision-qwen2-7b-ov",
}
_LLAMA_3 = 128_256  # tokens


def is_in_llavas_layout(config: dict[str, Any]) -> bool:
    """Whether a ``config.json`` is of LLaVA's own code."""
    return config.get("model_type") in _OWN_TYPES or any(key in config for key in _OWN_KEYS)


def converted_id(name: str) -> str | None:
    """Id of the same weights in the format of transformers.

    Args:
        name: Id or folder of a model in LLaVA's own layout; the result is None for others.
    """
    return _CONVERTED.get(PurePath(name).name.lower())


def in_other_format(name: str, config: dict[str, Any]) -> str:
    """An error for a folder in LLaVA's own layout, with the model to use instead, in a line.

    Args:
        name: Id or folder of the model.
        config: Its ``config.json``.
    """
    problem = "a model in the layout of LLaVA's own code, which transformers does not load"
    trained_as = str(config.get("_name_or_path") or "")
    if found := converted_id(name) or converted_id(trained_as):
        return f"{problem}; the same weights in the format that loads are {_here(name, found) or found}"
    own = "weights of your own are converted by convert_llava_weights_to_hf.py of transformers"
    if found := _by_shape(config):
        return f"{problem}; if these are the published weights, use {found}; {own}"
    return f"{problem}; use one of https://huggingface.co/llava-hf, whose ids end in -hf; {own}"


def _here(name: str, converted: str) -> Path | None:
    """The converted model, if it is next to the other one."""
    beside = Path(name).expanduser().parent / PurePath(converted).name
    return beside if (beside / "config.json").is_file() else None


def _by_shape(config: dict[str, Any]) -> str | None:
    model_type = str(config.get("model_type") or "")
    if model_type == "llava":  # configs of 2023
        model_type = "llava_llama"
    if model_type == "llava_mistral":  # one was published
        return _CONVERTED["llava-v1.6-mistral-7b"]
    tiles = "anyres" in str(config.get("image_aspect_ratio") or "")
    if model_type == "llava_llama" and config.get("vocab_size") == _LLAMA_3:
        return _CONVERTED["llama3-llava-next-8b"]
    return _CONVERTED.get(_BY_SHAPE.get((model_type, tiles, config.get("hidden_size")), ""))
