"""Which numbers of frames a table is exported with where none are given."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tools.export.planning import Planner, Wanted
from tools.export.trainers.base import Setup

_SHOWN = 8
"""Numbers of frames that are named one by one."""


@dataclass(frozen=True)
class Usable:
    """A clip, or with ``--windows`` a piece of one, that is lost at most for being too short.

    Attributes:
        length: The longest number of frames of the model that it can be cut to.
        fps: The frame rate that it would have.
        piece: Whether it is what is left of a longer clip.
    """

    length: int
    fps: float
    piece: bool = False


def choose_frames(setup: Setup, planner: Planner) -> tuple[Setup, str]:
    """The setup with numbers of frames that suit the clips of a table, and a line that says which and why.

    Args:
        setup: How one trains.
        planner: Of the table, with any numbers of frames.

    Returns:
        The setup as it is and "" where nothing is to choose: of formats that take every clip whole, and where
        the trainer's own settings say the lengths. Where no clip can be used, the model's least number, so
        that what is said of each clip is not its length.
    """
    trainer = planner.wanted.trainer
    own = set(trainer.lengths(replace(setup, frames=()))) - {1}  # 1 is the bucket for images
    if setup.model.name == "any" or own:
        return setup, ""
    usable = usable_clips(setup, planner)
    shortest = min((one.length for one in usable if not one.piece), default=None)
    frames = trainer.default_frames([one.length for one in usable], setup, shortest)
    if not frames:
        return replace(setup, frames=(setup.model.frames.least,)), ""
    chosen = replace(setup, frames=frames)
    return chosen, _line(chosen, usable, trainer.one_length(setup))


def by_length(setup: Setup, wanted: Wanted) -> Setup:
    """The setup with a data set for each number of frames, where the trainer takes several so alone."""
    return replace(setup, by_length=len(setup.frames) > 1 and wanted.trainer.splits_by_length(setup))


def usable_clips(setup: Setup, planner: Planner) -> list[Usable]:
    """Every clip of a table that the trainer would use if only it is long enough, and how long it is."""
    trainer, legal = planner.wanted.trainer, setup.model.frames.all()
    least = replace(setup, frames=(legal[0],))
    need = [trainer.frames_for(frames, least) for frames in legal]
    wanted = replace(planner.wanted, setup=least, windows=False)
    found = []
    for plan in planner.plans(wanted):
        # What is too long as it is for the least number of frames may suit a longer one.
        if plan.loss and plan.loss.kind != "too long":
            continue
        there, fps = trainer.frames_there(plan.source, least), trainer.rate(plan.source, least)
        if wanted.keep_source:  # no frame is repeated to fill a number that a slower clip has not
            there = min(there, plan.source.num_frames)
        pieces = 1 if not planner.wanted.windows else max(1, there // need[-1])
        found += [Usable(legal[max(0, bisect_right(need, there) - 1)], fps)] * pieces
        rest = bisect_right(need, there - pieces * need[-1])
        if planner.wanted.windows and rest:
            found.append(Usable(legal[rest - 1], fps, piece=True))
    return found


def _line(setup: Setup, usable: Sequence[Usable], one: str) -> str:
    frames = [str(frames) for frames in setup.frames[::-1]]
    named = " ".join(frames) if len(frames) <= _SHOWN else f"{frames[0]} {frames[1]} … {frames[-1]}"
    if not one:
        return f"frames: {named}, chosen from the lengths of the clips (--frames sets others)"
    length, shortest = setup.frames[0], min(clip.length for clip in usable)
    line = f"frames: {length} (--frames sets another): {one}, and "
    if shortest == length:
        return f"{line}all {len(usable)} clips that can be used have {length}"
    used = [clip for clip in usable if clip.length >= length]
    return (
        f"{line}with {length} most seconds are used, {_hours(used, length)} h of {len(used)} of "
        f"{len(usable)} clips; --frames {shortest} uses all, {_hours(usable, shortest)} h"
    )


def _hours(clips: Sequence[Usable], length: int) -> str:
    return f"{sum(length / clip.fps for clip in clips) / 3600:.4f}"
