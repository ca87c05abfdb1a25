"""What is exported, as text: the presets, each row, and the summary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tools.base.terminal import counted, one_line
from tools.export.explain import BucketLine, Summary, explain
from tools.export.planning import Planned, RowPlan
from tools.export.presets import Preset, presets
from tools.export.trainers.base import Setup
from tools.export.trainers.judgement import Clip, Reason, unusable


def list_presets() -> str:
    """All presets with what their models take, and where and when their rules were read."""
    lines = [("preset", "fps", "frames", "sides", "sizes", "read at", "date")]
    for preset in presets():
        model, rule = preset.model, preset.trainer.rule
        takes = model.name != "any"
        lines.append(
            (
                preset.name,
                f"{model.fps:g}" if model.fps else "own",
                f"{model.frames} ({model.frames.least}-{model.frames.most})" if takes else "any",
                str(model.multiple) if takes else "any",
                " ".join(f"{width}x{height}" for width, height in model.sizes) or "any",
                f"{rule.repository}@{rule.commit[:7]}" if rule.commit else rule.repository,
                rule.date or "",
            )
        )
    return "\n".join(_aligned(lines))


def row_lines(plans: Iterable[RowPlan]) -> Iterator[str]:
    """What becomes of each row, one line for each file and for each row that is lost."""
    for plan in plans:
        name = one_line(plan.source.name) or f"row {plan.row}"
        if plan.loss:
            yield f"{name}: lost, {_reason(plan.loss)}"
        for piece in plan.pieces:
            yield f"{name}: {_piece(plan.source, piece)}"


def row_records(plans: Iterable[RowPlan]) -> list[dict[str, Any]]:
    """The same as rows of a table: path, written, bucket, frames, crop, reason, remedy, warnings."""
    found = []
    for plan in plans:
        base = {"path": plan.source.name, "source_row": plan.row}
        for piece in plan.pieces:
            buckets = [str(one.bucket) for one in piece.judgement.pieces]
            cut = piece.cut
            found.append(
                {
                    **base,
                    "written": True,
                    "bucket": " ".join(buckets),
                    "width": piece.clip.width,
                    "height": piece.clip.height,
                    "num_frames": piece.clip.num_frames,
                    "fps": piece.clip.fps,
                    "first": round((cut.start if cut else 0) / piece.clip.fps, 6),
                    "cropped": _cropped(plan.source, piece),
                    "reason": "",
                    "detail": "",
                    "remedy": "",
                    "warnings": "; ".join(f"{one.kind}: {one.text}" for one in piece.judgement.warnings),
                    "caption": piece.clip.caption or "",
                }
            )
        if plan.loss:
            found.append(
                {
                    **base,
                    "written": False,
                    "bucket": "",
                    "width": plan.source.width,
                    "height": plan.source.height,
                    "num_frames": plan.source.num_frames,
                    "fps": plan.source.fps if plan.source.fps == plan.source.fps else None,
                    "first": None,
                    "cropped": None,
                    "reason": plan.loss.kind,
                    "detail": plan.loss.text,
                    "remedy": plan.loss.remedy,
                    "warnings": "",
                    "caption": plan.source.caption or "",
                }
            )
    return found


def summary_lines(plans: Sequence[RowPlan], preset: Preset, setup: Setup) -> Iterator[str]:
    """Counts, buckets, rows lost for each reason, and what the trainer does beside."""
    trainer = preset.trainer
    files = [piece.clip for plan in plans for piece in plan.pieces]
    summary = explain(files, trainer, setup).summary
    lost = sum(1 for plan in plans if plan.loss)
    used = len(plans) - lost
    made = f"{counted(len(files), 'clip')} of {counted(used, 'row')}"
    yield f"{preset.name}: {counted(len(plans), 'row')}, {made}, {counted(lost, 'row')} lost"
    if files:
        yield ""
        yield from _bucket_lines(summary, setup)
    if lost:
        yield ""
        yield from _loss_lines(plans)
    yield from _warning_lines(summary, setup)


def _bucket_lines(summary: Summary, setup: Setup) -> Iterator[str]:
    """``bucket x clips x hours``."""
    lines: list[tuple[str, ...]] = [("bucket", "clips", "hours", f"left out (batch {setup.global_batch})")]
    for bucket, line in summary.buckets.items():
        lines.append((str(bucket), str(line.clips), f"{line.seconds / 3600:.4f}", _left(line)))
    yield from _aligned(lines, right=(1, 2))


def _left(line: BucketLine) -> str:
    if line.dropped is None:
        return ""
    return f"{line.dropped.pieces} of {line.pieces}: {line.dropped.reason.text}"


def _loss_lines(plans: Iterable[RowPlan]) -> Iterator[str]:
    """Rows lost for each reason, the most frequent first, with an example and what would help."""
    found: dict[str, list[tuple[Clip, Reason]]] = {}
    for plan in plans:
        if plan.loss:
            found.setdefault(plan.loss.kind, []).append((plan.source, plan.loss))
    lines: list[tuple[str, ...]] = [("lost", "rows", "hours", "such as")]
    for kind, rows in sorted(found.items(), key=lambda one: (-len(one[1]), one[0])):
        seconds = sum(0.0 if unusable(clip) else clip.seconds for clip, _ in rows)
        clip, reason = rows[0]
        example = f"{one_line(clip.name)}: {reason.text}"
        help_ = f" ({reason.remedy})" if reason.remedy else ""
        lines.append((kind, str(len(rows)), f"{seconds / 3600:.4f}", example + help_))
    yield from _aligned(lines, right=(1, 2))


def _warning_lines(summary: Summary, setup: Setup) -> Iterator[str]:
    """What the trainer changes, and what it leaves out of buckets that fill no batch."""
    if summary.warned:
        yield ""
        lines: list[tuple[str, ...]] = [("warning", "clips", "such as")]
        for kind, loss in summary.warned.items():
            text = f"{loss.examples[0]}" + (f" ({loss.remedy})" if loss.remedy else "")
            lines.append((kind, str(loss.clips), text))
        yield from _aligned(lines, right=(1,))
    small = summary.small_buckets
    if small:
        count = "1 bucket has" if len(small) == 1 else f"{len(small)} buckets have"
        yield ""
        yield (
            f"warning: {count} fewer clips than a batch of {setup.global_batch}, and the trainer leaves "
            f"all of them out: {', '.join(map(str, small[:5]))}{' …' if len(small) > 5 else ''}"
        )
    elif summary.dropped:
        yield ""
        yield f"{summary.dropped} clips fill no batch of {setup.global_batch} in each epoch"
    for text in summary.ends_training:
        yield f"warning: training ends with an error: {text}"


def _piece(source: Clip, piece: Planned) -> str:
    buckets = ", ".join(str(one.bucket) for one in piece.judgement.pieces)
    used = max((one.frames_used for one in piece.judgement.pieces), default=0)
    cropped = _cropped(source, piece)
    parts = [f"bucket {buckets}", f"{used} of {piece.clip.num_frames} frames used"]
    if piece.cut:
        begins = piece.cut.start / piece.clip.fps
        ends = begins + piece.clip.num_frames / piece.clip.fps
        parts.append(f"{begins:.3f} to {ends:.3f} s at {piece.clip.fps:g} fps")
    if cropped > 0:
        parts.append(f"{cropped:.1%} of the picture cropped")
    parts += [f"{one.kind}: {one.text}" for one in piece.judgement.warnings]
    return "; ".join(parts)


def _cropped(source: Clip, piece: Planned) -> float:
    """Share of the source's picture that is cut away, by us and then by the trainer."""
    own = 0.0
    if piece.cut:
        width, height = (piece.cut.box or (source.width, source.height))[:2]
        factor = max(piece.cut.width / width, piece.cut.height / height)
        own = 1 - piece.cut.width * piece.cut.height / (factor**2 * source.width * source.height)
    more = max((one.cropped for one in piece.judgement.pieces), default=0.0)
    return round(max(0.0, 1 - (1 - own) * (1 - more)), 6)


def _reason(reason: Reason) -> str:
    return f"{reason.kind}: {reason.text}" + (f" ({reason.remedy})" if reason.remedy else "")


def _aligned(lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def option_value(text: str) -> Any:
    """A value of a trainer's setting: JSON where it is, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
