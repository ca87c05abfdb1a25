"""What a trainer would do with many clips, as data: each clip, each bucket, what is lost and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tools.export.trainers.base import Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Dropped, Judgement, Piece, unusable


@dataclass(frozen=True)
class Explained:
    """One clip and what becomes of it."""

    clip: Clip
    judgement: Judgement


@dataclass
class BucketLine:
    """What one bucket is made of.

    Attributes:
        pieces: Training examples in it.
        clips: Clips that they come from.
        seconds: Of the clips, what its pieces show.
        dropped: What is left out of it as it fills no batch; None for nothing.
    """

    pieces: int = 0
    clips: int = 0
    seconds: float = 0.0
    dropped: Dropped | None = None


@dataclass
class Loss:
    """What is lost, or changed, for one kind of reason.

    Attributes:
        clips: How many.
        seconds: Of them in all; clips whose length is not known count as 0.
        examples: Names of the first few.
        remedy: What would help the first of them.
    """

    clips: int = 0
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)
    remedy: str = ""


@dataclass
class Summary:
    """All clips together.

    Attributes:
        clips: How many were judged.
        seconds: Of them in all.
        used: How many give at least one piece.
        pieces: Training examples.
        seconds_used: Of the clips, what is shown by some piece, each frame counted once.
        buckets: Bucket → what it is made of, the fullest first.
        lost: Kind of reason → clips that give nothing, the most frequent first.
        warned: Kind of warning → clips that are changed, likewise.
        ends_training: Why the trainer would stop with an error; empty if it would not.
    """

    clips: int = 0
    seconds: float = 0.0
    used: int = 0
    pieces: int = 0
    seconds_used: float = 0.0
    buckets: dict[Bucket, BucketLine] = field(default_factory=dict)
    lost: dict[str, Loss] = field(default_factory=dict)
    warned: dict[str, Loss] = field(default_factory=dict)
    ends_training: list[str] = field(default_factory=list)

    @property
    def dropped(self) -> int:
        """Pieces that fill no batch."""
        return sum(line.dropped.pieces for line in self.buckets.values() if line.dropped)

    @property
    def small_buckets(self) -> list[Bucket]:
        """Buckets of which nothing is left, as all their pieces together fill no batch."""
        return [
            bucket
            for bucket, line in self.buckets.items()
            if line.dropped and line.dropped.pieces >= line.pieces
        ]


@dataclass(frozen=True)
class Explanation:
    """Every clip in the order given, and all together."""

    clips: list[Explained]
    summary: Summary


EXAMPLES = 3
"""Names of clips that a reason keeps."""


def judge(clip: Clip, trainer: Trainer, setup: Setup) -> Judgement:
    """What becomes of one clip: what no trainer could read is lost, the rest is for this trainer to say."""
    reason = unusable(clip)
    return Judgement(loss=reason) if reason else trainer.judge(clip, trainer.setup_of(clip, setup))


def explain(clips: Iterable[Clip], trainer: Trainer, setup: Setup) -> Explanation:
    """What a trainer would do with clips.

    Args:
        clips: In any order; each is one row of a table, or one file of a folder.
        trainer: Of `tools.export.presets.TRAINERS`.
        setup: How one trains, made by `trainer.setup`.

    Returns:
        A judgement for each clip, and what they come to.
    """
    explained = [Explained(clip, judge(clip, trainer, setup)) for clip in clips]
    return Explanation(explained, _summary(explained, trainer, setup))


def _summary(explained: list[Explained], trainer: Trainer, setup: Setup) -> Summary:
    summary = Summary()
    buckets: defaultdict[Bucket, BucketLine] = defaultdict(BucketLine)
    lost: defaultdict[str, Loss] = defaultdict(Loss)
    warned: defaultdict[str, Loss] = defaultdict(Loss)
    for one in explained:
        clip, judgement = one.clip, one.judgement
        seconds = 0.0 if unusable(clip) else clip.seconds
        summary.clips += 1
        summary.seconds += seconds
        for reason in (judgement.loss,) if judgement.loss else ():
            _count(lost[reason.kind], clip, seconds, reason.remedy)
        for kind, remedy in {warning.kind: warning.remedy for warning in judgement.warnings}.items():
            _count(warned[kind], clip, seconds, remedy)
        if judgement.pieces:
            summary.used += 1
            summary.pieces += len(judgement.pieces)
            summary.seconds_used += _shown(judgement.pieces) / clip.fps
            _fill(buckets, clip, judgement.pieces)
    counts = {bucket: line.pieces for bucket, line in buckets.items()}
    for bucket, dropped in trainer.dropped(counts, setup).items():
        buckets[bucket].dropped = dropped
        if dropped.ends_training and dropped.reason.text not in summary.ends_training:
            summary.ends_training.append(dropped.reason.text)
    summary.buckets = dict(sorted(buckets.items(), key=lambda item: (-item[1].pieces, item[0])))
    summary.lost = _most_first(lost)
    summary.warned = _most_first(warned)
    return summary


def _fill(buckets: defaultdict[Bucket, BucketLine], clip: Clip, pieces: tuple[Piece, ...]) -> None:
    for bucket, count in Counter(piece.bucket for piece in pieces).items():
        buckets[bucket].pieces += count
        buckets[bucket].clips += 1
    for piece in pieces:
        buckets[piece.bucket].seconds += _shown((piece,)) / clip.fps


def _shown(pieces: tuple[Piece, ...]) -> int:
    """Frames of the clip within the pieces, each counted once: those between sampled frames count as shown.

    Of pieces at random places the longest counts, as any other may show the same frames.
    """
    drawn = [piece.span for piece in pieces if piece.anywhere]
    shown, end = max(drawn, default=0), -1
    for first, last in sorted((piece.first, piece.last) for piece in pieces if not piece.anywhere):
        shown += max(0, last - max(first, end + 1) + 1)
        end = max(end, last)
    return shown


def _count(loss: Loss, clip: Clip, seconds: float, remedy: str) -> None:
    loss.clips += 1
    loss.seconds += seconds
    loss.remedy = loss.remedy or remedy
    if len(loss.examples) < EXAMPLES:
        loss.examples.append(clip.name)


def _most_first(losses: dict[str, Loss]) -> dict[str, Loss]:
    return dict(sorted(losses.items(), key=lambda item: (-item[1].clips, item[0])))
