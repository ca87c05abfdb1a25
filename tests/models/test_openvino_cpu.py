"""What is done where OpenVINO is installed and cannot compute.

It is made to fail as it does where a CPU has no plugin: the library is the real one, and is told of no CPU.
"""

from __future__ import annotations

import pytest

from tools.errors import UserError
from tools.models import openvino_cpu
from tools.models.clip_openvino import choose_clip_backend
from tools.models.openvino_cpu import openvino_computes, require_openvino
from tools.scoring.ocr.backends import choose_backend

openvino = pytest.importorskip("openvino", reason="openvino of the extra ocr is not installed")


@pytest.fixture
def no_plugin(monkeypatch):
    class Core(openvino.Core):
        def compile_model(self, model, device, settings):
            return super().compile_model(model, "NO_SUCH_DEVICE", settings)

    openvino_cpu._fault.cache_clear()
    monkeypatch.setattr(openvino, "Core", Core)
    yield
    openvino_cpu._fault.cache_clear()


def test_it_computes_here(caplog):
    assert openvino_computes("PyTorch")
    require_openvino("pytorch")
    assert not caplog.records


def test_another_backend_computes_and_one_line_says_why(no_plugin, caplog):
    assert choose_clip_backend("auto", "cpu", "fp32") == "pytorch"
    assert choose_backend("cpu", "auto") == ("cpu", "onnxruntime")
    begin = "OpenVINO is installed and cannot compute here ("
    for record, other in zip(caplog.records, ("PyTorch", "ONNX Runtime"), strict=True):
        message = record.getMessage()
        assert message.startswith(begin) and message.endswith(f"): {other} computes instead")
        assert "NO_SUCH_DEVICE" in message and "\n" not in message


@pytest.mark.parametrize(
    ("choose", "other"),
    [
        (lambda: choose_clip_backend("openvino", "cpu", "fp32"), "pytorch"),
        (lambda: choose_backend("auto", "openvino"), "onnxruntime"),
    ],
)
def test_where_it_is_asked_for_that_is_an_error(no_plugin, choose, other):
    with pytest.raises(UserError, match=rf"cannot compute here \(.+\); use --backend {other}$"):
        choose()
