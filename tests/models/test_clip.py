"""CLIP features against an independent forward pass in float64, and weights that must be refused."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.activations import QuickGELUActivation

from tests.models.openai_clip import (
    Shape,
    image_features,
    random_state,
    random_tokens,
    save_archive,
    save_state,
    text_features,
)
from tools.errors import UserError
from tools.models.clip import load_clip
from tools.models.clip_checkpoint import find_clip
from tools.models.clip_preprocess import normalize_crops
from tools.models.quick_gelu import use_fused_quick_gelu

SHAPE = Shape()


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(5).standard_normal((5, 3, 32, 32)).astype(np.float32))


@pytest.fixture(scope="module")
def encoder(state, tmp_path_factory):
    path = save_archive(state, tmp_path_factory.mktemp("clip") / "ViT-tiny.pt")
    return load_clip(path, device="cpu", precision="fp32", threads=2)


@pytest.mark.parametrize("form", ["archive fp32", "archive mixed", "state fp32", "state fp16"])
def test_features_equal_those_of_an_independent_forward_pass(state, pixels, tmp_path, form):
    path = tmp_path / "clip.pt"
    if form == "archive fp32":
        save_archive(state, path)
    elif form == "archive mixed":  # as OpenAI publishes them: what is multiplied is fp16, the rest fp32
        half = ("conv1.weight", "proj", "projection", "in_proj_weight", "in_proj_bias", "mlp.c_fc.weight")
        state = {k: v.half().float() if k.endswith(half) else v for k, v in state.items()}
        save_archive({k: v.half() if k.endswith(half) else v for k, v in state.items()}, path)
    elif form == "state fp32":
        save_state(state, path)
    else:
        state = {name: tensor.half() for name, tensor in state.items()}
        save_state(state, path)
    encoder = load_clip(path, device="cpu", precision="fp32")
    tokens = random_tokens(6)
    images = encoder.encode_images(pixels).numpy()
    texts = encoder.encode_text(torch.from_numpy(tokens)).numpy()
    assert images.shape == (5, 768) and texts.shape == (6, 768)
    assert np.abs(images - image_features(state, pixels.numpy())).max() < 1e-5
    assert np.abs(texts - text_features(state, tokens)).max() < 1e-5
    assert encoder.logit_scale == pytest.approx(np.exp(float(state["logit_scale"])), rel=1e-6)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(embed_dim=96, image_size=42, patch=14, width=192, layers=3, text_width=128, text_layers=1),
        Shape(
            embed_dim=64, image_size=64, patch=32, width=64, layers=1, context=77, vocab=500, text_layers=3
        ),
    ],
)
def test_dimensions_are_inferred_from_the_shapes(tmp_path, shape):
    state = random_state(shape, seed=2)
    encoder = load_clip(save_state(state, tmp_path / "clip.pt"), device="cpu", precision="fp32")
    assert (encoder.image_size, encoder.embed_dim) == (shape.image_size, shape.embed_dim)
    assert encoder.context_length == shape.context
    pixels = np.random.default_rng(0).standard_normal((2, 3, shape.image_size, shape.image_size))
    tokens = random_tokens(3, shape)
    images = encoder.encode_images(torch.from_numpy(pixels).float()).numpy()
    assert np.abs(images - image_features(state, pixels.astype(np.float32))).max() < 1e-5
    texts = encoder.encode_text(torch.from_numpy(tokens)).numpy()
    assert np.abs(texts - text_features(state, tokens)).max() < 1e-5


def test_the_activation_is_quick_gelu(state, pixels, encoder):
    """With plain GELU, the error that other loaders make silently, the features are another model's."""
    images = encoder.encode_images(pixels).numpy()
    assert np.abs(images - image_features(state, pixels.numpy(), exact_gelu=True)).max() > 1e-3


def test_a_feature_depends_on_its_own_image_alone(state, pixels, encoder, tmp_path):
    together = encoder.encode_images(pixels)
    assert torch.equal(torch.cat([encoder.encode_images(row[None]) for row in pixels]), together)
    assert torch.equal(encoder.encode_images(pixels.flip(0)).flip(0), together)
    path = save_state(state, tmp_path / "clip.pt")
    for threads in (1, 3):
        other = load_clip(path, device="cpu", precision="fp32", threads=threads)
        assert torch.equal(other.encode_images(pixels), together)


def test_in_bf16_a_feature_depends_on_its_own_row_alone(tmp_path):
    """Of ViT-L/14's 257 tokens, which no block of a matrix product divides."""
    shape = Shape(image_size=224, patch=14, width=128)
    path = save_state(random_state(shape), tmp_path / "clip.pt")
    pixels = torch.from_numpy(np.random.default_rng(8).standard_normal((6, 3, 224, 224)).astype(np.float32))
    tokens = torch.from_numpy(random_tokens(6, shape)).long()
    clip = load_clip(path, device="cpu", precision="bf16", threads=2)
    for encode, rows in ((clip.encode_images, pixels), (clip.encode_text, tokens)):
        together = encode(rows)
        assert torch.equal(torch.cat([encode(row[None]) for row in rows]), together)
        assert torch.equal(encode(rows.flip(0)).flip(0), together)
        assert torch.equal(encode(rows[1:]), together[1:])


def test_encoding_leaves_pytorchs_threads_as_they_were(pixels, encoder):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        encoder.encode_images(pixels[:2])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_crops_are_normalised_on_the_way(encoder):
    crops = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    pixels = normalize_crops(torch.from_numpy(crops))
    assert torch.equal(encoder.encode_crops(crops), encoder.encode_images(pixels))
    assert encoder.encode_crops(crops[:0]).shape == (0, 768)


@pytest.mark.parametrize(("precision", "bits"), [("bf16", 8), ("fp16", 11)])
def test_half_precision_is_off_by_its_rounding(state, pixels, encoder, tmp_path, precision, bits):
    half = load_clip(save_state(state, tmp_path / "clip.pt"), device="cpu", precision=precision)
    exact, rounded = encoder.encode_images(pixels), half.encode_images(pixels)
    assert rounded.dtype == torch.float32
    error = ((rounded - exact).norm(dim=1) / exact.norm(dim=1)).max().item()
    assert 2 ** -(bits + 4) < error < 2 ** -(bits - 4)


def test_wrong_sizes_are_refused(encoder):
    with pytest.raises(ValueError, match=r"\(N, 3, 32, 32\)"):
        encoder.encode_images(torch.zeros(1, 3, 224, 224))
    with pytest.raises(ValueError, match=r"\(N, 16\)"):
        encoder.encode_text(torch.zeros(1, 77, dtype=torch.long))
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode_crops(np.zeros((1, 32, 32, 3), dtype=np.float32))


@pytest.fixture(scope="module")
def hugging_face(state, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hf") / "clip"
    path = save_state(state, folder.with_suffix(".pt"))
    clip = load_clip(path, device="cpu", precision="fp32", backend="pytorch")  # which keeps the whole model
    clip._model.save_pretrained(folder)
    return folder


def test_a_hugging_face_folder_gives_the_same_features(hugging_face, pixels, encoder):
    source = find_clip(hugging_face)
    assert source.image_size == 32
    assert torch.equal(
        load_clip(source, device="cpu", precision="fp32").encode_images(pixels), encoder.encode_images(pixels)
    )


def test_a_gap_in_a_hugging_face_folder_is_not_filled_with_random_numbers(hugging_face, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(hugging_face / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((hugging_face / "config.json").read_bytes())
    with pytest.raises(UserError, match=r"missing, such as visual_projection\.weight"):
        load_clip(tmp_path, device="cpu", precision="fp32")


def test_folders_that_are_no_clip_are_refused(hugging_face, tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        find_clip(tmp_path)
    config = json.loads((hugging_face / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="no weights"):
        find_clip(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "siglip"}))
    with pytest.raises(UserError, match="type siglip, not clip"):
        find_clip(tmp_path)


def test_missing_and_unknown_tensors_are_named(state, tmp_path):
    broken = {**state, "visual.extra": torch.ones(1)}
    del broken["visual.transformer.resblocks.1.mlp.c_fc.bias"]
    with pytest.raises(UserError, match=r"resblocks\.1\.mlp\.c_fc\.bias; unexpected tensors: visual\.extra"):
        load_clip(save_state(broken, tmp_path / "clip.pt"), device="cpu")


def test_a_tensor_of_another_shape_is_refused(state, tmp_path):
    broken = {**state, "visual.ln_post.weight": torch.ones(64)}
    with pytest.raises(UserError, match="another shape"):
        load_clip(save_state(broken, tmp_path / "clip.pt"), device="cpu")


def test_other_files_are_refused_without_running_them(tmp_path):
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self):
            return Path.touch, (marker,)

    hostile = tmp_path / "hostile.pt"
    hostile.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(UserError, match="not a CLIP file"):
        find_clip(hostile)
    assert not marker.exists()
    text = tmp_path / "notes.pt"
    text.write_text("not weights\n")
    with pytest.raises(UserError, match="not a CLIP file"):
        find_clip(text)
    resnet = save_state({"visual.layer1.0.conv1.weight": torch.ones(1)}, tmp_path / "rn50.pt")
    with pytest.raises(UserError, match="ResNet"):
        find_clip(resnet)


@pytest.mark.parametrize("name", ["ViT-L/14", "ViT-L-14", "vit-l-14", "clip-vit-l-14"])
def test_names_find_the_file_that_the_user_chose(state, tmp_path, monkeypatch, name):
    path = save_state(state, tmp_path / "my.pt")
    monkeypatch.setenv("VIDSIEVE_CLIP_VIT_L_14", str(path))
    source = find_clip(name)
    assert source.path == path
    assert source.image_size == 32  # that of the file, not the 224 of the published model


def test_unknown_names_are_refused(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="the names are ViT-L/14, "):
        find_clip("ViT-H-99")
    with pytest.raises(UserError, match="no such file"):
        find_clip(tmp_path / "missing.pt")


def test_a_hugging_face_id_without_network_is_one_clear_line(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="Hugging Face could not give it") as caught:
        find_clip("nobody/clip-that-is-not-cached")
    assert "\n" not in str(caught.value)


def compiled_in_a_process(script: str, *arguments: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a script that compiles; torch.compile leaves much behind in the process that used it."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": "1", **environment},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_features_are_the_same_and_depend_on_nothing_else(state, pixels, encoder, tmp_path):
    torch.save(pixels, tmp_path / "pixels.pt")
    script = (
        "import sys, torch; from tools.models.clip import load_clip;"
        "c = load_clip(sys.argv[1], device='cpu', precision='fp32', compile=True, threads=2);"
        "p = torch.load(sys.argv[2]);"
        "one_by_one = torch.cat([c.encode_images(row[None]) for row in p]);"
        "torch.save((c.encode_images(p), one_by_one), sys.argv[3])"
    )
    features = tmp_path / "features.pt"
    run = compiled_in_a_process(
        script, save_state(state, tmp_path / "clip.pt"), tmp_path / "pixels.pt", features
    )
    assert run.returncode == 0, run.stderr
    together, one_by_one = torch.load(features)
    assert (together - encoder.encode_images(pixels)).abs().max() < 1e-5
    assert torch.equal(one_by_one, together)


def test_a_failing_compiler_is_told(tmp_path):
    """Nothing that was compiled before is reused."""
    shallow = random_state(Shape(layers=1, text_layers=1))  # the compiler is called for the first layer
    script = (
        "import sys, torch; from tools.models.clip import load_clip;"
        "c = load_clip(sys.argv[1], device='cpu', compile=True); c.encode_images(torch.zeros(1, 3, 32, 32))"
    )
    run = compiled_in_a_process(
        script,
        save_state(shallow, tmp_path / "clip.pt"),
        CXX="/no/such/compiler",
        TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert "UserError: torch.compile fails here" in run.stderr


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 0.02), ("bf16", 0.15)])
def test_features_on_a_gpu(state, encoder, tmp_path, precision, tolerance):
    pixels = torch.from_numpy(np.random.default_rng(6).standard_normal((200, 3, 32, 32)).astype(np.float32))
    gpu = load_clip(save_state(state, tmp_path / "clip.pt"), device="cuda", precision=precision)
    together = gpu.encode_images(pixels)
    assert np.abs(together.numpy() - image_features(state, pixels.numpy())).max() < tolerance
    assert torch.equal(torch.cat([gpu.encode_images(row[None]) for row in pixels[:5]]), together[:5])
    assert torch.equal(gpu.encode_images(pixels.flip(0)).flip(0), together)


@pytest.mark.gpu
def test_passes_that_do_not_fit_on_a_gpu_are_halved(tmp_path):
    """Half of the memory that a whole pass takes is left to it."""
    shape = Shape(image_size=224, patch=14, width=256)
    gpu = load_clip(save_state(random_state(shape), tmp_path / "clip.pt"), device="cuda", precision="fp32")
    crops = np.random.default_rng(7).integers(0, 256, (200, 224, 224, 3), np.uint8)
    torch.cuda.empty_cache()
    model = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    whole = gpu.encode_crops(crops)
    room = (model + torch.cuda.max_memory_reserved()) // 2
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
        halved = gpu.encode_crops(crops)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert gpu._passes.batch_size < 64
    assert np.abs((halved - whole).numpy()).max() < 1e-4
    assert torch.equal(gpu.encode_crops(crops[3:7]), halved[3:7])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_quick_gelu_in_place_gives_what_that_of_transformers_gives(dtype):
    x = torch.randn(100, 257).mul_(4).to(dtype)
    before, model = x.clone(), torch.nn.Sequential(QuickGELUActivation())
    expected = model(x)
    use_fused_quick_gelu(model, "cpu")
    assert not isinstance(model[0], QuickGELUActivation)
    assert torch.equal(model(x), expected)
    assert torch.equal(x, before)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_kernel_for_quick_gelu_rounds_once(dtype):
    x = torch.randn(1000, 257, dtype=torch.float64).mul_(4).to(dtype)
    model = torch.nn.Sequential(QuickGELUActivation())
    use_fused_quick_gelu(model, "cuda:0")
    assert not isinstance(model[0], QuickGELUActivation)
    exact = x.double() * torch.sigmoid(1.702 * x.double())
    error = (model(x.cuda()).cpu().double() - exact).abs()
    assert (error <= exact.abs() * torch.finfo(dtype).eps + 1e-7).all()
