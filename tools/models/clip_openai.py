"""Read CLIP files of OpenAI and open_clip, and rename their tensors for transformers."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import UserError
from tools.models.clip_architecture import OPENAI, Architecture
from tools.models.tensors import is_torchscript, read_tensors

if TYPE_CHECKING:
    import torch

    StateDict = dict[str, torch.Tensor]

_HEAD_WIDTH = 64  # in every CLIP that OpenAI published
_EXTRA_KEYS = ("input_resolution", "context_length", "vocab_size")  # numbers stored with the weights
_BUFFERS = ("attn_mask", "text.attn_mask")  # of open_clip before 2.0: follows from the context length

_OTHERS = {
    "vision_model.": "its tensors have the names of transformers: name its folder, with config.json",
    "visual.trunk.": "a CLIP with a tower of timm; only plain vision transformers (ViT-…) can be loaded",
}
_BLOCK_NAMES = {
    "attn.out_proj.weight": "self_attn.out_proj.weight",
    "attn.out_proj.bias": "self_attn.out_proj.bias",
    "ln_1.weight": "layer_norm1.weight",
    "ln_1.bias": "layer_norm1.bias",
    "ln_2.weight": "layer_norm2.weight",
    "ln_2.bias": "layer_norm2.bias",
    "mlp.c_fc.weight": "mlp.fc1.weight",
    "mlp.c_fc.bias": "mlp.fc1.bias",
    "mlp.c_proj.weight": "mlp.fc2.weight",
    "mlp.c_proj.bias": "mlp.fc2.bias",
}
_JOINED_NAMES = {"attn.in_proj_weight": "weight", "attn.in_proj_bias": "bias"}  # query, key, value in one
_NAMES = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # sic: transformers spells it so
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
}
_TRANSPOSED_NAMES = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)")


@dataclass(frozen=True)
class CLIPFile:
    """The tensors of a CLIP file.

    Attributes:
        state: Tensors by OpenAI's names, on the CPU, as stored (fp16 or fp32).
        by_openai: Whether the file is OpenAI's own: a TorchScript archive, or with the three numbers of
            such an archive. Others write files with the same tensors.
    """

    state: StateDict
    by_openai: bool


def read_clip_file(path: str | Path, *, copy: bool = True) -> CLIPFile:
    """Read a CLIP file, without running anything that is in it.

    Args:
        path: A TorchScript archive (what OpenAI publishes), a state dict of ``torch.save`` or safetensors,
            or a training checkpoint with one.
        copy: See `tools.models.tensors.read_tensors`.

    Raises:
        UserError: The file is none of these.
    """
    path = Path(path)
    state = read_tensors(path, "a CLIP file", "visual.conv1.weight", copy=copy)
    numbers = set(_EXTRA_KEYS) <= set(state)
    by_openai = numbers or (is_torchscript(path) and not _has_plain_gelu(path))
    kept = {name: tensor for name, tensor in state.items() if name not in (*_EXTRA_KEYS, *_BUFFERS)}
    if "text.positional_embedding" in kept:  # a model of two parts, as open_clip calls it
        kept = {name.removeprefix("text."): tensor for name, tensor in kept.items()}
    return CLIPFile(kept, by_openai)


def read_openai_checkpoint(path: str | Path) -> StateDict:
    """The tensors of `read_clip_file`."""
    return read_clip_file(path).state


def openai_config(state: StateDict, path: str | Path, architecture: Architecture = OPENAI) -> dict[str, Any]:
    """The configuration of a model, from the shapes of its tensors and its architecture.

    Args:
        state: As `read_openai_checkpoint` returns it.
        path: The file, for error messages.
        architecture: The properties that are not in the tensors.

    Returns:
        Arguments of ``transformers.CLIPConfig``: widths, depths, heads, patch and image size, context length
        and activation.

    Raises:
        UserError: Tensors are missing or unknown, or their shapes are not those of a CLIP, or not those of
            the architecture.
    """
    sizes = tensor_sizes(state, path)
    for name, size in architecture.sizes:
        if sizes[name] != size:
            raise UserError(
                f"{path}: {architecture.source or 'its config'} says {name} {size}, the tensors have "
                f"{sizes[name]}: they do not belong together"
            )
    text_width = sizes["text_width"]
    heads = {
        "width": _heads(sizes["width"], architecture.head_width, path),
        "text_width": architecture.text_heads or _heads(text_width, _HEAD_WIDTH, path),
    }
    if text_width % heads["text_width"]:
        raise UserError(f"{path}: {heads['text_width']} heads do not share a width of {text_width} evenly")
    embed_dim = sizes["embed_dim"]
    common = {"projection_dim": embed_dim, "hidden_act": architecture.activation}
    return {
        "projection_dim": embed_dim,
        "vision_config": {
            **common,
            "hidden_size": sizes["width"],
            "intermediate_size": sizes["mlp"],
            "num_hidden_layers": sizes["layers"],
            "num_attention_heads": heads["width"],
            "layer_norm_eps": architecture.vision_eps,
            "patch_size": sizes["patch_size"],
            "image_size": sizes["image_size"],
        },
        "text_config": {
            **common,
            "hidden_size": text_width,
            "intermediate_size": sizes["text_mlp"],
            "num_hidden_layers": sizes["text_layers"],
            "num_attention_heads": heads["text_width"],
            "layer_norm_eps": architecture.text_eps,
            "max_position_embeddings": sizes["context_length"],
            "vocab_size": sizes["vocab_size"],
            "eos_token_id": 2,  # transformers then pools where the token id is highest, as OpenAI does
            "bos_token_id": None,
            "pad_token_id": None,
        },
    }


def tensor_sizes(state: StateDict, path: str | Path) -> dict[str, int]:
    """The sizes of a model, from the shapes of its tensors.

    Args:
        state: As `read_openai_checkpoint` returns it.
        path: The file, for error messages.

    Returns:
        ``width``, ``layers``, ``mlp``, ``patch_size`` and ``image_size`` of vision, ``text_width``,
        ``text_layers``, ``text_mlp``, ``context_length`` and ``vocab_size`` of text, and ``embed_dim``.

    Raises:
        UserError: They are not those of a CLIP vision transformer.
    """
    _check_names(state, path)
    width, _, _, patch = state["visual.conv1.weight"].shape
    grid = round((state["visual.positional_embedding"].shape[0] - 1) ** 0.5)
    vision, text = "visual.transformer.resblocks.", "transformer.resblocks."
    return {
        "width": width,
        "layers": _layers(state, vision),
        "mlp": state[f"{vision}0.mlp.c_fc.weight"].shape[0],
        "patch_size": patch,
        "image_size": patch * grid,
        "text_width": state["ln_final.weight"].shape[0],
        "text_layers": _layers(state, text),
        "text_mlp": state[f"{text}0.mlp.c_fc.weight"].shape[0],
        "context_length": state["positional_embedding"].shape[0],
        "vocab_size": state["token_embedding.weight"].shape[0],
        "embed_dim": state["text_projection"].shape[1],
    }


def to_transformers(state: StateDict) -> StateDict:
    """Rename OpenAI's tensors to those of ``transformers.CLIPModel`` (joined projections are split)."""
    renamed: StateDict = {}
    for name, tensor in state.items():
        if name in _NAMES:
            renamed[_NAMES[name]] = tensor
        elif name in _TRANSPOSED_NAMES:
            renamed[_TRANSPOSED_NAMES[name]] = tensor.T.contiguous()
        else:
            found = _BLOCK.fullmatch(name)
            if found is None:
                raise ValueError(f"{name} is no tensor of a CLIP of OpenAI")
            visual, index, rest = found.groups()
            block = f"{'vision' if visual else 'text'}_model.encoder.layers.{index}"
            if rest in _BLOCK_NAMES:
                renamed[f"{block}.{_BLOCK_NAMES[rest]}"] = tensor
            else:
                for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                    renamed[f"{block}.self_attn.{letter}_proj.{_JOINED_NAMES[rest]}"] = third.contiguous()
    return renamed


def _layers(state: StateDict, prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def _heads(width: int, head_width: int, path: str | Path) -> int:
    if head_width < 1 or width % head_width:
        raise UserError(f"{path}: width {width} is no multiple of {head_width}, the width of a head")
    return width // head_width


def _has_plain_gelu(path: Path) -> bool:
    """Whether the code in a TorchScript archive computes GELU, which OpenAI's does not."""
    with zipfile.ZipFile(path) as archive:
        code = (name for name in archive.namelist() if "/code/" in name and name.endswith(".py"))
        return any(b"gelu(" in archive.read(name) for name in code)


def _check_names(state: StateDict, path: str | Path) -> None:
    if any(name.startswith("visual.layer1.") for name in state):
        raise UserError(f"{path}: a ResNet CLIP; only the vision transformers (ViT-…) can be loaded")
    for start, problem in _OTHERS.items():
        if any(name.startswith(start) for name in state):
            raise UserError(f"{path}: {problem}")
    expected = {*_NAMES, *_TRANSPOSED_NAMES}
    for prefix in ("visual.transformer.resblocks.", "transformer.resblocks."):
        for index in range(max(1, _layers(state, prefix))):
            expected |= {f"{prefix}{index}.{rest}" for rest in (*_BLOCK_NAMES, *_JOINED_NAMES)}
    missing, unexpected = sorted(expected - set(state)), sorted(map(str, set(state) - expected))
    if missing or unexpected:
        raise UserError(
            f"{path}: not a CLIP vision transformer of OpenAI's format; "
            f"missing tensors: {_few(missing)}; unexpected tensors: {_few(unexpected)}"
        )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more if names else "none"
