"""Reading an export back: whether everything that its manifest says is there, and as it was."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tools.errors import UserError
from tools.export.folder_files import FolderFiles
from tools.export.found_captions import found_captions
from tools.export.inside import Unreadable, samples
from tools.export.layouts.base import join
from tools.export.layouts.shard_folder import SHARDS
from tools.export.manifest import CLIPS, FILES, hours, read_list, read_manifest
from tools.export.presets import SHARDED, layout_of, preset
from tools.export.trainers.base import Trainer
from tools.stage.provenance import digest_file

EXAMPLES = 5
"""Files that a kind of fault keeps."""

_AT_ONCE = 4  # files that are read


@dataclass
class Fault:
    """What is wrong, for one kind of fault.

    Attributes:
        count: How many files.
        examples: The first few.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Counts one file."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(text)


@dataclass
class Report:
    """What was found.

    Attributes:
        folder: The path or address of the folder.
        manifest: Its manifest.
        files: Files that were compared.
        bytes: Of those that are there.
        clips: Clips that the list of clips has.
        hours: Of them.
        faults: Kind of fault → files: missing, changed, extra clips, captions, counts.
        notes: What is no fault: files of others beside those of the export, such as a trainer's cache.
    """

    folder: Path | str
    manifest: dict[str, Any]
    files: int = 0
    bytes: int = 0
    clips: int = 0
    hours: float = 0.0
    faults: dict[str, Fault] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def add(self, kind: str, text: str) -> None:
        """Counts one file."""
        self.faults.setdefault(kind, Fault()).add(text)


def verify(folder: Path | FolderFiles, *, quick: bool = False) -> Report:
    """Compare a folder with its manifest.

    Args:
        folder: The exported folder.
        quick: Compare sizes alone, and not what is in the files.

    Raises:
        UserError: There is no manifest, or it is damaged.
    """
    files = FolderFiles.of(folder)
    folder = files.texts
    report = Report(files.shown, read_manifest(folder))
    trainer = preset(str(report.manifest["preset"])).trainer
    splits = report.manifest.get("splits") or {"": {}}
    sharded = trainer.name in SHARDED
    clips = list(read_list(folder / CLIPS)) if (folder / CLIPS).exists() else []
    known = _files(files, report, quick, {clip["file"] for clip in clips} if sharded else set())
    if CLIPS not in known:
        clips = []
    roots = {split: split if sharded else layout_of(trainer.name).root(split) for split in splits}
    _extra(files, report, known, trainer, roots.values())
    _counts(report, clips)
    if sharded and not files.whole:
        report.notes.append("what is inside of the shards was not read")
        return report
    if sharded:
        for split in roots:
            _inside(folder, report, trainer.name, split, clips)
        return report
    for clip in clips:
        if clip["file"] not in known:
            report.add("missing", f"{clip['file']} is a clip without a file")
    there = [clip for clip in clips if files.size(clip["file"]) is not None]
    _captions(folder, report, trainer, roots, there)
    return report


def _files(files: FolderFiles, report: Report, quick: bool, packed: Collection[str]) -> set[str]:
    """Compares every file of the list; returns their names. Those that are packed in shards may be gone."""
    listed = report.manifest.get("files") or {}
    if digest_file(files.texts / FILES) != listed.get("sha256"):
        report.add("changed", FILES)

    def state(entry: dict[str, Any]) -> tuple[str, int, str]:
        name = entry["file"]
        size = files.size(name)
        if size is None:
            return name, 0, "missing"
        same = size == entry.get("bytes") and (quick or files.digest(name) == entry.get("sha256"))
        return name, size, "" if same else "changed"

    known: set[str] = set()
    gone = 0
    for name, size, fault in _threaded(state, read_list(files.texts / FILES)):
        known.add(name)
        report.bytes += size
        if fault == "missing" and name in packed:
            gone += 1
        elif fault:
            report.add(fault, name)
    if gone:
        report.notes.append(f"{gone} clips are in the shards alone, no longer beside them")
    report.files = len(known)
    if report.files != listed.get("count"):
        report.add("counts", f"{report.files} files are listed, {listed.get('count')} in {FILES}'s summary")
    return known


def _threaded(work: Any, entries: Iterator[dict[str, Any]]) -> Iterator[tuple[str, int, str]]:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        while some := list(islice(entries, 64 * _AT_ONCE)):
            yield from threads.map(work, some)


def _extra(
    files: FolderFiles, report: Report, known: set[str], trainer: Trainer, roots: Iterable[str]
) -> None:
    """Files that the export has not written: clips that the trainer would read, and others."""
    others = 0
    for name in files.names():
        if name in known:
            continue
        inner = [
            name[len(root) + 1 if root else 0 :] for root in roots if not root or name.startswith(f"{root}/")
        ]
        if _is_read(trainer, inner):
            report.add("extra clips", name)
        else:
            others += 1
    if others:
        are = "file is" if others == 1 else "files are"
        report.notes.append(f"{others} other {are} in the folder that the export has not written")


def _is_read(trainer: Trainer, files: list[str]) -> bool:
    """Whether a trainer would read a file; of formats with shards those that a pattern finds."""
    if trainer.name in SHARDED:
        return trainer.name == "webdataset" and any(
            re.fullmatch(r"shards/[^/]+\.tar", name) for name in files
        )
    return bool(trainer.reads(files))


def _counts(report: Report, clips: list[dict[str, Any]]) -> None:
    manifest = report.manifest
    splits: dict[str, list[float]] = {}
    for clip in clips:
        splits.setdefault(clip.get("split") or "", []).append(clip["num_frames"] / clip["fps"])
    report.clips = len(clips)
    report.hours = hours(sum(sum(seconds) for seconds in splits.values()))
    found = {"count": report.clips, "hours": report.hours}
    for name in ("count", "hours"):
        if abs(found[name] - manifest.get(name, -1)) > 2e-5:
            report.add("counts", f"{name} is {found[name]}, {manifest.get(name)} in the manifest")
    told = {name: one.get("clips") for name, one in (manifest.get("splits") or {}).items()}
    there = {name: len(seconds) for name, seconds in splits.items()}
    if told != there:
        report.add("counts", f"clips of splits are {there}, {told} in the manifest")


def _captions(
    folder: Path, report: Report, trainer: Trainer, roots: Mapping[str, str], clips: list[dict[str, Any]]
) -> None:
    trained_at = (report.manifest.get("options") or {}).get("root")
    for root in dict.fromkeys(roots.values()):
        files = [clip["file"] for clip in clips if roots.get(clip.get("split") or "") == root]
        inner = [file[len(root) + 1 :] if root else file for file in files]
        try:
            place = join(trained_at, root) if trained_at else ""
            found = found_captions(folder / root, trainer, inner, place)
        except UserError as error:
            report.add("captions", str(error))
            continue
        for file, below in zip(files, inner, strict=True):
            _caption(report, file, found.captions.get(below))
        for name in found.missing:
            report.add("missing", f"{name} is in the list of clips of {trainer.name}")


def _caption(report: Report, name: str, caption: str | None) -> None:
    if not (caption or "").strip():
        if not (report.manifest.get("options") or {}).get("allow_empty_captions"):
            report.add("captions", f"{name}: {'no caption' if caption is None else 'an empty caption'}")
    elif len((caption or "").splitlines()) > 1:
        report.add("captions", f"{name}: a caption of several lines")


def _inside(folder: Path, report: Report, trainer: str, split: str, clips: Iterable[dict[str, Any]]) -> None:
    """Samples of the shards of a split: each clip once, with a video and a caption."""
    keys = {clip["key"] for clip in clips if (clip.get("split") or "") == split}
    found: set[str] = set()
    begin = f"{split}/" if split else ""
    try:
        for sample in samples(trainer, folder / split / SHARDS, f"{begin}{SHARDS}"):
            name = f"{sample.shard}: {sample.key}"
            if sample.key in found:
                report.add("extra clips", f"{name} is there twice")
            elif sample.key not in keys:
                report.add("extra clips", f"{name} is not in the list of clips")
            found.add(sample.key)
            if not sample.size:
                report.add("missing", f"{name}: {'no video' if sample.size is None else 'an empty video'}")
            if sample.twice:
                report.add("extra clips", f"{name}: two members {sample.twice}")
            _caption(report, name, sample.caption)
    except Unreadable as error:
        shard, why = error.args
        report.add("changed", f"{shard}: {why}")
        return  # what came behind it is not known
    except UserError as error:  # the package that reads them is not there
        report.notes.append(f"what is inside of the shards was not read: {error}")
        return
    for key in sorted(keys - found):
        report.add("missing", f"{begin}{SHARDS}: no sample of clip {key}")
