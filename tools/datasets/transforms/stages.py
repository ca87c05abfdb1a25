"""The transforms as stages: one row of a file in, one row of the new file out. The base, and images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.columns import SIZE, kinds_of, measured_on
from tools.datasets.transforms.folder_stage import FolderStage
from tools.datasets.transforms.images import JPEG_QUALITY
from tools.datasets.transforms.targets import TARGET
from tools.errors import MediaError
from tools.options import option
from tools.options.values import Whole
from tools.stage.stage import MADE_FILES, Row, origin

if TYPE_CHECKING:
    from tools.media.reading.frames import Frame

_SIZE: dict[str, Any] = kinds_of(*SIZE)


def quality_option() -> Any:
    """The field ``quality: int`` of stages that write images."""
    return option(JPEG_QUALITY, "quality of JPEG and WebP, 1 to 100", Whole(1, 100, metavar="Q"))


@dataclasses.dataclass
class FileStage(FolderStage):
    """Base: a new file for each file, under `output_dir`, whose path replaces the old one.

    Adds path, original_path (the file that it was made of), relpath (below `output_dir`) and what follows
    from the new size.

    For its options see `FolderStage`.
    """

    output_columns = {
        "path": "String",
        "original_path": "String",
        "relpath": "String",
        **_SIZE,
        MADE_FILES: "List",
    }

    def stale_columns(self, columns: Sequence[str]) -> list[str]:
        """What was measured on the old file."""
        return measured_on(columns, "file")

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Make the new file of a row."""
        source = row["path"]
        target = self.target_path(row)
        try:
            with self.new_file(target, row) as new:
                values = self.make(source, new, str(row.get(TARGET)))
        except MediaError as error:  # the file that the row is about is the source, not a temporary name
            raise MediaError(error.kind, source, error.message) from None
        relpath = str(target.relative_to(self.output_dir))
        return {
            "path": str(target),
            "original_path": origin(row),
            "relpath": relpath,
            **values,
            **self.made(target),
        }

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Write the new file.

        Args:
            source: The file of the row.
            new: Where to.
            name: Path of the new file below the output folder.

        Returns:
            The values of the columns that are about the new file.
        """
        raise NotImplementedError


@dataclasses.dataclass
class ImageResizeStage(FileStage):
    """Scale images down so that one side has `length` pixels; smaller ones are not enlarged.

    Attributes:
        side: ``shorter`` or ``longer``.
        plain: Name the table ``_resized<L>`` instead of ``_resize-<side>-<L>``.
    """

    name = "img_resize"

    side: str = "shorter"
    length: int = option(2160, "pixels of the side", Whole(1, metavar="PX"))
    quality: int = quality_option()
    plain: bool = False

    @property
    def suffix(self) -> str:
        """``_resized<L>`` or ``_resize-<side>-<L>``."""
        return f"_resized{self.length}" if self.plain else f"_resize-{self.side}-{self.length}"

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Resize one image."""
        from tools.datasets.transforms.images import resized, transform_image

        size = transform_image(
            source, new, resized(self.length, longer=self.side == "longer"), quality=self.quality
        )
        return size_columns(*size)


@dataclasses.dataclass
class ImageCropStage(FileStage):
    """Keep one quarter of each image, chosen at random from the seed and the name of the file."""

    name = "img_rand_crop"
    suffix = "_rand_crop"

    seed: int = option(42, "seed of the random quarter", Whole())
    quality: int = quality_option()

    def make(self, source: str, new: Path, name: str) -> dict[str, Any]:
        """Crop one image."""
        from tools.datasets.transforms.images import choose_quadrant, quadrant, transform_image

        number = choose_quadrant(name, self.seed)
        return size_columns(*transform_image(source, new, quadrant(number), quality=self.quality))


def size_columns(width: int, height: int) -> dict[str, Any]:
    """The columns that follow from a size in pixels."""
    return {
        "height": height,
        "width": width,
        "aspect_ratio": height / width,
        "resolution": height * width,
    }
