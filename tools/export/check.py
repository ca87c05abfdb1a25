"""What a trainer would do with an existing folder, of this toolkit or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError, UserError
from tools.export.explain import Explanation, explain
from tools.export.folder_files import FolderFiles
from tools.export.found_captions import Found, found_captions
from tools.export.layouts.base import join
from tools.export.manifest import read_manifest
from tools.export.presets import SHARDED, Preset, layout_of
from tools.export.trainers.base import Setup
from tools.export.trainers.judgement import Clip

if TYPE_CHECKING:
    from tools.stage.run_options import RunOptions


@dataclass(frozen=True)
class Checked:
    """A folder as a trainer sees it.

    Attributes:
        folder: The path or address of the folder that the trainer is given.
        preset: What it would be trained with.
        setup: How.
        explanation: What becomes of each file.
        missing: Files that a list of the folder names and that are not there.
        unlisted: Clips in the folder that the trainer's list does not name.
        ignored: Videos in the folder that the trainer does not open: in another folder, of another kind.
        failures: File → why it could not be read.
    """

    folder: Path | str
    preset: Preset
    setup: Setup
    explanation: Explanation
    missing: list[str]
    unlisted: list[str]
    ignored: list[str]
    failures: Mapping[str, str]


def check(
    folder: Path | FolderFiles,
    preset: Preset,
    setup: Setup | None = None,
    run: RunOptions | None = None,
    trained_at: str = "",
) -> Checked:
    """Judge every file of a folder by the trainer's own arithmetic.

    Args:
        folder: The folder that the trainer is given. Where it finds nothing there, but in one of the folders
            in it, that one is judged.
        preset: The trainer, and its model.
        setup: How one trains; as usual for the model by default.
        run: Workers that read the files.
        trained_at: Where the folder lies for training, if not here.

    Raises:
        UserError: There is no such folder, nothing in it that the trainer reads, or the trainer reads shards.
    """
    from tools.media.reading.extensions import is_video

    trainer = preset.trainer
    if trainer.name in SHARDED:
        raise UserError(
            f"--check: {trainer.name} keeps clips inside of shards, which are read on this machine alone: "
            "download the folder; in Python tools.export.check_shards does it"
        )
    files = FolderFiles.of(folder)
    if not files.exists():
        raise UserError(f"--check {files.shown}: there is no such folder")
    names = list(files.names())
    media = trainer.reads(names)
    if not media:
        below = _where(files.shown, names, preset)
        return check(files.below(below), preset, setup, run, trained_at and join(trained_at, below))
    found = found_captions(files.texts, trainer, media, trained_at)
    clips, failures = _probed(files, found, run)
    setup = setup or trainer.setup(preset.model)
    opened = set(media)
    ignored = [name for name in names if name not in opened and is_video(name)]
    explanation = explain(clips, trainer, setup)
    return Checked(files.shown, preset, setup, explanation, found.missing, found.unlisted, ignored, failures)


def check_each(
    folder: Path | FolderFiles,
    preset: Preset,
    setup: Setup | None = None,
    run: RunOptions | None = None,
    trained_at: str = "",
) -> list[Checked]:
    """As `check`; of an export with splits each split, as each is a data set of its own."""
    files = FolderFiles.of(folder)
    splits: list[str] = []
    if preset.trainer.name not in SHARDED:
        splits = [split for split in _manifest(files.texts).get("splits") or {} if split]
    roots = list(dict.fromkeys(layout_of(preset.trainer.name).root(split) for split in splits))
    if not roots or not all(files.below(root).exists() for root in roots):  # made for another trainer
        roots = [""]
    return [
        check(files.below(root), preset, setup, run, trained_at and join(trained_at, root)) for root in roots
    ]


def exported_setup(folder: Path | FolderFiles, preset: Preset, setup: Setup) -> Setup:
    """The setup with the numbers of frames that a folder was exported with, if it was for this preset.

    Args:
        folder: The exported folder, or one in it that the trainer is given, such as ``train/clips``.
        preset: What it would be trained with.
        setup: How, but for the numbers of frames.
    """
    files = FolderFiles.of(folder)
    texts = files.texts.absolute()
    for one in (texts, *texts.parents[:2]) if files.whole else (texts,):
        manifest = _manifest(one)
        made = manifest.get("setup") or {}
        if manifest.get("preset") == preset.name and made.get("frames"):
            frames = tuple(map(int, made["frames"]))
            return replace(setup, frames=frames, by_length=bool(made.get("by_length")))
    return setup


def _manifest(folder: Path) -> dict[str, Any]:
    """What the manifest of an export says; nothing where there is none, or a file of others of its name."""
    try:
        return read_manifest(folder)
    except UserError:
        return {}


def _where(folder: Path | str, names: list[str], preset: Preset) -> str:
    """The one folder in a folder that the trainer finds clips in.

    Raises:
        UserError: There is none, or several.
    """
    trainer = preset.trainer
    parents = dict.fromkeys(
        str(parent) for name in names for parent in list(PurePosixPath(name).parents)[:-1]
    )
    inner: dict[str, list[str]] = {parent: [] for parent in parents}
    for name in names:
        for parent in list(PurePosixPath(name).parents)[:-1]:
            inner[str(parent)].append(name[len(str(parent)) + 1 :])
    found = [parent for parent in inner if trainer.reads(inner[parent])]
    found = [one for one in found if not any(one.startswith(f"{other}/") for other in found)]
    if len(found) == 1:
        return found[0]
    there = (
        f"there are such files in {', '.join(sorted(found)[:5])}: check one of these"
        if found
        else "there is none"
    )
    raise UserError(f"{folder}: {trainer.name} reads {trainer.layout.replace('`', '')}; {there}")


def _probed(folder: FolderFiles, found: Found, run: RunOptions | None) -> tuple[list[Clip], dict[str, str]]:
    from tools.datasets.probe_stage import ProbeStage
    from tools.stage.remote_files import fetch_options
    from tools.stage.run_options import RunOptions
    from tools.stage.session import map_rows

    files = list(found.captions)
    rows: list[dict[str, Any]] = [{"path": folder.path(file)} for file in files]
    fetch = fetch_options(run or RunOptions(), [row["path"] for row in rows])
    outcomes = map_rows(ProbeStage(as_video=True), rows, run, label="check", fetch=fetch)
    clips, failures = [], {}
    for file, outcome in zip(files, outcomes, strict=True):
        caption = found.captions[file]
        if isinstance(outcome, MediaError):
            failures[file] = f"{outcome.kind}: {outcome.message}"
            clips.append(Clip(file, 0, 0, 0, float("nan"), caption))
            continue
        fps = outcome["fps"]
        size = (outcome["width"], outcome["height"], outcome["num_frames"])
        clips.append(
            Clip(file, *size, float("nan") if fps is None else fps, caption, bool(outcome["has_audio"]))
        )
    return clips, failures
