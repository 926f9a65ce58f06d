"""A measured figure beside what it is compared with: a row of reports/wishes.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from hf_model.evaluation.metrics import bootstrap_mean
from hf_model.evaluation.report import markdown_table

N_RESAMPLES = 2000


class Figure(NamedTuple):
    """What was measured, with a baseline of the same run, a published figure and the target; "" where there is none."""

    what: str
    value: str
    baseline: str = ""
    published: str = ""
    target: str = ""


def mean_interval(values: ArrayLike, digits: int = 3) -> str:
    """Write a mean with its 95 % bootstrap interval."""
    mean, low, high = bootstrap_mean(values, N_RESAMPLES)
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def figures_table(figures: Sequence[Figure]) -> list[str]:
    """Write the figures as lines of Markdown."""
    head = "what | measured | baseline, the same run | published, on other data | target"
    return markdown_table(head, [list(figure) for figure in figures])
