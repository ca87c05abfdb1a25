"""Making the files of an export on this machine, from which each goes to object storage at once."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError
from tools.export.manifest import MANIFEST
from tools.export.stage import ExportStage
from tools.stage.stage import FAILURES, MADE_FILES

if TYPE_CHECKING:
    import polars as pl

    from tools.export.remote.uploads import Uploads

AT_ONCE = 8
"""Rows whose files are uploaded at once; a few batches of them wait at most."""


@dataclasses.dataclass
class UploadingStage(ExportStage):
    """As `ExportStage`; each file goes to a folder in object storage when it is made, and is removed here.

    Attributes:
        address: Of the folder. `output_dir` is one of this machine that nobody else uses, for the files on
            their way.
    """

    address: str = ""

    def upload_to(self, uploads: Uploads, mine: Callable[[str], bool]) -> None:
        """Say where to, before the run.

        Args:
            uploads: What is there already must have been read.
            mine: Whether no other rank writes an object.
        """
        self._uploads = uploads
        self._mine = mine

    def config(self) -> dict[str, Any]:
        """The options of `ExportStage`, with the address in place of the folder on this machine."""
        config = super().config()
        config["output_dir"] = config.pop("address")
        return config

    def claim(self, table: pl.DataFrame, output: Path) -> pl.DataFrame:
        """Take the planned names: which of the objects are somebody else's is seen when they are written."""
        del output
        return table

    def outputs_exist(self, values: dict[str, Any]) -> bool:
        """Whether the objects of a finished row are still there, as they were written."""
        made = values.get(MADE_FILES)
        return made is not None and all(self._uploads.has(*entry) for entry in made)

    def setup(self) -> None:
        """Make sure that the encoder works, and end what a killed run has left half-uploaded.

        The manifest of an earlier export goes: it must not say that this one, if it is killed, is finished.
        """
        super().setup()
        if self._mine(MANIFEST):
            self._uploads.remove({MANIFEST} & self._uploads.objects.keys())
        self._uploads.end_open_uploads(self._mine)

    def remove_leftovers(self) -> None:
        """Remove the folder on this machine, before the run and after it: what is left there is made again.

        Not where the run has not begun, as another one is at work.
        """
        if self._began:
            shutil.rmtree(self.output_dir, ignore_errors=True)

    def score(self, batch: list[Any]) -> list[dict[str, Any] | MediaError]:
        """Upload the files of rows, several at a time."""
        return self._uploads.each(self._upload, batch)

    def _upload(self, values: dict[str, Any]) -> dict[str, Any] | MediaError:
        rows, made, errors = [], [], []
        for row in values["rows"]:
            name, file = row["relpath"], Path(row["path"])
            try:
                written = self._uploads.put(file, name, replace=self.overwrite)
            except MediaError as error:  # of one file; the others may go
                errors.append(error)
            else:
                rows.append({**row, "path": self._uploads.folder / name})
                made.append([name, written.size, written.version])
            file.unlink(missing_ok=True)
        if errors and not rows:
            return MediaError(errors[0].kind, values["rows"][0]["source"], errors[0].message)
        failures = [*values[FAILURES], *([error.kind, error.message] for error in errors)]
        return {"rows": rows, FAILURES: failures, MADE_FILES: made}
