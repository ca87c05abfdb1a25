"""What stands where weights should be is called what it is: a page, a pointer, an archive, half a file."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tools.errors import UserError
from tools.models.aesthetic_head import load_head
from tools.models.clip_checkpoint import find_clip
from tools.models.clip_tokenizer import load_tokenizer
from tools.models.gmflow.estimator import load_gmflow
from tools.models.other_files import what_it_is
from tools.models.weights import WEIGHTS, find_weights
from tools.scoring.technical.niqe_model import load_niqe_model

# git-lfs/git-lfs docs/spec.md
POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 1710540580\n"
)
PAGE = "<!DOCTYPE html>\n<html lang='en'><head><title>Sign in &amp; go on</title></head><body/></html>"


def saved(name: str, path: Path) -> bytes:
    torch.save({"weight": torch.arange(3000.0)}, path / name)
    return (path / name).read_bytes()


def zipped(*names: str) -> bytes:
    with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return made.getvalue()


def tarred(*names: str) -> bytes:
    with tarfile.open(fileobj=(made := io.BytesIO()), mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (bytes(9000), "nothing but zeros"),
        (
            POINTER.encode(),
            "git-lfs pointer, which stands for the file of the 1711 MB; fetch that with 'git lfs",
        ),
        (PAGE.encode(), "an HTML page (Sign in & go on)"),
        (b"\xef\xbb\xbf\n  <html><body>403</body>", "an HTML page:"),
        (b"<!-- saved -->\n<!doctype HTML>", "an HTML page:"),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "it is XML (NoSuchKey)"),
        (b'{"error": "Repository not found"}', 'it is JSON ({"error": "Repository not found"})'),
        (b'{\n  "a": [' + b"1, " * 5000, "it is JSON"),
        (b"Entry not found", "it is a text: Entry not found"),
        ("Zugriff verweigert für alle\n".encode() * 300, "it is a text: Zugriff verweigert"),
        (
            zipped("a/model.safetensors", "b.txt"),
            "zip archive without a checkpoint, of a/model.safetensors, b",
        ),
        (tarred("model.bin", "a", "b", "c"), "a tar archive of model.bin, a, b and 1 more; unpack"),
        (gzip.compress(b"x", mtime=0), "an archive (gzip)"),
        (lzma.compress(b"x"), "an archive (xz)"),
        (b"GGUF\x03\0\0\0" + bytes(100), "GGUF"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "picture"),
    ],
)
def test_what_is_no_weights_is_called_what_it_is(tmp_path, content, told):
    path = tmp_path / "clip.pt"
    path.write_bytes(content)
    assert told in what_it_is(path)
    with pytest.raises(UserError) as caught:
        find_clip(path)
    assert told in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_what_is_cut_short_is_called_so(tmp_path):
    path = tmp_path / "part.pt"
    whole = saved("whole.pt", tmp_path)
    old = tmp_path / "old.pt"
    torch.save({"weight": torch.arange(3000.0)}, old, _use_new_zipfile_serialization=False)
    save_file({"weight": torch.arange(3000.0)}, tmp_path / "whole.safetensors")
    safe = (tmp_path / "whole.safetensors").read_bytes()
    for content in (whole[: len(whole) // 2], whole[:50], old.read_bytes()[:-5000], safe[:-1], safe[:40]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="its end is missing"):
            find_clip(path)
    path.write_bytes(whole[:2000] + bytes(5000) + whole[7000:])  # a hole, its end is there
    with pytest.raises(UserError, match="not a CLIP"):
        find_clip(path)


def test_weights_of_every_format_are_let_through(tmp_path):
    saved("new.pt", tmp_path)
    torch.save({"weight": torch.ones(3)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file({"weight": torch.ones(3)}, tmp_path / "some.safetensors")
    save_file({}, tmp_path / "none.safetensors")
    (tmp_path / "ancient.pt").write_bytes(tarred("sys_info", "pickle", "tensors", "storages"))
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(str(tmp_path / "script.pt"))
    for path in tmp_path.iterdir():
        assert what_it_is(path) is None, path


def test_every_weight_file_of_the_project_is_looked_at(tmp_path, monkeypatch):
    for number, key in enumerate(WEIGHTS):
        path = tmp_path / f"{number}.bin"
        path.write_text(POINTER)
        with pytest.raises(UserError, match=r"not weights of .*git-lfs pointer"):
            find_weights(key, path)
        monkeypatch.setenv(WEIGHTS[key].env, str(path))
        with pytest.raises(UserError, match=r"\.bin: not weights of .*git-lfs pointer"):
            find_weights(key)
        monkeypatch.delenv(WEIGHTS[key].env)
        folder = tmp_path / "weights"
        (folder / WEIGHTS[key].file_names[0]).parent.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS[key].file_names[0]).write_text(PAGE)
        monkeypatch.setenv("VIDSIEVE_WEIGHTS", str(folder))
        with pytest.raises(UserError, match=f"HTML page .*weights download {key}"):
            find_weights(key)


@pytest.mark.parametrize("load", [load_head, load_gmflow, load_tokenizer, load_niqe_model])
def test_every_loader_calls_a_file_what_it_is(tmp_path, load):
    path = tmp_path / "file"
    for content, told in ((PAGE, "an HTML page"), (POINTER, "git lfs pull"), ("", "it is empty")):
        path.write_text(content)
        with pytest.raises(UserError, match=told):
            load(path)


def test_a_folder_of_a_clip_is_looked_at(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    (tmp_path / "model.safetensors").write_text(POINTER)
    with pytest.raises(UserError, match=r"model\.safetensors: not weights: it is a git-lfs pointer"):
        find_clip(tmp_path)
    (tmp_path / "config.json").write_text(PAGE)
    with pytest.raises(UserError, match=r"config\.json: not JSON: it is an HTML page"):
        find_clip(tmp_path)


def test_numbers_of_other_kinds_are_no_text(tmp_path):
    """A file of plain numbers is none of these, and its loader tells."""
    path = tmp_path / "numbers.pt"
    path.write_bytes(np.arange(1, 4000, dtype=np.float32).tobytes())
    assert what_it_is(path) is None
    with pytest.raises(UserError, match="not a CLIP file"):
        find_clip(path)
