"""Draw the sprite of one file, as a stage: frames of a video, or an image, side by side in one JPEG."""

from __future__ import annotations

import base64
import dataclasses
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import MediaError
from tools.media.reading.extensions import is_image
from tools.media.reading.sampling import Sampling, SamplingError
from tools.options import option
from tools.options.values import Whole
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    from tools.media.reading.requests import Frames

_ASPECT = 16 / 9  # width by height of the frame that the option `height` speaks of


@dataclasses.dataclass
class SpriteStage(Stage):
    """Draw each video's frames side by side: column ``path`` in.

    The frames are the middle ones of equal parts of the video. They are upright, with square pixels, and HDR
    is tone-mapped. Frames that are damaged, or that the video has not, are left out: the sprite has fewer.
    An image is one frame. A file without any frame fails.

    Adds ``jpeg`` (in base64), ``frames``, and the ``width`` and ``height`` of one frame in pixels.
    """

    name = "sprites"
    suffix = "_sprites"
    version = 1
    output_columns = {"jpeg": "String", "frames": "Int64", "width": "Int64", "height": "Int64"}

    frames: int = option(4, "frames of a video", Whole(1, 6))
    height: int = option(90, "height of a frame of 16:9 in pixels; others get the same area", Whole(16, 720))
    quality: int = option(70, "quality of the JPEG", Whole(1, 95))

    def prepare(self, row: Row, frames: Frames) -> dict[str, Any]:
        """Read and draw the frames of one file."""
        path = str(row["path"])
        images = self._image(path) if is_image(path) else self._video(path)
        height, width = images[0].shape[:2]
        jpeg = _jpeg(images, self.quality)
        return {
            "jpeg": base64.b64encode(jpeg).decode("ascii"),
            "frames": len(images),
            "width": width,
            "height": height,
        }

    def _image(self, path: str) -> list[np.ndarray]:
        from PIL import Image

        from tools.media.reading.images import read_image

        image = Image.fromarray(read_image(path))
        size = frame_size(image.size, self.height)
        return [np.asarray(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))]

    def _video(self, path: str) -> list[np.ndarray]:
        """The frames that decode whole, scaled as they are converted: HDR, above all, costs by the pixel."""
        from tools.media.reading.decoders import decoder_for
        from tools.media.reading.timeline.scan import index_packets
        from tools.media.reading.video_frames import damaged_frame

        index = index_packets(path)
        try:
            numbers = Sampling("uniform_mid", count=self.frames).indices(index.times[: index.num_frames])
        except SamplingError as error:
            raise MediaError("too_short", path, str(error)) from None
        size = frame_size(index.displayed_size, self.height)
        decoder = decoder_for(self.decoder, index)
        images = decoder.read_images(path, numbers, index, size=size, interpolation="area")
        if not images:
            raise damaged_frame(path, index, numbers[0])
        return [images[number] for number in numbers if number in images]


def frame_size(picture: tuple[int, int], height: int) -> tuple[int, int]:
    """The size of a frame in a sprite.

    Frames of all aspect ratios have the area of one of 16:9 with this height, so that an upright picture
    shows as much as a wide one; within twice that one's width, and no higher than it is wide. Nothing is
    enlarged.

    Args:
        picture: Displayed width and height in pixels.
        height: See `SpriteStage.height`.

    Returns:
        Width and height in pixels, at least 1.
    """
    width = height * _ASPECT
    scale = min(
        1.0,
        math.sqrt(width * height / (picture[0] * picture[1])),
        2 * width / picture[0],
        width / picture[1],
    )
    return max(1, round(picture[0] * scale)), max(1, round(picture[1] * scale))


def _jpeg(images: Sequence[np.ndarray], quality: int) -> bytes:
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(np.concatenate(images, axis=1)).save(
        encoded, format="JPEG", quality=quality, optimize=True
    )
    return encoded.getvalue()
