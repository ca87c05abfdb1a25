"""The command that made a table, from its receipt; and that command again for rows that failed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tools.errors import FAILURE_KINDS, UserError
from tools.report.chain.tables import ChainTable
from tools.stage.output import read_receipt


@dataclass(frozen=True)
class Recorded:
    """A command as it was typed.

    Attributes:
        words: ``python -m tools.…`` or ``vidsieve NAME …`` and its arguments; of several ranks those of one.
        folder: The folder that it was typed in.
        ranks: How many processes ran it.
    """

    words: tuple[str, ...]
    folder: Path
    ranks: int

    @property
    def typed(self) -> str:
        """As one would type it."""
        words = self.words
        if self.ranks > 1:
            program = words[1:] if words[0] == "python" else ("--no-python", *words)
            words = ("torchrun", "--nproc_per_node", str(self.ranks), *program)
        return shlex.join(words)

    def with_flags(self, *flags: str) -> Recorded:
        """The same with more flags."""
        return Recorded((*self.words, *flags), self.folder, self.ranks)

    def run(self) -> int:
        """Run it where it was typed; returns its exit code.

        Raises:
            UserError: The folder is gone.
        """
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: the command was run in this folder, which is gone: {self.typed}")
        return subprocess.run(self._started(), cwd=self.folder, check=False).returncode

    def _started(self) -> list[str]:
        """With the Python that runs now."""
        program = self.words[1:] if self.words[0] == "python" else ("-m", "tools", *self.words[1:])
        ranks = ("-m", "torch.distributed.run", "--nproc_per_node", str(self.ranks)) if self.ranks > 1 else ()
        return [sys.executable, *ranks, *program]


def recorded_command(table: ChainTable) -> Recorded | None:
    """The command that made a table; None where none is recorded."""
    receipt = read_receipt(table.files[0])
    words = (receipt or {}).get("command")
    if not receipt or not words:
        return None
    return Recorded(tuple(map(str, words)), Path(str(receipt.get("folder", "."))), int(receipt["world"]))


def retried(table: ChainTable, kinds: Collection[str], *, overwrite: bool = False) -> Recorded:
    """The command that processes failed rows again.

    Args:
        table: The table that has them.
        kinds: Kinds of failures.
        overwrite: Replace the table also if its files have changed since; finished rows are kept.

    Raises:
        UserError: It is not recorded.
    """
    found = recorded_command(table)
    if found is None:
        raise UserError(
            f"{table.path}: the command that made it is not recorded; run that command again with "
            "--retry-failed (datautil reads files anew each time)"
        )
    names = "all" if set(kinds) == set(FAILURE_KINDS) else ",".join(sorted(kinds))
    return found.with_flags(f"--retry-failed={names}", *(["--overwrite"] if overwrite else []))
