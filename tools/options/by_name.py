"""Options by name, as Python code gives them: those of a dataclass, and its arguments that they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from tools.errors import UserError
from tools.options import Option, options_of


def all_options(cls: Any) -> Iterator[tuple[str, Option, Any]]:
    """The options of a dataclass, with those that it shares with others: name, `Option`, default."""
    yield from options_of(cls)
    for field in dataclasses.fields(cls):
        if shared := field.metadata.get("options"):
            yield from all_options(shared)


def option_names(cls: Any) -> dict[str, str]:
    """All names of the options of a dataclass, to their arguments in a parsed command line."""
    names: dict[str, str] = {}
    for name, option, _ in all_options(cls):
        names |= option.names(name)
    return names


def find_flag(cls: Any, known: str) -> str:
    """The flag of an option of a dataclass, by any of its names: ``--return-all-frames``.

    Raises:
        KeyError: There is no such option.
    """
    for name, option, _ in all_options(cls):
        argument = option.names(name).get(known)
        if argument is not None:
            return option.flag_of(name) if argument == name else f"--{argument.replace('_', '-')}"
    raise KeyError(known)


def named_options(cls: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a dataclass from options by name, as a command line has them.

    Args:
        cls: The dataclass.
        given: Values by the names of fields or flags: ``{"num_frames": 4, "return_all_frames": True}``.

    Returns:
        Values by the names of the fields.

    Raises:
        UserError: There is no such option, one is given twice, or some contradict each other.
    """
    rest = dict(given)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        option: Option | None = field.metadata.get("option")
        shared = field.metadata.get("options")
        if shared and field.name not in rest:
            own = {name: rest.pop(name) for name in option_names(shared) if name in rest}
            if own:
                arguments[field.name] = shared(**named_options(shared, own))
        elif option:
            own = _taken(rest, option.names(field.name))
            if own:
                arguments[field.name] = option.combine(own, field.name, field.default)
        elif field.init and field.name in rest:
            arguments[field.name] = rest.pop(field.name)
    for name in rest:
        supported = ", ".join(dict.fromkeys(option_names(cls).values())) or "none"
        raise UserError(f"Invalid option ({name}). Supported values are {supported}.")
    return arguments


def _taken(rest: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Take what is given under these names, by the argument of each."""
    own: dict[str, Any] = {}
    for known in [name for name in names if name in rest]:
        if names[known] in own:
            raise UserError(f"{known}: is the same option as {names[known]}")
        own[names[known]] = rest.pop(known)
    return own
