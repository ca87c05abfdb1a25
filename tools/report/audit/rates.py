"""The rates of bad clips that an audit found, from ratings and the rows that were drawn.

A clip is bad if at least half of those who rated it found a defect in it, and it has a defect if at least
half of them ticked it: of two raters one is enough, of three it takes two. What at least one rater found is
told besides.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from tools.errors import UserError
from tools.report.audit.agreement import Agreement, measure_agreement
from tools.report.audit.intervals import Interval, wilson
from tools.report.audit.sample import Sample
from tools.report.ratings import DEFECTS, MatchedRatings, Rating

BAD = "bad"
"""Key of what is no defect itself: that a clip has any."""


@dataclass(frozen=True)
class Rate:
    """How many clips have a property.

    Attributes:
        found: Clips that have it.
        clips: Clips that were looked at.
        interval: 95 % confidence interval of the share in the table, see `wilson`.
    """

    found: int
    clips: int
    interval: Interval

    @property
    def share(self) -> float:
        """``found / clips``."""
        return self.found / self.clips


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        rows: Rows of the table.
        sample: The rows that were drawn; None where that is not known.
        clips: Rows that were rated, of those drawn; all rates are of these.
        not_drawn: Rows that were rated although they were not drawn; they are left out.
        unmatched: Ratings with defects of no row of the table.
        not_audits: Ratings of rows that have no ``defects``, but ``rating`` or ``keep``; they are left out.
        ambiguous: Ratings of several rows, which have the same path and no id to tell them apart. They count
            for each of them that was drawn, or once where no sample is known.
        doubt: Why the rated clips may not be a random sample; empty where they are, or no sample is known.
        bad: Clips with a defect, see the module.
        by_any: Clips in which at least one rater found a defect; the same as ``bad`` with a single rater.
        defects: For each of `DEFECTS`, its rate.
        raters: For each rater, the clips rated and those found bad. An empty name is that of nobody.
        agreement: On `BAD` and on each defect that anyone ticked; empty where no clip has two raters.
    """

    rows: int
    sample: Sample | None
    clips: int
    not_drawn: int
    unmatched: int
    not_audits: int
    ambiguous: int
    doubt: str
    bad: Rate
    by_any: Rate
    defects: dict[str, Rate]
    raters: dict[str, Rate]
    agreement: dict[str, Agreement]

    @property
    def is_first_part(self) -> bool:
        """The rated clips are the first of those drawn, but not all of them."""
        return self.sample is not None and not self.doubt and self.clips < self.sample.rows.size


def measure_rates(matched: MatchedRatings, rows: int, sample: Sample | None = None) -> Audit:
    """The rates of an audit.

    Args:
        matched: Ratings and their rows, see `tools.report.ratings.match_ratings`.
        rows: Rows of the table.
        sample: What `tools.report.audit.sample.draw` gave for the table.

    Returns:
        The rates.

    Raises:
        UserError: No rating has ``defects``, or none is of a row that was drawn.
    """
    audits = [(rating, row) for rating, row in matched.pairs if rating.defects is not None]
    if not audits:
        raise UserError(
            "no rating in these files has defects, as those of an audit do: "
            '{"path": "a.mp4", "defects": ["text"]}, or "defects": [] for a clip without'
        )
    places: dict[int, tuple[Rating, list[int]]] = {}
    for rating, row in audits:
        places.setdefault(id(rating), (rating, []))[1].append(row)
    counted, outside = _counted(list(places.values()), sample)
    judged = _by_row(counted)
    if not judged:
        raise UserError(
            f"none of the {len(outside):,} rated clips is among those that were drawn: "
            "give --audit, --seed and the table of the page on which they were rated"
        )
    names = sorted({rating.rater for by in judged.values() for rating in by.values()})
    answers = {name: _answers(judged, names, name) for name in (BAD, *DEFECTS)}
    return Audit(
        rows=rows,
        sample=sample,
        clips=len(judged),
        not_drawn=len(outside),
        unmatched=sum(rating.defects is not None for rating in matched.unmatched),
        not_audits=len({id(rating) for rating, _ in matched.pairs if rating.defects is None}),
        ambiguous=sum(len(rows) > 1 for _, rows in places.values()),
        doubt=_doubt(sample, judged),
        bad=_rate(_majority(answers[BAD]), rows),
        by_any=_rate(np.nanmax(answers[BAD], axis=1) > 0, rows),
        defects={name: _rate(_majority(answers[name]), rows) for name in DEFECTS},
        raters={
            name: _rate(column[np.isfinite(column)] > 0, rows)
            for name, column in zip(names, answers[BAD].T, strict=True)
        },
        agreement=_agreement(answers) if len(names) > 1 else {},
    )


def _counted(
    ratings: list[tuple[Rating, list[int]]], sample: Sample | None
) -> tuple[list[tuple[Rating, int]], set[int]]:
    """The ratings and rows that count, and rows that were rated although they were not drawn."""
    if sample is None:
        return [(rating, rows[0]) for rating, rows in ratings], set()
    drawn = set(sample.rows.tolist())
    counted: list[tuple[Rating, int]] = []
    outside: set[int] = set()
    for rating, rows in ratings:
        chosen = [row for row in rows if row in drawn]
        counted += [(rating, row) for row in chosen]
        if not chosen:
            outside.add(rows[0])
    return counted, outside


def _by_row(audits: list[tuple[Rating, int]]) -> dict[int, dict[str, Rating]]:
    """The last rating of each rater for each row."""
    judged: dict[int, dict[str, Rating]] = {}
    for rating, row in audits:
        judged.setdefault(row, {})[rating.rater] = rating
    return judged


def _answers(judged: dict[int, dict[str, Rating]], names: list[str], defect: str) -> np.ndarray:
    """For each clip and rater 1 for yes, 0 for no, NaN for not rated."""
    column = {name: place for place, name in enumerate(names)}
    answers = np.full((len(judged), len(names)), np.nan)
    for place, by in enumerate(judged.values()):
        for name, rating in by.items():
            ticked = rating.defects or ()
            answers[place, column[name]] = bool(ticked) if defect == BAD else defect in ticked
    return answers


def _majority(answers: np.ndarray) -> np.ndarray:
    """Clips of which at least half of the answers are yes."""
    return np.nanmean(answers, axis=1) >= 0.5


def _rate(found: np.ndarray, rows: int) -> Rate:
    count = int(found.sum())
    return Rate(count, len(found), wilson(count, len(found), population=rows))


def _agreement(answers: dict[str, np.ndarray]) -> dict[str, Agreement]:
    ticked = {name: matrix for name, matrix in answers.items() if name == BAD or np.nansum(matrix)}
    found = {name: measure_agreement(matrix) for name, matrix in ticked.items()}
    return found if found[BAD].clips else {}


def _doubt(sample: Sample | None, judged: Collection[int]) -> str:
    """Why the rated clips may not be a random sample of the table."""
    if sample is None or set(sample.rows[: len(judged)].tolist()) == set(judged):
        return ""
    return (
        f"of {sample.rows.size:,} drawn clips {len(judged):,} are rated, and these are not the first ones: "
        "the rates are those of the rated clips, and of the table only if nobody chose which to rate"
    )
