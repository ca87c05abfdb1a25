"""What earlier runs of a pipeline have made from what: one file beside its tables, and one run at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.base.disk import make_folder, remove_quietly, writing
from tools.base.locks import is_locked, take
from tools.base.temporary_files import write_whole
from tools.errors import UserError
from tools.stage.failures import own_list, write_failures
from tools.stage.provenance import digest_file
from tools.stage.shards import STATE_FOLDER
from tools.table import failures_path
from tools.table.sidecar import remove_sidecar

_PATIENCE = 60.0  # seconds in which what a killed run has started ends


@dataclass
class Record:
    """What is known of a step from its last run.

    Attributes:
        key: What its outputs were made from, see `tools.pipeline.freshness`; empty when they are stale.
        outputs: What it wrote and the digest of each; of a folder the digest is empty.
        weights: Whether models took part, so that their files count.
        begun: What it was about to write when it was started, if it has not ended since.
        numbers: Rows, hours, seconds and failures, see `tools.pipeline.lines.Numbers`.
    """

    key: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    weights: bool = False
    begun: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


class State:
    """The records of all steps of a pipeline, on disk.

    Args:
        folder: Folder of its tables.
        name: Name of its file, without the extension.

    Attributes:
        records: By the names of steps.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._file = folder / STATE_FOLDER / f"{name}.pipeline.json"
        self.records: dict[str, Record] = {}
        self._read()

    def _read(self) -> None:
        try:
            steps = json.loads(self._file.read_bytes())["steps"]
            self.records = {step: Record(**record) for step, record in steps.items()}
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise UserError(f"{self._file}: cannot be read ({error}); move it away") from None

    def of(self, step: str) -> Record:
        """The record of a step; an empty one if it was never run."""
        return self.records.setdefault(step, Record())

    def save(self) -> None:
        """Write it down, as a whole or not at all."""
        steps = {name: asdict(record) for name, record in self.records.items()}
        write_whole(self._file, json.dumps({"steps": steps}, indent=1).encode(), "the state of the pipeline")

    def named(self, path: Path) -> str:
        """What an output is called in the records: its path from the folder, which may be moved."""
        return os.path.relpath(path, self._folder)

    def check_owner(self, step: str, path: Path, *, overwrite: bool) -> None:
        """Make sure that an output may be written: nothing is there, or what this pipeline has written.

        Raises:
            UserError: Another file has its name.
        """
        record = self.of(step)
        if record.begun == self.named(path) or overwrite or not path.exists() or path.is_dir():
            return
        known = record.outputs.get(self.named(path))
        if known is None:
            why = "this pipeline has not written it"
        elif known != digest_file(path):
            why = "it was changed since this pipeline wrote it"
        else:
            return
        raise UserError(f"{path}: is in the way, {why}; move it away, or --overwrite replaces it")

    def has_outputs(self, step: str, path: Path) -> bool:
        """Whether an output is as it was written."""
        known = self.of(step).outputs.get(self.named(path))
        if known is None:
            return False
        return path.is_dir() if not known else path.is_file() and digest_file(path) == known

    def prune(self, step: str, keep: Iterable[Path] = ()) -> list[Path]:
        """Remove the outputs of a step, with what is beside them; those of others, or changed since, stay.

        Beside a table are its failures file and its sidecar.

        Finished rows are kept: they are in the ledger.

        Args:
            step: Whose.
            keep: Outputs that stay.

        Returns:
            What was removed.
        """
        record = self.of(step)
        kept = {self.named(path) for path in keep}
        removed = []
        for name, digest in record.outputs.items():
            path = self._folder / name
            if name in kept or not digest or not path.is_file() or digest_file(path) != digest:
                continue
            remove_sidecar(path)
            with writing(path):
                path.unlink(missing_ok=True)
            if own_list(failures_path(path)) is not None:
                write_failures([], failures_path(path))
            removed.append(path)
        record.outputs = {name: digest for name, digest in record.outputs.items() if name in kept}
        return removed

    def is_locked(self) -> bool:
        """Whether a run of this pipeline, or something that it has started, is at work."""
        return is_locked(self._lock_file) is True

    @property
    def _lock_file(self) -> Path:
        return self._file.with_suffix(".lock")

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep other runs of this pipeline away; yields a file to be inherited by what is started.

        Raises:
            UserError: Another run is at work, or something that a killed run has started.
        """
        make_folder(self._file.parent)
        with writing(self._lock_file):
            handle = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not take(handle, _PATIENCE):
                raise UserError(f"{self._file}: the same pipeline is running already")
            self._read()  # what another run has written meanwhile
            for stray in self._file.parent.glob(f".{self._file.name}.*tmp"):
                remove_quietly(stray)
            yield handle
        finally:
            os.close(handle)
