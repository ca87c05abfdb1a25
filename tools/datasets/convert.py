"""Make a table from a folder: of videos, of images, or of a data set whose folders say what is seen."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cli
from tools.datasets.scan import find_files
from tools.errors import UserError

if TYPE_CHECKING:
    import polars as pl

_SYNSET = re.compile(r"n\d{8}")


def convert_video(root: str | Path, *, exts: Sequence[str] | None = None) -> pl.DataFrame:
    """List the videos below a folder.

    Args:
        root: The folder; paths in the table begin with it as it is given.
        exts: Extensions instead of `tools.media.reading.extensions.VIDEO_EXTENSIONS`.

    Returns:
        Columns path, id (file name without its last extension) and relpath (below the folder), sorted by
        relpath.

    Raises:
        UserError: There is no such folder, or no such file in it.
    """
    from tools.media.reading.extensions import VIDEO_EXTENSIONS

    return _listing(root, exts or VIDEO_EXTENSIONS)


def convert_image(root: str | Path, *, exts: Sequence[str] | None = None) -> pl.DataFrame:
    """List the images below a folder; otherwise as `convert_video`."""
    from tools.media.reading.extensions import IMAGE_EXTENSIONS

    return _listing(root, exts or IMAGE_EXTENSIONS)


def convert_imagenet(root: str | Path, split: str = "train") -> pl.DataFrame:
    """List ImageNet: ``root/<split>/<class>/*.JPEG``.

    Args:
        root: The folder. Where classes are synset numbers (n01440764), their names are read from
            LOC_synset_mapping.txt or from the meta.bin that torchvision makes, in the folder.
        split: Name of the folder below.

    Returns:
        Columns path and text (the first name of the class), sorted by path.

    Raises:
        UserError: A folder is missing or empty, or the names of the classes are.
    """
    from tools.media.reading.extensions import IMAGE_EXTENSIONS

    folder = Path(root) / split
    files = find_files(folder, IMAGE_EXTENSIONS)
    classes = {file.parent.name for file in files}
    names = _synset_names(Path(root)) if any(_SYNSET.fullmatch(name) for name in classes) else {}
    unnamed = sorted(name for name in classes if _SYNSET.fullmatch(name) and name not in names)
    if unnamed:
        raise UserError(
            f"{root}: no name for class {unnamed[0]}; put LOC_synset_mapping.txt (or meta.bin) there"
        )
    return _with_text(files, [names.get(file.parent.name, file.parent.name) for file in files])


def convert_ucf101(root: str | Path, split: str = "train") -> pl.DataFrame:
    """List UCF-101: ``root/<split>/<ClassName>/*.avi``, or without the split where there is no such folder.

    Returns:
        Columns path and text ("Apply Eye Makeup"), sorted by path.

    Raises:
        UserError: The folder is missing or has no videos.
    """
    from tools.media.reading.extensions import VIDEO_EXTENSIONS

    folder = Path(root) / split
    files = find_files(folder if folder.is_dir() else root, VIDEO_EXTENSIONS)
    return _with_text(files, [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", file.parent.name) for file in files])


def convert_vidprom(root: str | Path, info: str | Path) -> pl.DataFrame:
    """List VidProM: the videos ``root/pika-<uuid>.mp4`` with their prompts.

    Args:
        root: The folder.
        info: VidProM's table with the columns uuid and prompt.

    Returns:
        Columns path and text, in the order of ``info``, for the videos that are there.

    Raises:
        UserError: The folder or the table is missing, or they have no video in common.
    """
    import polars as pl

    from tools.table import read_table, require_columns

    table = read_table(info)
    require_columns(table, ("uuid", "prompt"), info)
    present = {file.name for file in find_files(root, (".mp4",))}
    rows = [
        (str(Path(root) / f"pika-{uuid}.mp4"), prompt)
        for uuid, prompt in table.select("uuid", "prompt").rows()
        if f"pika-{uuid}.mp4" in present
    ]
    if not rows:
        raise UserError(f"{root}: has none of the videos that {info} names (pika-<uuid>.mp4)")
    return pl.DataFrame(rows, schema={"path": pl.String, "text": pl.String}, orient="row")


def _listing(root: str | Path, exts: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    files = find_files(root, exts)
    relative = [str(file.relative_to(root)) for file in files]
    return pl.DataFrame({"path": [str(f) for f in files], "id": [f.stem for f in files], "relpath": relative})


def _with_text(files: Iterable[Path], texts: Iterable[str]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame({"path": [str(file) for file in files], "text": list(texts)})


def _synset_names(root: Path) -> dict[str, str]:
    """First name of each synset; empty if no file lists them."""
    mapping = root / "LOC_synset_mapping.txt"
    if mapping.is_file():
        lines = (line.partition(" ") for line in mapping.read_text(encoding="utf-8").splitlines())
        return {synset: names.split(",")[0].strip() for synset, _, names in lines}
    meta = root / "meta.bin"
    if meta.is_file():
        import torch

        return {synset: names[0] for synset, names in torch.load(meta, weights_only=True)[0].items()}
    return {}


def _parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser(
        "tools.datasets.convert",
        "Make a table from a folder. video and image give path, id, relpath; imagenet, ucf101 and vidprom\n"
        "give path and text. Folders are searched in depth, also through links; hidden files are left out.",
        """
        python -m tools.datasets.convert video /data/videos --output meta/meta.csv
        python -m tools.datasets.convert video /data/videos --output meta.csv --exts .mp4 .mkv
        python -m tools.datasets.convert vidprom /data/vidprom --info VidProM_unique.csv --output vidprom.csv
        """,
    )
    parser.add_argument("dataset", choices=("video", "image", "imagenet", "ucf101", "vidprom"))
    parser.add_argument("root", help="the folder")
    parser.add_argument("--output", metavar="FILE", help="table to write: .csv, .parquet or .jsonl")
    parser.add_argument("--exts", nargs="+", metavar="EXT", help="file extensions, for video and image")
    cli.advanced(
        parser.add_argument(
            "--split", default="train", help="folder below root, for imagenet and ucf101 (train)"
        )
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="also replace a table that has more columns (scores, for example)",
    )
    parser.add_argument("--info", metavar="FILE", help="table with uuid and prompt, for vidprom")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and write the table."""
    args = _parser().parse_args(argv)

    from tools.table import refuse_loss, table_format, write_table

    output = args.output or _DEFAULT_OUTPUTS.get(args.dataset, "").format(split=args.split)
    if not output:
        raise UserError(f"convert {args.dataset}: name the table to write: --output meta.csv")
    table_format(output)
    if args.dataset == "vidprom" and not args.info:
        raise UserError("convert vidprom: needs VidProM's table of prompts: --info VidProM_unique.csv")
    refuse_loss(Path(output), _COLUMNS.get(args.dataset, ("path", "text")), overwrite=args.overwrite)
    exts = [f".{ext.lower().lstrip('.')}" for group in args.exts or [] for ext in group.split(",") if ext]
    makers: dict[str, Callable[[], pl.DataFrame]] = {
        "video": lambda: convert_video(args.root, exts=exts),
        "image": lambda: convert_image(args.root, exts=exts),
        "imagenet": lambda: convert_imagenet(args.root, args.split),
        "ucf101": lambda: convert_ucf101(args.root, args.split),
        "vidprom": lambda: convert_vidprom(args.root, args.info),
    }
    table = makers[args.dataset]()
    path = write_table(table, output)
    print(f"{table.height} files", file=sys.stderr)
    print(path)


_COLUMNS: dict[str, tuple[str, ...]] = dict.fromkeys(("video", "image"), ("path", "id", "relpath"))
"""Of the others: path, text."""
_DEFAULT_OUTPUTS = {
    "imagenet": "imagenet_{split}.csv",
    "ucf101": "ucf101_{split}.csv",
    "vidprom": "vidprom.csv",
}
"""Where Open-Sora's command wrote; video and image always need ``--output``."""


if __name__ == "__main__":
    cli.run(main)
