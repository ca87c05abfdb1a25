"""Clips of earlier cuts that no table lists any more: found by their provenance, and removed on request."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from tools.errors import UserError
from tools.media.writing.provenance import read_provenance
from tools.scene_cut.clips.names import TABLES, clip_source
from tools.stage.names.folder_tables import listed_tables, parts_of
from tools.stage.names.owners import FileNames
from tools.stage.shards import Shard
from tools.table import read_table


@dataclasses.dataclass(frozen=True)
class PrunableClips:
    """Clips in a folder that a table does not list.

    Attributes:
        unlisted: Clips that were cut by this tool and that no table lists.
        others: For each other existing table, how many clips it lists; they are kept.
    """

    unlisted: list[Path]
    others: dict[Path, int]


def find_prunable(
    save_dir: str | Path,
    output: Path,
    *,
    shard: Shard,
    stems: Mapping[tuple[Path, str], bool],
    names: FileNames,
) -> PrunableClips:
    """Find the clips in a folder that the table of a finished cut does not list.

    A file is one of them when its name is that of a clip and its comment has the provenance of a cut. What
    other existing tables list that were cut into the same folder belongs to them, and so do the names that
    they have claimed for a cut that is not finished.

    Args:
        save_dir: The folder.
        output: The table that was written, without a rank's part.
        shard: This rank: each finds those of its own sources, the first one also those of sources that are
            not in the table any more.
        stems: For the folder and stem of the clips of every row of the table, whether the row is this rank's.
        names: The names that the table has in the folder.

    Raises:
        UserError: Another table cannot be read, so that it is not known which clips it lists.
    """
    root = Path(save_dir).resolve()
    named = _named(shard.output(output), root)
    found = []
    for file in sorted(root.rglob("*_scene-*")):
        stem = clip_source(file.name)
        if file.suffix not in (".mp4", ".mkv") or not stem or file in named or file.is_symlink():
            continue
        own = stems.get((file.parent, stem), shard.rank == 0)
        if own and read_provenance(file) is not None:
            found.append(file)
    others: dict[Path, int] = {}
    for table in listed_tables(root / TABLES) - {output.parent.resolve() / output.name}:
        for part in parts_of(table):
            theirs = _named(part, root) & set(found)
            if theirs:
                others[table] = others.get(table, 0) + len(theirs)
                found = [file for file in found if file not in theirs]
    taken = names.of_others()
    found = [f for f in found if str(f.relative_to(root).with_name(clip_source(f.name))) not in taken]
    return PrunableClips(found, others)


def _named(table: Path, root: Path) -> set[Path]:
    """The clips that a table lists, by their paths and by their paths below the folder."""
    try:
        frame = read_table(table)
    except UserError as error:
        raise UserError(f"{error} (it lists clips, so none are pruned)") from None
    named: set[Path] = set()
    if "path" in frame.columns:
        named |= {Path(path).resolve() for path in frame["path"].to_list() if path}
    if "relpath" in frame.columns:  # a relative path depends on the folder in which it was written
        named |= {root / str(path) for path in frame["relpath"].to_list() if path}
    return named
