"""The parameters of VideoQualityScore in LAS's words, checked and put into the toolkit's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.errors import MediaError, UserError, check_choice
from tools.integrations.clip_names import known_clip
from tools.media.fetching.sources import BASE64, Source
from tools.media.reading.sampling import Sampling
from tools.scoring.quality.prompts import PROMPTS, parse_prompts
from tools.scoring.quality.scorer import REDUCE

SAMPLE_MODES: dict[str, tuple[str, str, str]] = {
    "by_count_uniform": ("count_uniform", "count_k", "count"),
    "by_interval_time": ("interval_time", "interval_sec", "interval"),
    "by_interval_frames": ("interval_frames", "interval_frames", "step"),
    "by_fps": ("fps", "target_fps", "fps"),
    "by_timestamps": ("timestamps", "timestamps_sec", "timestamps"),
}
"""LAS's ways of sampling: the policy here, the parameter that belongs to it, and its name here."""

DEFAULT_COUNT = 8
"""Frames of a video by default."""

Prompt = str | tuple[str, str]
"""One or two texts that name a pair of opposite prompts."""

_WHOLE = ("count_k", "interval_frames", "max_frames")


@dataclass(frozen=True)
class Chosen:
    """What parameters come to in the toolkit's terms: frames, and prompts for `parse_prompts`."""

    sampling: Sampling
    prompts: tuple[str, ...]


def check_parameters(arguments: Mapping[str, Any]) -> Chosen:
    """Check the parameters of VideoQualityScore, as far as that goes without weights and device.

    Args:
        arguments: All parameters, by name.

    Raises:
        UserError: One is wrong, or two do not go together.
    """
    check_choice("reduce_mode", arguments["reduce_mode"], REDUCE)
    form = arguments["default_video_format"]
    try:
        if not isinstance(form, str) or form.lower().partition(":")[0] == BASE64:
            raise MediaError("bad_value", "", "name the format of the videos, mp4 for example")
        _ = Source(b"", form).suffix
    except MediaError as error:
        raise UserError(f"Invalid default_video_format ({form}): {error.message}") from None
    prompts = _prompts(arguments["prompt"])
    parse_prompts(prompts)
    return Chosen(_sampling(arguments), prompts)


def _sampling(arguments: Mapping[str, Any]) -> Sampling:
    mode = arguments["sample_mode"]
    check_choice("sample_mode", mode, SAMPLE_MODES)
    policy, own, name = SAMPLE_MODES[mode]
    if arguments[own] is None:
        raise UserError(f"sample_mode={mode!r} needs {own}")
    for other, (_, parameter, _) in SAMPLE_MODES.items():
        value = arguments[parameter]
        if other != mode and value is not None and (parameter, value) != ("count_k", DEFAULT_COUNT):
            raise UserError(
                f"{parameter}={value!r} is of no use with sample_mode={mode!r}; "
                f"leave it out, or say sample_mode={other!r}"
            )
    values = {
        name: arguments[own],
        "start": arguments["start_time_sec"] or 0.0,
        "end": arguments["end_time_sec"],
        "max_frames": arguments["max_frames"],
    }
    for parameter in _WHOLE:
        value = arguments[parameter]
        if value is not None and (not isinstance(value, (int, np.integer)) or isinstance(value, bool)):
            raise UserError(f"{parameter} is a whole number, not {value!r}")
    try:
        return Sampling(policy, **values)
    except UserError as error:
        raise UserError(f"sample_mode={mode!r}, {own}={arguments[own]!r}: {error}") from None


def _prompts(prompt: Any) -> tuple[str, ...]:
    """Prompts as `parse_prompts` reads them."""
    if isinstance(prompt, str):
        return (prompt,)
    items = list(prompt) if isinstance(prompt, (list, tuple)) else [None]
    if len(items) == 2 and not any(_names_a_pair(item) for item in items):
        items = [tuple(items)]
    texts = ["|".join(map(str, item)) if isinstance(item, (tuple, list)) else item for item in items]
    prompts = tuple(text for text in texts if isinstance(text, str))
    if len(prompts) < len(texts):
        raise UserError(f"Invalid prompt ({prompt!r}). It is a name, a pair of texts, or a list of these.")
    return prompts


def _names_a_pair(item: Any) -> bool:
    """Whether this is a prompt, not a half of one."""
    return not isinstance(item, str) or item in PROMPTS or "|" in item


def choose_device(device: str) -> str:
    """The device to use.

    Raises:
        UserError: There is none of this name here; the message says what to do.
    """
    from tools.models.device import resolve_device

    try:
        return resolve_device(device)
    except UserError as error:
        raise UserError(f"{error}; without a GPU say device='cpu', or 'auto' for what there is") from None


def choose_clip(model_path: str, name: str) -> str:
    """What to give `tools.models.clip_checkpoint.find_clip` for a model in LAS's folder, a path, or a name.

    Raises:
        UserError: It is in none of these places, which the message names.
    """
    for path in (Path(model_path).expanduser() / name, Path(name).expanduser()):
        if path.exists():
            return str(path)
    known, reasons = known_clip(name)
    if known is not None:
        return known
    raise UserError(
        f"weights of {name} are missing: there is no {Path(model_path) / name} (model_path/clip_model_name); "
        + "; ".join(reasons)
    )
