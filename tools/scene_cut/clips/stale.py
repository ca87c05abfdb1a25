"""Clips of earlier cuts that no table names any more: found by their mark, and removed on request."""

from __future__ import annotations

import dataclasses
import glob
from pathlib import Path

from tools.errors import UserError
from tools.scene_cut.clips.marks import read_mark
from tools.stage.shards import Shard
from tools.table import read_table, table_extension, table_stem
from tools.table.names import split_part

TABLES = ".cut_tables"
"""File in a folder of clips that lists the tables which name them."""


@dataclasses.dataclass(frozen=True)
class Stale:
    """Clips in a folder that a table does not name.

    Attributes:
        unnamed: Clips that were cut by this tool and that no table names.
        others: For each other table that is still there, how many clips it names; they stay.
    """

    unnamed: list[Path]
    others: dict[Path, int]


def find_stale(
    save_dir: str | Path,
    output: Path,
    *,
    shard: Shard,
    stems: dict[tuple[Path, str], bool],
) -> Stale:
    """Find the clips in a folder that the table of a finished cut does not name.

    A file is one of them when its name is that of a clip and its comment has the mark of a cut. What other
    tables name that were cut into the same folder, and are still there, belongs to them.

    Args:
        save_dir: The folder.
        output: The table that was written, without a rank's part.
        shard: This rank: each finds those of its own sources, the first one also those of sources that are
            not in the table any more.
        stems: For the folder and stem of the clips of every row of the table, whether the row is this rank's.

    Raises:
        UserError: Another table cannot be read, so that nobody knows which clips it names.
    """
    root = Path(save_dir).resolve()
    named = _named(shard.output(output))
    found = []
    for file in sorted(root.rglob("*_scene-*")):
        stem, _, scene = file.stem.rpartition("_scene-")
        if file.suffix not in (".mp4", ".mkv") or not scene.isdecimal() or file in named or file.is_symlink():
            continue
        own = stems.get((file.parent, stem), shard.rank == 0)
        if own and read_mark(file) is not None:
            found.append(file)
    others: dict[Path, int] = {}
    for table in _tables(root) - {output.resolve()}:
        for part in _parts(table):
            theirs = _named(part) & set(found)
            if theirs:
                others[table] = others.get(table, 0) + len(theirs)
                found = [file for file in found if file not in theirs]
    return Stale(found, others)


def remember_table(save_dir: str | Path, output: Path) -> None:
    """Note that a table names clips in a folder."""
    listed, line = Path(save_dir, TABLES), str(output.resolve())
    if output.resolve() not in _tables(Path(save_dir)):
        with listed.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{line}\n")


def _tables(folder: Path) -> set[Path]:
    try:
        lines = Path(folder, TABLES).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return set()
    return {Path(line) for line in lines if line}


def _parts(table: Path) -> list[Path]:
    """A table, or the parts of it that ranks have written."""
    if table.is_file():
        return [table]
    pattern = f"{glob.escape(table_stem(table))}_part*{table_extension(table)}"
    return [part for part in table.parent.glob(pattern) if split_part(part) is not None]


def _named(table: Path) -> set[Path]:
    try:
        frame = read_table(table)
    except UserError as error:
        raise UserError(f"{error} (it lists clips, so none are pruned)") from None
    if "path" not in frame.columns:
        return set()
    return {Path(path).resolve() for path in frame["path"].to_list() if path}
