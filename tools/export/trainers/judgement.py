"""What a trainer says of a clip: which pieces of it are trained on, or why none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clip:
    """What a trainer sees of one file.

    Attributes:
        name: The file, relative to the folder that the trainer reads.
        width: Pixels, as shown.
        height: Pixels, as shown.
        num_frames: Frames in the file.
        fps: Frames per second.
        caption: Its text; "" where the caption file is empty, None where there is none.
        has_audio: Whether it has a sound track.
    """

    name: str
    width: int
    height: int
    num_frames: int
    fps: float
    caption: str | None = None
    has_audio: bool = False

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.num_frames / self.fps


@dataclass(frozen=True, order=True)
class Bucket:
    """Pieces of one shape, from which a trainer makes batches.

    Attributes:
        width: Pixels.
        height: Pixels.
        frames: Frames.
        group: What else keeps pieces apart in the trainer, such as the aspect ratio; "" for nothing.
    """

    width: int
    height: int
    frames: int
    group: str = ""

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.frames}" + (f" ({self.group})" if self.group else "")


@dataclass(frozen=True)
class Piece:
    """A training example that a clip gives.

    Attributes:
        bucket: Its shape, with which it is batched.
        first: Number of the first frame of the clip that it may show, from 0.
        last: Number of the last one.
        frames_used: Frames of the clip in it, each counted once.
        speed: How fast its motion is where the model plays it: 2 is twice as fast, 1 is unchanged.
        cropped: Share of the picture that is cut away, 0 to 1.
        drawn: Frames of the clip from the first to the last that a draw shows, where the trainer draws the
            place at random from `first` to `last`; 0 where the place is fixed.
    """

    bucket: Bucket
    first: int
    last: int
    frames_used: int
    speed: float = 1.0
    cropped: float = 0.0
    drawn: int = 0

    @property
    def anywhere(self) -> bool:
        """Whether the place is drawn at random."""
        return self.drawn > 0

    @property
    def span(self) -> int:
        """Frames of the clip from the first to the last one that it shows."""
        return self.drawn or self.last - self.first + 1


@dataclass(frozen=True)
class Reason:
    """Why a clip is lost or changed.

    Attributes:
        kind: Two or three words by which clips are counted, the same for all clips: "too short".
        text: One sentence with the numbers of this clip.
        remedy: What would help; "" where nothing would.
    """

    kind: str
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Judgement:
    """What a trainer does with one clip.

    Attributes:
        pieces: The training examples that it gives; empty if it is lost.
        loss: Why it gives none; None if it gives one.
        warnings: What happens to it that one would not expect.
    """

    pieces: tuple[Piece, ...] = ()
    loss: Reason | None = None
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Dropped:
    """Pieces of a bucket that a trainer leaves out because they fill no batch.

    Attributes:
        pieces: How many in each epoch.
        reason: Why, and what would help.
        ends_training: The trainer stops with an error rather than leave them out.
    """

    pieces: int
    reason: Reason
    ends_training: bool = False


def unusable(clip: Clip) -> Reason | None:
    """Why no trainer at all could use the clip, or None."""
    if clip.num_frames < 1 or clip.width < 1 or clip.height < 1:
        return Reason(
            "unreadable", f"{clip.num_frames} frames of {clip.width}x{clip.height}: the file was not read"
        )
    if not 0 < clip.fps < float("inf"):
        return Reason("no frame rate", f"fps is {clip.fps}", "add it with datautil --info")
    return None
