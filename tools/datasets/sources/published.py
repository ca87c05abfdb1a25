"""Published data sets whose folders, or one table, say what is seen: ImageNet, UCF-101, VidProM."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.datasets.scan import find_files
from tools.datasets.sources import Found, SourceOptions
from tools.errors import UserError

if TYPE_CHECKING:
    import polars as pl

_SYNSET = re.compile(r"n\d{8}")


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


def read_imagenet(places: Sequence[str], options: SourceOptions) -> Found:
    """Source ``imagenet``, see `convert_imagenet`."""
    return Found(convert_imagenet(places[0], options.split or "train"))


def read_ucf101(places: Sequence[str], options: SourceOptions) -> Found:
    """Source ``ucf101``, see `convert_ucf101`."""
    return Found(convert_ucf101(places[0], options.split or "train"))


def read_vidprom(places: Sequence[str], options: SourceOptions) -> Found:
    """Source ``vidprom``, see `convert_vidprom`."""
    if not options.info:
        raise UserError("convert vidprom: needs VidProM's table of prompts: --info VidProM_unique.csv")
    return Found(convert_vidprom(places[0], options.info))
