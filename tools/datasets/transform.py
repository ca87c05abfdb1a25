"""Command: make new files of the files of a table, and write the table of the new files."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tools import cli
from tools.errors import UserError, check_choice
from tools.options import Option, options_of

if TYPE_CHECKING:
    from tools.datasets.transforms.folder_stage import FolderStage
    from tools.stage.stage import Stage

_MODULE = "tools.datasets.transform"


@dataclasses.dataclass(frozen=True)
class Method:
    """One thing that can be done to the files of a table.

    Attributes:
        help: What it does.
        stage: Module below `tools.datasets.transforms` and class of its stage; the stage has its options.
        fixed: Values of fields of the stage that are no options, and other defaults of options.
    """

    help: str
    stage: str
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def stage_class(self) -> type[FolderStage]:
        """The class of the stage."""
        module, _, name = self.stage.rpartition(".")
        return getattr(importlib.import_module(f"tools.datasets.transforms.{module}"), name)

    def options(self) -> dict[str, tuple[Option, Any]]:
        """The options of the method alone, and their defaults, by name."""
        shared = ("output_dir", "input_dir", "overwrite")
        return {
            name: (made, self.fixed.get(name, default))
            for name, made, default in options_of(self.stage_class)
            if name not in shared
        }


_RESIZE = "stages.ImageResizeStage"
_REMUX = Method("copy a video into an mp4 without encoding", "video_stages.RemuxStage")

METHODS: dict[str, Method] = {
    "img_resize": Method(
        "scale images down to a shorter side of --length (2160)", _RESIZE, {"side": "shorter", "plain": True}
    ),
    "img_resize_shorter": Method(
        "the same under its later name (1080)", _RESIZE, {"side": "shorter", "length": 1080}
    ),
    "img_resize_longer": Method(
        "scale images down to a longer side of --length (1080)", _RESIZE, {"side": "longer", "length": 1080}
    ),
    "img_rand_crop": Method(
        "keep one quarter of each image, chosen from --seed and the file's name", "stages.ImageCropStage"
    ),
    "vid_resize": Method(
        "scale videos down to a shorter side of --length (1080)", "video_stages.VideoResizeStage"
    ),
    "vid_crop_center": Method(
        "keep the centre: the largest square, or window of --size, scaled down to it",
        "video_stages.VideoCropStage",
    ),
    "vid_frame_extract": Method(
        "write frames as images, one row for each: --points or --points-index", "frames.FrameStage"
    ),
    "first_frame": Method(
        "write first frames as images, their paths to column first_frame_path", "frames.FirstFrameStage"
    ),
    "vid_remux": _REMUX,
    "mkv_to_mp4": _REMUX,
    "m2ts_to_mp4": _REMUX,
    "mp4_to_mp4": Method("copy mp4 files as they are", "video_stages.CopyStage"),
}
"""What the command can do, by name."""


def make_stage(method: str, output_dir: str, **options: Any) -> FolderStage:
    """Create the stage of a method.

    Args:
        method: A name of `METHODS`.
        output_dir: Folder of the new files.
        **options: input_dir, overwrite, and the options of the method; None takes the default.

    Raises:
        UserError: There is no such method, or it does not know an option or its value.
    """
    check_choice("method", method, METHODS)
    stage_class = METHODS[method].stage_class
    given = {name: value for name, value in options.items() if value is not None}
    known = {field.name for field in dataclasses.fields(stage_class)}
    for name in sorted(given.keys() - known):
        raise UserError(f"{method} has no option --{name.replace('_', '-')}")
    return stage_class(**{**METHODS[method].fixed, "output_dir": output_dir, **given})


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
    parser.add_argument(
        "words", nargs="*", metavar="METHOD META [INPUT_DIR OUTPUT_DIR]", help="method, table and folders"
    )
    group = parser.add_argument_group("files")
    for flag, metavar, what in (("--task", "METHOD", "method"), ("--meta-path", "META", "table")):
        cli.advanced(group.add_argument(flag, metavar=metavar, help=f"the {what}, as in Open-Sora 1.3"))
    group.add_argument("--input-dir", metavar="DIR", help="folder to mirror (by column relpath, or flat)")
    group.add_argument("--output-dir", "--img-dir", metavar="DIR", help="folder of the new files (required)")
    _add_method_options(parser)
    add_stage_arguments(parser, num_workers=16, timeout=7200)
    return parser


def _add_method_options(parser: cli.ArgumentParser) -> None:
    """Add the options of all methods, each once; one that is not given is None."""
    group = parser.add_argument_group("options of methods")
    found: dict[str, list[tuple[Option, Any]]] = {}
    for method in METHODS.values():
        for name, one in method.options().items():
            found.setdefault(name, []).append(one)
    for name, several in found.items():
        made, default = several[0]
        if any(other != default for _, other in several):
            made = dataclasses.replace(made, shown="see methods")
        made.add(group, name, default)
    parser.set_defaults(**dict.fromkeys(found))


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the method's stage."""
    args = _parser().parse_intermixed_args(argv)
    method = _take_words(args)

    from tools.stage.options import run_options

    names = dict.fromkeys(name for one in METHODS.values() for name in one.options())
    options = {name: getattr(args, name) for name in ("input_dir", "overwrite", *names)}
    options |= {name: tuple(value) for name, value in options.items() if isinstance(value, list)}
    if method in METHODS and hasattr(METHODS[method].stage_class, "workers"):
        options["workers"] = run_options(args).num_workers
    return run_folder_stage(make_stage(method, args.output_dir, **options), args)


def run_folder_stage(stage: Stage, args: argparse.Namespace) -> int:
    """Run a stage that writes files, and remove what killed workers have left half-written."""
    from tools.datasets.transforms.folder_stage import FolderStage
    from tools.stage.options import run_command

    assert isinstance(stage, FolderStage)

    try:
        return run_command(stage, args)
    finally:
        if not args.dry_run:
            stage.remove_leftovers()


def _take_words(args: argparse.Namespace) -> str:
    """Fill in what was given by position; the method."""
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
