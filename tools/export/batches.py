"""Clips that fill no batch in their bucket are cut shorter where they fill one.

Several trainers leave out what is over a multiple of the batch, or a bucket that is smaller than it. Such a
clip goes to the bucket of the next smaller number of frames, and from there on, until a batch is full; what
fills none in the end keeps its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tools.export.planning import Planned, Planner, RowPlan
from tools.export.trainers.judgement import Bucket


@dataclass
class _Member:
    """A piece in the bucket that it is in now, and as it was planned."""

    row: int
    number: int
    piece: Planned
    planned: Planned

    @property
    def bucket(self) -> Bucket:
        """That of the first resolution: those of others have as many clips."""
        return self.piece.judgement.pieces[0].bucket


def fill_batches(
    plans: Sequence[RowPlan], planner: Planner, splits: Sequence[str] | None
) -> tuple[list[RowPlan], int]:
    """Cut as few clips shorter as fill the batches of their buckets.

    Args:
        plans: One for each row.
        planner: That made them.
        splits: The split of each row, each a data set with batches of its own; None for none.

    Returns:
        The plans, and how many pieces are shorter than planned.
    """
    trainer, setup = planner.wanted.trainer, planner.wanted.setup
    lengths = sorted(setup.frames, reverse=True)
    if planner.wanted.keep_source or len(lengths) < 2 or trainer.one_length(setup):
        return list(plans), 0  # nothing is cut, or not to several lengths
    members = [
        _Member(plan.row, number, piece, piece) for plan in plans for number, piece in enumerate(plan.pieces)
    ]

    def buckets(some: Sequence[_Member]) -> dict[tuple[str, Bucket], list[_Member]]:
        found: dict[tuple[str, Bucket], list[_Member]] = {}
        for member in some:
            found.setdefault((splits[member.row] if splits else "", member.bucket), []).append(member)
        return found

    def over(bucket: Bucket, count: int) -> int:
        dropped = trainer.dropped({bucket: count}, setup).get(bucket)
        return min(count, dropped.pieces) if dropped else 0

    for length, shorter in pairwise(lengths):
        frames = trainer.frames_for(length, setup)
        there = buckets([member for member in members if member.piece.clip.num_frames == frames])
        for (_, bucket), group in there.items():
            for member in group[len(group) - over(bucket, len(group)) :]:
                member.piece = planner.shorter(member.row, member.planned, shorter) or member.piece
    for (_, bucket), group in buckets(members).items():
        moved = [member for member in group if member.piece is not member.planned]
        for member in moved[max(0, len(moved) - over(bucket, len(group))) :]:
            member.piece = member.planned
    cut = {(member.row, member.number): member.piece for member in members}
    count = sum(member.piece is not member.planned for member in members)
    return [
        replace(plan, pieces=tuple(cut[plan.row, number] for number in range(len(plan.pieces))))
        for plan in plans
    ], count
