"""The grid that pitch labels lie on: who reads pitches off a spectrum writes down its bins, one step in Hz apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz

STEPS = np.arange(4.0, 25.0, 0.01)
"""Hz: the grids looked for."""

NEAR = 0.06
"""Steps: how far a label may be from its line. By chance 12 % of labels are as near."""

LEAST_SHARES, LEAST_VALUES = (0.9, 0.7), 7
"""A grid holds so many of a recording's notes (if none holds the first share, the second will do), and is believed if
they have so many different pitches."""


def label_grid(notes: Sequence[Note]) -> dict[str, float]:
    """Find the widest grid that most labels of a recording lie on.

    Returns
    -------
    dict
        ``step_hz``, ``share`` of notes on the grid, and ``half_step_cents``, what rounding to it may put a note off by
        at the recording's median pitch; empty if there is none.
    """
    hz = np.round(np.array([pitch_to_hz(note.pitch) for note in notes]), 2)
    if len(set(hz.tolist())) < LEAST_VALUES:
        return {}
    shares = np.array([_share(hz, step) for step in STEPS])
    good = next((found for least in LEAST_SHARES if (found := np.flatnonzero(shares >= least)).size), None)
    if good is None:
        return {}
    # neighbours of the right step hold as many notes: of those near the widest, the one with labels nearest its lines
    near = good[STEPS[good] > STEPS[good[-1]] - 0.5]
    best = int(near[np.argmax([abs(np.exp(2j * np.pi * hz / step).mean()) for step in STEPS[near]])])
    step, middle = float(STEPS[best]), float(np.median(hz))
    cents = 1200 * float(np.log2((middle + step / 2) / middle))
    return {"step_hz": round(step, 2), "share": round(float(shares[best]), 3), "half_step_cents": round(cents, 1)}


def _share(hz: NDArray[np.float64], step: float) -> float:
    """Share of values on the grid of this step, wherever it begins."""
    phase = (hz / step) % 1.0
    away = np.abs((phase[:, None] - phase[None] + 0.5) % 1.0 - 0.5)
    return float((away <= NEAR).mean(axis=1).max())


def bias_by_pitch(pairs: Sequence[tuple[Note, Note]]) -> list[dict[str, Any]]:
    """Sum up by how much labels lie above what was heard, by pitch: one constant in Hz is not one in cents."""
    edges = (40, 50, 55, 60, 65, 70, 80)
    rows = []
    for low, high in pairwise(edges):
        inside = [(one, found) for one, found in pairs if low <= found.pitch < high]
        if inside:
            hz = [float(pitch_to_hz(one.pitch) - pitch_to_hz(found.pitch)) for one, found in inside]
            cents = [100 * (one.pitch - found.pitch) for one, found in inside]
            values = {"hz": round(float(np.median(hz)), 2), "cents": round(float(np.median(cents)), 1)}
            rows.append({"from": low, "to": high, "notes": len(inside), **values})
    return rows
