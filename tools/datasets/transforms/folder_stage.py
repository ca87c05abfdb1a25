"""Base of the stages that write files into a folder: which names they take there, and what they replace."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.addresses import refuse_address
from tools.datasets.transforms.targets import TARGET, make_output_dir, plan_targets, target_path
from tools.errors import MediaError
from tools.media.writing.output_files import remove_unfinished, safe_join
from tools.options import Option, option, option_field
from tools.options.values import Text
from tools.stage.ledger import digest
from tools.stage.names.file_stems import with_digits
from tools.stage.names.new_files import MadeFiles, new_file
from tools.stage.names.owners import FileNames, NameRequest
from tools.stage.stage import MADE_FILES, Row, Stage, made_file

if TYPE_CHECKING:
    import polars as pl


@dataclasses.dataclass(frozen=True)
class _OverwriteOption(Option):
    """``--overwrite``, a flag that `tools.stage.run_options.RunOptions` has for all commands."""

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add nothing."""


_HOW_TO_RUN = ("output_dir", "input_dir", "overwrite", "threads", "workers")


@dataclasses.dataclass
class FolderStage(Stage):
    """New files of each file, under `output_dir`.

    Names that another table has taken there for other files stay its own: those of this table get digits. A
    file is replaced only with `overwrite`, and only if it was made for this table and for no other.
    """

    optional_columns = ("relpath", TARGET)
    extension = None

    output_dir: str = option(
        "", "folder of the new files", Text("DIR"), aliases=("--img-dir",), shown="", required=True
    )
    input_dir: str | None = option(
        None, "folder to mirror there", Text("DIR"), shown="by column relpath, or flat", none=True
    )
    overwrite: bool = option_field(False, _OverwriteOption("replace files made for the same table earlier"))

    def configure(self) -> None:
        """Check the folder, and set up the names in it."""
        refuse_address(self.output_dir)
        self._own: list[str] = []
        self._names: FileNames | None = None
        self._began = False
        self.output: Path | None = None  # the table that the files are of

    def config(self) -> dict[str, Any]:
        """All options but those that only say how to run."""
        return {
            name: value
            for name, value in super().config().items()
            if name not in ("overwrite", "threads", "workers")
        }

    def made_with(self) -> dict[str, Any]:
        """The options that change what is in the new files of a source."""
        return {name: value for name, value in self.config().items() if name not in _HOW_TO_RUN}

    def file_name(self, target: str) -> str:
        """The name of the new files of a target; ``*`` stands for a number."""
        return target

    def target_extension(self) -> str | None:
        """Extension of the new files; None for that of the source."""
        return self.extension

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose the paths of all new files from the whole table."""
        import polars as pl

        relpaths = table["relpath"].cast(pl.String).to_list() if "relpath" in table.columns else None
        paths = table["path"].cast(pl.String).to_list()
        targets = plan_targets(paths, relpaths, input_dir=self.input_dir, extension=self.target_extension())
        return self._with_targets(table, targets)

    def claim(self, table: pl.DataFrame, output: Path) -> pl.DataFrame:
        """Choose names that no other table has taken in the folder."""
        import polars as pl

        how = digest([self.name, self.made_with()])
        targets = table[TARGET].to_list()
        paths = table["path"].cast(pl.String).to_list()
        requests = [
            NameRequest(target, path, (how,)) if target and path else None
            for target, path in zip(targets, paths, strict=True)
        ]
        self.output = output
        self._names = FileNames(self.output_dir, output)
        chosen = self._names.choose(requests, lambda name, digits: self.file_name(with_digits(name, digits)))
        return self._with_targets(
            table,
            [
                with_digits(target, digits) if digits else target
                for target, digits in zip(targets, chosen, strict=True)
            ],
        )

    def _with_targets(self, table: pl.DataFrame, targets: list[str | None]) -> pl.DataFrame:
        import polars as pl

        self._own = [own for row in self.own_rows(table.height) if (own := targets[row])]
        return table.with_columns(pl.Series(TARGET, targets, dtype=pl.String))

    def write_under(self, folder: Path) -> None:
        """Make the new files there, where no other table has any."""
        self.output_dir, self.output, self._names = str(folder), None, None

    def setup(self) -> None:
        """Make sure that the output folder can be written, and take the names, before any file is read."""
        make_output_dir(self.output_dir)
        if self._names is not None:
            self._names.reserve()
        self._began = True
        self.remove_leftovers()

    def target_path(self, row: Row) -> Path:
        """The planned path of a row's new file; its folder is created.

        Raises:
            MediaError: See `tools.datasets.transforms.targets.target_path`.
        """
        return target_path(row.get(TARGET), row["path"], output_dir=self.output_dir, input_dir=self.input_dir)

    @contextmanager
    def new_file(self, path: Path, row: Row) -> Iterator[Path]:
        """A temporary file that becomes the new file; see `tools.stage.names.new_files.new_file`."""
        made = None if self.output is None else MadeFiles(self.output_dir, self.output)
        name = self.file_name(row[TARGET])
        with new_file(path, row["path"], overwrite=self.overwrite, made=made, name=name) as new:
            yield new

    @staticmethod
    def made(*paths: Path) -> dict[str, Any]:
        """The value of `MADE_FILES` for some new files."""
        return {MADE_FILES: [made_file(path) for path in paths]}

    def is_own(self, name: str, targets: set[str]) -> bool:
        """Whether a file of this name is one of the new files of some targets (names without folders)."""
        return name in targets

    def remove_leftovers(self) -> None:
        """Remove what killed workers left half-written, once the run has begun."""
        own: dict[str, set[str]] = {}
        for target in self._own if self._began else ():
            below, _, name = target.rpartition("/")
            own.setdefault(below, set()).add(name)
        for below, names in own.items():
            with suppress(MediaError):  # nothing was written there
                folder = safe_join(self.output_dir, f"{below}/file" if below else "file", "").parent
                remove_unfinished(folder, lambda name, names=names: self.is_own(name, names), patience=1)
