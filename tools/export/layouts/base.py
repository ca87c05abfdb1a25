"""What every layout has: where files lie in the folder, and what is written beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import ClassVar

from tools.base.terminal import counted
from tools.errors import UserError
from tools.export.explain import Summary, explain
from tools.export.items import Item, as_clip
from tools.export.trainers.base import Setup, Trainer


class Layout(ABC):
    """Files of a data set as one trainer finds them.

    Each split is a data set of its own, in a folder of the split's name with its own tables and
    configuration, as no trainer reads splits from a table.

    Attributes:
        trainer: What reads it.
        folder: Where the media files lie, below the folder of the split.
        inside: Whether the trainer is given that folder, and not the one above it.
        needs: Import name of an optional package that writing needs; "" for none.
        sharded: Whether many clips are in one file.
        unfit: Characters that the path of the folder must not have, as the trainer takes it for a pattern.
    """

    folder: ClassVar[str] = "clips"
    inside: ClassVar[bool] = False
    needs: ClassVar[str] = ""
    sharded: ClassVar[bool] = False
    unfit: ClassVar[str] = ""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def check_place(self, folder: str) -> None:
        """Check the path at which the trainer will find the folder.

        Raises:
            UserError: The trainer would find nothing there.
        """
        if wrong := [character for character in self.unfit if character in folder]:
            raise UserError(
                f"{folder}: {self.trainer.name} takes {' '.join(wrong)} in a path for a pattern and finds "
                "nothing: choose another -o, or --root"
            )

    def media(self, key: str, split: str = "") -> str:
        """The media file of a clip, relative to the exported folder."""
        return join(split, self.folder, f"{key}.mp4")

    def root(self, split: str = "") -> str:
        """The folder that the trainer is given, relative to the exported folder; "" for that folder itself.

        The names that `Trainer.reads` sees, and those in tables, are relative to it.
        """
        return join(split, self.folder) if self.inside else split

    def check_splits(self, names: Iterable[str]) -> None:
        """Make sure that the trainer can tell splits of these names apart; most are given one folder.

        Raises:
            UserError: It cannot.
        """
        del names

    def texts(self, items: Sequence[Item], setup: Setup, folder: str = ".") -> Iterator[tuple[str, str]]:
        r"""Every caption file, table and configuration.

        Args:
            items: Clips that are in the folder, in the order in which they stand in tables.
            setup: How one trains.
            folder: The exported folder as the trainer will see it, for configurations that say where the
                data are. With "." they hold where training starts in that folder.

        Yields:
            Path relative to the exported folder, and text, to be written in UTF-8 with ``\n`` as it stands.

        Raises:
            ValueError: A caption of several lines, a file in the wrong place, or one that is there twice:
                what made the items is wrong.
        """
        for split, group in by_split(items).items():
            check(group, self.root(split))
            for path, text in self.split_texts(group, setup, split, folder):
                yield join(split, path), text

    @abstractmethod
    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """The files of one split; paths are relative to the folder of the split."""

    def warnings(self, items: Sequence[Item], setup: Setup) -> list[str]:
        """What the trainer will leave out of the folder, or stop at, one line each."""
        found = []
        for split, group in by_split(items).items():
            begin = f"{split}: " if split else ""
            summary = self.summary(group, setup, split)
            for kind, loss in summary.lost.items():
                found.append(
                    f"{begin}{counted(loss.clips, 'clip')} lost ({kind}), such as {loss.examples[0]}"
                )
            for bucket, line in summary.buckets.items():
                if line.dropped:
                    reason = line.dropped.reason
                    ends = ", which ends training with an error" if line.dropped.ends_training else ""
                    remedy = f"; {reason.remedy}" if reason.remedy else ""
                    lost = f"{line.dropped.pieces} of {line.pieces} left out"
                    found.append(f"{begin}bucket {bucket}: {reason.text}: {lost}{ends}{remedy}")
        return found

    def by_length(self, items: Sequence[Item], setup: Setup, split: str) -> dict[int, list[Item]]:
        """Clips by the number of frames of the data set that they are in, longest first.

        Without `Setup.by_length` there is one data set, of the first number in the setup.
        """
        if not setup.by_length:
            return {setup.frames[0]: list(items)}
        root = self.root(split)
        groups: dict[int, list[Item]] = {}
        for item in items:
            groups.setdefault(
                self.trainer.length_of(as_clip(item, below(item.file, root)), setup), []
            ).append(item)
        return dict(sorted(groups.items(), reverse=True))

    def summary(self, items: Sequence[Item], setup: Setup, split: str) -> Summary:
        """What the trainer makes of the clips of one split."""
        root = self.root(split)
        clips = [as_clip(item, below(item.file, root)) for item in items]
        return explain(clips, self.trainer, setup).summary


def captions_beside(items: Sequence[Item], split: str) -> Iterator[tuple[str, str]]:
    """A text file for each clip, of its name but for the extension, without a line break at its end."""
    for item in items:
        yield str(PurePosixPath(below(item.file, split)).with_suffix(".txt")), item.caption


def by_split(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Items by their split, in the order of the first of each."""
    groups: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.split].append(item)
    return dict(groups)


def check(items: Iterable[Item], root: str) -> None:
    """Raise ValueError for items that would break tables or caption files."""
    seen: set[str] = set()
    for item in items:
        if len(item.caption.splitlines()) > 1 or item.caption.strip("\r\n") != item.caption:
            raise ValueError(f"{item.file}: its caption has several lines")
        stem = str(PurePosixPath(below(item.file, root)).with_suffix(""))
        if stem in seen:
            raise ValueError(f"{item.file}: there are two files of this name")
        seen.add(stem)


def below(file: str, folder: str) -> str:
    """The path of a file relative to a folder that it is in."""
    return PurePosixPath(file).relative_to(folder).as_posix() if folder else file


def join(*parts: str) -> str:
    """A path of those parts that are not empty; ``.`` at the beginning is left out."""
    path = PurePosixPath(*(part for part in parts if part)).as_posix()
    return "" if path == "." else path


def place(*parts: str) -> str:
    """A path as it stands in a configuration: never empty."""
    return join(*parts) or "."
