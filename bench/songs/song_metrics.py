"""Figures of songs: note scores pooled over windows of ten seconds, false notes in rests, and voiced recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from hf_model.evaluation.corpus_scores import (
    WINDOW,
    Pairs,
    block_index,
    resamples,
    rounded,
    to_blocks,
    with_interval,
)
from hf_model.notes.note import Note, to_arrays

KARAOKE_TOLERANCE = 0.15
"""Seconds: the times of karaoke notes are an author's."""

SHIFTS = np.arange(-0.3, 0.301, 0.02)
"""Seconds by which a song's karaoke notes may be late as a whole."""

MIN_REST, MARGIN = 2.0, 0.3
"""Seconds: rests of the reference that count as instrumental, without so much at both ends."""

FRAME_RATE = 100.0


def note_figures(pairs: Pairs, seconds: Sequence[float]) -> dict[str, Any]:
    """Score references and estimates of songs of so many seconds: the three note scores, octave errors, and rests."""
    blocks = np.array([block.counts for one, other in pairs for block in to_blocks(one, other, WINDOW)])
    drawn, total = blocks[resamples(len(blocks))].sum(axis=1), blocks.sum(axis=0)
    figures: dict[str, Any] = {"notes": int(total[0])}
    for column, rule in enumerate(("con", "conp", "conpoff"), start=2):
        parts = [2 * part[..., column] / np.maximum(part[..., 0] + part[..., 1], 1) for part in (total, drawn)]
        figures[rule] = rounded(with_interval(*parts))
    figures["octave_error_percent"] = round(100 * float(total[5] / max(total[2], 1)), 2)
    return figures | rest_figures(pairs, seconds)


def karaoke_figures(pairs: Pairs, seconds: Sequence[float]) -> dict[str, Any]:
    """Score onset (150 ms) and pitch up to the octave, as they are and with each song's best constant shift."""
    figures: dict[str, Any] = {"notes": sum(len(one) for one, _ in pairs)}
    for name, shifts in (("folded", np.zeros(1)), ("folded_shifted", SHIFTS)):
        blocks = []
        for one, other in pairs:
            tried = [_folded_blocks(one, other, float(shift)) for shift in shifts]
            blocks.append(max(tried, key=lambda counts: counts[:, 2].sum()))
        counts = np.concatenate(blocks)
        drawn, total = counts[resamples(len(counts))].sum(axis=1), counts.sum(axis=0)
        parts = [2 * part[..., 2] / np.maximum(part[..., 0] + part[..., 1], 1) for part in (total, drawn)]
        figures[name] = rounded(with_interval(*parts))
    return figures | rest_figures(pairs, seconds)


def _folded_blocks(reference: Sequence[Note], estimate: Sequence[Note], shift: float) -> NDArray[np.float64]:
    """Count reference, estimated and matched notes by window: (block, 3)."""
    moved = [note.onset + shift for note in estimate]
    n_blocks = 1 + max((block_index(max(t, 0.0), WINDOW) for t in [*moved, *(n.onset for n in reference)]), default=0)
    counts = np.zeros((n_blocks, 3))
    for onset in moved:
        counts[block_index(max(onset, 0.0), WINDOW), 1] += 1
    for note in reference:
        counts[block_index(note.onset, WINDOW), 0] += 1
    if not reference or not estimate:
        return counts
    times, pitches = to_arrays(reference)
    other = np.array([note.pitch for note in estimate])
    near = np.abs(times[:, None, 0] - np.array(moved)[None]).round(4) <= KARAOKE_TOLERANCE
    folded = np.abs((pitches[:, None] - other[None] + 6.0) % 12.0 - 6.0) <= 0.5
    columns = maximum_bipartite_matching(csr_array(near & folded), perm_type="column")
    for row in np.flatnonzero(columns >= 0).tolist():
        counts[block_index(reference[row].onset, WINDOW), 2] += 1
    return counts


def rest_figures(pairs: Pairs, seconds: Sequence[float]) -> dict[str, Any]:
    """Count false notes a minute in long rests of the reference, and the share of sung frames that have a note."""
    rest, false, sung, found = 0.0, 0, 0, 0
    for (reference, estimate), end in zip(pairs, seconds, strict=True):
        edges = [0.0, *(t for note in reference for t in (note.onset, note.offset)), end]
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if stop - start >= MIN_REST:
                rest += stop - start - 2 * MARGIN
                middles = [(note.onset + note.offset) / 2 for note in estimate]
                false += sum(start + MARGIN <= middle <= stop - MARGIN for middle in middles)
        truth, guess = (_active(notes, end) for notes in (reference, estimate))
        sung, found = sung + int(truth.sum()), found + int((truth & guess).sum())
    return {
        "rest_seconds": round(rest, 1),
        "false_notes_a_minute": round(60 * false / rest, 2) if rest else None,
        "voiced_recall": round(found / sung, 4) if sung else None,
    }


def _active(notes: Sequence[Note], end: float) -> NDArray[np.bool_]:
    frames = np.zeros(int(end * FRAME_RATE) + 1, dtype=np.bool_)
    for note in notes:
        frames[int(note.onset * FRAME_RATE) : int(note.offset * FRAME_RATE)] = True
    return frames
