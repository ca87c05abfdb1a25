"""The tensors of a weight file: read without running what is in it, and taken out of what training adds."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.disk import system_message
from tools.errors import UserError, first_line
from tools.models.other_files import refuse_other_file

if TYPE_CHECKING:
    import torch

    StateDict = dict[str, torch.Tensor]

_WRAPPED = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile, FSDP and activation checkpointing put into names."""
_AVERAGED = re.compile(r"(?:^|[._])(?:ema|averaged)(?:[._]|$)", re.IGNORECASE)
_DEPTH = 4  # dicts within dicts
_CUT = ("central directory", "unexpected EOF", "Ran out of input", "truncated", "corrupted", "offset")


def read_tensors(path: str | Path, expected: str, anchor: str, *, copy: bool = True) -> StateDict:
    """Read a state dict, alone in its file or within a checkpoint of training.

    What training keeps beside the model (optimizer, epoch, arguments) is left out, and so are prefixes of
    names that wrappers add (``module.``, ``model.``, ``_orig_mod.``). Where a checkpoint holds an average of
    the weights too (EMA), that is taken, as timm does: it is what was to be used.

    Args:
        path: A file of ``torch.save``, TorchScript or safetensors.
        expected: What it should be, with its article: ``a CLIP file``.
        anchor: Name of a tensor that the model has, by which it is found.
        copy: Bring the numbers into memory. Without, shapes are known at once, and what is looked at is read
            from the file, which must stay as it is.

    Returns:
        Tensors by name, on the CPU, as stored. Without the anchor, all there are: the caller tells what is
        wrong with them.

    Raises:
        UserError: It is something else, or holds more than one such model.
    """
    path = Path(path)
    refuse_other_file(path, expected)
    found = _read(path, expected)
    if not isinstance(found, Mapping):
        raise UserError(f"{path}: not {expected}: it holds a {type(found).__name__}, not a state dict")
    state = _model(found, anchor, path)
    return {name: tensor.clone() for name, tensor in state.items()} if copy else state


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is an archive of TorchScript, with code beside the tensors."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _read(path: Path, expected: str) -> Any:
    import torch

    try:
        if _is_safetensors(path):
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():  # TorchScript and old pickles are deprecated; the files exist
            warnings.simplefilter("ignore")
            if is_torchscript(path):
                return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
            # mapped, so that what is not looked at, an optimizer say, is not read
            with torch.serialization.safe_globals(_harmless()):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({system_message(error)})") from error
    except Exception as error:  # unpickling and TorchScript raise many kinds: all mean a wrong file
        raise UserError(f"{path}: not {expected}: {_reason(error)}") from error


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _harmless() -> list[Any]:
    """Classes that training leaves in checkpoints, of which making an object runs nothing."""
    import argparse
    import pathlib

    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)}
    return [argparse.Namespace, pathlib.PosixPath, pathlib.PurePosixPath, scalar, np.dtype, *dtypes]


def _reason(error: Exception) -> str:
    text = str(error)
    if named := re.search(r"(?:GLOBAL|global) `?([\w.]+)", text):
        return (
            f"it holds more than tensors ({named[1]}), which is not loaded, since it could run anything; "
            "save the state dict alone"
        )
    if isinstance(error, EOFError) or any(word in text for word in _CUT):
        return f"its end is missing, or it is damaged ({first_line(error)}); fetch it again"
    return first_line(error)


def _model(found: Mapping[Any, Any], anchor: str, path: Path) -> StateDict:
    """The tensors of the model among all that there is."""
    models = dict(_models(found, anchor, "", _DEPTH))
    averaged = [place for place in models if _AVERAGED.search(place)]
    if len(averaged) == 1:
        return models[averaged[0]]
    if len(models) > 1:
        named = ", ".join(place or "(the names without a prefix)" for place in models)
        raise UserError(f"{path}: holds more than one model: {named}; save the one that is meant alone")
    return next(iter(models.values())) if models else _tensors(found)


def _models(found: Mapping[Any, Any], anchor: str, place: str, depth: int) -> Iterator[tuple[str, StateDict]]:
    """Every model in nested dicts, with where it is: the keys and the prefix of its names."""
    tensors = _tensors(found, nested=False)
    for name in tensors:
        if name == anchor or name.endswith(f".{anchor}"):
            prefix = name[: len(name) - len(anchor)]
            inner = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
            yield f"{place}.{prefix}".strip("."), inner
    for key, value in found.items() if depth else ():
        if isinstance(value, Mapping):
            yield from _models(value, anchor, f"{place}.{key}".strip("."), depth - 1)


def _tensors(found: Mapping[Any, Any], *, nested: bool = True) -> StateDict:
    """The tensors of a dict; with ``nested``, where it has none, those of the first dict in it that has."""
    import torch

    tensors = {_WRAPPED.sub("", str(n)): t for n, t in found.items() if isinstance(t, torch.Tensor)}
    if nested and not tensors:
        inner = (_tensors(value) for value in found.values() if isinstance(value, Mapping))
        return next((state for state in inner if state), {})
    return tensors
