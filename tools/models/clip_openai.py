"""CLIP files as OpenAI publishes them: reading them, and renaming their tensors to transformers' names."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import UserError

if TYPE_CHECKING:
    import torch

    StateDict = dict[str, torch.Tensor]

_HEAD_WIDTH = 64  # in every CLIP that OpenAI published
_EXTRA_KEYS = ("input_resolution", "context_length", "vocab_size")  # numbers kept beside the weights

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


def read_openai_checkpoint(path: str | Path) -> StateDict:
    """Read the tensors of an OpenAI CLIP file, without running anything that is in it.

    Args:
        path: A TorchScript archive (what OpenAI publishes) or a state dict saved with ``torch.save``.

    Returns:
        Tensors by OpenAI's names, on the CPU, as stored (fp16 or fp32).

    Raises:
        UserError: The file is neither.
    """
    import torch

    path = Path(path)
    try:
        if _is_torchscript(path):
            with warnings.catch_warnings():  # TorchScript is deprecated; the files exist
                warnings.simplefilter("ignore", DeprecationWarning)
                state = dict(torch.jit.load(str(path), map_location="cpu").state_dict())
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # unpickling and TorchScript raise many kinds: all mean a wrong file
        raise UserError(f"{path}: not a CLIP file of OpenAI's format ({first_line(error)})") from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds a {type(state).__name__}, not a state dict of CLIP")
    return {name: tensor for name, tensor in state.items() if name not in _EXTRA_KEYS}


def openai_config(state: StateDict, path: str | Path) -> dict[str, Any]:
    """Infer the model's dimensions from the shapes of its tensors.

    Args:
        state: What `read_openai_checkpoint` gave.
        path: The file, for error messages.

    Returns:
        Arguments of ``transformers.CLIPConfig``: widths, depths, heads (width / 64), patch and image size,
        context length, and the QuickGELU activation that OpenAI trained with.

    Raises:
        UserError: Tensors are missing or unknown, or their shapes are not those of a CLIP.
    """
    _check_names(state, path)
    width, _, _, patch = state["visual.conv1.weight"].shape
    grid = round((state["visual.positional_embedding"].shape[0] - 1) ** 0.5)
    text_width = state["ln_final.weight"].shape[0]
    for part in (width, text_width):
        if part % _HEAD_WIDTH:
            raise UserError(
                f"{path}: width {part} is no multiple of {_HEAD_WIDTH}, as in OpenAI's CLIP models"
            )
    embed_dim = state["text_projection"].shape[1]
    return {
        "projection_dim": embed_dim,
        "vision_config": {
            **_tower(state, "visual.transformer.resblocks.", width),
            "patch_size": patch,
            "image_size": patch * grid,
            "projection_dim": embed_dim,
        },
        "text_config": {
            **_tower(state, "transformer.resblocks.", text_width),
            "max_position_embeddings": state["positional_embedding"].shape[0],
            "vocab_size": state["token_embedding.weight"].shape[0],
            "projection_dim": embed_dim,
            "eos_token_id": 2,  # transformers then pools where the token id is highest, as OpenAI does
            "bos_token_id": None,
            "pad_token_id": None,
        },
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
            visual, index, rest = _BLOCK.fullmatch(name).groups()
            block = f"{'vision' if visual else 'text'}_model.encoder.layers.{index}"
            if rest in _BLOCK_NAMES:
                renamed[f"{block}.{_BLOCK_NAMES[rest]}"] = tensor
            else:
                for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                    renamed[f"{block}.self_attn.{letter}_proj.{_JOINED_NAMES[rest]}"] = third.contiguous()
    return renamed


def first_line(error: Exception) -> str:
    """What an exception of another library says, short enough for a message of one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _layers(state: StateDict, prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def _tower(state: StateDict, prefix: str, width: int) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": state[f"{prefix}0.mlp.c_fc.weight"].shape[0],
        "num_hidden_layers": _layers(state, prefix),
        "num_attention_heads": width // _HEAD_WIDTH,
        "hidden_act": "quick_gelu",
    }


def _check_names(state: StateDict, path: str | Path) -> None:
    if any(name.startswith("visual.layer1.") for name in state):
        raise UserError(f"{path}: a ResNet CLIP; only the vision transformers (ViT-…) can be loaded")
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
