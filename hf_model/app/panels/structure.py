"""What comes again in the melody of the last rendering: the dissimilarity of all pairs of moments, and the phrases."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_model.app.limits import PageError
from hf_model.app.sessions import GONE, Session
from hf_model.music.repetition import WINDOW, dissimilarity

MAX_MOMENTS, SECONDS = 160, 0.1
"""Rows and columns of the matrix, and the least seconds between two of them."""

LARGEST = 6.0
"""Semitones that are drawn as the greatest dissimilarity."""

LEVELS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SILENT = "-"


def find_structure(session: Session) -> dict[str, Any]:
    """Compare all pairs of moments.

    Returns
    -------
    dict
        For JSON: "step" and "window", seconds; "rows", one text a moment with a letter a moment: its place in
        "levels" grows with the dissimilarity, "-" is silence; and "phrases", lists of [onset, offset] of each phrase
        that comes again.

    Raises
    ------
    PageError
        If nothing was rendered.
    """
    arranged, part = session.arranged, session.part
    if arranged is None or part is None:
        raise PageError(GONE)
    notes = sorted(arranged.notes)
    n_moments = int(min(MAX_MOMENTS, max(2, part.duration / SECONDS)))
    times = (np.arange(n_moments) + 0.5) * part.duration / n_moments
    level = np.minimum(dissimilarity(notes, times) / LARGEST, 1.0)
    onsets = np.array([note.onset for note in notes])
    silent = [not np.any(np.abs(onsets - time) < WINDOW / 2) for time in times]
    letters = np.array(list(LEVELS))[np.round(level * (len(LEVELS) - 1)).astype(int)]
    letters[silent], letters[:, silent] = SILENT, SILENT
    return {
        "step": part.duration / n_moments,
        "window": WINDOW,
        "levels": LEVELS,
        "rows": ["".join(row) for row in letters],
        "phrases": [[[round(a, 3), round(b, 3)] for a, b in phrases] for phrases in arranged.repeats],
    }
