"""Damage small videos at random, but the same for the same seed, and let all that reads media at them.

``python -m tests.reliability.mutator --mutants 1000`` is the long form of test_media.py. It prints what
became of the rows, kind by kind, and each row that broke a promise; the exit code is 1 if there is one.
``--keep DIR`` leaves the files of those rows in a folder.
"""

from __future__ import annotations

import argparse
import collections
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from tests.support import make_video
from tools.stage.runner import RunOptions, run_stage
from tools.stage.stage import Stage

FORMATS = {
    "h264.mp4": {"codec": "h264", "b_frames": 2, "audio": "beeps", "flashes": (3,)},
    "hevc.mkv": {"codec": "hevc", "b_frames": 2},
    "av1.mkv": {"codec": "av1"},
    "vp9.webm": {"codec": "vp9", "audio": "beeps", "flashes": (3,)},
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 1, "audio": "beeps", "flashes": (3,)},
    "mpeg2.mpg": {"codec": "mpeg2video", "b_frames": 2, "audio": "beeps", "flashes": (3,)},
    "h264.ts": {"codec": "h264", "b_frames": 2, "audio": "beeps", "flashes": (3,)},
    "colours.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "h264.mov": {"codec": "h264", "rotation": 90},
}
"""Name of each video that is damaged, and how it is made."""

SECONDS = 20.0
"""Time that a file of a few kilobytes may take."""
GIGABYTES = 1.0
"""Memory that a worker may take for it."""
BROKEN_PROMISES = ("internal", "crash", "killed", "timeout", "memory")
"""Kinds of failures that no damage to a file of a few kilobytes explains."""

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_HEADER = 1024  # bytes in which containers state what is in them


def make_originals(folder: Path, names: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """Make the videos: 24 frames of 64x48 in groups of 8."""
    made = {}
    for name in names:
        path = make_video(folder / name, num_frames=24, size=(64, 48), gop=8, fps=25, **FORMATS[name])
        made[name] = path.read_bytes()
    return made


def mutants(originals: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged files: name and content. Formats take turns, each file has one to four faults."""
    names = list(originals)
    for number in range(count):
        name = names[number % len(names)]
        chance = random.Random(f"{seed}/{number}")
        data = bytearray(originals[name])
        faults = chance.choices(_FAULTS, k=chance.choice((1, 1, 2, 4)))
        for fault in faults:
            if len(data) > 8:
                fault(data, chance, originals)
        label = "+".join(fault.__name__.strip("_") for fault in faults)
        yield f"{number:05}_{label}_{name}", bytes(data)


def _place(data: bytearray, chance: random.Random) -> int:
    """Where: half of the faults are in the first or last bytes, which have the header or the index."""
    area = chance.choice((range(len(data)), range(len(data)), range(_HEADER), range(-_HEADER, 0)))
    return chance.choice(area) % len(data)


def _bits(data: bytearray, chance: random.Random, _: object) -> None:
    for _ in range(chance.choice((1, 4, 16))):
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _noise(data: bytearray, chance: random.Random, _: object) -> None:
    at = _place(data, chance)
    size = min(chance.choice((4, 64, 512)), len(data) - at)
    data[at : at + size] = chance.randbytes(size)


def _zeros(data: bytearray, chance: random.Random, _: object) -> None:
    at = _place(data, chance)
    size = min(chance.choice((4, 64, 512)), len(data) - at)
    data[at : at + size] = bytes(size)


def _number(data: bytearray, chance: random.Random, _: object) -> None:
    at = _place(data, chance)
    value = chance.choice(_EXTREMES)
    size = min(4 if value > 255 else chance.choice((1, 2, 4)), len(data) - at)
    data[at : at + size] = value.to_bytes(4, chance.choice(("big", "little")))[:size]


def _cut(data: bytearray, chance: random.Random, _: object) -> None:
    del data[max(8, _place(data, chance)) :]


def _headless(data: bytearray, chance: random.Random, _: object) -> None:
    del data[: min(_place(data, chance), len(data) - 8)]


def _hole(data: bytearray, chance: random.Random, _: object) -> None:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 3, 100, 1000))]


def _repeat(data: bytearray, chance: random.Random, _: object) -> None:
    at = _place(data, chance)
    data[at:at] = data[at : at + chance.choice((1, 100, 1000))]


def _swap(data: bytearray, chance: random.Random, _: object) -> None:
    size = min(188, len(data) // 3)
    first, second = sorted(chance.sample(range(len(data) - size), 2))
    if second - first >= size:
        data[first : first + size], data[second : second + size] = (
            data[second : second + size],
            data[first : first + size],
        )


def _splice(data: bytearray, chance: random.Random, originals: dict[str, bytes]) -> None:
    other = originals[chance.choice(sorted(originals))]
    data[_place(data, chance) :] = other[chance.randrange(len(other)) :]


_FAULTS: tuple[Callable[[bytearray, random.Random, dict[str, bytes]], None], ...] = (
    *(_bits, _noise, _zeros, _number, _number, _cut, _headless, _hole, _repeat, _swap, _splice),
)


def stages(folder: Path) -> dict[str, Stage]:
    """What reads media and needs no weights, each with its new files in a folder of its own."""
    from tools.caption.camera_motion.stage import CameraMotionStage
    from tools.datasets.integrity_stage import IntegrityStage
    from tools.datasets.probe_stage import ProbeStage
    from tools.datasets.transforms.frames import FirstFrameStage, FrameStage
    from tools.datasets.transforms.video_stages import RemuxStage, VideoResizeStage
    from tools.report.sprites.draw import SpriteStage
    from tools.scene_cut.clips.stage import CutStage
    from tools.scene_cut.shots.stage import SceneDetectStage
    from tools.scoring.dedup.stage import FingerprintStage
    from tools.scoring.optical_flow.stage import OpticalFlowStage
    from tools.scoring.technical.stage import TechnicalStage

    return {
        "info": ProbeStage(),
        "check_integrity": IntegrityStage(),
        "scene_detect": SceneDetectStage(),
        "technical": TechnicalStage(),
        "flow": OpticalFlowStage(method="dis"),
        "camera_motion": CameraMotionStage(),
        "dedup": FingerprintStage(),
        "sprites": SpriteStage(),
        "cut": CutStage(save_dir=str(folder / "clips")),
        "frames": FrameStage(output_dir=str(folder / "frames"), points=(0.1, 0.9)),
        "first_frame": FirstFrameStage(output_dir=str(folder / "first")),
        "resize": VideoResizeStage(output_dir=str(folder / "resized"), length=32),
        "remux": RemuxStage(output_dir=str(folder / "remuxed")),
    }


class Row(NamedTuple):
    """What became of a file: the kind of its failure, or "value"."""

    command: str
    path: str
    kind: str
    message: str


def sweep(
    folder: Path, files: Iterable[Path | str], commands: dict[str, Stage], options: RunOptions | None = None
) -> Iterator[Row]:
    """Run stages over files, one after the other, as commands do.

    Raises:
        AssertionError: A row has neither a value nor a failure, or was lost.
    """
    paths = [str(path) for path in files]
    meta = folder / "meta.csv"
    pl.DataFrame({"path": paths}).write_csv(meta)
    options = options or RunOptions(num_workers=2, timeout=SECONDS, memory_gb=GIGABYTES)
    for name, stage in commands.items():
        result = run_stage(stage, meta, output=folder / f"meta_{name}.csv", options=options)
        assert result.rows == len(paths), f"{name}: {result.rows} of {len(paths)} rows"
        failed: dict[str, Row] = {}
        for failure in result.failures:
            failed.setdefault(failure.path, Row(name, failure.path, failure.kind, failure.message))
        table = pl.read_csv(result.output, infer_schema=False)
        filled = table.select(pl.any_horizontal(pl.col(list(stage.added_columns)).is_not_null())).to_series()
        # A row that makes new files has their paths; the order is that of the table.
        sources = table["source"] if stage.one_to_many else pl.Series(paths)
        assert len(sources) == table.height, f"{name}: {table.height} of {len(paths)} rows"
        valued = set(sources.filter(filled))
        for path in paths:
            assert path in valued or path in failed, f"{name}: {path} has neither a value nor a failure"
            yield failed.get(path) or Row(name, path, "value", "")


def main(argv: list[str] | None = None) -> int:
    """Run the sweep and print what became of the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--commands", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave files that broke a promise here")
    args = parser.parse_args(argv)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mutants").mkdir()
        files = []
        for label, data in mutants(make_originals(folder), args.mutants, args.seed):
            files.append(folder / "mutants" / label)
            files[-1].write_bytes(data)
        every = stages(folder)
        chosen = {name: every[name] for name in args.commands or every}
        counts: dict[str, collections.Counter[str]] = {}
        broken = []
        for row in sweep(folder, files, chosen):
            counts.setdefault(row.command, collections.Counter())[row.kind] += 1
            broken += [row] if row.kind in BROKEN_PROMISES else []
            if row.kind in BROKEN_PROMISES and args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(row.path, args.keep)
        for command, kinds in counts.items():
            print(f"{command:16}", ", ".join(f"{kind} {n}" for kind, n in kinds.most_common()))
        for row in broken:
            print(f"BROKEN {row.command}: {Path(row.path).name}: {row.kind}: {row.message}")
    print(f"{len(files)} mutants, {len(broken)} promises broken, {time.monotonic() - begun:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
