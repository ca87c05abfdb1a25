"""A list of addresses or paths: one in each line, with comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.base.disk import system_message
from tools.datasets.sources import Found, SourceOptions
from tools.datasets.sources.places import Places, fault_of
from tools.datasets.sources.records import RowTable, file_id
from tools.errors import UserError
from tools.table.opening import Lines


def read(places: Sequence[str], options: SourceOptions) -> Found:
    """Read a list of addresses and paths, perhaps compressed.

    Blank lines, and lines whose first character is ``#``, are passed over (elsewhere ``#`` belongs to an
    address). What is listed twice is one row. Relative paths begin in the folder of the list, or in
    ``options.base``.

    Returns:
        Columns path, id and relpath, in the order of the list.

    Raises:
        UserError: There is no such file, a line is no address and no path (with its number), or nothing is
            listed.
    """
    source = Path(places[0])
    where = Places(source.parent if options.base is None else options.base)
    rows = RowTable(("path", "id", "relpath"))
    seen: set[str] = set()
    repeated = 0
    try:
        with Lines(source) as lines:
            for line in lines:
                lines.clear()
                place = line.strip()
                if not place or place.startswith("#"):
                    continue
                if fault := fault_of(place):
                    raise lines.refused(lines.number, f"{place[:100]!r} {fault}")
                cells = where.cells(place)
                if cells["path"] in seen:
                    repeated += 1
                    continue
                seen.add(str(cells["path"]))
                rows.add({"id": file_id(place), **cells})
    except (OSError, EOFError) as error:
        raise UserError(f"{source}: cannot read the list: {system_message(error)}") from None
    if not seen:
        raise UserError(f"{source}: lists no address and no path")
    notes = where.notes()
    if repeated:
        notes.append(f"{repeated} lines repeat another one and are left out")
    return Found(rows.table(), notes=notes, inputs=[source], noun="row")
