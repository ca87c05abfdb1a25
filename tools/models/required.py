"""Check required weights: all missing ones are reported together, with one command to download them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.errors import UserError
from tools.models.hub import HUB_MODELS
from tools.models.weights import WEIGHTS, locate, missing


@dataclass(frozen=True)
class RequiredWeights:
    """Weights that a stage requires; no file is read to check whether they exist.

    Attributes:
        key: A key of `tools.models.weights.WEIGHTS` or of `tools.models.hub.HUB_MODELS`.
        explicit: The file that the user named instead.
        problem: Why they are not available, if that is known already.
        hint: What can be done without them.
    """

    key: str = ""
    explicit: str | Path | None = None
    problem: str = ""
    hint: str = ""


def require_weights(required: Iterable[RequiredWeights]) -> None:
    """Check that weights exist, without reading them.

    Models on the hub are reported only if other weights are missing, too; else they are downloaded later.

    Raises:
        UserError: Some are missing; the message names all, where they were searched, and one command that
            downloads those that are published.
    """
    required = list(dict.fromkeys(required))
    problems = {one: text for one in required if (text := one.problem or _named_and_missing(one))}
    absent = [one for one in required if _is_missing(one)]
    if not problems and not absent:
        return
    keys = [one.key for one in absent]
    on_hub = [HUB_MODELS[one.key] for one in required if one.key in HUB_MODELS]
    on_hub = [model for model in on_hub if not model.is_here()]
    messages = list(problems.values())
    if keys:
        files = [WEIGHTS[key] for key in dict.fromkeys(keys)]
        messages.append(missing(files, [(model.key, model.title, model.env) for model in on_hub]))
    hints = [one.hint for one in (*problems, *absent) if one.hint]
    raise UserError("; ".join(dict.fromkeys([*messages, *hints])))


def _is_missing(one: RequiredWeights) -> bool:
    return one.key in WEIGHTS and not one.problem and locate(WEIGHTS[one.key], one.explicit) is None


def _named_and_missing(one: RequiredWeights) -> str:
    """The error of a file that the user named, if it is missing."""
    if one.key not in WEIGHTS or not (chosen := one.explicit or os.environ.get(WEIGHTS[one.key].env)):
        return ""
    path = Path(chosen).expanduser()
    if path.is_file():
        return ""
    origin = "" if one.explicit else f" (from ${WEIGHTS[one.key].env})"
    return f"{path}{origin}: there is no such file; weights of {WEIGHTS[one.key].title} were expected"
