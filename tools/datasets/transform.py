"""Command: make new files of the files of a table, and write the table of the new files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools import cli
from tools.errors import UserError
from tools.media.writing.hdr import HDR_OPTION

if TYPE_CHECKING:
    from tools.stage.stage import Stage

_MODULE = "tools.datasets.transform"


@dataclass(frozen=True)
class Method:
    """One thing that can be done to the files of a table.

    Attributes:
        help: What it does.
        options: The options that it understands, by their name in the parsed arguments.
        stage: Makes its stage.
    """

    help: str
    options: tuple[str, ...]
    stage: Callable[[dict[str, Any]], Stage]


def _image(**fixed: Any) -> Callable[[dict[str, Any]], Stage]:
    def stage(options: dict[str, Any]) -> Stage:
        from tools.datasets.transforms.stages import ImageResizeStage

        return ImageResizeStage(**fixed, **options)

    return stage


def _stage(module: str, name: str) -> Callable[[dict[str, Any]], Stage]:
    def stage(options: dict[str, Any]) -> Stage:
        import importlib

        return getattr(importlib.import_module(f"tools.datasets.transforms.{module}"), name)(**options)

    return stage


_IMAGE, _VIDEO = ("quality",), ("codec", "crf", "preset", "keep_audio", "audio_track", "hdr", "workers")
_REMUX = Method(
    "copy a video into an mp4 without encoding", ("audio_track",), _stage("video_stages", "RemuxStage")
)

METHODS: dict[str, Method] = {
    "img_resize": Method(
        "scale images down to a shorter side of --length (2160)",
        ("length", *_IMAGE),
        _image(side="shorter", plain=True),
    ),
    "img_resize_shorter": Method(
        "the same under its later name (1080)", ("length", *_IMAGE), _image(side="shorter")
    ),
    "img_resize_longer": Method(
        "scale images down to a longer side of --length (1080)", ("length", *_IMAGE), _image(side="longer")
    ),
    "img_rand_crop": Method(
        "keep one quarter of each image, chosen from --seed and the file's name",
        ("seed", *_IMAGE),
        _stage("stages", "ImageCropStage"),
    ),
    "vid_resize": Method(
        "scale videos down to a shorter side of --length (1080)",
        ("length", *_VIDEO),
        _stage("video_stages", "VideoResizeStage"),
    ),
    "vid_crop_center": Method(
        "keep the centre: the largest square, or window of --size, scaled down to it",
        ("length", "size", *_VIDEO),
        _stage("video_stages", "VideoCropStage"),
    ),
    "vid_frame_extract": Method(
        "write frames as images, one row for each: --points or --points-index",
        ("points", "points_index", "image_format", *_IMAGE),
        _stage("frames", "FrameStage"),
    ),
    "first_frame": Method(
        "write first frames as images, their paths to column first_frame_path",
        ("image_format", *_IMAGE),
        _stage("frames", "FirstFrameStage"),
    ),
    "vid_remux": _REMUX,
    "mkv_to_mp4": _REMUX,
    "m2ts_to_mp4": _REMUX,
    "mp4_to_mp4": Method("copy mp4 files as they are", (), _stage("video_stages", "CopyStage")),
}
"""What the command can do, by name."""

_DEFAULT_LENGTH = {"img_resize": 2160, "img_resize_shorter": 1080, "img_resize_longer": 1080}


def make_stage(method: str, output_dir: str, *, overwrite: bool = False, **options: Any) -> Stage:
    """Make the stage of a method.

    Args:
        method: A name of `METHODS`.
        output_dir: Folder of the new files.
        overwrite: Replace files in the way.
        **options: input_dir, and the options that the method understands; None takes the default.

    Raises:
        UserError: There is no such method, or it does not know an option or its value.
    """
    if method not in METHODS:
        raise UserError(f"Invalid method ({method}). Supported values are {', '.join(METHODS)}.")
    given = {name: value for name, value in options.items() if value is not None}
    input_dir = given.pop("input_dir", None)
    for name in given:
        if name not in METHODS[method].options:
            raise UserError(f"{method} has no option --{name.replace('_', '-')}")
    if method in _DEFAULT_LENGTH:
        given.setdefault("length", _DEFAULT_LENGTH[method])
    if method == "vid_crop_center" and (length := given.pop("length", None)):
        if "size" in given:
            raise UserError("--length and --size exclude each other")
        given["size"] = (length, length)
    return METHODS[method].stage(
        {"output_dir": output_dir, "input_dir": input_dir, "overwrite": overwrite, **given}
    )


def _parser() -> cli.ArgumentParser:
    from tools.stage.options import add_stage_arguments

    methods = "\n".join(f"  {name:19} {method.help}" for name, method in METHODS.items())
    parser = cli.ArgumentParser(
        _MODULE,
        "Make new files of the files in column path, mirrored under OUTPUT_DIR, and write the table of the\n"
        "new files: their path in path, the old one in original_path, sizes updated. Nothing is ever\n"
        f"enlarged.\n\nmethods:\n{methods}",
        f"""
        python -m {_MODULE} img_resize meta.csv --input-dir images --output-dir small --length 1080
        python -m {_MODULE} img_rand_crop meta.csv images crops --seed 7
        python -m {_MODULE} vid_frame_extract meta_clips.csv --output-dir frames --points 0.1 0.5 0.9
        python -m {_MODULE} mkv_to_mp4 meta.csv --output-dir mp4
        python -m {_MODULE} --task vid_crop_center --meta_path meta.csv --input_dir videos --output_dir square
        """,
    )
    parser.usage = f"python -m {_MODULE} METHOD META [INPUT_DIR OUTPUT_DIR] [options]"
    parser.add_argument(
        "words", nargs="*", metavar="METHOD META [INPUT_DIR OUTPUT_DIR]", help="method, table and folders"
    )
    group = parser.add_argument_group("files")
    group.add_argument("--task", metavar="METHOD", help="the method, as Open-Sora 1.3 had it")
    group.add_argument("--meta-path", metavar="META", help="the table, as Open-Sora 1.3 had it")
    group.add_argument("--input-dir", metavar="DIR", help="folder to mirror (by column relpath, or flat)")
    group.add_argument("--output-dir", "--img-dir", metavar="DIR", help="folder of the new files (required)")
    _add_method_arguments(parser.add_argument_group("methods"))
    add_stage_arguments(parser, num_workers=16, timeout=7200)
    return parser


def _add_method_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--length", type=cli.whole_number(1), metavar="PX", help="pixels of the side")
    group.add_argument("--size", type=_size, metavar="WxH", help="window of vid_crop_center: 512x768")
    group.add_argument("--seed", type=int, metavar="N", help="of img_rand_crop (42)")
    group.add_argument("--points", type=float, nargs="+", metavar="P", help="fractions (0.1 0.5 0.9)")
    group.add_argument("--points-index", type=int, nargs="+", metavar="I", help="frame numbers from 0")
    group.add_argument("--image-format", metavar="EXT", help="of frames: jpg, png, webp (jpg)")
    group.add_argument("--quality", type=_percent, metavar="Q", help="of JPEG and WebP, 1 to 100 (95)")
    group.add_argument("--codec", metavar="NAME", help="of videos: h264, hevc, av1, vp9, an encoder (h264)")
    group.add_argument("--crf", type=float, metavar="Q", help="quality of videos, lower is better (h264: 18)")
    group.add_argument("--preset", metavar="NAME", help="speed of the encoder (h264: veryfast)")
    HDR_OPTION.add(group, "hdr", None)
    group.add_argument(
        "--drop-audio", dest="keep_audio", action="store_false", default=None, help="silent videos"
    )
    group.add_argument(
        "--audio-track",
        metavar="N|LANG",
        help="of videos: sound track by number from 0 on, or by language: eng, en (that marked default)",
    )


def _size(text: str) -> tuple[int, int]:
    width, x, height = text.lower().partition("x")
    if not (x and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT, such as 512x768, not {text}")
    return int(width), int(height)


def _percent(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 100, not {text}")
    return int(text)


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the method's stage."""
    args = _parser().parse_intermixed_args(argv)
    method = _take_words(args)

    from tools.stage.options import run_command, run_options

    options = {name: getattr(args, name) for name in _option_names() if name != "workers"}
    options["points"] = tuple(args.points) if args.points else None
    options["points_index"] = tuple(args.points_index) if args.points_index else None
    if method in METHODS and "workers" in METHODS[method].options:
        options["workers"] = run_options(args).num_workers
    stage = make_stage(method, args.output_dir, overwrite=args.overwrite, input_dir=args.input_dir, **options)
    if args.dry_run:
        return run_command(stage, args)
    try:
        code = run_command(stage, args)
    finally:
        getattr(stage, "remove_leftovers", list)()
    for line in getattr(stage, "remarks", list)():
        print(line, file=sys.stderr)
    return code


def _option_names() -> list[str]:
    return list(dict.fromkeys(name for method in METHODS.values() for name in method.options))


def _take_words(args: argparse.Namespace) -> str:
    """Fill in what was given by position, and return the method."""
    words = list(args.words)
    method = args.task or (words.pop(0) if words else None)
    if method is None:
        raise UserError(f"which method? {', '.join(METHODS)}")
    args.meta = args.meta_path or (words.pop(0) if words else None)
    if args.meta is None:
        raise UserError(f"which table? python -m {_MODULE} {method} META --output-dir DIR")
    for name in ("input_dir", "output_dir"):
        if words and getattr(args, name) is None:
            setattr(args, name, words.pop(0))
    if words:
        raise UserError(f"too many arguments: {' '.join(words)}")
    if not args.output_dir:
        raise UserError("--output-dir is missing: the folder that the new files go to")
    return method


if __name__ == "__main__":
    cli.run(main)
