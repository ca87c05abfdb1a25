"""Properties of a CLIP that are not in its tensors: activation, width of its heads, preprocessing.

Models of OpenAI and of open_clip have tensors of the same names and shapes, but compute different features:
OpenAI trained with QuickGELU and heads of width 64, open_clip mostly with GELU, and its large models with
heads of width 80, 88 or 104. ``open_clip_config.json`` states these.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.errors import UserError
from tools.models.clip_preprocess import OPENAI_PICTURES, Pictures
from tools.models.hub import read_json

CONFIG_NAME = "open_clip_config.json"


@dataclass(frozen=True)
class Architecture:
    """Properties of a CLIP that are not in its tensors.

    Attributes:
        activation: ``quick_gelu``, ``gelu`` or ``gelu_pytorch_tanh``, as transformers calls them.
        head_width: Width of a head of the vision transformer.
        text_heads: Number of heads of the text transformer; None for heads of width 64.
        pictures: How pictures are prepared.
        vision_eps: Epsilon of LayerNorm in the vision transformer.
        text_eps: The same in the text transformer.
        sizes: Required sizes of the tensors, by the names of `tools.models.clip_openai.tensor_sizes`.
        source: Name or file that states them, for messages.
    """

    activation: str
    head_width: int = 64
    text_heads: int | None = None
    pictures: Pictures = OPENAI_PICTURES
    vision_eps: float = 1e-5
    text_eps: float = 1e-5
    sizes: tuple[tuple[str, int], ...] = ()
    source: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of all that affects features; empty for OpenAI's models."""
        relevant = dataclasses.replace(self, sizes=(), source="")
        if relevant == OPENAI:
            return ""
        return hashlib.sha256(json.dumps(dataclasses.asdict(relevant), sort_keys=True).encode()).hexdigest()


OPENAI = Architecture("quick_gelu")
"""That of every model that OpenAI published."""

# Width, layers, patch, head width of vision; width, heads, layers of text; length of a feature: of the
# models that open_clip publishes as model_configs/NAME.json (MIT), those with a plain vision transformer.
_TOWERS = {
    "ViT-S-32": (384, 12, 32, 64, 384, 6, 12, 384),
    "ViT-S-16": (384, 12, 16, 64, 384, 6, 12, 384),
    "ViT-S-32-alt": (384, 12, 32, 64, 256, 4, 10, 256),
    "ViT-S-16-alt": (384, 12, 16, 64, 256, 4, 10, 256),
    "ViT-M-32": (512, 12, 32, 64, 512, 8, 12, 512),
    "ViT-M-16": (512, 12, 16, 64, 512, 8, 12, 512),
    "ViT-M-32-alt": (512, 12, 32, 64, 384, 6, 12, 384),
    "ViT-B-32": (768, 12, 32, 64, 512, 8, 12, 512),
    "ViT-B-16": (768, 12, 16, 64, 512, 8, 12, 512),
    "ViT-B-32-plus": (896, 12, 32, 64, 640, 10, 12, 640),
    "ViT-B-16-plus": (896, 12, 16, 64, 640, 10, 12, 640),
    "ViT-L-16": (1024, 24, 16, 64, 768, 12, 12, 768),
    "ViT-L-14": (1024, 24, 14, 64, 768, 12, 12, 768),
    "ViT-H-16": (1280, 32, 16, 80, 1024, 16, 24, 1024),
    "ViT-H-14": (1280, 32, 14, 80, 1024, 16, 24, 1024),
    "ViT-g-14": (1408, 40, 14, 88, 1024, 16, 24, 1024),
    "ViT-bigG-14": (1664, 48, 14, 104, 1280, 20, 32, 1280),
    "ViT-e-14": (1792, 56, 14, 112, 1280, 20, 36, 1280),
}
_NAMES = (
    *(f"ViT-{size}" for size in ("S-32", "S-16", "S-32-alt", "S-16-alt", "M-32", "M-16", "M-32-alt")),
    *("ViT-B-32", "ViT-B-32-256", "ViT-B-32-quickgelu", "ViT-B-32-plus-256"),
    *("ViT-B-16", "ViT-B-16-quickgelu", "ViT-B-16-plus", "ViT-B-16-plus-240"),
    *("ViT-L-16", "ViT-L-16-320", "ViT-L-14", "ViT-L-14-quickgelu", "ViT-L-14-280", "ViT-L-14-336"),
    *("ViT-L-14-336-quickgelu", "ViT-H-16", "ViT-H-14", "ViT-H-14-quickgelu", "ViT-H-14-378"),
    *("ViT-H-14-378-quickgelu", "ViT-g-14", "ViT-bigG-14", "ViT-bigG-14-quickgelu", "ViT-e-14"),
)
_QUICK = "-quickgelu"
_HALVES = Pictures(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_SQUASHED = Pictures(squash=True)
# Weights that were trained with other pictures than OpenAI's (open_clip's pretrained.py).
_TAGS = {
    "ViT-L-14": {"laion2b_s32b_b82k": _HALVES},
    "ViT-H-14-quickgelu": {"dfn5b": _SQUASHED},
    "ViT-H-14-378-quickgelu": {"dfn5b": _SQUASHED},
}
_ONLY = {"ViT-H-14-378-quickgelu": _SQUASHED}  # no other weights are published for it

# Entries of a config that change nothing after training, and those that this CLIP has only one way of.
_IGNORED = {"patch_dropout", "output_tokens", "attn_pooler_queries", "attn_pooler_heads", "eos_id"}
_FIXED: dict[str, Any] = {
    "ls_init_value": None,
    "attentional_pool": False,
    "no_ln_pre": False,
    "pos_embed_type": "learnable",
    "final_ln_after_pool": False,
    "embed_cls": False,
    "pad_id": 0,
    "no_causal_mask": False,
    "proj_bias": False,
    "proj_type": "linear",
    "hf_tokenizer_name": None,
    "tokenizer_mode": None,
    "tokenizer_kwargs": None,
    "block_type": None,
    "qk_norm": False,
    "scaled_cosine_attn": False,
    "scale_heads": False,
    "scale_attn_inner": False,
    "scale_attn": False,
    "scale_fc": False,
}


def config_names() -> list[str]:
    """Names that `named_architecture` knows."""
    return list(_NAMES)


def fitting_names(sizes: dict[str, int]) -> list[str]:
    """Names of the published models whose tensors have these sizes."""
    return [name for name in _NAMES if dict(_named_sizes(name)).items() <= sizes.items()]


def find_architecture(name_or_file: str | Path) -> Architecture:
    """The architecture given by a name or a file.

    Args:
        name_or_file: A name of open_clip's (``ViT-H-14``), with the tag of published weights where they were
            trained with other pictures (``ViT-L-14:laion2b_s32b_b82k``); or a file of JSON such as
            ``open_clip_config.json``.

    Raises:
        UserError: There is none, or it is not supported.
    """
    name = str(name_or_file)
    if Path(name).expanduser().is_file():
        return read_architecture(Path(name).expanduser())
    return named_architecture(name)


def named_architecture(name: str) -> Architecture:
    """The architecture of a model that open_clip publishes; see `find_architecture`."""
    model, colon, tag = name.partition(":")
    spelled = {known.lower(): known for known in _NAMES}
    model = spelled.get(model.replace("/", "-").replace("@", "-").lower(), "")
    if not model:
        raise UserError(
            f"--clip-config {name}: no such file, and no model of open_clip with a plain vision transformer; "
            f"those are {', '.join(_NAMES)}"
        )
    tags = _TAGS.get(model, {})
    if colon and tag not in tags:
        raise UserError(
            f"--clip-config {name}: the tags with pictures of their own are {', '.join(tags) or 'none'}; "
            f"for others say {model}"
        )
    pictures = tags[tag] if colon else _ONLY.get(model, OPENAI_PICTURES)
    width, text_heads = _towers(model)[3], _towers(model)[5]
    activation = "quick_gelu" if model.endswith(_QUICK) else "gelu"
    return Architecture(activation, width, text_heads, pictures, sizes=_named_sizes(model), source=name)


def other_pictures(name: str) -> list[str]:
    """Names with the tags of weights that are published for a name, but with other pictures."""
    model = {known.lower(): known for known in _NAMES}.get(name.replace("/", "-").lower(), "")
    return [] if model in _ONLY else [f"{model}:{tag}" for tag in _TAGS.get(model, {})]


def read_architecture(path: Path) -> Architecture:
    """The architecture in ``open_clip_config.json``, or in a file with its ``model_cfg`` only.

    Raises:
        UserError: It cannot be read, or is not supported.
    """
    found = read_json(path)
    model = found.get("model_cfg", found)
    try:
        vision, text = dict(model["vision_cfg"]), dict(model["text_cfg"])
        pictures = dict(found.get("preprocess_cfg") or vision.pop("preprocess_cfg", None) or {})
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a config of open_clip: no vision_cfg and text_cfg") from None
    try:
        return _architecture(model, vision, text, pictures, str(path))
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"{path}: a value in it is of a wrong kind ({error})") from None


def _architecture(
    model: dict[str, Any], vision: dict[str, Any], text: dict[str, Any], pictures: dict[str, Any], path: str
) -> Architecture:
    for name in ("timm_model_name", "hf_model_name"):
        if (vision | text).get(name):
            raise UserError(
                f"{path}: its {name} is {(vision | text)[name]}; only plain transformers are read"
            )
    if isinstance(vision.get("layers"), list):
        raise UserError(f"{path}: a ResNet CLIP; only the vision transformers (ViT-…) can be loaded")
    if "multimodal_cfg" in model:
        raise UserError(f"{path}: a CoCa, which writes captions; only CLIP is read")
    quick = bool(model.get("quick_gelu", False))
    activations = {_activation(part, quick, path) for part in (vision, text)}
    if len(activations) > 1:
        raise UserError(f"{path}: the two transformers have activations of their own: not read")
    sizes = _stated_sizes(vision, "") | _stated_sizes(text, "text_")
    sizes |= {"embed_dim": model["embed_dim"]} if "embed_dim" in model else {}
    known = {"width", "layers", "patch_size", "image_size", "mlp_ratio", "head_width", "heads"}
    known |= {"context_length", "vocab_size", "act_kwargs", "norm_kwargs", *_IGNORED}
    for part, pool in ((vision, "tok"), (text, "argmax")):
        _check_fixed(part, {**_FIXED, "pool_type": pool}, known, path)
    return Architecture(
        activations.pop(),
        vision.get("head_width", 64),
        text.get("heads", 8),
        _pictures(pictures, _side(vision.get("image_size", 224)), path),
        _eps(vision, path),
        _eps(text, path),
        tuple(sizes.items()),
        path,
    )


def _stated_sizes(part: dict[str, Any], prefix: str) -> dict[str, int]:
    names = {"width": f"{prefix}width", "layers": f"{prefix}layers"}
    names |= {"context_length": "context_length", "vocab_size": "vocab_size"} if prefix else {}
    sizes = {size: int(part[name]) for name, size in names.items() if name in part}
    if not prefix:
        sizes |= {name: _side(part[name]) for name in ("patch_size", "image_size") if name in part}
    if "width" in part and "mlp_ratio" in part:
        sizes[f"{prefix}mlp"] = int(part["width"] * part["mlp_ratio"])
    return sizes


def _check_fixed(part: dict[str, Any], fixed: dict[str, Any], known: set[str], path: str) -> None:
    for name, value in part.items():
        if name in known or name.startswith("timm_"):  # of a model that is none of timm's
            continue
        if name in fixed and (value == fixed[name] or not (value or fixed[name])):
            continue
        raise UserError(f"{path}: {name} is {json.dumps(value)}: such a CLIP cannot be loaded here")


def _activation(part: dict[str, Any], quick: bool, path: str) -> str:
    arguments = part.get("act_kwargs") or {}
    if quick:
        return "quick_gelu"  # open_clip's takes no arguments
    if arguments == {"approximate": "tanh"}:
        return "gelu_pytorch_tanh"
    if arguments not in ({}, {"approximate": "none"}):
        raise UserError(f"{path}: act_kwargs are {json.dumps(arguments)}: such a CLIP cannot be loaded here")
    return "gelu"


def _eps(part: dict[str, Any], path: str) -> float:
    arguments = dict(part.get("norm_kwargs") or {})
    eps = float(arguments.pop("eps", 1e-5))
    if arguments:
        raise UserError(f"{path}: norm_kwargs are {json.dumps(arguments)}: such a CLIP cannot be loaded here")
    return eps


def _pictures(config: dict[str, Any], image_size: int, path: str) -> Pictures:
    mode, interpolation = config.get("resize_mode") or "shortest", config.get("interpolation") or "bicubic"
    if mode not in ("shortest", "squash") or interpolation not in ("bicubic", "bilinear", "random"):
        raise UserError(
            f"{path}: pictures are prepared with resize_mode {mode} and interpolation {interpolation}, which "
            "is not done here"
        )
    if _side(config.get("size") or image_size) != image_size:
        raise UserError(f"{path}: pictures of {config['size']} for a model of {image_size}: not done here")
    return Pictures(
        _three(config.get("mean") or OPENAI_PICTURES.mean),
        _three(config.get("std") or OPENAI_PICTURES.std),
        "bilinear" if interpolation == "bilinear" else "bicubic",
        squash=mode == "squash",
    )


def _three(value: Any) -> tuple[float, float, float]:
    values = tuple(map(float, value)) if isinstance(value, list | tuple) else (float(value),) * 3
    if len(values) != 3:
        raise ValueError(f"{len(values)} numbers for three channels")
    return values


def _side(value: Any) -> int:
    """The side of a square; channels may precede it."""
    sides = set(value[-2:]) if isinstance(value, list) else {value}
    if len(sides) != 1:
        raise ValueError(f"{value} is no square")
    return int(sides.pop())


def _towers(name: str) -> tuple[int, ...]:
    parts = name.removesuffix(_QUICK)
    return _TOWERS[parts] if parts in _TOWERS else _TOWERS[parts.rpartition("-")[0]]


def _named_sizes(name: str) -> tuple[tuple[str, int], ...]:
    width, layers, patch, _, text_width, _, text_layers, embed_dim = _towers(name)
    last = name.removesuffix(_QUICK).rpartition("-")[2]
    return (
        ("width", width),
        ("layers", layers),
        ("patch_size", patch),
        ("image_size", int(last) if last.isdecimal() and int(last) > 100 else 224),
        ("text_width", text_width),
        ("text_layers", text_layers),
        ("embed_dim", embed_dim),
    )
