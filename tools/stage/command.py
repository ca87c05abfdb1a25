"""The command of a stage: its parser, the stage that a command line asks for, and its ``main``."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tools import cli
from tools.options import add_options, read_options
from tools.stage.options import add_stage_arguments, run_command
from tools.stage.stage import Stage

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class StageCommand:
    """A command that runs one stage over a table; its flags are the options of the stage.

    Attributes:
        module: As typed after ``python -m``.
        stage: The class of the stage, or its module and name, ``tools.scoring.ocr.stage.OcrStage``, which are
            imported when the command line is parsed.
        title: Heading in ``--help`` of the stage's flags that name no other.
        description: What the command does, which columns it reads and adds, and what it writes.
        examples: Command lines, one per line.
        defaults: Other defaults of options than the stage has, by name.
        batch_size: Default of ``--bs``; None for stages that score nothing in batches.
        num_workers: Default of ``--num-workers``.
        timeout: Default of ``--timeout``, seconds for one file.
        memory_gb: Default of ``--max-memory``, GiB for one worker.
        engines: Whether the stage also runs elsewhere (``--engine daft``).
        refused: Flags of other software, and what to type instead.
        ignored: Flags of Open-Sora that are accepted and have no effect: their metavar, None for switches.
    """

    module: str
    stage: str | type[Stage]
    title: str
    description: str
    examples: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    num_workers: int = 16
    timeout: float = 600
    memory_gb: float = 4
    engines: bool = True
    refused: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def stage_class(self) -> type[Stage]:
        """The class of the stage."""
        if not isinstance(self.stage, str):
            return self.stage
        module, _, name = self.stage.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def renamed(self, module: str, **changes: Any) -> Self:
        """The same command under another name.

        Args:
            module: As typed after ``python -m``.
            changes: Attributes that differ.
        """
        examples = self.examples.replace(self.module, module)
        return replace(self, module=module, **{"examples": examples, **changes})

    def parser(self) -> cli.ArgumentParser:
        """The command line."""
        made = cli.ArgumentParser(self.module, self.description, self.examples, refused=self.refused)
        made.add_argument("meta", help=self._meta())
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
        """The stage that a command line asks for.

        Raises:
            UserError: Weights are missing, or an option is wrong.
        """
        return self.stage_class(**read_options(args, self.stage_class))

    def main(self, argv: list[str] | None = None) -> int:
        """Parse the command line and run the stage; the exit code."""
        args = self.parser().parse_args(argv)
        return run_command(lambda: self.make_stage(args), args)
