"""Read the frames of several requests for one file in a single decode."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tools.errors import MediaError
from tools.media.reading.decoders import check_decoder, decoder_for
from tools.media.reading.extensions import is_image
from tools.media.reading.sampling import Sampling, SamplingError

if TYPE_CHECKING:
    from tools.media.reading.decoders.pyav import Decoder
    from tools.media.reading.frames import Frame
    from tools.media.reading.timeline.packets import PacketIndex

# libav is imported where files are read: stages declare requests without it, and `--help` is instant

Size = tuple[int, int]
"""Width and height in pixels."""


class FrameChoice(Protocol):
    """A choice of frames: a `Sampling`, or another class with these methods."""

    def indices(self, times: np.ndarray) -> list[int]:
        """Numbers of the frames, by the time of each in seconds; raises SamplingError if there are none."""
        ...

    def asdict(self) -> dict[str, Any]:
        """The choice as JSON."""
        ...


@dataclass(frozen=True)
class Snapshots:
    """Gray pictures at intervals: larger than thumbnails, which exist for every frame.

    Attributes:
        size: Width and height in pixels.
        seconds: Length of the intervals; the first frame of each is taken.
    """

    size: Size
    seconds: float

    def indices(self, times: np.ndarray) -> np.ndarray:
        """Numbers of the frames, by the time of each in seconds."""
        interval = np.floor(times / self.seconds + 1e-6)
        return np.flatnonzero(np.diff(interval, prepend=-1) > 0)


@dataclass(frozen=True)
class FrameRequest:
    """What is requested of a file.

    Attributes:
        choice: Full frames; None for none.
        thumbnails: Width and height of a small gray picture of every frame; None for none.
        snapshots: Larger gray pictures at intervals, only together with thumbnails; None for none.
    """

    choice: FrameChoice | None = None
    thumbnails: Size | None = None
    snapshots: Snapshots | None = None


NOTHING = FrameRequest()


class Frames(list["Frame"]):
    """The frames that were chosen, in the order of the choice.

    Attributes:
        times: float64, shape (n,): seconds since the first frame, of every frame; with thumbnails, of those
            that have one.
        thumbnails: uint8, shape (n, height, width): luma of every frame, averaged over areas; frames that do
            not decode whole are left out. None if they were not requested.
        snapshots: uint8, shape (m, height, width): as thumbnails, of the frames that `Snapshots` chooses.
        snapshot_times: float64, shape (m,): their times.
    """

    def __init__(
        self,
        frames: Iterable[Frame] = (),
        times: np.ndarray | None = None,
        thumbnails: np.ndarray | None = None,
    ) -> None:
        super().__init__(frames)
        self.times = np.zeros(0) if times is None else times
        self.thumbnails = thumbnails
        self.snapshots: np.ndarray | None = None
        self.snapshot_times = np.zeros(0)


def read_requests(
    path: str | Path, requests: Sequence[FrameRequest], *, decoder: str = "pyav"
) -> list[Frames | MediaError]:
    """Read a file once for all requests; each frame is decoded once.

    Args:
        path: A video or an image, by its extension. An image is its own only frame and thumbnail.
        requests: The requests.
        decoder: Decoder of the chosen frames, see `tools.media.reading.frames.read_frames`.

    Returns:
        For each request its frames, or an error: too_short if it selects none in this video, decode if one
        of its frames is damaged. Requests for the same frame share its image.

    Raises:
        MediaError: The file as a whole cannot be read.
        UserError: The decoder is unknown or not installed.
    """
    from tools.media.reading.container import open_video
    from tools.media.reading.decoders.pyav import Decoder
    from tools.media.reading.frames import Frame
    from tools.media.reading.timeline.scan import index_opened
    from tools.media.reading.video_frames import damaged_frame

    check_decoder(decoder)
    if is_image(path):
        return _read_image(path, requests)
    with open_video(path) as opened:
        index, first = index_opened(path, *opened)
        times = index.times[: index.num_frames]
        chosen = [_choose(path, request, index) for request in requests]
        needed = sorted(
            {number for numbers in chosen if not isinstance(numbers, MediaError) for number in numbers}
        )
        sizes = {request.thumbnails for request in requests if request.thumbnails is not None}
        snapshots = {request.snapshots for request in requests if request.snapshots is not None}
        sparse = {kind: set(kind.indices(times).tolist()) for kind in snapshots}
        chosen_decoder = decoder_for(decoder, index)
        decoded = Decoder(path, index, opened=opened, first=first)
        if chosen_decoder.single_pass:
            images, shown, small = _decode(decoded, index, needed, sizes, sparse)
        else:
            images = chosen_decoder.read_images(path, needed, index)
            shown, small = _decode(decoded, index, (), sizes, sparse)[1:]
    found: list[Frames | MediaError] = []
    for request, numbers in zip(requests, chosen, strict=True):
        if isinstance(numbers, MediaError):
            found.append(numbers)
        elif damaged := [number for number in numbers if number not in images]:
            found.append(damaged_frame(path, index, damaged[0]))
        elif request.thumbnails and not shown:
            found.append(MediaError("decode", path, "no frame can be decoded"))
        else:
            frames = [Frame(n, int(index.pts[n]), float(times[n]), images[n]) for n in numbers]
            given = Frames(frames, times)
            if request.thumbnails:
                given.times, given.thumbnails = times[shown], small.get(request.thumbnails)
            if request.snapshots:
                given.snapshots = small.get(request.snapshots)
                given.snapshot_times = times[[n for n in shown if n in sparse[request.snapshots]]]
            found.append(given)
    return found


def read_sampled(path: str | Path, choice: FrameChoice, *, decoder: str = "pyav") -> Frames:
    """Read the frames that a policy chooses; an image has one. Arguments as for `read_requests`.

    Raises:
        MediaError: As `read_requests`; too_short when the policy finds no frame, decode for a damaged one.
        UserError: The decoder is unknown or not installed.
    """
    (frames,) = read_requests(path, [FrameRequest(choice)], decoder=decoder)
    if isinstance(frames, MediaError):
        raise frames
    return frames


def chosen_frames(choice: FrameChoice, index: PacketIndex, within: range | None = None) -> list[int]:
    """Choose frames of a video, with the key frames that `Sampling.nearest` needs.

    Args:
        choice: The choice.
        index: The packets of the video.
        within: A range of its frames, which is taken for the whole video; by default all.

    Returns:
        Numbers of the frames, counted from the first of `within`.

    Raises:
        SamplingError: There are none.
    """
    within = range(index.num_frames) if within is None else within
    times = index.times[within.start : within.stop]
    times = times - times[:1]
    if not isinstance(choice, Sampling):
        return [int(number) for number in choice.indices(times)]
    keys = index.key_frames - within.start
    return choice.indices(times, keys[(keys >= 0) & (keys < len(within))])


def _choose(path: str | Path, request: FrameRequest, index: PacketIndex) -> list[int] | MediaError:
    if request.choice is None:
        return []
    try:
        return chosen_frames(request.choice, index)
    except SamplingError as error:
        return MediaError("too_short", path, str(error))


def _decode(
    decoder: Decoder,
    index: PacketIndex,
    needed: Sequence[int],
    sizes: set[Size],
    sparse: Mapping[Snapshots, Container[int]],
) -> tuple[dict[int, np.ndarray], list[int], dict[Size | Snapshots, np.ndarray]]:
    """Decode the needed frames, or all frames if there are thumbnails.

    Returns:
        Images by number; numbers of the frames that have thumbnails; thumbnails by size, and snapshots.
    """
    from tools.media.reading.pictures import PictureConverter

    in_full = PictureConverter(index)
    every = range(index.num_frames)
    numbers: dict[Size | Snapshots, Container[int]] = {**dict.fromkeys(sizes, every), **sparse}
    shrink = {
        size: PictureConverter(index, size=size, format="gray", interpolation="area")
        for size in sizes | {kind.size for kind in sparse}
    }
    images: dict[int, np.ndarray] = {}
    shown: list[int] = []
    small: dict[Size | Snapshots, list[np.ndarray]] = {kind: [] for kind in numbers}
    left = set(needed)
    with decoder:
        for number, picture in decoder.pictures(every if sizes else needed):
            if picture.is_corrupt:
                continue
            if number in left:
                images[number] = in_full(picture)
            if sizes:
                shown.append(number)
            scaled: dict[Size, np.ndarray] = {}
            for kind, chosen in numbers.items():
                if number in chosen:
                    size = kind.size if isinstance(kind, Snapshots) else kind
                    if size not in scaled:
                        scaled[size] = shrink[size](picture)
                    small[kind].append(scaled[size])
    return images, shown, {kind: np.stack(pictures) for kind, pictures in small.items() if pictures}


def _read_image(path: str | Path, requests: Sequence[FrameRequest]) -> list[Frames | MediaError]:
    from PIL import Image

    from tools.media.reading.frames import Frame
    from tools.media.reading.images import gray_image, read_image

    image = read_image(path)

    def grey(size: Size) -> np.ndarray:
        return np.asarray(gray_image(image).resize(size, Image.Resampling.BOX))[None]

    found: list[Frames | MediaError] = []
    for request in requests:
        frames = [] if request.choice is None else [Frame(0, 0, 0.0, image)]
        given = Frames(frames, np.zeros(1), grey(request.thumbnails) if request.thumbnails else None)
        if request.snapshots:
            given.snapshots, given.snapshot_times = grey(request.snapshots.size), np.zeros(1)
        found.append(given)
    return found
