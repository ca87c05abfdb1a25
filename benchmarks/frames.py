"""Three frames of a video: CPU time of exact frames and of key frames, beside OpenCV and decord.

    python benchmarks/frames.py VIDEO... [--gops 30 60 250] [--repeat 5] [--json FILE]
    python benchmarks/frames.py VIDEO... --scores [--gops 30] [--seconds 40] [--window 3] [--json FILE]

Each VIDEO is measured as it is, and with --gops encoded again with key frames at these distances (H.264, its
first --seconds). `floor` opens the file once, reads its packets, and decodes what the three frames need,
without converting a picture. All ways run in turn in one process, on one thread; figures are medians in
milliseconds.

With --scores, scores of the frames at key frames are compared with those of the exact ones, in windows of
some seconds (with --gops, of the encoded files): ocr and its area, and technical measures of pictures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from measuring import (
    finish,
    installed,
    leaving_out,
    make_parser,
    medians_in_turn,
    print_head,
    print_row,
    run,
    ways_that_work,
)

from tools.errors import UserError
from tools.media.reading.decoders.pyav import Decoder
from tools.media.reading.probe import index_packets
from tools.media.reading.requests import FrameRequest, read_requests, read_sampled
from tools.media.reading.sampling import Sampling
from tools.scoring.ocr.scorer import OcrScorer
from tools.scoring.technical.colour import colour_statistics, luma
from tools.scoring.technical.sharpness import sharpness

EXACT = Sampling("first_middle_last", 3)
NEAREST = Sampling("first_middle_last", 3, nearest="key")
WAYS = ("floor", "exact", "key", "OpenCV", "decord")
RATIOS = (("exact", "floor"), ("exact", "key"), ("OpenCV", "exact"), ("decord", "exact"))


def encode(source: Path, target: Path, gop: int, seconds: int) -> Path:
    """The first seconds of a video as H.264 with key frames at equal distances."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        rate = Fraction(max(1, round(stream.average_rate or 25)))
        made = new.add_stream("libx264", rate=rate)
        made.width, made.height = stream.width // 2 * 2, stream.height // 2 * 2
        made.pix_fmt = "yuv420p"
        made.options = {
            "preset": "medium",
            "crf": "20",
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0",
        }
        for number, picture in enumerate(old.decode(stream)):
            if number >= rate * seconds:
                break
            picture = picture.reformat(made.width, made.height, "yuv420p")
            picture.pts, picture.time_base, picture.pict_type = number, 1 / rate, 0
            new.mux(made.encode(picture))
        new.mux(made.encode(None))
    return target


def ways(path: Path, name: str) -> dict[str, Callable[[], object]]:
    """What is timed, by name; a peer that cannot read the video is left out."""
    index = index_packets(path)
    numbers = EXACT.indices(index.times)

    def floor() -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            for _ in container.demux(stream):
                pass
            stream.codec_context.flush_buffers()
            with Decoder(path, index, opened=(container, stream)) as decoder:
                for _ in decoder.pictures(numbers):
                    pass

    def opencv() -> None:
        import cv2

        video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        for number in numbers:
            video.set(cv2.CAP_PROP_POS_FRAMES, number)
            if not video.read()[0]:
                raise ValueError(f"it does not read frame {number}")

    def decord() -> None:
        from decord import VideoReader

        VideoReader(str(path), num_threads=1).get_batch(numbers).asnumpy()

    found: dict[str, Callable[[], object]] = {
        "floor": floor,
        "exact": lambda: read_sampled(path, EXACT),
        "key": lambda: read_sampled(path, NEAREST),
    }
    peers = {"OpenCV": opencv} | ({"decord": decord} if installed("decord", "decord") else {})
    return found | ways_that_work(peers, name)


Scores = dict[str, float]


def picture_scores(ocr: OcrScorer, images: list[np.ndarray]) -> Scores:
    """Text regions and their area, and the means of technical measures over the pictures."""
    pictures = []
    for image in images:
        gray = luma(image)
        pictures.append({**colour_statistics(image, gray), "sharpness": sharpness(gray)})
    text = ocr.score(images)
    means = {name: float(np.mean([one[name] for one in pictures])) for name in pictures[0]}
    return {name: float(text[name]) for name in ("ocr", "ocr_area")} | means


def scored_windows(path: Path, window: float, ocr: OcrScorer) -> list[tuple[Scores, Scores]]:
    """Scores of the exact frames and of those at key frames, of each window in which these are others."""
    found = []
    length = index_packets(path).duration
    for start in np.arange(0, max(length - window, 0) + 1e-9, window):
        limits = {"start": float(start), "end": float(start) + window}
        samplings = [Sampling("first_middle_last", 3, nearest=kind, **limits) for kind in (None, "key")]
        both = read_requests(path, [FrameRequest(sampling) for sampling in samplings])
        if any(isinstance(frames, Exception) for frames in both):
            continue
        exact, near = both
        if [frame.index for frame in exact] != [frame.index for frame in near]:
            images = ([frame.image for frame in frames] for frames in both)
            found.append(tuple(picture_scores(ocr, own) for own in images))
    return found


def differences(found: list[tuple[Scores, Scores]]) -> dict[str, dict[str, float]]:
    """By the column."""
    return {
        name: _differences(np.array([[one[name] for one in pair] for pair in found])) for name in found[0][0]
    }


def _differences(values: np.ndarray) -> dict[str, float]:
    """Of the scores of each window at exact and at key frames, shape (windows, 2)."""
    apart = np.abs(values[:, 1] - values[:, 0])
    return {
        "windows": len(values),
        "mean": float(values[:, 0].mean()),
        "deviation": float(values[:, 0].std()),
        "same": float((apart < 1e-9).mean()),
        "median_difference": float(np.median(apart)),
        "p90_difference": float(np.quantile(apart, 0.9)),
        "mean_change": float((values[:, 1] - values[:, 0]).mean()),
        "correlation": float(np.corrcoef(values.T)[0, 1]),
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--gops", nargs="*", type=int, default=[])
    parser.add_argument("--seconds", type=int, default=10, help="length of the encoded files")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--scores", action="store_true")
    parser.add_argument("--window", type=float, default=3, help="length in seconds of what --scores compares")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, path in enumerate(args.videos):
            with leaving_out(path):
                index_packets(path)  # before it is encoded
                if not (args.scores and args.gops):
                    files.append((path.name, path))
                for gop in args.gops:
                    made = encode(path, Path(folder, f"{number}_{gop}.mp4"), gop, args.seconds)
                    files.append((f"{path.name}, GOP {gop}", made))
        if args.scores:
            rows += compare_scores([path for _, path in files], args.window)
        else:
            compare_times(files, args.repeat, rows)
    finish(args.json, rows)


def compare_scores(files: list[Path], window: float) -> list[dict[str, dict[str, float]]]:
    """Print, and give, by how much scores change; nothing where no window has other frames."""
    ocr = OcrScorer(device="cpu")
    pairs: list[tuple[Scores, Scores]] = []
    for path in files:
        with leaving_out(path):
            pairs += scored_windows(path, window, ocr)
    if len(pairs) < 2:
        raise UserError(
            f"{len(pairs)} windows have other frames with ~key; a longer --window or --gops 30 gives more"
        )
    report = differences(pairs)
    print_head("score", *next(iter(report.values())))
    for name, values in report.items():
        print_row(name, *(f"{value:.4g}" for value in values.values()))
    return [report]


def compare_times(files: list[tuple[str, Path]], repeat: int, rows: list[dict[str, Any]]) -> None:
    """Print, and add to the rows, the milliseconds of each way and the ratios."""
    print_head("file", *WAYS, *(f"{a} / {b}" for a, b in RATIOS))
    for name, path in files:
        with leaving_out(name):
            spent = medians_in_turn(ways(path, name), repeat)
            taken = {way: 1e3 * seconds for way, seconds in spent.items()}
            ratios = {(a, b): taken[a] / taken[b] for a, b in RATIOS if a in taken}
            shown = (f"{taken[way]:.1f}" if way in taken else "" for way in WAYS)
            print_row(name, *shown, *(f"{ratios[pair]:.2f}" if pair in ratios else "" for pair in RATIOS))
            rows.append({"file": name, **taken, **{f"{a} / {b}": r for (a, b), r in ratios.items()}})


if __name__ == "__main__":
    run(main)
