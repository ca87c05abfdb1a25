"""Copies of real clips, of the kinds that people make: how many are found, and what else is taken for one.

    python benchmarks/dedup_copies.py VIDEO... [--work DIR] [--json FILE]       # recall and precision
    python benchmarks/dedup_copies.py VIDEO... --evidence [--niqe FILE]         # what tells the better copy

No VIDEO may be a copy of another. Pieces are cut from each, at most 360 lines high, and copies of the
first piece are made with the ffmpeg program. Pieces of a fixed camera have one background, and are there to
be confused with each other. Pieces that look the same (a static slide) really are copies of each other,
and are printed to be checked by eye.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
from measuring import finish, leave_out, leaving_out, make_parser, print_head, print_row, run

from tools.errors import MediaError
from tools.media.reading.probe import probe
from tools.media.writing.ffmpeg_program import FfmpegError, find_ffmpeg, run_ffmpeg
from tools.scoring.dedup.duplicates import mark_duplicates
from tools.scoring.dedup.stage import FINGERPRINT, FingerprintStage
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows

EVEN = "scale=trunc(iw/2)*2:trunc(ih/2)*2"
SMALL = "scale=-2:trunc(min(ih\\,360)/2)*2"  # of pieces: large ones take long to make
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-pix_fmt", "yuv420p"]
WORSE: dict[str, list[str]] = {
    "h264, crf 28": [*X264, "-crf", "28"],
    "h264, crf 35": [*X264, "-crf", "35"],
    "h264, crf 45": [*X264, "-crf", "45"],
    "hevc, crf 32": [
        "-c:v",
        "libx265",
        "-preset",
        "veryfast",
        "-crf",
        "32",
        "-x265-params",
        "log-level=none",
    ],
    "MPEG-4, quantiser 12": ["-c:v", "mpeg4", "-q:v", "12"],
}
"""Encodings of the same pictures, each worse than the piece, which has crf 20."""
FILTERED: dict[str, list[str]] = {
    "half the size": ["-vf", "scale=trunc(iw/4)*2:trunc(ih/4)*2"],
    "a quarter of the size": ["-vf", "scale=trunc(iw/8)*2:trunc(ih/8)*2"],
    "1.5 times as wide, as high as before": ["-vf", "scale=trunc(iw*0.75)*2:ih"],
    "cropped, 5 % on each side": ["-vf", f"crop=iw*0.9:ih*0.9,{EVEN}"],
    "cropped, 10 % on each side": ["-vf", f"crop=iw*0.8:ih*0.8,{EVEN}"],
    "cropped, 15 % on each side": ["-vf", f"crop=iw*0.7:ih*0.7,{EVEN}"],
    "cropped, 25 % on each side": ["-vf", f"crop=iw*0.5:ih*0.5,{EVEN}"],
    "cropped, 10 % at the left": ["-vf", f"crop=iw*0.9:ih:iw*0.1:0,{EVEN}"],
    "cropped, 10 % at the bottom": ["-vf", f"crop=iw:ih*0.9:0:0,{EVEN}"],
    "cropped, 9, 3, 5 and 12 %": ["-vf", f"crop=iw*0.88:ih*0.83:iw*0.09:ih*0.05,{EVEN}"],
    "4:3 cut out of 16:9": ["-vf", f"crop=iw*0.75:ih,{EVEN}"],
    "bars above and below": ["-vf", "pad=iw:trunc(ih/0.75/2)*2:0:(oh-ih)/2"],
    "bars beside": ["-vf", "pad=trunc(iw*1.333/2)*2:ih:(ow-iw)/2:0"],
    "mirrored": ["-vf", "hflip"],
    "12 frames per second": ["-vf", "fps=12"],
    "60 frames per second": ["-vf", "fps=60"],
    "brighter, less contrast": ["-vf", "eq=brightness=0.12:contrast=0.8"],
    "white box of 15 x 10 %": ["-vf", "drawbox=x=iw*0.8:y=ih*0.05:w=iw*0.15:h=ih*0.1:color=white:t=fill"],
    "piece of 2.6 s": ["-ss", "0.77", "-t", "2.6"],
    "piece of 1.2 s": ["-ss", "1.37", "-t", "1.2"],
    "mirrored piece, cropped 5 %": ["-vf", f"hflip,crop=iw*0.9:ih*0.9,{EVEN}", "-ss", "0.8", "-t", "2.6"],
    "twice as fast": ["-vf", "setpts=PTS/2"],
    "upside down": ["-vf", "vflip"],
}  # fmt: skip
"""Other copies, all with crf 23."""
LOGO, *LINES = (f"overlay_{name}.png" for name in ("logo", "one", "two"))
"""Files beside the copies, see `draw_overlays`."""
OVERLAID: dict[str, list[str]] = {
    "logo": ["-i", LOGO, "-filter_complex", "[1][0]scale2ref[o][v];[v][o]overlay"],
    "subtitles": [
        *("-i", LINES[0], "-i", LINES[1], "-filter_complex"),
        "[1][0]scale2ref[o][v];[2][v]scale2ref[p][w];"
        "[w][o]overlay=enable='lt(t,1.5)'[x];[x][p]overlay=enable='gte(t,1.5)'",
    ],
}
COPIES = WORSE | {name: [*made, *X264, "-crf", "23"] for name, made in (FILTERED | OVERLAID).items()}
THRESHOLDS = (0.8, 0.85, 0.9, 0.95)


class Clip(NamedTuple):
    """A file, the name of the piece that it shows, and the kind of copy; empty for the piece itself."""

    path: Path
    piece: str
    kind: str


def draw_overlays(folder: Path) -> None:
    """A red box with white letters at the upper right, and two lines of white text on a dark strip below."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGBA", (640, 360))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((512, 18, 614, 65), 7, (200, 30, 30, 255))
    draw.text((563, 41), "NEWS 24", "white", ImageFont.load_default(size=21), anchor="mm")
    image.save(folder / LOGO)
    for name, text in zip(LINES, ("Where did you put the keys?", "I left them on the table."), strict=True):
        image = Image.new("RGBA", (640, 360))
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 302, 640, 360), (0, 0, 0, 170))
        draw.text((320, 331), text, "white", ImageFont.load_default(size=25), anchor="mm")
        image.save(folder / name)


def encode(source: Path, target: Path, arguments: Sequence[str], *seek: str) -> bool:
    """Make a file that is not there; whether it is there then."""
    if target.exists():
        return True
    half = target.with_name(f"half_{target.name}")
    arguments = [str(target.with_name(one)) if one in (LOGO, *LINES) else one for one in arguments]
    try:
        run_ffmpeg(find_ffmpeg(), [*seek, "-i", str(source), *arguments, "-an", str(half)])
    except FfmpegError as error:
        leave_out(target.name, error)
        return False
    half.rename(target)
    return True


def make_clips(
    videos: Sequence[Path], work: Path, seconds: float, per_video: int, kinds: Sequence[str]
) -> list[Clip]:
    """Pieces first, since the first of a table are kept, then the copies."""
    draw_overlays(work)
    pieces, copies = [], []
    for video in videos:
        duration = 0.0
        with leaving_out(video):
            duration = probe(video).duration
        if not duration:
            continue
        count = max(1, min(per_video, int(duration // seconds)))
        for number in range(count):
            start = number * duration / count
            name = f"{video.stem}-{start:.1f}-{seconds:g}s"
            piece = Clip(work / f"{name}.mp4", name, "")
            seek = ["-ss", str(start), "-t", str(seconds)]
            if not encode(video, piece.path, ["-vf", SMALL, *X264, "-crf", "20"], *seek):
                continue
            pieces.append(piece)
            for kind in kinds if number == 0 else ():
                target = work / f"{piece.piece}-copy{list(COPIES).index(kind):02}.mp4"
                if encode(piece.path, target, COPIES[kind]):
                    copies.append(Clip(target, piece.piece, kind))
    return pieces + copies


def recall_and_precision(clips: Sequence[Clip]) -> dict:
    """Print what is found at each threshold, and of each kind at 0.9."""
    paths = [str(clip.path) for clip in clips]
    rows = map_rows(FingerprintStage(), [{"path": path} for path in paths], RunOptions(progress=False))
    cells = [None if isinstance(row, MediaError) else row[FINGERPRINT] for row in rows]
    table = pl.DataFrame({"path": paths, FINGERPRINT: cells})
    piece_of = {str(clip.path): clip.piece for clip in clips}
    print(f"{sum(not clip.kind for clip in clips)} pieces, {sum(bool(clip.kind) for clip in clips)} copies")
    print_head("threshold", "copies found", "of", "taken for copies of another piece")
    thresholds = []
    by_kind: dict[str, list[int]] = {}
    alike, wrong = [], []
    for threshold in THRESHOLDS:
        kept = mark_duplicates(table, threshold=threshold, keep=["first"])["dup_of"].to_list()
        same = {
            clip.piece: piece_of[one] for clip, one in zip(clips, kept, strict=True) if one and not clip.kind
        }
        counts: dict[str, list[int]] = {kind: [0, 0] for kind in COPIES}
        false = [f"{piece} and {other}" for piece, other in same.items()]
        for clip, one in zip(clips, kept, strict=True):
            if clip.kind:
                right = one is not None and piece_of[one] == same.get(clip.piece, clip.piece)
                counts[clip.kind][0] += right
                counts[clip.kind][1] += 1
                if one and not right:
                    false.append(f"{clip.piece}, {clip.kind}, and {piece_of[one]}")
        found = sum(right for right, _ in counts.values())
        thresholds.append([threshold, found, sum(all for _, all in counts.values()), len(false)])
        print_row(*thresholds[-1])
        if threshold == 0.9:
            by_kind, alike, wrong = counts, list(same), false
    print()
    print_head("copy", "found", "of")
    for kind, (right, count) in by_kind.items():
        print_row(kind, right, count)
    print(
        f"\nat 0.9, {len(alike)} pieces look like others; taken for copies: {'; '.join(wrong) or 'nothing'}"
    )
    return {"thresholds": thresholds, "kinds": by_kind, "wrong": wrong}


def evidence(clips: Sequence[Clip], niqe: str | None) -> list[list[str]]:
    """Print how often each measure of a piece is better than that of its worse encodings."""
    from tools.scoring.technical.measures import DEFAULT_MEASURES
    from tools.scoring.technical.stage import TechnicalStage

    measures = (*DEFAULT_MEASURES, "niqe") if niqe else DEFAULT_MEASURES
    stage = TechnicalStage(measures=measures, niqe_parameters=niqe)
    rows = map_rows(stage, [{"path": str(clip.path)} for clip in clips], RunOptions(progress=False))
    sign = {"blockiness": -1, "niqe": -1, "upscaled": -1, "sharpness": 1, "contrast": 1, "filesize": 1}
    values = {
        (clip.piece, clip.kind): {**row, "filesize": clip.path.stat().st_size}
        for clip, row in zip(clips, rows, strict=True)
        if not isinstance(row, MediaError)
    }
    names = [name for name in sign if name in ("filesize", *measures)]
    print_head("encoding", *names)
    table = []
    for kind in WORSE:
        shares = []
        for name in names:
            pairs = [
                (values[piece, ""][name], row[name])
                for (piece, other), row in values.items()
                if other == kind
            ]
            better = [sign[name] * (a - b) for a, b in pairs if a is not None and b is not None]
            shares.append(f"{sum(b > 0 for b in better)} of {len(better)}")
        print_row(kind, *shares)
        table.append([kind, *shares])
    return table


def main() -> None:
    """Make the clips, and print the tables."""
    parser = make_parser(__doc__)
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--seconds", type=float, default=4, help="length of a piece (4)")
    parser.add_argument("--per-video", type=int, default=12, help="pieces of a video (12)")
    parser.add_argument("--work", type=Path, help="where clips are made, and kept (a folder that is deleted)")
    parser.add_argument("--evidence", action="store_true", help="compare measures of the worse encodings")
    parser.add_argument("--niqe", metavar="FILE", help="parameters of NIQE, for --evidence")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as deleted:
        work = args.work or Path(deleted)
        work.mkdir(parents=True, exist_ok=True)
        kinds = list(WORSE if args.evidence else COPIES)
        clips = make_clips(args.videos, work, args.seconds, args.per_video, kinds)
        if args.evidence:
            copied = {clip.piece for clip in clips if clip.kind}
            finish(args.json, evidence([clip for clip in clips if clip.piece in copied], args.niqe))
        elif not clips:
            finish(args.json, [])
        else:
            finish(args.json, recall_and_precision(clips))


if __name__ == "__main__":
    run(main)
