"""The command of a stage: its parser, the stage for a command line, and its ``main``."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tools import cli
from tools.errors import UserError
from tools.options import Option, add_options, read_options
from tools.options.by_name import all_options, find_flag, named_options, option_names
from tools.options.values import Choice
from tools.stage.options import add_stage_arguments, run_command
from tools.stage.spec import StageSpec
from tools.stage.stage import Stage

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclasses.dataclass(frozen=True)
class StageChoice:
    """Several stages of which one option of a command chooses.

    The command has the flags of all; one that the chosen stage does not have is an error.

    Attributes:
        option: Name of the option: ``mode``.
        help: What is chosen.
        stages: Module and class of each stage, by the value that chooses it; the first is the default.
        meanings: What each value means.
        no_effect: Options that are accepted with each stage, and have no effect where it does not have them.
    """

    option: str
    help: str
    stages: Mapping[str, str | type[Stage]]
    meanings: Mapping[str, str]
    no_effect: tuple[str, ...] = ("device", "precision", "compile", "decoder")

    @property
    def default(self) -> str:
        """The value that is chosen where none is given."""
        return next(iter(self.stages))

    def add_flags(self, group: argparse._ArgumentGroup) -> None:
        """Add the flag that chooses, and those of all stages; what is not given is not in the namespace."""
        Option(self.help, Choice(self.meanings)).add(group, self.option, self.default)
        defaults: dict[str, dict[str, Any]] = {}
        options: dict[str, Option] = {}
        for value, stage in self.stages.items():
            for name, made, default in all_options(_class(stage)):
                options.setdefault(name, made)
                defaults.setdefault(name, {})[value] = default
        for name, made in options.items():
            default, *others = defaults[name].values()
            if made.shown is None and any(other != default for other in others):
                differing = [f"{value}: {own}" for value, own in defaults[name].items() if own != default]
                made = dataclasses.replace(made, shown="; ".join([str(default), *differing]))
            made.add(group, name, default)
        for action in group._group_actions:
            action.default, action.required = argparse.SUPPRESS, False

    def stage_of(self, given: Mapping[str, Any]) -> tuple[type[Stage], dict[str, Any]]:
        """The chosen class, and those of the given options that are for it.

        Raises:
            UserError: There is no such stage, or an option is for another one.
        """
        options = dict(given)
        chosen = Choice(self.stages).check(self.option, options.pop(self.option, self.default))
        names = {value: option_names(_class(stage)) for value, stage in self.stages.items()}
        for name in given:
            having = [value for value, known in names.items() if name in known]
            if name in options and chosen not in having and having:
                if name not in self.no_effect:
                    flag, allowed = find_flag(_class(self.stages[having[0]]), name), " or ".join(having)
                    raise UserError(f"{flag} is for --{self.option} {allowed}, not for {chosen}")
                del options[name]
        return _class(self.stages[chosen]), options


@dataclasses.dataclass(frozen=True)
class StageCommand:
    """A command that runs one stage over a table; its flags are the options of the stage.

    Attributes:
        module: As typed after ``python -m``.
        stage: The class of the stage, or its module and name, ``tools.scoring.ocr.stage.OcrStage``, which are
            imported when the command line is parsed; or several of which an option chooses.
        title: Heading in ``--help`` of the stage's flags that name no other.
        description: What the command does, which columns it reads and adds, and what it writes.
        examples: Command lines, one per line.
        defaults: Other defaults of options than the stage has, by name.
        more: Dataclasses of options that are the command's alone, by the heading of their flags, which come
            first in ``--help``: module and class of each.
        batch_size: Default of ``--bs``; None for stages that score nothing in batches.
        num_workers: Default of ``--num-workers``.
        timeout: Default of ``--timeout``, seconds for one file.
        memory_gb: Default of ``--max-memory``, GiB for one worker.
        engines: Whether the stage also runs elsewhere (``--engine daft``).
        refused: Flags of other software, and what to type instead.
        ignored: Flags of Open-Sora that are accepted and have no effect: their metavar, None for switches.
    """

    module: str
    stage: str | type[Stage] | StageChoice
    title: str
    description: str
    examples: str
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    more: Mapping[str, str] = dataclasses.field(default_factory=dict)
    batch_size: int | None = None
    num_workers: int = 16
    timeout: float = 600
    memory_gb: float = 4
    engines: bool = True
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ignored: Mapping[str, str | None] = dataclasses.field(default_factory=dict)

    @property
    def stage_class(self) -> type[Stage]:
        """The class of the stage, of several the default."""
        return self.stage_of({})[0]

    def stage_of(self, given: Mapping[str, Any]) -> tuple[type[Stage], dict[str, Any]]:
        """The class of the stage that options ask for, and the options that are for it.

        Raises:
            UserError: There is no such stage, or an option is for another one.
        """
        if isinstance(self.stage, StageChoice):
            return self.stage.stage_of(given)
        return _class(self.stage), dict(given)

    def renamed(self, module: str, **changes: Any) -> Self:
        """The same command under another name.

        Args:
            module: As typed after ``python -m``.
            changes: Attributes that differ.
        """
        examples = self.examples.replace(self.module, module)
        return dataclasses.replace(self, module=module, **{"examples": examples, **changes})

    def parser(self) -> cli.ArgumentParser:
        """The command line."""
        made = cli.ArgumentParser(self.module, self.description, self.examples, refused=self.refused)
        made.add_argument("meta", help=self._meta())
        for title, options in self.more.items():
            add_options(made.add_argument_group(title), _class(options))
        if isinstance(self.stage, StageChoice):
            self.stage.add_flags(made.add_argument_group(self.title))
        else:
            add_options(made, self.stage_class, title=self.title, defaults=self.defaults)
        group = made.add_argument_group("compatibility") if self.ignored else made
        for flag, metavar in self.ignored.items():
            how: dict[str, Any] = {"metavar": metavar} if metavar else {"action": "store_true"}
            text = "accepted for Open-Sora's sake; has no effect"
            cli.advanced(group.add_argument(flag, help=text, **how))
        add_stage_arguments(
            made,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            timeout=self.timeout,
            memory_gb=self.memory_gb,
            engine=self.engines,
        )
        return made

    def _meta(self) -> str:
        columns = self.stage_class.required_columns
        what = "columns" if len(columns) > 1 else "a column"
        return f"table with {what} {' and '.join(columns)}: .csv, .parquet or .jsonl"

    def make_stage(self, args: argparse.Namespace) -> Stage:
        """The stage for a command line.

        Raises:
            UserError: Weights are missing, or an option is wrong.
        """
        if isinstance(self.stage, StageChoice):
            return self.stage_from(self.given(args))
        return self.stage_class(**read_options(args, self.stage_class))

    def spec_from(self, given: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> StageSpec:
        """The stage from options by name, as its command line would make it.

        Args:
            given: Values by the names of options or of their flags: ``{"num_frames": 4}``.
            shared: Further ones; those that the stage does not have are left out.

        Raises:
            UserError: There is no such option, or it is for another stage.
        """
        cls, options = self.stage_of(given)
        known = option_names(cls)
        taken = {known.get(name, name) for name in options}
        for name, value in {**self.defaults, **(shared or {})}.items():
            if name in known and name not in taken:
                options[name] = value
        return StageSpec(cls, (), named_options(cls, options))

    def stage_from(self, given: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> Stage:
        """As `spec_from`, with the stage created.

        Raises:
            UserError: Also where an option is wrong, or weights are missing.
        """
        return self.spec_from(given, shared).make()

    def given(self, args: argparse.Namespace) -> dict[str, Any]:
        """What a parsed command line says of the stage, by name."""
        if isinstance(self.stage, StageChoice):
            stages, names = tuple(self.stage.stages.values()), {self.stage.option: None}
        else:
            stages, names = (self.stage,), {}
        for stage in stages:
            names |= dict.fromkeys(option_names(_class(stage)).values())
        return {name: getattr(args, name) for name in names if hasattr(args, name)}

    def main(self, argv: list[str] | None = None) -> int:
        """Parse the command line and run the stage; the exit code."""
        args = self.parser().parse_args(argv)
        return run_command(lambda: self.make_stage(args), args)


def _class(path: str | type) -> Any:
    if not isinstance(path, str):
        return path
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
