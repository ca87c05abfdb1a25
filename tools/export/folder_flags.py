"""Flags of the command for an existing folder: ``--check`` and ``--verify``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.base.addresses import is_address
from tools.cli import ArgumentParser, advanced
from tools.errors import UserError

if TYPE_CHECKING:
    from tools.export.folder_files import FolderFiles
    from tools.export.presets import Preset
    from tools.export.trainers.base import Setup
    from tools.stage.run_options import RunOptions


def add_folder_flags(parser: ArgumentParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("a folder that is there")
    group.add_argument(
        "--check", metavar="DIR", help="say what the trainer would do with a folder that anybody made"
    )
    group.add_argument("--verify", metavar="DIR", help="compare an exported folder with its dataset.json")
    advanced(
        group.add_argument("--quick", action="store_true", help="with --verify: sizes alone, not contents")
    )


def run_check(
    folder: str,
    chosen: Preset,
    setup: Setup,
    run: RunOptions,
    *,
    as_exported: bool = False,
    trained_at: str = "",
) -> int:
    """Print what a trainer would do with a folder.

    Args:
        folder: Its path or address.
        chosen: The preset.
        setup: How one trains.
        run: Workers that read the files.
        as_exported: Take the numbers of frames that the folder was exported with.
        trained_at: Where the folder lies for training, if not here.

    Returns:
        The exit code: 1 if it would use nothing.
    """
    if chosen.trainer.layout_class.sharded and not is_address(folder):
        return _check_shards(Path(folder), chosen.trainer.name)
    from tools.export.check import check_each, exported_setup
    from tools.export.check_text import check_text
    from tools.report.text_style import style_of

    with _files(folder) as files:
        setup = exported_setup(files, chosen, setup) if as_exported else setup
        found = check_each(files, chosen, setup, run, trained_at)
    style = style_of(sys.stdout)
    print("\n\n".join(check_text(one, style) for one in found))
    return 0 if any(one.explanation.summary.used for one in found) else 1


def _check_shards(folder: Path, trainer: str) -> int:
    from tools.export.check_shards import check_shards
    from tools.export.check_text import shards_text
    from tools.report.text_style import style_of

    if not folder.is_dir():
        raise UserError(f"--check {folder}: there is no such folder")
    found = check_shards(folder, trainer)
    style = style_of(sys.stdout)
    print("\n\n".join(shards_text(one, trainer, style) for one in found))
    return 0 if any(one.used for one in found) else 1


def run_verify(folder: str, *, quick: bool = False) -> int:
    """Print whether an export is as its manifest says.

    Returns:
        The exit code: 1 if it is not.
    """
    from tools.export.check_text import verify_text
    from tools.export.verify import verify
    from tools.report.text_style import style_of

    with _files(folder, inside=not quick) as files:
        report = verify(files, quick=quick)
    print(verify_text(report, style_of(sys.stdout)))
    return 0 if report.ok else 1


@contextmanager
def _files(folder: str, *, inside: bool = False) -> Iterator[FolderFiles]:
    """The files at a path or an address."""
    if is_address(folder):
        from tools.export.remote.files import files_at

        with files_at(folder, inside=inside) as files:
            yield files
    else:
        from tools.export.folder_files import FolderFiles

        yield FolderFiles(Path(folder))
