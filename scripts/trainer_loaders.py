#!/usr/bin/env python3
"""Run the trainers' own loaders over exports of real clips, and compare what they give with what was written.

For each trainer that has a clone in the folder CLONES, of its name in `tools.export`, an export is made of
the table and read by the loader in that clone, with the configuration that was exported. Compared are the
files, each frame of each example, and captions.

Usage: python scripts/trainer_loaders.py CLONES TABLE [--work DIR] [--only NAME ...] [-- FLAGS OF THE EXPORT]

The clones should be of the commits that `python -m tools.export --list` names. What loaders import must be
installed, but for what has nothing to do with data, which is stood in for. The weights are not needed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
for _folder in (ROOT, ROOT / "scripts"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

from loaders.common import thumb  # noqa: E402

from tools.export.presets import TRAINERS, preset  # noqa: E402

TOLERANCE = 8.0
"""Levels of 255 by which small copies of a frame may differ: decoders convert colours differently."""

LONGEST = int(os.environ.get("LONGEST", "900"))
"""Seconds after which a loader is ended."""

NEARER = 0.5
"""A frame is another one if that is nearer by so many levels."""


@dataclass(frozen=True)
class Loader:
    """How a trainer's loader is run.

    Attributes:
        preset: Of `tools.export --list`.
        paths: Folders of the clone that its modules are imported from.
        module: In `scripts/loaders`.
    """

    preset: str
    paths: tuple[str, ...] = ("",)
    module: str = ""


LOADERS = {
    "diffusion-pipe": Loader("wan2.1@diffusion-pipe"),
    "musubi": Loader("wan2.1@musubi", ("src",)),
    "ltx-trainer": Loader(
        "ltx-2@ltx-trainer",
        ("packages/ltx-trainer/src", "packages/ltx-core/src", "packages/ltx-trainer/scripts"),
    ),
    "diffsynth": Loader("wan2.1@diffsynth"),
    "videox-fun": Loader("wan2.1@videox-fun"),
    "cosmos": Loader("cosmos-predict2.5@cosmos"),
    "open-sora": Loader("open-sora-2@open-sora"),
    "cogvideo": Loader("cogvideox@cogvideo", ("finetune", "")),
    "finetrainers": Loader("wan2.1@finetrainers"),
    "mochi": Loader("mochi-1@mochi", ("demos/fine_tuner",)),
}


@dataclass
class Compared:
    """What one loader gave.

    Attributes:
        trainer: Its name.
        written: Examples that the export promises, less those that fill no batch.
        seen: Examples that the loader gave.
        clips: Clips that were written.
        clips_seen: Of these the loader gave.
        frames: Examples with the frames that are in the file, each in its place.
        captions: Examples with the caption that was written.
        faults: What differs, one line each.
        stood_in: Packages that were stood in for.
    """

    trainer: str
    written: int = 0
    seen: int = 0
    clips: int = 0
    clips_seen: int = 0
    frames: int = 0
    captions: int = 0
    faults: list[str] | None = None
    stood_in: tuple[str, ...] = ()


def exported(table: str, name: str, folder: Path, flags: Sequence[str]) -> str:
    """Make the export of a trainer; what the command said."""
    command = [sys.executable, "-m", "tools.export", table, "--for", name, "-o", str(folder), *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the export ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout + done.stderr


def read(clone: Path, trainer: str, root: Path, setup: dict[str, Any], work: Path) -> dict[str, Any]:
    """Run the loader in a process of its own; what it gave.

    Raises:
        RuntimeError: It ended with an error; the message has the last lines.
    """
    out = Path(tempfile.mkdtemp(dir=work))
    module = LOADERS[trainer].module or trainer.replace("-", "_")
    command = [
        sys.executable, str(ROOT / "scripts" / "loaders" / "run.py"), module, str(clone), str(root), str(out),
        json.dumps({**setup, "paths": LOADERS[trainer].paths}),
    ]  # fmt: skip
    log = out / "log.txt"
    environment = {**os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=out, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            ended = f"ended with {process.wait(LONGEST)}"
        except subprocess.TimeoutExpired:
            ended = f"did not end in {LONGEST} s"
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also processes that it left
        process.wait()
    if ended != "ended with 0":
        lines = log.read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"its loader {ended}, see {log}: " + " / ".join(lines[-3:]))
    found = json.loads((out / "seen.json").read_text())
    for number, example in enumerate(found["examples"]):
        example["thumbs"] = np.load(out / f"{number:05}.npy")
    return found


def frames_of(path: Path) -> np.ndarray:
    """Small copies of the frames of a file."""
    with av.open(str(path)) as container:
        return np.stack([thumb(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)])


def place(thumbs: np.ndarray, there: np.ndarray) -> tuple[int, int] | None:
    """First frame and step of the frames of an example in those of its file; None if they are not there."""
    distance = np.abs(thumbs[:, None] - there[None]).mean(axis=(2, 3, 4))
    count = len(thumbs)
    for step in range(1, max(2, len(there) // max(count, 1) + 1)):
        for first in range(len(there) - (count - 1) * step):
            wanted = distance[np.arange(count), first + step * np.arange(count)]
            if (wanted <= np.minimum(TOLERANCE, distance.min(axis=1) + NEARER)).all():
                return first, step
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Compare all; 1 if something differs or a loader fails, 2 if there is no clone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("clones", type=Path)
    parser.add_argument("table")
    parser.add_argument("--work", type=Path, help="folder for the exports (a temporary one)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(LOADERS)}")
    parser.add_argument("--preset", help="another preset of the one trainer")
    arguments = list(sys.argv[1:] if argv is None else argv)
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    args = parser.parse_args(arguments[:cut])
    names = [name for name in args.only or LOADERS if (args.clones / name).is_dir()]
    if not names:
        print(
            f"error: no clone of a trainer in {args.clones}; wanted are {', '.join(LOADERS)}", file=sys.stderr
        )
        return 2
    work = args.work.resolve() if args.work else Path(tempfile.mkdtemp(prefix="trainer_loaders_"))
    work.mkdir(parents=True, exist_ok=True)
    results = []
    for name in names:
        found = compare(
            args.clones.resolve() / name,
            name,
            str(Path(args.table).resolve()),
            work,
            args.preset,
            arguments[cut + 1 :],
        )
        results.append(found)
        print(line(found), flush=True)
        for fault in found.faults or ():
            print(f"    {fault}", flush=True)
    return 1 if any(found.faults for found in results) else 0


def line(found: Compared) -> str:
    """One line of the result."""
    return (
        f"{found.trainer}: {found.seen} of {found.written} examples, "
        f"{found.clips_seen} of {found.clips} clips, "
        f"frames equal {found.frames}, captions equal {found.captions}"
    )


def compare(
    clone: Path, trainer: str, table: str, work: Path, other: str | None, flags: Sequence[str]
) -> Compared:
    """Export, read, compare."""
    chosen = other or LOADERS[trainer].preset
    folder = work / trainer
    found = Compared(trainer, faults=[])
    assert found.faults is not None
    shutil.rmtree(folder, ignore_errors=True)
    for old in work.glob(f"{trainer}_clips*"):
        old.unlink() if old.is_file() else shutil.rmtree(old)
    try:
        said = exported(table, chosen, folder, flags)
    except RuntimeError as error:
        found.faults.append(str(error))
        return found
    (work / f"{trainer}.txt").write_text(said)
    manifest = json.loads((folder / "dataset.json").read_text())
    clips = json.loads((folder / "dataset_clips.json").read_text())
    splits = sorted({clip["split"] for clip in clips})
    for split in splits:
        some = [clip for clip in clips if clip["split"] == split]
        setup = dict(
            manifest["setup"], fps=preset(chosen).model.fps, has_audio=any(c["has_audio"] for c in some)
        )
        try:
            given = read(clone, trainer, folder / split, setup, work)
        except RuntimeError as error:
            found.faults.append(str(error))
            continue
        found.stood_in = tuple(given.get("stood_in", ()))
        compare_split(found, folder, trainer, some, given, promised(folder, trainer, some, setup))
    return found


def promised(
    folder: Path, trainer: str, clips: Iterable[dict[str, Any]], setup: dict[str, Any]
) -> tuple[int, dict[str, set[tuple[int, int, int]]]]:
    """How many examples of an epoch the trainer's rule promises, and the shapes that each file gives."""
    from tools.export.explain import explain
    from tools.export.trainers.base import Clip

    rule = TRAINERS[trainer]
    model = next(model for model in rule.models if model.name == setup["model"])
    settings = {
        "sizes": tuple(map(tuple, setup["sizes"])), "frames": tuple(setup["frames"]),
        "batch_size": setup["batch_size"], "gpus": setup["gpus"], "accumulation": setup["accumulation"],
        "options": setup.get("options", {}), "by_length": setup.get("by_length", False),
    }  # fmt: skip
    made = rule.setup(model, **settings)
    items = [
        Clip(clip["file"], clip["width"], clip["height"], clip["num_frames"], clip["fps"],
             caption(folder, trainer, clip), clip["has_audio"])
        for clip in clips
    ]  # fmt: skip
    found = explain(items, rule, made)
    shapes = {
        one.clip.name: {
            (b.width, b.height, b.frames) for b in (piece.bucket for piece in one.judgement.pieces)
        }
        for one in found.clips
    }
    return found.summary.pieces - found.summary.dropped, shapes


def caption(folder: Path, trainer: str, clip: dict[str, Any]) -> str:
    """The caption that the table of the export has, in one line as it is written."""
    from tools.export.captions import Captions

    table = folder.with_name(f"{folder.name}_clips.csv")
    csv.field_size_limit(1 << 30)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["relpath"] == clip["file"]:
                return str(Captions(allow_empty=True).caption(row["text"], {}))
    return ""


def compare_split(
    found: Compared, folder: Path, trainer: str, clips: list[dict[str, Any]], given: dict[str, Any],
    rule: tuple[int, dict[str, set[tuple[int, int, int]]]],
) -> None:  # fmt: skip
    """Count what is equal, and say what is not."""
    assert found.faults is not None
    wanted, shapes = rule
    found.clips += len(clips)
    found.written += wanted
    files = {clip["key"]: clip for clip in clips}
    captions = {key: caption(folder, trainer, clip) for key, clip in files.items()}
    decoded: dict[str, np.ndarray] = {}
    seen: set[str] = set()
    for example in given["examples"]:
        found.seen += 1
        key = Path(example["file"]).stem if example["file"] else ""
        if key not in files:
            told = [
                one
                for one, text in captions.items()
                if same_caption(trainer, text, example["caption"], files[one])
            ]
            key = told[0] if told else ""
        if not key:
            found.faults.append(f"an example of no clip: {example['file']!r} {example['caption'][:60]!r}")
            continue
        seen.add(key)
        if same_caption(trainer, captions[key], example["caption"], files[key]):
            found.captions += 1
        else:
            found.faults.append(f"{key}: caption {example['caption'][:80]!r}, written {captions[key][:80]!r}")
        if key not in decoded:
            decoded[key] = frames_of(folder / files[key]["file"])
        where = place(example["thumbs"], decoded[key])
        size = (example["width"], example["height"])
        shape = (*size, len(example["thumbs"]))
        if shape not in shapes[files[key]["file"]]:
            found.faults.append(
                f"{key}: an example of {shape}, promised {sorted(shapes[files[key]['file']])}"
            )
        if where is None:
            nearest = np.abs(example["thumbs"][:, None] - decoded[key][None]).mean(axis=(2, 3, 4))
            found.faults.append(
                f"{key}: {len(example['thumbs'])} frames of {size[0]}x{size[1]} are not those of the file: "
                f"nearest {nearest.argmin(axis=1).tolist()[:6]}…, off by {nearest.min(axis=1).max():.1f}"
            )
        else:
            found.frames += 1
            example["where"] = where
    found.clips_seen += len(seen)
    if len(given["examples"]) != wanted:
        missing = sorted(set(files) - seen)
        found.faults.append(f"{len(given['examples'])} examples, {wanted} promised; not given: {missing[:8]}")
    for fault in given.get("faults", ()):
        found.faults.append(fault)


def same_caption(trainer: str, written: str, got: str, clip: dict[str, Any]) -> bool:
    """Whether the caption is the one that was written, as the trainer changes it."""
    if trainer == "open-sora":
        told, _, rate = got.removesuffix(" FPS.").strip().rpartition(" ")
        return told == written and float(rate) <= clip["fps"]
    return got == written


if __name__ == "__main__":
    sys.exit(main())
