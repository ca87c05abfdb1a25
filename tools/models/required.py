"""Weights that are wanted: those that are missing are told together, with one command that fetches them."""

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
    """Weights that something works with. Nothing is read to tell whether they are there.

    Attributes:
        key: A key of `tools.models.weights.WEIGHTS` or of `tools.models.hub.HUB_MODELS`.
        explicit: The file that the user named in place of it.
        problem: Why they cannot be had, where that is known already.
        hint: What can be done without them.
    """

    key: str = ""
    explicit: str | Path | None = None
    problem: str = ""
    hint: str = ""


def require_weights(wanted: Iterable[RequiredWeights]) -> None:
    """Check that weights are there, without reading them.

    Models of the hub count as missing when other weights are: alone, they are fetched when they are found.

    Raises:
        UserError: Some are not; the message names all, where they were looked for, and one command that
            fetches those that are published.
    """
    wanted = list(dict.fromkeys(wanted))
    named = {one: told for one in wanted if (told := one.problem or _named_and_missing(one))}
    gone = [one for one in wanted if _is_missing(one)]
    if not named and not gone:
        return
    keys = [one.key for one in gone]
    on_hub = [HUB_MODELS[one.key] for one in wanted if one.key in HUB_MODELS]
    on_hub = [model for model in on_hub if not model.is_here()]
    told = list(named.values())
    if keys:
        files = [WEIGHTS[key] for key in dict.fromkeys(keys)]
        told.append(missing(files, [(model.key, model.title, model.env) for model in on_hub]))
    hints = [one.hint for one in (*named, *gone) if one.hint]
    raise UserError("; ".join(dict.fromkeys([*told, *hints])))


def _is_missing(one: RequiredWeights) -> bool:
    return one.key in WEIGHTS and not one.problem and locate(WEIGHTS[one.key], one.explicit) is None


def _named_and_missing(one: RequiredWeights) -> str:
    """What is wrong with a file that the user named."""
    if one.key not in WEIGHTS or not (chosen := one.explicit or os.environ.get(WEIGHTS[one.key].env)):
        return ""
    path = Path(chosen).expanduser()
    if path.is_file():
        return ""
    origin = "" if one.explicit else f" (from ${WEIGHTS[one.key].env})"
    return f"{path}{origin}: there is no such file; weights of {WEIGHTS[one.key].title} were expected"
