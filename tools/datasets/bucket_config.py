"""Read the buckets of a training configuration: Python (never run), JSON, YAML or TOML."""

from __future__ import annotations

import ast
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from tools.base.disk import system_message
from tools.base.packages import require_package
from tools.datasets.buckets import PIXELS, BucketConfig, Share, nominal_pixels
from tools.errors import UserError

_NAME = "bucket_config"


@dataclass(frozen=True)
class TrainingBuckets:
    """The buckets of a training run.

    Attributes:
        buckets: The buckets.
        frame_interval: Every Nth frame is taken; 1 if the file has no value.
    """

    buckets: BucketConfig
    frame_interval: int = 1


def read_bucket_config(path: str | Path) -> TrainingBuckets:
    """Read ``bucket_config``, and ``frame_interval`` where ``dataset`` or the file itself has it.

    ``{"480p": {1: (1.0, 52), 51: (0.5, 4)}}`` says: resolution, number of frames, probability to keep a
    sample (or two: the second is the probability to consider this number of frames), batch size. In the
    configs of Open-Sora's search for batch sizes a guess takes the place of the probability, in those of
    its evaluation None; all that is above 0 takes rows, None too. A Python file is parsed for these
    assignments, which must be literals; nothing in it is run. A JSON, YAML or TOML file holds
    ``bucket_config`` as a key, or is it.

    Args:
        path: The file; its extension gives the format.

    Returns:
        The buckets.

    Raises:
        UserError: The file cannot be read, has no buckets, or they are not as above.
    """
    path = Path(path)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot read the bucket config: {system_message(error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a bucket config: it is not UTF-8 text") from None
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise UserError(f"{path}: not a bucket config; its name ends in {', '.join(_PARSERS)}")
    values = parse(path, content)
    buckets = _buckets(path, values[_NAME])
    dataset = values.get("dataset")
    interval = values.get("frame_interval")
    if interval is None and isinstance(dataset, Mapping):
        interval = dataset.get("frame_interval")
    if interval is not None and not _is_count(interval):
        raise UserError(f"{path}: frame_interval must be a whole number from 1 on, not {interval!r}")
    return TrainingBuckets(buckets, interval or 1)


def _parse_python(path: Path, content: str) -> dict[str, Any]:
    try:
        statements = ast.parse(content).body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a Python file: {error}") from None
    assigned: dict[str, ast.expr] = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            assigned[statement.targets[0].id] = statement.value
    if _NAME not in assigned:
        raise UserError(f"{path}: no {_NAME} = {{...}} at the top level")
    try:
        values = {_NAME: ast.literal_eval(assigned[_NAME])}
    except (ValueError, TypeError, RecursionError):
        line = assigned[_NAME].lineno
        raise UserError(
            f"{path}: line {line}: {_NAME} must be written out in literals; Python in it is not run"
        ) from None
    return values | _frame_interval(assigned)


def _frame_interval(assigned: Mapping[str, ast.expr]) -> dict[str, Any]:
    """``frame_interval = 3``, ``dataset = dict(frame_interval=3)`` or ``dataset = {"frame_interval": 3}``."""
    node = assigned.get("frame_interval")
    dataset = assigned.get("dataset")
    if node is None and isinstance(dataset, ast.Call):
        node = next((k.value for k in dataset.keywords if k.arg == "frame_interval"), None)
    if node is None and isinstance(dataset, ast.Dict):
        pairs = zip(dataset.keys, dataset.values, strict=True)
        node = next(
            (v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "frame_interval"), None
        )
    if node is None:
        return {}
    return {"frame_interval": node.value if isinstance(node, ast.Constant) else ast.unparse(node)}


def _parse_json(path: Path, content: str) -> dict[str, Any]:
    try:
        return _unwrapped(path, json.loads(content))
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None


def _parse_yaml(path: Path, content: str) -> dict[str, Any]:
    require_package("yaml", str(path))
    import yaml

    try:
        return _unwrapped(path, yaml.safe_load(content))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def _parse_toml(path: Path, content: str) -> dict[str, Any]:
    if sys.version_info < (3, 11):
        raise UserError(f"{path}: TOML needs Python 3.11; write the buckets as JSON")
    import tomllib

    try:
        return _unwrapped(path, tomllib.loads(content))
    except ValueError as error:
        raise UserError(f"{path}: not TOML: {error}") from None


_PARSERS = {
    ".py": _parse_python,
    ".json": _parse_json,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
    ".toml": _parse_toml,
}


def _unwrapped(path: Path, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or not values:
        raise UserError(f"{path}: no {_NAME} in it")
    if _NAME in values:
        return values
    if not any(_is_resolution(name) for name in values):
        raise UserError(f"{path}: no {_NAME} in it")
    return {_NAME: values}


def _buckets(path: Path, values: Any) -> BucketConfig:
    if not isinstance(values, Mapping) or not values:
        raise UserError(f"{path}: {_NAME} must map resolutions to numbers of frames, not be {values!r:.60}")
    buckets: dict[str, dict[int, Share]] = {}
    for resolution, levels in values.items():
        name = str(resolution)  # YAML and JSON disagree whether 256 is a number
        if not _is_resolution(name):
            raise UserError(f"{path}: no resolution {resolution!r}; there are {', '.join(PIXELS)}")
        if not isinstance(levels, Mapping):
            raise UserError(f"{path}: {name}: must map numbers of frames to (probability, batch size)")
        buckets[name] = {}
        for frames, share in levels.items():
            number = int(frames) if isinstance(frames, str) and frames.isdecimal() else frames
            if not _is_count(number):
                raise UserError(f"{path}: {name}: {frames!r} is no number of frames")
            buckets[name][number] = _share(share, f"{path}: {name}: {frames}")
    return buckets


def _share(value: Any, place: str) -> Share:
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    pair = first if isinstance(first, (list, tuple)) else (1.0 if first is None else first, 1.0)
    if len(pair) != 2 or not all(_is_share(share) for share in pair):
        raise UserError(f"{place}: must be (probability, batch size), not {value!r:.60}")
    return Share(float(pair[0]), float(pair[1]))


def _is_resolution(name: Any) -> bool:
    try:
        return nominal_pixels(str(name)) > 0
    except KeyError:
        return False


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
