"""Checks come in the order of their cost: options, columns, missing weights; nothing heavy is done before."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tools.errors import UserError
from tools.models import weights
from tools.models.weights import WEIGHTS
from tools.models.weights import main as fetch
from tools.scoring.__main__ import main as fused
from tools.scoring.aesthetic.stage import AestheticStage
from tools.scoring.matching.inference import main as match
from tools.stage.stage import weights_later

ALL = "aes,match,quality,emscore,flow,audio,technical"
KEYS = {"clip-vit-l-14", "clip-vit-b-32", "clip-bpe", "aesthetic", "gmflow", "niqe", "clap"}


@pytest.fixture
def nowhere(tmp_path, monkeypatch) -> Path:
    """No weights anywhere, and no network."""
    for name in list(os.environ):
        if name.startswith("VIDSIEVE_"):
            monkeypatch.delenv(name)
    for name in ("home", "project", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(weights, "_PROJECT", tmp_path / "project")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(weights, "find_spec", lambda name: None)  # open_clip has the vocabulary too
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "m.csv").write_text("path\nx.png\n")
    (tmp_path / "here" / "t.csv").write_text("path,text\nx.png,a cat\n")
    return tmp_path / "here"


def said(run, arguments: str) -> str:
    with pytest.raises(UserError) as caught:
        run(shlex.split(arguments))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_fused_run_names_every_missing_weight_of_all_its_scores(nowhere):
    told = said(fused, f"t.csv --scores {ALL} --technical.measures niqe")
    command = told.partition("python -m tools.models.weights download ")[2].partition("'")[0]
    assert set(command.split()) == KEYS
    assert told.count("weights are missing") == 1
    for key in KEYS - {"clap"}:
        assert WEIGHTS[key].title in told and WEIGHTS[key].env in told
    assert "--method dis" in told
    assert not list(nowhere.glob("*_aes*"))


def test_that_one_command_is_understood(nowhere, monkeypatch):
    """Each name that a message may hold is one that the command fetches."""
    fetched = []
    monkeypatch.setattr(weights, "download_weights", lambda key, *_, **__: fetched.append(key))
    monkeypatch.setattr(weights, "fetch_model", lambda model: fetched.append(model.key))
    assert fetch(["download", *sorted(KEYS), "--quiet"]) == 0
    assert set(fetched) == KEYS


def test_columns_come_before_weights_and_options_before_columns(nowhere):
    assert said(fused, "m.csv --scores aes,match") == "m.csv: no column 'text' (it has: path)"
    assert "no column 'text'" in said(match, "m.csv --clip-model /none.pt")
    for options, told in (
        ("--sampling nonsense", "nonsense"),
        ("--device gpu0", "device gpu0: must be auto"),
        ("--save-embeddings v.txt", "ends in .npy or .parquet"),
        ("--clip-config ViT-X", "--clip-config ViT-X: no such file"),
        ("--output x.doc", "x.doc"),
        ("--num-frames 3 --max-frames 2 --sampling fps:1", "--num-frames"),
    ):
        assert told in said(match, f"m.csv {options}"), options
    assert "no_such" in said(fused, "m.csv --scores aes,no_such")


def test_a_file_that_was_named_and_is_missing_is_told_with_the_others(nowhere):
    told = said(fused, "m.csv --scores aes,technical --aes.head mine.pth --technical.measures niqe")
    assert "mine.pth: there is no such file; weights of LAION aesthetic head were expected" in told
    assert "download clip-vit-l-14 niqe'" in told
    told = said(match, "t.csv --clip-model none.pt")
    assert "none.pt: no such file or folder" in told and "download clip-bpe'" in told


def test_creating_a_stage_finds_its_weights_unless_that_is_left_for_later(nowhere, data_dir):
    with pytest.raises(UserError, match="weights are missing: ViT-L/14"):
        AestheticStage()
    with weights_later():
        stage = AestheticStage(head=str(data_dir / "aesthetic" / "sac+logos+ava1-l14-linearMSE.pth"))
    with pytest.raises(UserError, match=r"weights are missing: ViT-L/14.*download clip-vit-l-14'"):
        stage.ready(report=True)


@pytest.mark.parametrize(
    "command",
    [
        "tools.scoring no_path.csv --scores aes,match,flow,quality,ocr",
        "tools.scoring t.csv --scores aes,match,flow",
        "tools.scoring.optical_flow.inference no_path.csv",
        "tools.scoring.audio_similarity.inference no_path.csv --mode labels",
        "tools.scoring.dedup.inference no_path.csv --method clip",
        "tools.scene_cut.scene_detect no_path.csv",
        "tools.caption.caption_llava no_path.csv --model-path .",
    ],
)
def test_nothing_heavy_is_done_before_the_cheap_checks(nowhere, command):
    """Neither is PyTorch imported, nor are gigabytes hashed: the file of ViT-L/14 cannot be read at all."""
    (nowhere / "no_path.csv").write_text("file,text\nx.png,cat\n")
    (nowhere / "pretrained_models").mkdir()
    clip = nowhere / "pretrained_models" / "ViT-L-14.pt"
    with clip.open("wb") as file:
        file.truncate(1 << 40)  # a sparse terabyte: hashing it would take hours
    (nowhere / "config.json").write_text(json.dumps({"model_type": "llava"}))
    module, *arguments = shlex.split(command)
    code = (
        "import runpy, sys\n"
        f"sys.argv = {[module, *arguments]}\n"
        "try:\n"
        f"    runpy.run_module({module!r}, run_name='__main__', alter_sys=False)\n"
        "except SystemExit as end:\n"
        "    heavy = {'torch', 'transformers', 'onnxruntime'} & set(sys.modules)\n"
        "    print(end.code, sorted(heavy))\n"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.stdout == "2 []\n", run.stderr
    assert run.stderr.count("\n") == 1
    expected = "no column 'path'" if "no_path" in command else "weights are missing"
    assert expected in run.stderr
