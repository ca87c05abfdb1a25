"""What a trainer is: what it reads, how one trains with it, and what it does with each clip.

A trainer is one file beside this one, with one subclass of `Trainer`. It says in numbers what the trainer's
own code does with a file, also where that is not what one would wish.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from tools.errors import UserError
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
        layout_class: Writes that into a folder, with the trainer's own configuration beside it.
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
