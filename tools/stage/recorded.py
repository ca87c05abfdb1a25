"""What computes the values of a table, for its sidecar: the stage, with options and weights; and back again.

The sidecar keeps the class of a stage and its arguments, so that the stage can be created again, to learn
whether the weights and the version of today are those of then.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tools.stage.ledger import stage_config
from tools.stage.provenance import weights_in
from tools.stage.spec import StageSpec
from tools.stage.stage import Stage

_CLASS = "class"
_OURS = "tools."
"""Where classes are that a sidecar may name: it may come from anybody."""


def stage_records(stage: Stage) -> list[dict[str, Any]]:
    """What a stage is, in JSON; of several in one run (``tools.scoring``) what each is.

    Args:
        stage: The stage; its weights have been found.

    Returns:
        For each ``name``, ``version``, ``columns`` that it fills, ``options``, ``weights`` (see
        `weights_in`), and its ``class`` with ``arguments``; these two are empty where it cannot be created
        again.
    """
    return [_record(one) for one in _single(stage)]


def _single(stage: Stage) -> Iterator[Stage]:
    parts: tuple[Stage, ...] = getattr(stage, "stages", ())
    for part in parts:
        yield from _single(part)
    if not parts:
        yield stage


def _record(stage: Stage) -> dict[str, Any]:
    config = stage_config(stage)
    name, arguments = "", None
    if stage._arguments is not None:
        name = _name_of(type(stage))
        try:
            arguments = [[_packed(value) for value in stage._arguments[0]], _packed_all(stage._arguments[1])]
        except TypeError:  # it has an option that is no JSON
            name = ""
    options = json.loads(json.dumps(config["config"], default=str))
    return {
        "name": config["stage"],
        "version": config["version"],
        "columns": list(stage.added_columns),
        "options": options,
        "weights": weights_in(options),
        _CLASS: name,
        "arguments": arguments,
    }


def recorded_stage(record: Mapping[str, Any]) -> Stage | None:
    """Create the stage of a record, as this version of the toolkit makes it; None where that is impossible.

    Within `tools.stage.stage.weights_later` its weights are not looked for yet.

    Raises:
        UserError: Weights are missing, or an option is not supported any more.
    """
    try:
        args, options = record["arguments"]
        cls = _class_of(record[_CLASS], Stage)
        return cls(*map(_unpacked, args), **{name: _unpacked(value) for name, value in options.items()})
    except (ImportError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _packed(value: Any) -> Any:
    """A value as JSON.

    Raises:
        TypeError: It is of a kind that is not supported.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return [_packed(one) for one in value]
    if isinstance(value, (Stage, StageSpec)):
        spec = StageSpec.of(value)
        return {
            _CLASS: _name_of(spec.stage),
            "arguments": [[*map(_packed, spec.args)], _packed_all(spec.options)],
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return {_CLASS: _name_of(type(value)), "arguments": [[], _packed_all(fields)]}
    raise TypeError(f"{type(value).__name__} is not supported")


def _packed_all(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _packed(value) for name, value in values.items()}


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_unpacked, value))
    if not isinstance(value, dict):
        return value
    cls = _class_of(value[_CLASS], object)
    args, options = value["arguments"]
    return cls(*map(_unpacked, args), **{name: _unpacked(one) for name, one in options.items()})


def _name_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _class_of(name: str, kind: type) -> Any:
    """A class of the toolkit by its name.

    Raises:
        TypeError: It is not one of a stage, or of options.
    """
    module, _, qualified = name.partition(":")
    if not module.startswith(_OURS) or "." in qualified:
        raise TypeError(f"{name} is not of the toolkit")
    cls = getattr(importlib.import_module(module), qualified)
    if not isinstance(cls, type) or not issubclass(cls, kind) or not dataclasses.is_dataclass(cls):
        raise TypeError(f"{name} has no options")
    return cls
