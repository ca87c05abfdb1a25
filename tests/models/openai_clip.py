"""Small CLIPs with random weights in OpenAI's file formats, and their features computed independently.

The forward pass is written in float64 numpy from the papers: ViT (Dosovitskiy et al. 2021) with the changes
of CLIP (Radford et al. 2021): a LayerNorm before the blocks, QuickGELU x * sigmoid(1.702 x), causal text
attention, and the text feature taken where the token id is highest.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Shape:
    embed_dim: int = 768
    image_size: int = 32
    patch: int = 8
    width: int = 128
    layers: int = 2
    context: int = 16
    vocab: int = 300
    text_width: int = 64
    text_layers: int = 2


def random_state(shape: Shape = Shape(), seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict by OpenAI's names; every tensor is random, biases and norms too."""
    rng = np.random.default_rng(seed)

    def normal(*size: int, mean: float = 0.0, scale: float | None = None) -> torch.Tensor:
        scale = size[-1] ** -0.5 if scale is None else scale
        return torch.from_numpy((mean + scale * rng.standard_normal(size)).astype(np.float32))

    state: dict[str, torch.Tensor] = {}

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = normal(width, mean=1.0, scale=0.1)
        state[f"{name}.bias"] = normal(width, scale=0.1)

    def tower(prefix: str, width: int, layers: int) -> None:
        for index in range(layers):
            block = f"{prefix}transformer.resblocks.{index}"
            for name, rows, columns in (
                ("attn.in_proj_", 3 * width, width),
                ("attn.out_proj.", width, width),
                ("mlp.c_fc.", 4 * width, width),
                ("mlp.c_proj.", width, 4 * width),
            ):
                state[f"{block}.{name}weight"] = normal(rows, columns)
                state[f"{block}.{name}bias"] = normal(rows, scale=0.1)
            norm(f"{block}.ln_1", width)
            norm(f"{block}.ln_2", width)

    tokens = (shape.image_size // shape.patch) ** 2 + 1
    state["visual.class_embedding"] = normal(shape.width)
    state["visual.positional_embedding"] = normal(tokens, shape.width)
    state["visual.conv1.weight"] = normal(shape.width, 3, shape.patch, shape.patch, scale=0.05)
    norm("visual.ln_pre", shape.width)
    tower("visual.", shape.width, shape.layers)
    norm("visual.ln_post", shape.width)
    state["visual.proj"] = normal(shape.width, shape.embed_dim, scale=shape.width**-0.5)
    state["token_embedding.weight"] = normal(shape.vocab, shape.text_width, scale=0.5)
    state["positional_embedding"] = normal(shape.context, shape.text_width)
    tower("", shape.text_width, shape.text_layers)
    norm("ln_final", shape.text_width)
    state["text_projection"] = normal(shape.text_width, shape.embed_dim, scale=shape.text_width**-0.5)
    state["logit_scale"] = torch.tensor(4.6052)
    return state


def extra_keys(shape: Shape = Shape()) -> dict[str, torch.Tensor]:
    """The three numbers that OpenAI keeps beside the weights."""
    return {
        "input_resolution": torch.tensor(shape.image_size),
        "context_length": torch.tensor(shape.context),
        "vocab_size": torch.tensor(shape.vocab),
    }


class _Branch(torch.nn.Module):
    """A node of the tree of modules that a state dict names."""


class _Root(_Branch):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.logit_scale


def save_archive(state: dict[str, torch.Tensor], path: Path) -> Path:
    """Save as a TorchScript archive, as OpenAI publishes its models."""
    root = _Root()
    for name, tensor in {**state, **extra_keys()}.items():
        *parents, leaf = name.split(".")
        node: torch.nn.Module = root
        for parent in parents:
            if not hasattr(node, parent):
                node.add_module(parent, _Branch())
            node = getattr(node, parent)
        if tensor.is_floating_point():
            node.register_parameter(leaf, torch.nn.Parameter(tensor, requires_grad=False))
        else:
            node.register_buffer(leaf, tensor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(root, torch.ones(1)).save(str(path))
    return path


def save_state(state: dict[str, torch.Tensor], path: Path) -> Path:
    """Save the state dict of such an archive, with the three numbers that tell whose it is."""
    torch.save({**state, **extra_keys()}, path)
    return path


def image_features(
    state: dict[str, torch.Tensor], pixels: np.ndarray, *, exact_gelu: bool = False, head_width: int = 64
) -> np.ndarray:
    """Features of preprocessed images, shape (N, 3, S, S) to (N, D), in float64."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}
    kernel = w["visual.conv1.weight"]
    patch, width = kernel.shape[-1], len(kernel)
    n, _, side, _ = pixels.shape
    grid = side // patch
    patches = pixels.astype(np.float64).reshape(n, 3, grid, patch, grid, patch).transpose(0, 2, 4, 1, 3, 5)
    x = patches.reshape(n, grid * grid, 3 * patch * patch) @ kernel.reshape(width, -1).T
    x = np.concatenate([np.tile(w["visual.class_embedding"], (n, 1, 1)), x], axis=1)
    x = _norm(w, "visual.ln_pre", x + w["visual.positional_embedding"])
    x = _blocks(w, "visual.", x, causal=False, exact_gelu=exact_gelu, head_width=head_width)
    return _norm(w, "visual.ln_post", x[:, 0]) @ w["visual.proj"]


def text_features(state: dict[str, torch.Tensor], token_ids: np.ndarray, **how: Any) -> np.ndarray:
    """Features of token ids, shape (N, context) to (N, D), in float64."""
    return token_features(state, token_ids, **how)[np.arange(len(token_ids)), token_ids.argmax(axis=1)]


def token_features(
    state: dict[str, torch.Tensor], token_ids: np.ndarray, *, exact_gelu: bool = False, head_width: int = 64
) -> np.ndarray:
    """Features of every token, shape (N, context) to (N, context, D), in float64."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}
    x = w["token_embedding.weight"][token_ids] + w["positional_embedding"]
    x = _blocks(w, "", x, causal=True, exact_gelu=exact_gelu, head_width=head_width)
    return _norm(w, "ln_final", x) @ w["text_projection"]


def random_tokens(count: int, shape: Shape = Shape(), seed: int = 1) -> np.ndarray:
    """Texts of several lengths: start token, words, end token (the highest id), zeros."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((count, shape.context), dtype=np.int64)
    for row in ids:
        length = int(rng.integers(3, shape.context + 1))
        row[:length] = rng.integers(1, shape.vocab - 2, length)
        row[0], row[length - 1] = shape.vocab - 2, shape.vocab - 1
    return ids


def _norm(w: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _blocks(
    w: dict[str, np.ndarray], prefix: str, x: np.ndarray, *, causal: bool, exact_gelu: bool, head_width: int
) -> np.ndarray:
    index = 0
    while f"{prefix}transformer.resblocks.{index}.ln_1.weight" in w:
        block = f"{prefix}transformer.resblocks.{index}"
        x = x + _attention(w, block, _norm(w, f"{block}.ln_1", x), causal, head_width)
        hidden = _norm(w, f"{block}.ln_2", x) @ w[f"{block}.mlp.c_fc.weight"].T + w[f"{block}.mlp.c_fc.bias"]
        if exact_gelu:
            hidden = torch.nn.functional.gelu(torch.from_numpy(hidden)).numpy()
        else:
            hidden = hidden / (1 + np.exp(-1.702 * hidden))
        x = x + hidden @ w[f"{block}.mlp.c_proj.weight"].T + w[f"{block}.mlp.c_proj.bias"]
        index += 1
    return x


def _attention(
    w: dict[str, np.ndarray], block: str, x: np.ndarray, causal: bool, head_width: int
) -> np.ndarray:
    n, tokens, width = x.shape
    heads = width // head_width
    joined = x @ w[f"{block}.attn.in_proj_weight"].T + w[f"{block}.attn.in_proj_bias"]
    query, key, value = (
        part.reshape(n, tokens, heads, head_width).transpose(0, 2, 1, 3)
        for part in np.split(joined, 3, axis=-1)
    )
    logits = query @ key.transpose(0, 1, 3, 2) / head_width**0.5
    if causal:
        logits = np.where(np.tri(tokens, dtype=bool), logits, -np.inf)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(n, tokens, width)
    return mixed @ w[f"{block}.attn.out_proj.weight"].T + w[f"{block}.attn.out_proj.bias"]
