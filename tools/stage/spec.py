"""The spec of a stage: its class and arguments, from which other machines create the stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tools.errors import UserError
from tools.stage.stage import Stage


@dataclasses.dataclass(frozen=True)
class StageSpec:
    """A stage's class and its arguments.

    A stage has what was found on its own machine: paths of weights, a device, a precision that suits the
    processor. So not the stage travels but its spec, and each machine finds its own.

    Attributes:
        stage: The class.
        args: Positional arguments; stages among them are specs, at any depth of tuples and lists.
        options: Keyword arguments, likewise.
    """

    stage: type[Stage]
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, stage: Stage | StageSpec) -> StageSpec:
        """The spec of a stage, with the arguments that its class was called with.

        Raises:
            TypeError: The stage is a copy.
        """
        if isinstance(stage, StageSpec):
            return stage
        if stage._arguments is None:
            raise TypeError(f"{type(stage).__name__}: a copy, whose arguments are not known")
        args, options = stage._arguments
        return cls(type(stage), _packed(args), {name: _packed(value) for name, value in options.items()})

    def check_options(self) -> None:
        """Check the names of the options, without creating the stage.

        Raises:
            UserError: The stage has no such option.
        """
        known = [f.name for f in dataclasses.fields(self.stage) if f.init]
        for name in self.options:
            if name not in known:
                raise UserError(f"Invalid option ({name}). {self.stage.__name__} has {', '.join(known)}.")

    def make(self) -> Stage:
        """Create the stage.

        Raises:
            UserError: Weights are missing, or an option is wrong.
        """
        options = {name: _unpacked(value) for name, value in self.options.items()}
        return self.stage(*_unpacked(self.args), **options)


def _packed(value: Any) -> Any:
    if isinstance(value, Stage):
        return StageSpec.of(value)
    return type(value)(map(_packed, value)) if type(value) in (tuple, list) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, StageSpec):
        return value.make()
    return type(value)(map(_unpacked, value)) if type(value) in (tuple, list) else value
