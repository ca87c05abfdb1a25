"""CLIP files of open_clip against a forward pass in float64; without their config they are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.models.clip_vocabulary import save_folder
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
from tools.models.clip_architecture import config_names, named_architecture, read_architecture
from tools.models.clip_checkpoint import find_clip
from tools.models.clip_preprocess import clip_crop, normalize_crops
from tools.models.clip_tokenizer import find_vocabulary

SMALL = Shape(width=128, layers=1, text_layers=1, embed_dim=48)


def config_of(shape: Shape, *, vision: dict | None = None, text: dict | None = None, **model) -> dict:
    """As open_clip writes it beside the weights."""
    return {
        "model_cfg": {
            "embed_dim": shape.embed_dim,
            "vision_cfg": {
                "image_size": shape.image_size,
                "layers": shape.layers,
                "width": shape.width,
                "patch_size": shape.patch,
                **(vision or {}),
            },
            "text_cfg": {
                "context_length": shape.context,
                "vocab_size": shape.vocab,
                "width": shape.text_width,
                "heads": shape.text_width // 64,
                "layers": shape.text_layers,
                **(text or {}),
            },
            **model,
        },
        "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "size": [3, 32, 32]},
    }


def save_open_clip(folder: Path, state: dict, config: dict | None, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    if config:
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    save = save_file if name.endswith(".safetensors") else torch.save
    save(state, folder / name)
    return folder / name


def error_of(path: Path, state: dict, shape: Shape, clip=None, **how) -> float:
    """Largest difference from the forward pass in float64, of images and texts."""
    encoder = load_clip(clip or find_clip(path), device="cpu", precision="fp32", threads=1)
    pixels = np.random.default_rng(5).standard_normal((2, 3, 32, 32)).astype(np.float32)
    tokens = random_tokens(3, shape)
    images = encoder.encode_images(torch.from_numpy(pixels)).numpy()
    texts = encoder.encode_text(torch.from_numpy(tokens)).numpy()
    how_text = {key: value for key, value in how.items() if key != "head_width"}
    return max(
        np.abs(images - image_features(state, pixels, **how)).max(),
        np.abs(texts - text_features(state, tokens, **how_text)).max(),
    )


@pytest.mark.parametrize(
    ("width", "head_width", "quick", "name"),
    [
        (128, 64, False, "open_clip_pytorch_model.bin"),
        (128, 64, True, "open_clip_model.safetensors"),
        (160, 80, False, "open_clip_model.safetensors"),  # ViT-H-14
        (176, 88, False, "open_clip_pytorch_model.bin"),  # ViT-g-14
        (208, 104, False, "open_clip_pytorch_model.bin"),  # ViT-bigG-14
    ],
)
def test_a_config_beside_the_weights_gives_open_clip_s_features(tmp_path, width, head_width, quick, name):
    shape = Shape(width=width, layers=1, text_layers=1, embed_dim=48)
    state = random_state(shape)
    config = config_of(shape, vision={"head_width": head_width}, quick_gelu=quick)
    path = save_open_clip(tmp_path / "model", state, config, name)
    right = {"exact_gelu": not quick, "head_width": head_width}
    for place in (path, path.parent):
        assert error_of(place, state, shape, **right) < 1e-5
    for wrong in ({**right, "exact_gelu": quick}, {**right, "head_width": width}):
        assert error_of(path, state, shape, **wrong) > 1e-3  # the comparison can fail


def test_a_config_named_by_hand_counts_as_one_beside(tmp_path):
    state = random_state(SMALL)
    path = save_open_clip(tmp_path / "a", state, None, "mine.pt")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(config_of(SMALL)["model_cfg"]))  # as open_clip keeps its own
    assert error_of(path, state, SMALL, find_clip(path, config), exact_gelu=True) < 1e-5
    save_open_clip(tmp_path / "a", state, config_of(SMALL, quick_gelu=True), "mine.pt")
    assert find_clip(path).digest != find_clip(path, config).digest  # results of one are not the other's
    assert error_of(path, state, SMALL, find_clip(path, config), exact_gelu=True) < 1e-5


def test_a_name_of_open_clip_s_is_a_config():
    """Values of model_configs/*.json of open_clip."""
    for name, activation, head_width, heads in (
        ("ViT-B-32", "gelu", 64, 8),
        ("ViT-L-14-quickgelu", "quick_gelu", 64, 12),
        ("ViT-H-14", "gelu", 80, 16),
        ("ViT-H-14-378-quickgelu", "quick_gelu", 80, 16),
        ("ViT-g-14", "gelu", 88, 16),
        ("ViT-bigG-14", "gelu", 104, 20),
    ):
        found = named_architecture(name)
        assert (found.activation, found.head_width, found.text_heads) == (activation, head_width, heads)
    for name in config_names():
        found = named_architecture(name)
        sizes = dict(found.sizes)
        assert sizes["width"] % found.head_width == 0 and sizes["image_size"] % sizes["patch_size"] == 0
    assert dict(named_architecture("ViT-H-14-378-quickgelu").sizes)["image_size"] == 378
    assert dict(named_architecture("ViT-B-16-plus-240").sizes)["image_size"] == 240
    assert named_architecture("ViT-L-14:laion2b_s32b_b82k").pictures.mean == (0.5, 0.5, 0.5)
    assert named_architecture("vit-l/14").sizes == named_architecture("ViT-L-14").sizes
    with pytest.raises(UserError, match="those are ViT-S-32, "):
        named_architecture("RN50")
    with pytest.raises(UserError, match=r"pictures of their own are laion2b_s32b_b82k; for others"):
        named_architecture("ViT-L-14:laion2b")


def test_a_named_model_is_loaded_as_such_and_no_other(tmp_path):
    shape = Shape(256, 224, 32, 384, 12, 16, 300, 256, 10)  # ViT-S-32-alt, with a smaller vocabulary
    state = random_state(shape)
    path = save_open_clip(tmp_path / "a", state, None, "weights.pt")
    model = load_clip(
        find_clip(path, "ViT-S-32-alt"), device="cpu", precision="fp32", backend="pytorch"
    )._model
    for part, width, heads in (("vision_config", 384, 6), ("text_config", 256, 4)):
        config = getattr(model.config, part)
        assert (config.hidden_size, config.num_attention_heads, config.hidden_act) == (width, heads, "gelu")
    with pytest.raises(UserError, match=r"ViT-S-32 says text_width 384, the tensors have 256"):
        find_clip(path, "ViT-S-32")
    with pytest.raises(UserError, match=r"NAME\|FILE \(its tensors fit ViT-S-32-alt\)"):
        find_clip(path)


@pytest.mark.parametrize("name", ["model.pt", "open_clip_pytorch_model.bin", "x.safetensors"])
def test_without_a_config_a_state_dict_is_refused(tmp_path, name):
    path = save_open_clip(tmp_path / "a", random_state(SMALL), None, name)
    for place in (path, path.parent) if name.startswith("open_clip") else (path,):
        with pytest.raises(
            UserError, match=r"do not tell .*open_clip_config\.json .*--clip-config"
        ) as caught:
            find_clip(place)
        assert "\n" not in str(caught.value)


def test_openai_s_own_files_need_no_config(tmp_path):
    state = random_state(SMALL)
    for save in (save_archive, save_state):
        path = save(state, tmp_path / "clip.pt")
        assert error_of(path, state, SMALL) < 1e-5
        with pytest.raises(UserError, match="a file of OpenAI's, with QuickGELU"):
            find_clip(path, "ViT-L-14")


def test_a_torchscript_archive_that_computes_gelu_is_not_openai_s(tmp_path):
    class Gelu(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, tensor in random_state(SMALL).items():
                self.register_buffer(name.replace(".", "/"), tensor)

        def forward(self, x):
            return torch.nn.functional.gelu(x)

    from tools.models.clip_openai import read_clip_file

    scripted = torch.jit.trace(Gelu(), torch.ones(1))
    scripted.save(str(tmp_path / "clip.pt"))
    assert not read_clip_file(tmp_path / "clip.pt").by_openai


def test_a_folder_of_both_formats_is_read_in_that_of_transformers(tmp_path):
    state = random_state(SMALL)
    folder = tmp_path / "both"
    save_open_clip(folder, state, config_of(SMALL), "open_clip_model.safetensors")
    load_clip(folder, device="cpu", precision="fp32", backend="pytorch")._model.save_pretrained(folder)
    assert find_clip(folder).path == folder
    assert error_of(folder, state, SMALL, exact_gelu=True) < 1e-5
    assert find_clip(folder, folder / "open_clip_config.json").path.name == "open_clip_model.safetensors"
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"its own config\.json; --clip-config is for files of open_clip"):
        find_clip(folder, "ViT-L-14")


def test_a_folder_of_the_hub_s_cache_is_read(tmp_path, monkeypatch):
    state = random_state(SMALL)
    cache = tmp_path / "models--laion--tiny"
    snapshot = cache / "snapshots" / "0a1b"
    snapshot.parent.mkdir(parents=True)
    path = save_open_clip(snapshot, state, config_of(SMALL), "open_clip_pytorch_model.bin")
    (cache / "blobs").mkdir()
    shutil.move(path, cache / "blobs" / "ff")  # files of a snapshot are links
    path.symlink_to(cache / "blobs" / "ff")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0a1b")
    for place in (cache, snapshot, path):
        assert error_of(place, state, SMALL, exact_gelu=True) < 1e-5
    save_folder(snapshot)
    assert find_vocabulary(find_clip(cache)) == snapshot
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_clip("laion/tiny").path == path  # by its id, without a network


def test_a_model_of_two_parts_and_an_old_buffer_are_read(tmp_path):
    state = random_state(SMALL)
    ours = {name for name in state if name.startswith("visual.") or name == "logit_scale"}
    custom = {name if name in ours else f"text.{name}": tensor for name, tensor in state.items()}
    custom["text.attn_mask"] = torch.full((SMALL.context, SMALL.context), -torch.inf).triu(1)
    path = save_open_clip(
        tmp_path / "a", custom, config_of(SMALL, custom_text=True), "open_clip_pytorch_model.bin"
    )
    assert error_of(path, state, SMALL, exact_gelu=True) < 1e-5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"vision": {"timm_model_name": "vit_base"}}, "timm_model_name is vit_base"),
        ({"text": {"hf_model_name": "roberta"}}, "hf_model_name is roberta"),
        ({"vision": {"layers": [3, 4, 6, 3]}}, "ResNet"),
        ({"vision": {"no_ln_pre": True}}, "no_ln_pre is true"),
        ({"vision": {"pool_type": "avg"}}, 'pool_type is "avg"'),
        ({"text": {"pool_type": "last"}}, 'pool_type is "last"'),
        ({"vision": {"from_next_year": 1}}, "from_next_year is 1"),
        ({"vision": {"width": 192}}, "says width 192, the tensors have 128"),
        ({"vision": {"head_width": 60}}, "width 128 is no multiple of 60"),
        ({"text": {"heads": 3}}, "3 heads do not share a width of 64"),
        ({"vision": {"image_size": "big"}}, "of a wrong kind"),
        ({"vision": {"act_kwargs": {"approximate": "tanh"}}}, "activations of their own"),
        ({"vision": {"norm_kwargs": {"bias": False}}}, "norm_kwargs"),
    ],
)
def test_a_clip_that_cannot_be_built_is_refused(tmp_path, change, told):
    path = save_open_clip(
        tmp_path / "a", random_state(SMALL), config_of(SMALL, **change), "open_clip_pytorch_model.bin"
    )
    with pytest.raises(UserError) as caught:
        find_clip(path)
    assert told in str(caught.value) and str(tmp_path) in str(caught.value)


def test_pictures_are_prepared_as_the_config_says(tmp_path):
    """Resized by PIL here, and normalised in float64."""
    state = random_state(SMALL)
    config = config_of(SMALL)
    mean, std = (0.5, 0.4, 0.3), (0.5, 0.25, 0.2)
    config["preprocess_cfg"] = {
        "mean": mean,
        "std": std,
        "interpolation": "bilinear",
        "resize_mode": "squash",
        "size": [32, 32],
    }
    path = save_open_clip(tmp_path / "a", state, config, "open_clip_pytorch_model.bin")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 90, 3), np.uint8))
    source = find_clip(path)
    crop = clip_crop(picture, 32, source.pictures)[None]
    resized = np.asarray(picture.resize((32, 32), Image.BILINEAR), dtype=np.float64)
    pixels = ((resized / 255 - mean) / std).transpose(2, 0, 1)[None]
    normalized = normalize_crops(torch.from_numpy(crop.copy()), source.pictures).numpy()
    assert np.abs(normalized - pixels).max() < 1e-5
    expected = image_features(state, pixels, exact_gelu=True)
    encoder = load_clip(source, device="cpu", precision="fp32")
    assert np.abs(encoder.encode_crops(crop.copy()).numpy() - expected).max() < 1e-4
    config["preprocess_cfg"]["resize_mode"] = "longest"
    with pytest.raises(UserError, match="resize_mode longest"):
        find_clip(save_open_clip(tmp_path / "a", state, config, path.name))


def test_pictures_are_prepared_as_a_hugging_face_folder_says(tmp_path):
    save_open_clip(tmp_path / "a", random_state(SMALL), config_of(SMALL), "open_clip_pytorch_model.bin")
    folder = tmp_path / "hf"
    load_clip(tmp_path / "a", device="cpu", precision="fp32", backend="pytorch")._model.save_pretrained(
        folder
    )
    plain = find_clip(folder)
    settings = {
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": {"shortest_edge": 32},
        "crop_size": {"height": 32, "width": 32},
        "do_center_crop": True,
        "resample": 3,
        "rescale_factor": 1 / 255,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    halves = find_clip(folder)  # laion/CLIP-ViT-L-14-laion2B-s32B-b82K is so
    assert halves.pictures.mean == (0.5, 0.5, 0.5) and halves.digest != plain.digest
    openai = {"image_mean": plain.pictures.mean, "image_std": plain.pictures.std}
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, **openai}))
    assert find_clip(folder).digest == plain.digest  # what was computed with it stays
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "size": 36}))
    with pytest.raises(UserError, match=r"size or crop_size is 36, the model takes 32"):
        find_clip(folder)


def test_files_with_other_names_say_what_to_do(tmp_path):
    for name, told in (
        ("vision_model.embeddings.class_embedding", "name its folder, with config.json"),
        ("visual.trunk.cls_token", "a tower of timm"),
    ):
        torch.save({name: torch.ones(3)}, tmp_path / "model.pt")
        with pytest.raises(UserError, match=told):
            find_clip(tmp_path / "model.pt")


def test_a_file_that_is_no_config_is_told(tmp_path):
    (tmp_path / "c.json").write_text('{"model_type": "clip"}')
    with pytest.raises(UserError, match=r"c\.json: not a config of open_clip"):
        read_architecture(tmp_path / "c.json")
    (tmp_path / "c.json").write_text("<html></html>")
    with pytest.raises(UserError, match=r"c\.json: not JSON: it is an HTML page"):
        read_architecture(tmp_path / "c.json")
