"""Reasons and numbers that the judgements of several trainers share."""

from __future__ import annotations

from collections.abc import Iterable

from tools.export.trainers.judgement import Clip, Judgement, Piece, Reason

SPEED_TOLERANCE = 0.05
"""A piece is called faster or slower from this relative difference on; below, frame numbers are rounded."""

STRETCH_TOLERANCE = 0.02
"""A picture is said to be stretched from this relative change of its aspect ratio on."""


def lost(kind: str, text: str, remedy: str = "") -> Judgement:
    """The clip gives nothing."""
    return Judgement(loss=Reason(kind, text, remedy))


def too_short(frames: int, need: int) -> Judgement:
    """The clip gives nothing, as the trainer counts `frames` frames in it and needs `need`."""
    return lost("too short", f"{frames} frames, {need} needed", f"a smaller number of frames than {need}")


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
