"""GMFlow against UniMatch's code, and that a pair's flow is its own.

The expected flows are those of autonomousvision/unimatch, commit 943a990, run in float64 on the weights and
pictures of `gmflow_weights`; every seventh row and column of them is kept in gmflow_flow.npz.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.gmflow_weights import parameter, pictures
from tools.errors import UserError
from tools.models.gmflow.estimator import load_gmflow
from tools.models.gmflow.model import GMFlow

EXPECTED = np.load(Path(__file__).with_name("gmflow_flow.npz"))
CASES = (("64x96", 64, 96, 1), ("96x32", 96, 32, 2))


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    shapes = {name: tuple(tensor.shape) for name, tensor in GMFlow().state_dict().items()}
    return {name: torch.from_numpy(parameter(name, shape)) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def checkpoint(state, tmp_path_factory) -> Path:
    """In the published form: the state under ``model``, fp32."""
    path = tmp_path_factory.mktemp("weights") / "gmflow.pth"
    torch.save({"model": {name: tensor.float() for name, tensor in state.items()}}, path)
    return path


def pairs(height: int, width: int, count: int) -> np.ndarray:
    return np.stack(pictures(height, width, count), axis=1)


def test_its_size_is_the_published_one(state):
    # parameters: MODEL_ZOO.md of UniMatch says 7.4 million; the published file has 29500177 bytes of fp32
    assert sum(tensor.numel() for tensor in state.values()) == 7_360_688
    assert 0 < 29_500_177 - 4 * 7_360_688 < 60_000  # the rest is names and shapes


@pytest.mark.parametrize(("name", "height", "width", "count"), CASES)
def test_flow_is_unimatchs_in_double_precision(state, name, height, width, count):
    model = GMFlow().eval().double()
    model.load_state_dict(state, strict=True)
    first, second = (torch.from_numpy(p).permute(0, 3, 1, 2).double() for p in pictures(height, width, count))
    with torch.inference_mode():
        flow = model(first, second)
    assert EXPECTED[name].std() > 1  # pixels: it is not a flow of nothing
    assert np.abs(flow[:, :, 1::7, 2::7].numpy() - EXPECTED[name]).max() < 2e-6  # what fp32 can store


@pytest.mark.parametrize(("name", "height", "width", "count"), CASES)
def test_flow_is_unimatchs_through_the_checkpoint(checkpoint, name, height, width, count):
    estimate = load_gmflow(checkpoint, device="cpu")
    assert estimate.precision == "fp32"
    flow = estimate(pairs(height, width, count))
    assert flow.shape == (count, height, width, 2) and flow.dtype == np.float32
    assert np.abs(flow[:, 1::7, 2::7].transpose(0, 3, 1, 2) - EXPECTED[name]).max() < 1e-4


def test_a_pair_has_the_same_flow_in_any_company(checkpoint):
    some = pairs(32, 64, 3)
    one_thread = load_gmflow(checkpoint, device="cpu", threads=1)
    three_threads = load_gmflow(checkpoint, device="cpu", threads=3)
    together = three_threads(some)
    assert np.array_equal(one_thread(some[:1])[0], together[0])
    assert np.array_equal(one_thread(some[::-1])[::-1], together)
    assert np.array_equal(three_threads(some.astype(np.float32)), together)
    assert one_thread(some[:0]).shape == (0, 32, 64, 2)


def test_half_precision_is_near(checkpoint):
    """The features lose digits (bf16 has 8), the flow of 3 pixels a hundredth of a pixel."""
    some = pairs(32, 64, 1)
    exact = load_gmflow(checkpoint, device="cpu")(some)
    rough = load_gmflow(checkpoint, device="cpu", precision="bf16")(some)
    assert rough.dtype == np.float32
    assert np.abs(exact).mean() > 1
    assert 0 < np.abs(rough - exact).mean() < 0.03


def test_sizes_that_cannot_be_split_are_refused(checkpoint):
    estimate = load_gmflow(checkpoint, device="cpu")
    with pytest.raises(ValueError, match=r"Invalid size 64 x 100\. Supported are multiples of 32"):
        estimate(np.zeros((1, 2, 64, 100, 3), np.uint8))
    with pytest.raises(ValueError, match="Invalid pairs"):
        estimate(np.zeros((2, 64, 96, 3), np.uint8))


def test_other_checkpoints_are_refused(state, tmp_path):
    path = tmp_path / "gmflow.pth"
    for change, message in (
        (lambda s: s.pop("refine.mask.2.bias"), r"1 tensors missing, such as refine\.mask\.2\.bias"),
        (
            lambda s: s.update({"upsampler.0.weight": torch.zeros(1)}),
            "1 tensors unexpected, such as upsampler",
        ),
        (lambda s: s.update({"refine_proj.bias": torch.zeros(3)}), "of another shape, such as refine_proj"),
        (lambda s: s.clear(), "152 tensors missing"),
    ):
        other = dict(state)
        change(other)
        torch.save({"model": other}, path)
        with pytest.raises(UserError, match=message):
            load_gmflow(path, device="cpu")
    path.write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="not a checkpoint of GMFlow"):
        load_gmflow(path, device="cpu")
    with pytest.raises(UserError, match="cannot be read"):
        load_gmflow(tmp_path / "gone.pth", device="cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_a_gpu_agrees_with_the_cpu(checkpoint, compiled):
    some = pairs(64, 96, 6)  # more than one batch, the last one not full
    on_gpu = load_gmflow(checkpoint, device="cuda", compile=compiled)
    flow = on_gpu(some)
    assert np.abs(flow - load_gmflow(checkpoint, device="cpu")(some)).max() < 1e-3
    assert np.array_equal(on_gpu(some[5:])[0], flow[5])
