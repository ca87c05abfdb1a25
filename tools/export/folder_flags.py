"""Flags of the command for a folder that is there already: ``--check`` and ``--verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.cli import ArgumentParser, advanced

if TYPE_CHECKING:
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


def run_check(folder: str, chosen: Preset, setup: Setup, run: RunOptions) -> int:
    """Print what a trainer would do with a folder.

    Returns:
        The exit code: 1 if it would use nothing.
    """
    from tools.export.check import check_each
    from tools.export.check_text import check_text
    from tools.report.text_style import style_of

    found = check_each(Path(folder), chosen, setup, run)
    style = style_of(sys.stdout)
    print("\n\n".join(check_text(one, style) for one in found))
    return 0 if any(one.explanation.summary.used for one in found) else 1


def run_verify(folder: str, *, quick: bool = False) -> int:
    """Print whether an export is as its manifest says.

    Returns:
        The exit code: 1 if it is not.
    """
    from tools.export.check_text import verify_text
    from tools.export.verify import verify
    from tools.report.text_style import style_of

    report = verify(Path(folder), quick=quick)
    print(verify_text(report, style_of(sys.stdout)))
    return 0 if report.ok else 1
