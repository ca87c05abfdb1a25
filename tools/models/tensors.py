"""Read the tensors of a weight file, without executing code in it, and without what training adds."""

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
"""Parts that torch.compile, FSDP and activation checkpointing add to names."""
_AVERAGED = re.compile(r"(?:^|[._])(?:ema|averaged)(?:[._]|$)", re.IGNORECASE)
_DEPTH = 4  # dicts within dicts
_CUT = ("central directory", "unexpected EOF", "Ran out of input", "truncated", "corrupted", "offset")


def read_tensors(path: str | Path, expected: str, anchor: str, *, copy: bool = True) -> StateDict:
    """Read a state dict, on its own or in a training checkpoint.

    Other entries of a checkpoint (optimizer, epoch, arguments) are ignored, and prefixes that wrappers add to
    names (``module.``, ``model.``, ``_orig_mod.``) are removed. If a checkpoint also has averaged weights
    (EMA), these are used, as in timm.

    Args:
        path: A file of ``torch.save``, TorchScript or safetensors.
        expected: What it should be, with its article: ``a CLIP file``.
        anchor: Name of a tensor that the model has, by which it is found.
        copy: Read the tensors into memory. Otherwise the file is mapped, and must not change.

    Returns:
        Tensors by name, on the CPU, as stored. Without the anchor, all tensors: the caller reports what is
        wrong with them.

    Raises:
        UserError: It is another kind of file, or contains more than one such model.
    """
    path = Path(path)
    refuse_other_file(path, expected)
    found = _read(path, expected)
    if not isinstance(found, Mapping):
        raise UserError(f"{path}: not {expected}: it holds a {type(found).__name__}, not a state dict")
    state = _model(found, anchor, path)
    return {name: tensor.clone() for name, tensor in state.items()} if copy else state


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive, which has code as well as tensors."""
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
            # mapped, so that unused parts, such as an optimizer, are not read
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
    """Classes found in training checkpoints whose construction executes no code."""
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
    """The tensors of the model in a checkpoint."""
    models = dict(_models(found, anchor, "", _DEPTH))
    averaged = [at for at in models if _AVERAGED.search(at)]
    if len(averaged) == 1:
        return models[averaged[0]]
    if len(models) > 1:
        named = ", ".join(at or "(the names without a prefix)" for at in models)
        raise UserError(f"{path}: holds more than one model: {named}; save the one that is meant alone")
    return next(iter(models.values())) if models else _tensors(found)


def _models(found: Mapping[Any, Any], anchor: str, at: str, depth: int) -> Iterator[tuple[str, StateDict]]:
    """Every model in nested dicts, with its location: the keys and the prefix of its names."""
    tensors = _tensors(found, nested=False)
    for name in tensors:
        if name == anchor or name.endswith(f".{anchor}"):
            prefix = name[: len(name) - len(anchor)]
            inner = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
            yield f"{at}.{prefix}".strip("."), inner
    for key, value in found.items() if depth else ():
        if isinstance(value, Mapping):
            yield from _models(value, anchor, f"{at}.{key}".strip("."), depth - 1)


def _tensors(found: Mapping[Any, Any], *, nested: bool = True) -> StateDict:
    """The tensors of a dict; with ``nested``, if it has none, those of the first inner dict that has some."""
    import torch

    tensors = {_WRAPPED.sub("", str(n)): t for n, t in found.items() if isinstance(t, torch.Tensor)}
    if nested and not tensors:
        inner = (_tensors(value) for value in found.values() if isinstance(value, Mapping))
        return next((state for state in inner if state), {})
    return tensors
