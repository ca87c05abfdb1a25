"""How far raters agree on yes or no, beyond what chance would give: Cohen's and Fleiss' kappa."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Agreement of raters on the clips that at least two of them have rated.

    Attributes:
        clips: How many such clips there are.
        method: ``Cohen`` or ``Fleiss``; empty where there is no such clip.
        observed: Share of the pairs of raters of a clip that say the same, averaged over clips.
        kappa: 1 for full agreement, 0 for that of chance; None where it is not defined, because everyone gave
            the same answer for every clip (or there is no such clip).
    """

    clips: int
    method: str = ""
    observed: float | None = None
    kappa: float | None = None


def measure_agreement(answers: np.ndarray) -> Agreement:
    """Agreement of raters: Cohen's kappa of two raters who have both rated the clips, else that of Fleiss.

    Args:
        answers: One row a clip, one column a rater, float: 1 for yes, 0 for no, NaN for not rated.

    Returns:
        The agreement. Clips with fewer than two answers are left out.
    """
    answers = answers[np.isfinite(answers).sum(axis=1) >= 2]
    if not len(answers):
        return Agreement(0)
    given = np.isfinite(answers)
    raters, yes = given.sum(axis=1), np.nansum(answers, axis=1)
    # Pairs of raters who differ: one of the yes with one of the no.
    observed = 1 - float(np.mean(2 * yes * (raters - yes) / (raters * (raters - 1))))
    taking_part = given.any(axis=0)
    if taking_part.sum() == 2:
        return Agreement(len(answers), "Cohen", observed, cohen_kappa(*answers[:, taking_part].T))
    return Agreement(len(answers), "Fleiss", observed, fleiss_kappa(yes, raters))


def cohen_kappa(first: np.ndarray, second: np.ndarray) -> float | None:
    """Kappa of two raters (Cohen 1960): ``(p_o - p_e) / (1 - p_e)``.

    ``p_o`` is the share of clips on which they agree, ``p_e`` the one to be expected of raters who say yes as
    often as each of these does, at random.

    Args:
        first: 1 or 0 for each clip.
        second: The same of the other rater.

    Returns:
        Kappa; None where both gave one and the same answer throughout.
    """
    observed = float(np.mean(first == second))
    often, other = float(np.mean(first)), float(np.mean(second))
    expected = often * other + (1 - often) * (1 - other)
    return None if expected == 1 else (observed - expected) / (1 - expected)


def fleiss_kappa(yes: np.ndarray, raters: np.ndarray) -> float | None:
    """Kappa of any number of raters, not the same for each clip.

    ``1 - sum(x (m - x) / m) / (N (mean(m) - 1) p (1 - p))`` with x times yes of m raters and p the share of
    yes in all answers (Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, section
    18.3). Where every clip has as many raters it is the kappa of Fleiss (1971) for two categories.

    Args:
        yes: For each clip, how many said yes.
        raters: For each clip, how many rated it, 2 or more.

    Returns:
        Kappa; None where all answers are the same.
    """
    share = float(yes.sum() / raters.sum())
    if share in (0, 1):
        return None
    differing = float(np.sum(yes * (raters - yes) / raters))
    return 1 - differing / (len(yes) * (float(raters.mean()) - 1) * share * (1 - share))
