"""What a trainer is: what it reads, how one trains with it, and what it does with each clip.

A trainer is one file beside this one, with one subclass of `Trainer`. It says in numbers what the trainer's
own code does with a file, also where that is not what one would wish.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from tools.errors import UserError
from tools.export.lengths import few_lengths
from tools.export.models import Model
from tools.export.trainers.judgement import Bucket, Clip, Dropped, Judgement

if TYPE_CHECKING:
    from tools.export.layouts.base import Layout


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
        by_length: Each number of frames is a data set of its own, with the clips that are cut to it.
    """

    model: Model
    sizes: tuple[tuple[int, int], ...]
    frames: tuple[int, ...]
    batch_size: int = 1
    gpus: int = 1
    accumulation: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    by_length: bool = False

    @property
    def global_batch(self) -> int:
        """Examples in one step of training."""
        return self.batch_size * self.gpus * self.accumulation


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


@dataclass(frozen=True)
class Table:
    """A table that names the files which a trainer reads.

    Attributes:
        files: Columns with the path of a file, of which one must be there.
        captions: Columns with its caption, the first that has one.
        folder: To which the paths are relative, below the folder of the data set.
    """

    files: tuple[str, ...]
    captions: tuple[str, ...]
    folder: str = ""


@dataclass(frozen=True)
class Captions:
    """Where a trainer looks for captions: in ``a.txt`` for ``a.mp4``, unless something else is named.

    Attributes:
        folder: Of these text files; "" for that of the clip.
        by_name: A file in JSON that is read instead where it is there, an object of file names and captions.
        by_line: prompts.txt and videos.txt are read, one line a clip.
        table: A table is read.
        required: Whether these lines, or that table, must be there.
    """

    folder: str = ""
    by_name: str = ""
    by_line: bool = False
    table: Table | None = None
    required: bool = True


class Trainer(ABC):
    """What one trainer does with files. Subclass it, set what is set below, write `judge`.

    Attributes:
        name: Right part of a preset, MODEL@TRAINER.
        rule: Where its rule was read.
        models: The models that it trains, as it takes them.
        options: Its own settings that change the judgement, by its own names, with its defaults.
        several_lengths: Whether its configuration takes several numbers of frames.
        most_lengths: How many are chosen for a table at most, as each makes buckets of its own; None for all
            that its clips have.
        extensions: Names of files that it opens end in one of these; in lower case. Where a list names the
            files, those that users have.
        any_case: Whether extensions in capitals count too.
        folder: Where it looks, below the folder of the data set: "" for the folder itself.
        recursive: Whether it looks into folders of that folder.
        captions: Where it looks for captions.
        drops: One line for a table of trainers: what it leaves out in silence.
        speed: One line for a table of trainers: what it does to frame rates.
        layout: One line for a table of trainers: what it reads.
        layout_class: Writes that into a folder, with the trainer's own configuration beside it.
    """

    name: ClassVar[str]
    rule: ClassVar[Rule]
    models: ClassVar[tuple[Model, ...]]
    options: ClassVar[dict[str, Any]] = {}
    several_lengths: ClassVar[bool] = True
    most_lengths: ClassVar[int | None] = 5
    extensions: ClassVar[tuple[str, ...]] = (".mp4",)
    any_case: ClassVar[bool] = False
    folder: ClassVar[str] = ""
    recursive: ClassVar[bool] = False
    captions: ClassVar[Captions] = Captions()
    layout: ClassVar[str] = ""
    layout_class: ClassVar[type[Layout]]
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

    def one_length(self, setup: Setup) -> str:
        """Why one number of frames is best for all clips; "" where several are."""
        del setup
        return "" if self.several_lengths else "its configuration has one number of frames"

    def splits_by_length(self, setup: Setup) -> bool:
        """Whether several numbers of frames are to be several data sets (`Setup.by_length`)."""
        del setup
        return False

    def default_frames(
        self, lengths: Sequence[int], setup: Setup, shortest: int | None = None
    ) -> tuple[int, ...]:
        """The numbers of frames that suit clips of some lengths.

        Args:
            lengths: Of each clip the longest number of frames of the model that it can be cut to.
            setup: How one trains; its numbers of frames are not looked at.
            shortest: With several numbers of frames, the shortest clip that must be used.

        Returns:
            The numbers of frames, rising: with one the most frames are trained on; with several all clips
            are, and of those choices with this one the most frames.
        """
        return few_lengths(lengths, 1 if self.one_length(setup) else self.most_lengths, shortest)

    def rate(self, clip: Clip, setup: Setup) -> float:
        """The frame rate at which a file should be written. By default the model's, else the clip's."""
        return setup.model.fps or clip.fps

    def frames_for(self, length: int, setup: Setup) -> int:
        """Frames that a file at `rate` must have to give a piece of `length`. By default as many."""
        del setup
        return length

    def frames_there(self, clip: Clip, setup: Setup) -> int:
        """Frames of a clip at the rate at which it should be written."""
        # A hundredth of a frame is what rates written with three decimals miss.
        return math.floor(clip.num_frames * self.rate(clip, setup) / clip.fps + 0.01)

    def length_of(self, clip: Clip, setup: Setup) -> int:
        """Of the numbers of frames that of the data set in which a clip is, see `Setup.by_length`."""
        # Frames are not repeated to fill a number that a slower clip has not.
        there = min(self.frames_there(clip, setup), clip.num_frames)
        fitting = [length for length in setup.frames if self.frames_for(length, setup) <= there]
        return max(fitting, default=min(setup.frames))

    def setup_of(self, clip: Clip, setup: Setup) -> Setup:
        """The setup of the data set in which a clip is."""
        return replace(setup, frames=(self.length_of(clip, setup),)) if setup.by_length else setup

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
