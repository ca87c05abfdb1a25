"""Run the steps of a pipeline in their order: those that are not up to date, and what is made of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.base.log import LOG
from tools.errors import DiskError, UserError
from tools.pipeline.document import Document
from tools.pipeline.estimates import Sum, by_last_run, step_estimate
from tools.pipeline.freshness import key_of, uses_weights, with_weights
from tools.pipeline.lines import Numbers, measure, results
from tools.pipeline.plan import Step, plan_steps
from tools.pipeline.running import command_of, run_step
from tools.pipeline.state import State
from tools.stage.progress import spell_seconds
from tools.stage.provenance import digest_file
from tools.table import count_rows
from tools.typed_names import failures_command

_LOOKS = "it looks for files (if it finds others, the steps after it are to do, too)"
"""Why a step that reads no table is always run."""


@dataclass
class Chain:
    """The steps of a file, and what is known of them.

    Attributes:
        document: The file.
        steps: Its steps.
        state: What earlier runs have made.
        first: Number of the first step that is run; those before it are taken as they are.
        last: Number of the last one.
        overwrite: Whether files that this pipeline has not written are replaced.
        lines: What became of each step so far, and its numbers.
        empty: Steps that had no rows to work on.
    """

    document: Document
    steps: list[Step]
    state: State
    first: int = 0
    last: int = -1
    overwrite: bool = False
    lines: list[tuple[Step, str, Numbers]] = field(default_factory=list)
    empty: list[Step] = field(default_factory=list)

    @property
    def chosen(self) -> list[Step]:
        """The steps between the first and the last one that are not left out."""
        end = len(self.steps) if self.last < 0 else self.last + 1
        return [step for step in self.steps[self.first : end] if not step.left_out]

    def run(self, lock: int) -> int:
        """Run the chain; say what was done.

        Args:
            lock: See `tools.pipeline.running.run_step`.

        Returns:
            The exit code: that of the step that failed, or 1 where a step had no rows to work on.
        """
        self.lines, self.empty = [], []
        self._remove_foreign_steps()
        code = 0
        stopped: Step | None = None
        for step in self.chosen:
            try:
                code = self._step(step, lock)
            except DiskError:
                raise
            except UserError as error:
                raise self.document.error(step.name, error) from None
            if code:
                stopped = step
                break
        left_out = [(step, "", Numbers()) for step in self.steps if step.left_out]
        order = {step.name: number for number, step in enumerate(self.steps)}
        lines = sorted([*self.lines, *left_out], key=lambda line: order[line[0].name])
        print(f"\n{results(lines)}", file=sys.stderr)
        failed = [str(step.table) for step, _, numbers in self.lines if numbers.failed and step.table]
        if failed:
            print(f"what failed, and what to do: {failures_command(*failed)}", file=sys.stderr)
        if stopped is not None:  # last, as it is what ended the chain
            self._say_how_to_resume(stopped, code)
        elif self.empty:
            names = ", ".join(step.name for step in self.empty)
            print(f"error: {self.document.path}: no rows were left for {names}", file=sys.stderr)
            return 1
        return code

    def made(self) -> list[Path]:
        """The table at the end of the chain, and what else it has written that is no table."""
        there = [step for step in self.chosen if step.output is not None and step.output.exists()]
        tables = [step.table for step in there if step.table is not None]
        return [*tables[-1:], *(step.output for step in there if step.output and step.table is None)]

    def _step(self, step: Step, lock: int) -> int:
        if self._has_no_rows(step):
            self.empty.append(step)
            self._forget(step)
            return 0
        record = self.state.of(step.name)
        key = key_of(step)  # before the run: a file that changes meanwhile makes the step stale
        why = self.why(step, key)
        if not why:
            self.lines.append((step, "up to date", Numbers(**record.numbers)))
            return 0
        self._announce(step)
        if step.output is not None:
            self.state.check_owner(step.name, step.output, overwrite=self.overwrite)
            record.begun = self.state.named(step.output)
            record.key = ""
            self.state.save()
        begun = time.monotonic()
        code = run_step(step, self.document.path, lock)
        if code:
            return code
        numbers = measure(step, time.monotonic() - begun)
        self._remember(step, key, numbers)
        self.lines.append((step, "", numbers))
        return 0

    def _has_no_rows(self, step: Step) -> bool:
        """Whether there is nothing for a step to work on, as a step before it has removed every row."""
        before = {other.name for other in self.empty} & set(step.after)
        if not step.does.reads_tables:
            return bool(before)
        if before and not all(path.exists() for path in step.inputs):
            return True
        return not any(count_rows(path) for path in step.inputs)

    def why(self, step: Step, key: str | None) -> str:
        """Why a step has to be run; empty where it is up to date.

        Args:
            step: The step.
            key: What it would be made from, see `tools.pipeline.freshness.key_of`.
        """
        record = self.state.of(step.name)
        if step.output is None:
            return "it prints"
        if record.begun:
            return "it was interrupted"
        if not record.outputs:
            return "it was never run"
        if not step.does.reads_tables:
            return _LOOKS
        if not self.state.has_outputs(step.name, step.output):
            return "its output is not there, or was changed"
        if not record.key:
            return "what it reads has changed"
        if key is None:
            return "it asks servers for files"
        return (
            ""
            if record.key == (with_weights(key) if record.weights else key)
            else "its options, its input or its files have changed"
        )

    def _remember(self, step: Step, key: str | None, numbers: Numbers) -> None:
        """Write down what a step has made; what is made of that is stale if it is not what it was."""
        record = self.state.of(step.name)
        record.numbers = numbers.as_json()
        if step.output is not None and step.output.exists():
            before = dict(record.outputs)
            digest = "" if step.output.is_dir() else digest_file(step.output)
            record.outputs = {self.state.named(step.output): digest}
            record.weights = uses_weights(step)
            stale = list(self._made_of(step)) if before != record.outputs or not digest else []
            for other in stale:
                self.state.of(other.name).key = ""
            record.begun = ""
            record.key = with_weights(key) if key and record.weights else key or ""
            self.state.save()
            self._prune(stale)

    def _made_of(self, step: Step) -> Iterator[Step]:
        """The steps whose outputs are made of that of a step, one after the other."""
        changed = {step.name}
        for other in self.steps[self.steps.index(step) + 1 :]:
            if changed & set(other.after):
                changed.add(other.name)
                yield other

    def _forget(self, step: Step) -> None:
        """Of a step that has nothing to work on any more, remove what it has made."""
        if self.state.of(step.name).outputs:
            self.state.of(step.name).key = ""
            self._prune([step])

    def _remove_foreign_steps(self) -> None:
        """Remove what steps have made that are not in the file now, are left out, or write elsewhere."""
        now = {step.name: step for step in self.steps if not step.left_out}
        removed = []
        for name in list(self.state.records):
            step = now.get(name)
            keep = [step.output] if step is not None and step.output is not None else []
            removed += self.state.prune(name, keep)
            if step is None:
                del self.state.records[name]
        self.state.save()
        _say_removed(removed)

    def _prune(self, steps: Iterable[Step]) -> None:
        removed = [path for step in steps for path in self.state.prune(step.name)]
        self.state.save()
        _say_removed(removed)

    def _announce(self, step: Step) -> None:
        number = self.steps.index(step) + 1
        ranks = f" ({step.ranks} ranks)" if step.ranks > 1 else ""
        print(f"\n== {number}/{len(self.steps)} {step.name}: {_reads_writes(step)}{ranks}", file=sys.stderr)

    def _say_how_to_resume(self, step: Step, code: int) -> None:
        what = f"stopped by signal {code - 128}" if code > 128 else f"ended with exit code {code}"
        print(
            f"{self.document.path}: step '{step.name}' {what}; "
            "the same command goes on with it, and finished rows are kept",
            file=sys.stderr,
        )

    def describe(self) -> list[str]:
        """What a run would do, a few lines for each step; nothing is written."""
        lines = []
        changed: set[str] = set()
        total = Sum()
        for number, step in enumerate(self.steps, 1):
            head = f"{number}. {step.name}: {_reads_writes(step)}"
            if step.left_out:
                lines.append(f"{head}: left out: {step.left_out}")
                continue
            if step not in self.chosen:
                lines.append(f"{head}: not chosen")
                continue
            upstream = sorted(changed & set(step.after))
            ready = all(path.exists() for path in step.inputs)
            if upstream:
                why = f"after {' and '.join(upstream)}"
            else:
                why = self.why(step, key_of(step)) if ready else "its input is not there"
            if not why:
                lines.append(f"{head}: up to date")
                continue
            if why != _LOOKS:
                changed.add(step.name)
            about, *more = self._estimate(step, total, ready=ready and not upstream)
            lines += [f"{head}: to do, {why}{about}", *more, f"   {command_of(step)}"]
        return [*lines, *filter(None, [total.line()])]

    def _estimate(self, step: Step, total: Sum, *, ready: bool) -> list[str]:
        """About what a step would take: the end of its line, and further lines."""
        found = step_estimate(step, self.document.path) if ready else None
        if found is not None and found.seconds is not None:
            total.add(found.seconds, found)
            about = f", about {spell_seconds(found.seconds)} by {found.measured} rows on trial"
            return [about, f"   {found.work()}"]
        seconds = by_last_run(step, Numbers(**self.state.of(step.name).numbers), ready=ready)
        total.add(seconds, found)
        asked = [f"   {found.asked()}"] if found is not None and found.requests else []
        return ["" if seconds is None else f", about {spell_seconds(seconds)} by its last run", *asked]


def _say_removed(paths: Sequence[Path]) -> None:
    if paths:
        LOG.info("removed what is out of date: %s", ", ".join(map(os.path.normpath, paths)))


def _reads_writes(step: Step) -> str:
    reads = " ".join([path.name for path in step.inputs] or step.line)
    arrow = f"{reads} -> {step.output.name}" if step.output is not None else reads
    return f"{step.does.command.name} {arrow}"


def open_chain(document: Document, *, first: str | None = None, last: str | None = None) -> Chain:
    """The chain of a file, checked as far as it can be before any table is there.

    Args:
        document: The file.
        first: Name of the first step to run; None for the first one.
        last: Name of the last one.

    Raises:
        UserError: A step, a command or an option is unknown, or the state of earlier runs cannot be read.
    """
    begin = document.find(first, "--from") if first is not None else 0
    end = document.find(last, "--to") if last is not None else len(document.steps) - 1
    if begin > end:
        raise UserError(f"--from {first} comes after --to {last}")
    steps = plan_steps(document)
    return Chain(document, steps, State(document.tables, document.path.stem), begin, end)
