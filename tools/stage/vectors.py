"""The file of vectors beside an output table: one row for each of its rows, NumPy or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tools.base.addresses import refuse_address
from tools.base.disk import cannot_write, refuse_special, writing
from tools.base.temporary_files import write_whole
from tools.errors import UserError
from tools.media.writing.output_files import move_finished, remove_unfinished, unfinished_file
from tools.stage.ledger import digest
from tools.stage.provenance import digest_file
from tools.stage.shards import Shard
from tools.stage.stage import VECTOR
from tools.table import PART_COLUMN, ROW_COLUMN

EXTENSIONS = (".npy", ".parquet")
"""What the name of a file of vectors may end in."""

_CHUNK = 4096  # rows held in memory at a time: 12 MB of 768 numbers


def check_vector_name(target: str | Path) -> None:
    """Check what the name of a file of vectors ends in.

    Raises:
        UserError: In none of `EXTENSIONS`.
    """
    if Path(target).suffix.lower() not in EXTENSIONS:
        raise UserError(f"{target}: vectors go to a file whose name ends in {' or '.join(EXTENSIONS)}")


class VectorFile:
    """The file of this rank's vectors; of several ranks each writes ``<stem>_part<rank>``.

    By a receipt beside the ledger, files that this run may replace are distinguished from others.

    Args:
        target: The file of the whole run.
        shard: This rank's share.
        state: Folder of the ledger.

    Attributes:
        path: The file of this rank.

    Raises:
        UserError: The name ends in none of `EXTENSIONS`, or is an address.
    """

    def __init__(self, target: str | Path, shard: Shard, state: Path) -> None:
        refuse_address(target)
        self._target, self._shard, self._state = Path(target), shard, state
        self._may_replace = False  # the file that existed when the run began
        check_vector_name(target)
        self.path = self._target if shard.alone else self._part(shard.rank)

    def check_existing(self, tables: Sequence[Path], *, overwrite: bool, read_only: bool = False) -> None:
        """Remove parts that an earlier run with more ranks left, and check that no other file is replaced.

        Args:
            tables: Files that it must not be: the input and the output.
            overwrite: Whether a file of another command may be replaced.
            read_only: Remove nothing.

        Raises:
            UserError: Another file or a folder has its name.
        """
        for table in tables:
            if self.path.absolute() == table.absolute() or (
                self.path.exists() and table.exists() and self.path.samefile(table)
            ):
                raise UserError(f"{self.path}: is a table of this run; choose another file for the vectors")
        if self.path.is_dir():
            raise UserError(f"{self.path}: is a folder; choose another file for the vectors")
        refuse_special(self.path)
        if self.path.exists() and not overwrite and not self._is_ours(self.path):
            raise UserError(
                f"{self.path}: is in the way, it was not made by this command; --overwrite replaces it"
            )
        self._may_replace = overwrite and self.path.exists()
        ranks = 0 if self._shard.alone else self._shard.world
        for path in self._target.parent.glob(f"*{self._target.suffix}"):
            rank = self._rank(path)
            if rank is not None and rank >= ranks and not read_only and self._is_ours(path):
                with writing(path):
                    path.unlink(missing_ok=True)

    def write(
        self, numbers: Sequence[int], paths: Sequence[str], vector: Callable[[int], np.ndarray | None]
    ) -> Path:
        """Write the file, whole or not at all.

        Args:
            numbers: Row of the input table that each row of the output is.
            paths: The file of each row.
            vector: Returns the vector of the i-th row; None for a row that has none.

        Returns:
            The path written.

        Raises:
            UserError: It cannot be written, or another run has written a file of this name meanwhile.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            remove_unfinished(self.path.parent, self._has_name)
            with unfinished_file(self.path) as part:
                if self.path.suffix.lower() == ".npy":
                    _write_npy(part, len(numbers), vector)
                else:
                    self._write_parquet(part, numbers, paths, vector)
                exists = self.path.exists()
                if exists and not (self._may_replace or self._is_ours(self.path)):
                    raise FileExistsError
                known = [digest_file(part)] + ([digest_file(self.path)] if exists else [])
                write_whole(self._receipt(self.path), json.dumps(known).encode(), "the vectors")
                move_finished(part, self.path, replace=exists)
        except FileExistsError:  # of another run at the same time
            raise UserError(f"{self.path}: another command has just made it; choose another file") from None
        except OSError as error:
            raise cannot_write(self.path, error, "the vectors") from None
        return self.path

    def _write_parquet(
        self,
        path: Path,
        numbers: Sequence[int],
        paths: Sequence[str],
        vector: Callable[[int], np.ndarray | None],
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fields = [("path", pa.string()), (VECTOR, pa.list_(pa.float32()))]
        if not self._shard.alone:
            fields += [(ROW_COLUMN, pa.int64()), (PART_COLUMN, pa.string())]
        schema = pa.schema(fields)
        with pq.ParquetWriter(path, schema) as writer:
            for rows in _chunks(len(numbers)):
                columns = [[paths[i] for i in rows], [vector(i) for i in rows]]
                if not self._shard.alone:
                    columns += [[numbers[i] for i in rows], [self._shard.label] * len(rows)]
                arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

    def _is_ours(self, path: Path) -> bool:
        try:
            known = json.loads(self._receipt(path).read_text())
        except (OSError, ValueError):
            return False
        return digest_file(path) in known

    def _part(self, rank: int) -> Path:
        return self._target.with_name(f"{self._target.stem}_part{rank}{self._target.suffix}")

    def _rank(self, path: Path) -> int | None:
        """The rank whose part a file is by its name."""
        rank = path.stem.removeprefix(f"{self._target.stem}_part")
        return int(rank) if rank.isdecimal() and path == self._part(int(rank)) else None

    def _has_name(self, name: str) -> bool:
        """Whether a file is called as one of the vectors, of any rank."""
        return name == self._target.name or self._rank(self._target.with_name(name)) is not None

    def _receipt(self, path: Path) -> Path:
        return self._state / f"vectors-{digest(str(path.absolute()))}.json"


def _write_npy(path: Path, rows: int, vector: Callable[[int], np.ndarray | None]) -> None:
    """float32, shape (rows, D); NaN in rows that have no vector."""
    first = next((found for i in range(rows) if (found := vector(i)) is not None), np.empty(0))
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, len(first))}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in _chunks(rows):
            block = np.full((len(chunk), len(first)), np.nan, "<f4")
            for row, i in enumerate(chunk):
                if (found := vector(i)) is not None:
                    block[row] = found
            file.write(block.tobytes())


def _chunks(rows: int) -> Iterator[range]:
    for start in range(0, rows, _CHUNK):
        yield range(start, min(start + _CHUNK, rows))
