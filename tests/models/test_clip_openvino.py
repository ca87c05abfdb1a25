"""CLIP's picture features in OpenVINO: against a float64 forward pass and PyTorch, and in any company."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from tests.models.openai_clip import (
    Shape,
    image_features,
    random_state,
    random_tokens,
    save_archive,
    save_state,
)
from tools.errors import UserError
from tools.models import clip_openvino
from tools.models.clip import CLIPEncoder, load_clip
from tools.models.clip_openvino import OpenVinoImages, choose_clip_backend, clip_backend_version

pytest.importorskip("openvino", reason="openvino of the extra ocr is not installed")

CPU: dict[str, Any] = {"device": "cpu", "backend": "openvino"}
needs_bf16 = pytest.mark.skipif(
    choose_clip_backend("auto", "cpu", "bf16") != "openvino", reason="this CPU does not multiply bf16"
)


def noise(count: int, side: int = 32) -> torch.Tensor:
    """Pixels as they are after normalisation."""
    return torch.from_numpy(
        np.random.default_rng(5).standard_normal((count, 3, side, side)).astype(np.float32)
    )


@pytest.mark.parametrize(
    "shape",
    [
        Shape(),
        Shape(embed_dim=96, image_size=42, patch=14, width=192, layers=3, text_width=128, text_layers=1),
        Shape(embed_dim=64, image_size=64, patch=32, width=64, layers=1, text_layers=1),
    ],
)
def test_features_equal_those_of_an_independent_forward_pass(tmp_path, shape):
    state = random_state(shape, seed=2)
    clip = load_clip(save_archive(state, tmp_path / "clip.pt"), precision="fp32", threads=2, **CPU)
    pixels = noise(3, shape.image_size)
    assert clip.backend == "openvino"
    assert np.abs(clip.encode_images(pixels).numpy() - image_features(state, pixels.numpy())).max() < 1e-5
    assert clip.encode_images(pixels[:0]).shape == (0, shape.embed_dim)


def test_texts_are_those_of_pytorch(tmp_path):
    path = save_state(random_state(), tmp_path / "clip.pt")
    tokens = torch.from_numpy(random_tokens(3))
    one, other = (load_clip(path, device="cpu", precision="fp32", backend=b) for b in ("openvino", "pytorch"))
    assert torch.equal(one.encode_text(tokens), other.encode_text(tokens))
    assert torch.equal(one.encode_tokens(tokens), other.encode_tokens(tokens))


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu", "gelu_pytorch_tanh"])
def test_each_activation_is_that_of_transformers(activation):
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = {**sizes, "image_size": 32, "patch_size": 8, "hidden_act": activation, "layer_norm_eps": 1e-3}
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=sizes)).eval().requires_grad_(False)
    for parameter in model.parameters():  # as transformers makes them, activations are near 0
        parameter.normal_(std=0.3)
    pixels = noise(2)
    with torch.inference_mode():
        expected = model.get_image_features(pixel_values=pixels).pooler_output
    clip = CLIPEncoder(model, digest="", device="cpu", precision="fp32", backend="openvino", threads=1)
    found = clip.encode_images(pixels)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_an_unknown_activation_is_refused():
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {**sizes, "image_size": 32, "patch_size": 8, "hidden_act": "silu"}
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=sizes))
    with pytest.raises(UserError, match="activation silu; use --backend pytorch"):
        OpenVinoImages(model, precision="fp32", batch=1, at_a_time=1)


def test_a_network_that_openvino_does_not_compile_is_an_error_that_says_what_to_do():
    """A convolution of patches that are larger than the picture, which has no result."""
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = CLIPModel(
        CLIPConfig(vision_config={**sizes, "image_size": 32, "patch_size": 8}, text_config=sizes)
    )
    model.config.vision_config.image_size = 4
    with pytest.raises(UserError, match=r"OpenVINO cannot compute CLIP here \(.+\); use --backend pytorch"):
        OpenVinoImages(model, precision="fp32", batch=1, at_a_time=1)


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
def test_a_feature_depends_on_its_own_picture_alone(tmp_path, precision):
    """Of ViT-L/14's 257 tokens, which no block of a matrix product divides."""
    path = save_state(random_state(Shape(image_size=224, patch=14, width=128)), tmp_path / "clip.pt")
    pixels = noise(10, 224)
    clip = load_clip(path, precision=precision, threads=2, **CPU)
    together = clip.encode_images(pixels)
    assert torch.equal(torch.cat([clip.encode_images(row[None]) for row in pixels]), together)
    assert torch.equal(clip.encode_images(pixels.flip(0)).flip(0), together)
    assert torch.equal(clip.encode_images(pixels[3:]), together[3:])
    for threads in (1, 3):
        other = load_clip(path, precision=precision, threads=threads, **CPU)
        assert torch.equal(other.encode_images(pixels), together)


@needs_bf16
def test_bf16_is_off_by_its_rounding(tmp_path):
    """8 significant bits: a product is off by 2^-9, and by a few of them after two layers."""
    path = save_state(random_state(), tmp_path / "clip.pt")
    pixels = noise(5)
    exact, rounded = (load_clip(path, precision=p, **CPU).encode_images(pixels) for p in ("fp32", "bf16"))
    error = ((rounded - exact).norm(dim=1) / exact.norm(dim=1)).max().item()
    assert 2**-12 < error < 2**-5


def test_the_backend_follows_from_what_is_installed_and_asked_for(monkeypatch):
    assert choose_clip_backend("auto", "cpu", "fp32") == "openvino"
    assert choose_clip_backend("pytorch", "cpu", "fp32") == "pytorch"
    assert choose_clip_backend("auto", "cuda:0", "fp16") == "pytorch"
    assert choose_clip_backend("auto", "cpu", "fp16") == "pytorch"
    assert choose_clip_backend("auto", "cpu", "fp32", compile=True) == "pytorch"
    for arguments, message in (
        (("cuda:1", "fp32"), "--device cuda:1"),
        (("cpu", "fp16"), "--precision fp16"),
    ):
        with pytest.raises(UserError, match=message):
            choose_clip_backend("openvino", *arguments)
    with pytest.raises(UserError, match="--compile"):
        choose_clip_backend("openvino", "cpu", "fp32", compile=True)
    with pytest.raises(UserError, match="Supported values are auto, openvino, pytorch"):
        choose_clip_backend("onnx", "cpu", "fp32")
    monkeypatch.setattr(clip_openvino, "cpu_multiplies_bf16", lambda: True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert choose_clip_backend("auto", "cpu", "bf16") == "pytorch"
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert choose_clip_backend("auto", "cpu", "bf16") == "openvino"
    monkeypatch.setattr(clip_openvino, "cpu_multiplies_bf16", lambda: False)
    assert choose_clip_backend("auto", "cpu", "bf16") == "pytorch"
    with pytest.raises(UserError, match="--precision bf16 on this CPU"):
        choose_clip_backend("openvino", "cpu", "bf16")
    monkeypatch.setitem(sys.modules, "openvino", None)  # Python's word for: there is no such module
    assert choose_clip_backend("auto", "cpu", "fp32") == "pytorch"
    with pytest.raises(UserError, match="pip install"):
        choose_clip_backend("openvino", "cpu", "fp32")


def test_versions_are_those_of_the_packages():
    import openvino

    assert clip_backend_version("pytorch") == f"PyTorch {torch.__version__.partition('+')[0]}"
    assert openvino.__version__.startswith(clip_backend_version("openvino").removeprefix("OpenVINO "))
