"""Checkpoints of training: the tensors of the model are found in what stands around them."""

from __future__ import annotations

import argparse
import collections
import copy
import datetime

import numpy as np
import pytest
import torch

from tests.models.openai_clip import Shape, extra_keys, random_state
from tools.errors import UserError
from tools.models.clip_checkpoint import find_clip
from tools.models.tensors import read_tensors

ANCHOR = "0.weight"


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))


def trained() -> tuple[torch.nn.Module, dict]:
    """A network after a step of training, and its optimizer's state, with tensors of its own."""
    net = network()
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(5, 3)).sum().backward()
    optimizer.step()
    return net, optimizer.state_dict()


def checkpoints() -> dict[str, dict]:
    """What trainers write, all of the same weights."""
    net, optimizer = trained()
    state = net.state_dict()
    prefixed = {prefix: {f"{prefix}{n}": t for n, t in state.items()} for prefix in ("module.", "model.")}
    compiled = {f"_orig_mod.{n}": t for n, t in state.items()}
    inner = {n.replace("0.", "0._orig_mod."): t for n, t in state.items()}
    return {
        "plain": state,
        "open_clip": {"epoch": 3, "name": "run", "state_dict": prefixed["module."], "optimizer": optimizer},
        "lightning": {
            "state_dict": {**prefixed["model."], "loss.temperature": torch.ones(1)},
            "optimizer_states": [optimizer],
            "hyper_parameters": collections.OrderedDict(lr=1e-3),
        },
        "timm": {
            "state_dict": state,
            "optimizer": optimizer,
            "args": argparse.Namespace(lr=0.1),
            "metric": 1.0,
        },
        "model": {"model": state, "step": 7},
        "model_state_dict": {
            "model_state_dict": state,
            "loss": np.float64(0.5),
            "rng": torch.get_rng_state(),
        },
        "nested": {"checkpoint": {"model": {"module": state}}},
        "compiled": compiled,
        "compiled part": inner,
        "fsdp": {"model": {f"_fsdp_wrapped_module.{n}": t for n, t in state.items()}},
        "both wrappers": {"model": {f"module._orig_mod.{n}": t for n, t in state.items()}},
        "beside numbers": {**state, "epoch": 3, "name": "run"},
    }


@pytest.mark.parametrize("name", list(checkpoints()))
@pytest.mark.parametrize("new", [True, False])
def test_a_model_is_taken_out_of_its_checkpoint(tmp_path, name, new):
    path = tmp_path / "c.pt"
    torch.save(checkpoints()[name], path, _use_new_zipfile_serialization=new)
    expected = trained()[0].state_dict()
    found = read_tensors(path, "a network", ANCHOR)
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def averaged() -> dict[str, dict]:
    """A model and the average of its weights, as trainers keep the two."""
    raw = network().state_dict()
    mean = {name: tensor + 1 for name, tensor in raw.items()}
    swa = torch.optim.swa_utils.AveragedModel(network())
    swa.module.load_state_dict(mean)
    return {
        "timm": {"state_dict": raw, "state_dict_ema": mean},
        "detr": {"model": raw, "model_ema": {"module": mean, "updates": 3}},
        "yolo": {"model": raw, "ema": mean, "updates": 3},
        "prefixes": {
            **{f"online.{n}": t for n, t in raw.items()},
            **{f"ema_model.{n}": t for n, t in mean.items()},
        },
        "AveragedModel": swa.state_dict(),
        "in one": {**raw, **{f"ema.{n}": t for n, t in mean.items()}},
    }


@pytest.mark.parametrize("name", list(averaged()))
def test_the_average_of_the_weights_is_what_was_to_be_used(tmp_path, name):
    torch.save(averaged()[name], tmp_path / "c.pt")
    found = read_tensors(tmp_path / "c.pt", "a network", ANCHOR)
    expected = {key: tensor + 1 for key, tensor in network().state_dict().items()}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_two_models_are_not_chosen_between(tmp_path):
    state = network().state_dict()
    torch.save({"student": state, "teacher": copy.deepcopy(state)}, tmp_path / "c.pt")
    with pytest.raises(UserError, match="more than one model: student, teacher; save the one"):
        read_tensors(tmp_path / "c.pt", "a network", ANCHOR)


def test_classes_that_could_run_something_are_named_and_not_loaded(tmp_path):
    torch.save({"state_dict": network().state_dict(), "date": datetime.date(2024, 1, 1)}, tmp_path / "c.pt")
    with pytest.raises(UserError, match=r"holds more than tensors \(datetime\.date\).*state dict alone"):
        read_tensors(tmp_path / "c.pt", "a network", ANCHOR)
    torch.save(network(), tmp_path / "whole.pt")
    with pytest.raises(UserError, match=r"more than tensors \(torch\.nn\.modules\.container\.Sequential\)"):
        read_tensors(tmp_path / "whole.pt", "a network", ANCHOR)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match="holds a list, not a state dict"):
        read_tensors(tmp_path / "list.pt", "a network", ANCHOR)


def test_a_clip_in_a_checkpoint_is_the_clip(tmp_path):
    shape = Shape(width=128, layers=1, text_layers=1, embed_dim=48)
    state = random_state(shape) | extra_keys(shape)
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"epoch": 1, "state_dict": wrapped, "optimizer": {"state": {}}}, tmp_path / "epoch_1.pt")
    source = find_clip(tmp_path / "epoch_1.pt")
    assert (source.image_size, source.context_length) == (32, 16)
