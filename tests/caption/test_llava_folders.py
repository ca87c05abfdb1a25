"""Folders of LLaVA as they were written in 2024, and those of LLaVA's own code."""

import json
import shutil

import numpy as np
import pytest

from tests.caption import tiny_models
from tools.caption.llava.captioner import Captioner
from tools.caption.llava.checkpoint import find_checkpoint
from tools.caption.llava.processor import Question
from tools.errors import UserError

COUNTS = ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens", "num_image_tokens")


@pytest.fixture(scope="module")
def folders(data_dir, tmp_path_factory):
    made = tiny_models.save_all(tmp_path_factory.mktemp("models"), ("llava_next", "llava_onevision"))
    return {"llava": data_dir / "llava_tiny", **made}


def captions(folder):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 60, 90, 3), np.uint8)
    questions = [Question((pictures[0],), "What is it?"), Question((pictures[1], pictures[2]), "And this?")]
    return Captioner(str(folder), device="cpu", max_tokens=6).caption(questions)


def copied(folder, to):
    shutil.copytree(folder, to, copy_function=shutil.copy)
    for path in to.iterdir():
        path.chmod(0o644)
    return to


def split_settings(folder):
    """A processor's settings without those of its pictures, and these, wherever they are kept."""
    path, pictures = folder / "processor_config.json", folder / "preprocessor_config.json"
    settings = json.loads(path.read_text()) if path.exists() else {}
    own = settings.pop("image_processor", None) or json.loads(pictures.read_text())
    return settings, own


@pytest.mark.parametrize("name", ["llava", "llava_next", "llava_onevision"])
@pytest.mark.parametrize("left", ["all but the counts", "one count", "pictures alone"])
def test_a_folder_of_2024_is_captioned_as_one_of_today(folders, tmp_path, name, left):
    folder = copied(folders[name], tmp_path / "model")
    settings, pictures = split_settings(folder)
    if left == "one count":  # files of the end of 2024: the added tokens alone are not said
        for count in COUNTS[2:]:
            settings.pop(count, None)
        settings["image_processor"] = pictures
        (folder / "processor_config.json").write_text(json.dumps(settings))
    else:
        kept = {key: value for key, value in settings.items() if key not in COUNTS}
        (folder / "processor_config.json").write_text(json.dumps(kept))
        (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    if left == "pictures alone":  # files of the beginning of 2024
        (folder / "processor_config.json").unlink()
        template = settings.get("chat_template")
        if template:
            (folder / "chat_template.jinja").write_text(template)
    assert captions(folder) == captions(folders[name])


def test_a_tokenizer_without_the_model_s_token_of_a_picture_is_an_error(folders, tmp_path):
    folder = copied(folders["llava"], tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "image_token_index": 7}))
    with pytest.raises(UserError, match="token for a picture is 7, that of its tokenizer is 4 for <image>"):
        Captioner(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("name", "config", "converted"),
    [  # ids of https://huggingface.co/llava-hf, whose model cards name the originals
        ("llava-v1.5-7b", {"model_type": "llava"}, "llava-hf/llava-1.5-7b-hf"),
        ("llava-v1.6-34b", {"model_type": "llava_llama"}, "llava-hf/llava-v1.6-34b-hf"),
        ("own", {"model_type": "llava_llama", "hidden_size": 5120}, "llava-hf/llava-1.5-13b-hf"),
        (
            "own",
            {"model_type": "llava_llama", "hidden_size": 4096, "image_aspect_ratio": "anyres"},
            "llava-hf/llava-v1.6-vicuna-7b-hf",
        ),
        (
            "own",
            {"model_type": "llava_llama", "hidden_size": 4096, "vocab_size": 128_256},
            "llava-hf/llama3-llava-next-8b-hf",
        ),
        (
            "own",
            {"model_type": "llava_qwen", "hidden_size": 3584, "image_aspect_ratio": "anyres_max_9"},
            "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        ),
        ("own", {"model_type": "llava_mpt"}, "https://huggingface.co/llava-hf"),
        ("own", {"_name_or_path": "liuhaotian/llava-v1.5-13b"}, "llava-hf/llava-1.5-13b-hf"),
    ],
)
def test_the_error_of_llava_s_own_layout_names_the_converted_weights(tmp_path, name, config, converted):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**config, "mm_projector_type": "mlp2x_gelu"}))
    with pytest.raises(UserError, match="layout of LLaVA's own code") as caught:
        find_checkpoint(folder)
    assert converted in str(caught.value) and "\n" not in str(caught.value)


def test_converted_weights_in_the_folder_beside_are_named(folders, tmp_path):
    original = tmp_path / "llava-v1.5-7b"
    original.mkdir()
    (original / "config.json").write_text('{"model_type": "llava_llama"}')
    copied(folders["llava"], tmp_path / "llava-1.5-7b-hf")
    with pytest.raises(UserError, match=f"format that loads are {tmp_path}/llava-1.5-7b-hf"):
        find_checkpoint(original)


def test_ids_of_llava_s_own_layout_are_recognized_without_a_network():
    with pytest.raises(UserError, match=r"the same weights .* are llava-hf/llava-v1\.6-vicuna-7b-hf"):
        find_checkpoint("liuhaotian/llava-v1.6-vicuna-7b")


def test_files_of_a_folder_that_are_something_else_are_named(folders, tmp_path):
    folder = copied(folders["llava"], tmp_path / "model")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 9976578928\n"
    (folder / "tokenizer.json").write_text(pointer)
    with pytest.raises(UserError, match=r"tokenizer\.json: not a file of a model: it is a git-lfs pointer"):
        find_checkpoint(folder)
    (folder / "tokenizer.json").write_bytes((folders["llava"] / "tokenizer.json").read_bytes())
    (folder / "model.safetensors").write_text(pointer)
    with pytest.raises(UserError, match=r"model\.safetensors: not weights: .*of the 9977 MB; .*git lfs pull"):
        find_checkpoint(folder)
    (folder / "config.json").write_text("<!DOCTYPE html><html><title>Sign in</title></html>")
    with pytest.raises(UserError, match=r"config\.json: not JSON: it is an HTML page \(Sign in\)"):
        find_checkpoint(folder)


def test_missing_parts_of_weights_are_counted(folders, tmp_path):
    folder = copied(folders["llava"], tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    parts = {f"tensor{n}": f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    with pytest.raises(UserError, match="2 of 3 files of weights are missing, such as model-00002-of-00003"):
        find_checkpoint(folder)
