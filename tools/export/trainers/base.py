"""What every trainer says of a clip: which pieces of it are trained on, or why none.

A trainer is one file beside this one, with one subclass of `Trainer`. It says in numbers what the trainer's
own code does with a file, also where that is not what one would wish.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, ClassVar

from tools.errors import UserError
from tools.export.models import Model

SPEED_TOLERANCE = 0.05
"""A piece is called faster or slower from this relative difference on; below, frame numbers are rounded."""

STRETCH_TOLERANCE = 0.02
"""A picture is said to be stretched from this relative change of its aspect ratio on."""


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
class Setup:
    """How one trains: what the trainer's configuration says.

    Attributes:
        model: The model, as this trainer takes it.
        sizes: (width, height) in its configuration. Trainers that make their own buckets read them as areas.
        frames: Numbers of frames in its configuration.
        batch_size: Examples in a batch of one GPU.
        gpus: GPUs with their own data.
        accumulation: Batches of which the gradients are added.
        options: Other settings by the trainer's own names; those not given have the trainer's defaults.
    """

    model: Model
    sizes: tuple[tuple[int, int], ...]
    frames: tuple[int, ...]
    batch_size: int = 1
    gpus: int = 1
    accumulation: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def global_batch(self) -> int:
        """Examples in one step of training."""
        return self.batch_size * self.gpus * self.accumulation


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


@dataclass(frozen=True)
class Rule:
    """Where a trainer's rule was read.

    Attributes:
        repository: On GitHub.
        commit: The version that was read.
        date: Of that commit, YYYY-MM-DD.
        files: The files read.
    """

    repository: str
    commit: str
    date: str
    files: tuple[str, ...]


class Trainer(ABC):
    """What one trainer does with files. Subclass it, set what is set below, write `judge`.

    Attributes:
        name: Right part of a preset, MODEL@TRAINER.
        rule: Where its rule was read.
        models: The models that it trains, as it takes them.
        options: Its own settings that change the judgement, by its own names, with its defaults.
        extensions: Names of files that it opens end in one of these; in lower case. Where a list names the
            files, those that users have.
        any_case: Whether extensions in capitals count too.
        folder: Where it looks, below the folder of the data set: "" for the folder itself.
        recursive: Whether it looks into folders of that folder.
        drops: One line for a table of trainers: what it leaves out in silence.
        speed: One line for a table of trainers: what it does to frame rates.
        layout: One line for a table of trainers: what it reads.
    """

    name: ClassVar[str]
    rule: ClassVar[Rule]
    models: ClassVar[tuple[Model, ...]]
    options: ClassVar[dict[str, Any]] = {}
    extensions: ClassVar[tuple[str, ...]] = (".mp4",)
    any_case: ClassVar[bool] = False
    folder: ClassVar[str] = ""
    recursive: ClassVar[bool] = False
    layout: ClassVar[str] = ""
    drops: ClassVar[str] = ""
    speed: ClassVar[str] = ""

    @abstractmethod
    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """What the trainer does with a clip that `unusable` has nothing against."""

    def dropped(self, counts: Mapping[Bucket, int], setup: Setup) -> dict[Bucket, Dropped]:
        """What is left out of buckets with so many pieces each as it fills no batch. By default nothing."""
        del counts, setup
        return {}

    def reads(self, names: Iterable[str]) -> list[str]:
        """The media files that it would open.

        Args:
            names: Files of a data set with ``/`` in their paths, relative to its folder.

        Returns:
            Those that it sees, in the order given.
        """
        return [name for name in names if self._sees(PurePosixPath(name))]

    def setup(self, model: Model, **settings: Any) -> Setup:
        """The setup for a model: its usual size and number of frames where `settings` say no other.

        Raises:
            UserError: An option that this trainer does not have.
        """
        unknown = sorted(set(settings.get("options", ())) - set(self.options))
        if unknown:
            known = ", ".join(sorted(self.options)) or "none"
            raise UserError(f"{self.name} has no option {unknown[0]!r} here; those it has: {known}")
        settings.setdefault("sizes", model.sizes[:1])
        settings.setdefault("frames", (model.frames.most,))
        return Setup(model, **settings)

    def lengths(self, setup: Setup) -> list[int]:
        """Numbers of frames that its configuration asks for."""
        return list(setup.frames)

    def rate(self, clip: Clip, setup: Setup) -> float:
        """The frame rate at which a file should be written. By default the model's, else the clip's."""
        return setup.model.fps or clip.fps

    def frames_for(self, length: int, setup: Setup) -> int:
        """Frames that a file at `rate` must have to give a piece of `length`. By default as many."""
        del setup
        return length

    def option(self, setup: Setup, name: str) -> Any:
        """The value of one of its own settings, or the trainer's default."""
        return setup.options.get(name, self.options[name])

    def _sees(self, path: PurePosixPath) -> bool:
        parent = path.parent.as_posix()
        parent = "" if parent == "." else parent
        if self.recursive:
            here = not self.folder or parent == self.folder or parent.startswith(f"{self.folder}/")
        else:
            here = parent == self.folder
        return here and (path.suffix.lower() if self.any_case else path.suffix) in self.extensions


def unusable(clip: Clip) -> Reason | None:
    """Why no trainer at all could use the clip, or None."""
    if clip.num_frames < 1 or clip.width < 1 or clip.height < 1:
        return Reason(
            "unreadable", f"{clip.num_frames} frames of {clip.width}x{clip.height}: the file was not read"
        )
    if not 0 < clip.fps < float("inf"):
        return Reason("no frame rate", f"fps is {clip.fps}", "add it with datautil --info")
    return None


def lost(kind: str, text: str, remedy: str = "") -> Judgement:
    """The clip gives nothing."""
    return Judgement(loss=Reason(kind, text, remedy))


def too_short(frames: int, need: int, remedy: str = "") -> Judgement:
    """The clip gives nothing, as the trainer counts `frames` frames in it and needs `need`."""
    return lost(
        "too short", f"{frames} frames, {need} needed", remedy or f"a smaller number of frames than {need}"
    )


def cropped(clip: Clip, width: int, height: int) -> float:
    """Share of the picture that is cut away where it is scaled to cover width x height and cropped to it."""
    own, wanted = clip.width * height, clip.height * width  # aspect ratios, multiplied by both heights
    return 1 - min(own, wanted) / max(own, wanted)


def played_speed(first: int, last: int, frames: int, clip: Clip, fps: float | None) -> float:
    """How fast `frames` frames move that show the clip from frame `first` to `last`, played at `fps`.

    Without `fps` the model is told the rate of the clip, and nothing changes.
    """
    if fps is None or frames < 2 or last <= first:
        return 1.0
    return (last - first) / (frames - 1) * fps / clip.fps


def speed_warnings(pieces: Iterable[Piece]) -> tuple[Reason, ...]:
    """Warnings of pieces that are faster or slower than the clip, one for each kind."""
    found: dict[str, Reason] = {}
    for piece in pieces:
        if abs(piece.speed - 1) > SPEED_TOLERANCE:
            kind = "faster" if piece.speed > 1 else "slower"
            text = f"plays at {piece.speed:.2f} of its speed"
            found.setdefault(kind, Reason(kind, text, "resample the clip to the model's frame rate"))
    return tuple(found.values())


def stretch_warning(clip: Clip, width: int, height: int) -> tuple[Reason, ...]:
    """A warning if the picture is resized to width x height without keeping its aspect ratio."""
    factor = (width / height) / (clip.width / clip.height)
    if abs(factor - 1) <= STRETCH_TOLERANCE:
        return ()
    how = "wider" if factor > 1 else "narrower"
    text = f"{clip.width}x{clip.height} becomes {width}x{height}: {max(factor, 1 / factor):.2f} times {how}"
    return (Reason("stretched", text, "crop the clip to the bucket's aspect ratio first"),)


def enlarged_warning(clip: Clip, width: int, height: int) -> tuple[Reason, ...]:
    """A warning if the picture must be enlarged to cover width x height."""
    factor = max(width / clip.width, height / clip.height)
    if factor <= 1:
        return ()
    return (
        Reason("enlarged", f"{clip.width}x{clip.height} is enlarged {factor:.2f} times", "a smaller size"),
    )
