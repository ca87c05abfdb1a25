"""Camera motion: how often the labels are right, how exact the speeds are, and what it costs.

A camera that moves at a known speed is rendered over a still frame of your videos, or over the running
footage, with all that moves in it. An ellipse of another video moves in front.

    python benchmarks/camera_motion.py --stills VIDEO... --running VIDEO... --subject VIDEO
        [--cases 108] [--json FILE]

Running footage must be from a tripod, with more background than subjects in the middle of its picture.
Label, speed, size, frame rate, length, subject (none, 20 or 30 % of the picture) and quality of the encoding
are drawn at random, from --seed.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from measuring import finish, leaving_out, make_parser, print_head, print_row, run

from tests.caption.moving_camera import Move, film
from tests.support import make_video
from tools.caption.camera_motion.stage import CameraMotionStage
from tools.errors import MediaError, UserError
from tools.media.reading.frames import iter_frames
from tools.media.reading.probe import probe
from tools.media.reading.requests import read_requests

KINDS = [
    *(
        "static",
        "pan_left",
        "pan_right",
        "tilt_up",
        "tilt_down",
        "zoom_in",
        "zoom_out",
        "roll_cw",
        "roll_ccw",
    ),
    *("shake", "pan_right+tilt_up", "pan_left+zoom_in", "tilt_down+zoom_out", "pan_right+roll_cw"),
    *("zoom_in+roll_ccw", "tilt_up+zoom_in+roll_cw", "pan_left+shake", "zoom_out+shake"),
]
SIZES = [(640, 480), (854, 480), (1280, 720), (720, 1280), (1920, 1080)]
RATES = [12, 15, 24, 25, 30, 50, 60]
LENGTHS = [1.0, 2.0, 3.5]
SPEEDS = {
    "pan": (0.03, 0.1, 0.25, 0.4),
    "tilt": (0.04, 0.1, 0.3),
    "zoom": (0.04, 0.1, 0.3),
    "roll": tuple(math.radians(degrees) for degrees in (3, 8, 25)),
    "shake": (0.006, 0.012, 0.02),
}
SIGNS = {"left": -1, "right": 1, "down": -1, "up": 1, "out": -1, "in": 1, "ccw": -1, "cw": 1}


def draw_move(kind: str, random: np.random.Generator) -> Move:
    values: dict[str, float] = {}
    for label in kind.split("+"):
        name, _, way = label.partition("_")
        if name != "static":
            values[name] = random.choice(SPEEDS[name]) * SIGNS.get(way, 1)
    if "shake" in values:
        values["shake_rate"] = float(random.choice([0, 2.5, 5]))
    return Move(**values)


def pictures_of(video: Path, count: int, fps: float, running: bool) -> np.ndarray | list[np.ndarray]:
    """One frame of the video, or one for each frame to be made; at its end it runs backwards."""
    frames: list[np.ndarray] = []
    times: list[float] = []
    for frame in iter_frames(video, end=count / fps if running else 0.5):
        frames.append(frame.image)
        times.append(frame.time)
    if not running:
        return frames[-1]
    there = np.searchsorted(times, np.arange(count) / fps, side="right") - 1
    return [frames[i] for i in np.clip(there, 0, len(frames) - 1)]


def measure(path: Path, stage: CameraMotionStage) -> tuple[dict, float, float]:
    """Values, CPU seconds for reading and for the rest."""
    begin = time.process_time()
    (frames,) = read_requests(path, [stage.request])
    read = time.process_time()
    if isinstance(frames, MediaError):
        raise frames
    values = stage.prepare({"path": str(path)}, frames)
    return values, read - begin, time.process_time() - read


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--stills", nargs="*", type=Path, default=[], metavar="VIDEO")
    parser.add_argument("--running", nargs="*", type=Path, default=[], metavar="VIDEO")
    parser.add_argument("--subject", type=Path, required=True, metavar="VIDEO")
    parser.add_argument("--cases", type=int, default=108)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.stills and not args.running:
        parser.error("needs --stills or --running")
    places = []
    for videos, running in ((args.stills, False), (args.running, True)):
        for video in videos:
            with leaving_out(video):
                probe(video)
                places.append((video, running))
    if not places:
        raise UserError("no video can be read")
    subject = pictures_of(args.subject, 1, 25, running=False)
    random = np.random.default_rng(args.seed)
    stage = CameraMotionStage()
    right: Counter[str] = Counter()
    errors: dict[str, list[float]] = defaultdict(list)
    seconds = np.zeros(3)
    for number in range(args.cases):
        kind = KINDS[number % len(KINDS)]
        move = draw_move(kind, random)
        size = SIZES[random.integers(len(SIZES))]
        fps, length = int(random.choice(RATES)), float(random.choice(LENGTHS))
        place, running = places[random.integers(len(places))]
        area, crf = float(random.choice([0, 0.2, 0.3])), str(random.choice([18, 23, 28]))
        backdrop = pictures_of(place, round(fps * length), fps, running)
        clip = film(
            backdrop,
            move,
            size=size,
            fps=fps,
            seconds=length,
            subject=subject if area else None,
            subject_area=area,
            seed=number,
        )
        with tempfile.TemporaryDirectory() as folder:
            options = {"preset": "ultrafast", "crf": crf}
            path = make_video(Path(folder) / "a.mp4", pictures=list(clip), fps=fps, gop=60, options=options)
            values, reading, measuring = measure(path, stage)
        seconds += (reading, measuring, length)
        right[kind] += values["cmotion"] == kind
        if values["cmotion"] != kind:
            how = f"{size[0]}x{size[1]} {fps} fps {length} s, subject {area:g}, {place.name}"
            print(f"{kind} taken for {values['cmotion']}: {how}{', running' * running}, {move}", flush=True)
        if values["pan"] is not None and not move.shake:
            for name in ("pan", "tilt", "zoom", "roll"):
                if true := getattr(move, name):
                    errors[name].append(abs(values[name] / true - 1))
    print(f"right: {right.total()} of {args.cases} ({right.total() / args.cases:.1%})")
    found = {}
    if errors:
        print_head("speed of", "median error", "95 % below", "within 10 %")
    for name, off in errors.items():
        found[name] = [
            float(np.median(off)),
            float(np.quantile(off, 0.95)),
            float(np.mean(np.array(off) <= 0.1)),
        ]
        print_row(name, *(f"{value:.1%}" for value in found[name]))
    reading, measuring = seconds[:2] / seconds[2]
    print(f"seconds of CPU for a second of video: read {reading:.2f}, measure {measuring:.2f}")
    finish(
        args.json,
        {"cases": args.cases, "right": right, "errors": found, "read": reading, "measure": measuring},
    )


if __name__ == "__main__":
    run(main)
