"""Connect the steps of a file: what each reads, where it writes, and the command line that does it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.base.packages import EXTRAS, how_to_install, is_installed
from tools.columns import COLUMNS
from tools.errors import UserError
from tools.pipeline.commands import StepCommand, step_command
from tools.pipeline.document import Document, WrittenStep, unknown
from tools.table import table_format
from tools.table.where import columns_of
from tools.typed_names import as_typed

_FILES_ALONE = {("video",), ("image",)}
"""What convert makes tables of in which only the columns of the toolkit can be."""


@dataclass(frozen=True)
class Step:
    """A step that can be run.

    Attributes:
        name: Its name.
        does: Its command.
        line: The command line without ``--output`` and ``--overwrite``.
        inputs: The tables that it reads.
        output: What it writes; None for a command that writes nothing of its own.
        after: Names of the steps whose outputs it reads.
        ranks: Processes that share its rows.
        versions: Of the stages that it runs.
        left_out: Why it is not run; empty for a step that is.
    """

    name: str
    does: StepCommand
    line: tuple[str, ...]
    inputs: tuple[Path, ...]
    output: Path | None
    after: tuple[str, ...]
    ranks: int = 1
    versions: str = ""
    left_out: str = ""

    @property
    def table(self) -> Path | None:
        """The table that it writes, or None."""
        return self.output if self.does.writes_table else None

    @property
    def full_line(self) -> list[str]:
        """The command line with where to write. What is there is the pipeline's own: it was checked."""
        line = list(self.line)
        if self.output is not None:
            line.append(f"--output={self.output}")
        if "--overwrite" in self.does.parser._option_string_actions:
            line.append("--overwrite")
        return line


def plan_steps(document: Document) -> list[Step]:
    """The steps of a file; every command line has been checked.

    Raises:
        UserError: A command, an option or a step is unknown, or two steps write one file.
    """
    planning = _Planning(document)
    return [planning.step(written) for written in document.steps]


class _Planning:
    """The steps so far, and the files they write."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._made: dict[str, Step] = {}
        self._writers: dict[Path, str] = {}

    def step(self, written: WrittenStep) -> Step:
        try:
            return self._step(written)
        except UserError as error:
            raise self._document.error(written.name, error) from None

    def _step(self, written: WrittenStep) -> Step:
        does = step_command(written.command)
        if written.ranks > 1 and not does.by_rows:
            raise UserError(f"ranks: {does.command.name} does not work row by row, so ranks cannot share it")
        left_out = missing_needs(written.needs)
        inputs, after = self._inputs(written, does)
        output = self._output(written, does)
        line = (*written.words, *map(str, inputs), *does.flags(written.options))
        # The output alone is not checked here: some commands need one.
        checked = [*line, *([f"--output={output}"] if output else [])]
        step = Step(
            written.name,
            does,
            line,
            inputs,
            output,
            after,
            written.ranks,
            "" if left_out else does.check(checked),
            left_out,
        )
        if "where" in written.options and does.command.name == "datautil":
            self._check_condition(written.options["where"])
        if not left_out and output is not None:
            other = self._writers.setdefault(output.absolute(), written.name)
            if other != written.name:
                raise UserError(f"output: {output} is that of step '{other}'")
            if output.absolute() in [path.absolute() for path in inputs]:
                raise UserError(f"output: {output} is its input, too")
        self._made[written.name] = step
        return step

    def _inputs(self, written: WrittenStep, does: StepCommand) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """Tables that a step reads, and the steps that write them."""
        run = [step for step in self._made.values() if not step.left_out]
        tables = [step for step in run if step.table is not None]
        if not does.reads_tables:
            if written.inputs:
                raise UserError(f"input: {does.command.name} reads no table; name its folder in run")
            return (), tuple(step.name for step in run[-1:])  # it may read what that one has written
        if written.inputs is None:
            if not tables:
                raise UserError("input: no step before it writes a table, so name one")
            return _table_of(tables[-1]), (tables[-1].name,)
        paths: list[Path] = []
        after: list[str] = []
        for given in written.inputs:
            step = self._made.get(given)
            if step is None:
                paths.append(self._path(given, written.name))
            elif step.left_out:
                continue
            elif step.table is None:
                raise UserError(f"input: step '{given}' writes no table")
            else:
                paths += _table_of(step)
                after.append(given)
        if not paths:
            raise UserError(f"input: {', '.join(written.inputs)}: left out, so nothing is left to read")
        return tuple(paths), tuple(after)

    def _check_condition(self, where: Any) -> None:
        """Check a condition before hours of work are done: its grammar, and names like those of columns."""
        if isinstance(where, (list, tuple)):
            raise UserError('where: is one condition, not a list; join several with and: "A and B"')
        where = str(where)
        used = columns_of(where)
        steps = self._document.steps
        sources = [step.words[:1] for step in steps if step_command(step.command).reads_tables is False]
        if not sources or not set(sources) <= _FILES_ALONE:
            return  # a table of the user's own has other columns, too
        texts = {
            str(value) for step in steps for value in step.options.values()
        }  # tag makes the one it is told
        for name in used:
            close = difflib.get_close_matches(name, COLUMNS, n=1)
            if name not in COLUMNS and name not in texts and close:
                raise UserError(f"where: no command makes a column '{name}'; did you mean '{close[0]}'?")

    def _path(self, given: str, name: str) -> Path:
        """A table that is no step's; a name that is like that of a step is meant as one."""
        try:
            table_format(given)
        except UserError:
            known = [step.name for step in self._document.steps]
            if given in known[known.index(name) :]:
                raise UserError(f"input: step '{given}' does not come before it") from None
            raise UserError(f"input: {unknown('step', given, self._made)}") from None
        return Path(given)

    def _output(self, written: WrittenStep, does: StepCommand) -> Path | None:
        if not does.writes:
            if written.output:
                raise UserError(f"output: {does.command.name} has no --output")
            return None
        if written.output:
            if does.writes_table:
                table_format(written.output)
            return Path(written.output)
        return self._document.tables / f"{written.name}{does.extension(f'.{self._document.format}')}"


def _table_of(step: Step) -> tuple[Path, ...]:
    return () if step.table is None else (step.table,)


def missing_needs(needs: Iterable[str]) -> str:
    """What is missing of packages and weights, and the command that brings it; empty where all is here.

    Raises:
        UserError: A name is that of neither.
    """
    from tools.models.hub import HUB_MODELS
    from tools.models.published import WEIGHTS
    from tools.models.weights import locate

    lines = []
    weights = []
    for need in needs:
        if need in WEIGHTS:
            found = locate(WEIGHTS[need])
            if found is None or not found.exists():
                weights.append(need)
        elif need in HUB_MODELS:
            if not HUB_MODELS[need].is_here():
                weights.append(need)
        elif need in EXTRAS:
            if not is_installed(need):
                lines.append(f"package {need} is not installed: {how_to_install(need)}")
        else:
            what = unknown("package or weight file", need, [*WEIGHTS, *HUB_MODELS, *EXTRAS])
            raise UserError(f"needs: {what}")
    if weights:
        are = "are" if len(weights) > 1 else "is"
        command = as_typed(f"python -m tools.models.weights download {' '.join(weights)}")
        lines.append(f"{' and '.join(weights)} {are} not here: {command}")
    return "; ".join(lines)
