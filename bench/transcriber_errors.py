"""What kind of mistakes are made, of what kind of notes, and where they crowd most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transcriber_figures import RESAMPLINGS, WINDOW, rounded
from transcriber_recordings import Recording

from hf_model.audio.grid import VOICE_STFT
from hf_model.evaluation.error_analysis import KINDS, ONSET_TOLERANCE, RIGHT, TRAITS, Verdict, judge
from hf_model.notes.note import Note

SECONDS = 6.0
"""Length of the excerpts in which mistakes crowd."""

STEP = 0.5
"""Seconds from one excerpt looked at to the next."""

N_WORST, MOST_OF_ONE = 10, 2
"""Excerpts shown, and at most so many of one recording."""


SEEN = ("missed", "merged", "onset early", "onset late")
"""Mistakes about onsets."""


@dataclass(frozen=True)
class Judged:
    """One recording, what a transcriber heard in it, and what became of each note."""

    recording: Recording
    reference: list[Note]
    estimate: list[Note]
    verdicts: list[Verdict]


@dataclass(frozen=True)
class Excerpt:
    """Six seconds of a recording, from ``start`` seconds on."""

    judged: Judged
    start: float

    @property
    def verdicts(self) -> list[Verdict]:
        """Of the notes that begin in it."""
        return [one for one in self.judged.verdicts if self.start <= one.onset < self.start + SECONDS]

    @property
    def mistakes(self) -> list[Verdict]:
        """Of the notes that begin in it, those that are not right."""
        return [one for one in self.verdicts if one.kind != RIGHT]


def judge_all(
    recordings: Sequence[Recording], references: Sequence[list[Note]], heard: Sequence[list[Note]]
) -> list[Judged]:
    """Judge every note of every recording."""
    return [
        Judged(one, truth, found, judge(truth, found))
        for one, truth, found in zip(recordings, references, heard, strict=True)
    ]


def error_report(judged: Sequence[Judged]) -> dict[str, Any]:
    """Count kinds of mistakes: overall, by kind of note, and by recording.

    Returns
    -------
    dict
        ``kinds``: per 100 notes of the reference, with intervals; ``traits``: for each kind of note how many there are,
        which share is right, and the mistakes per 100 of them; ``recordings``: the worst first.
    """
    blocks = [block for one in judged for block in _blocks(one, WINDOW if len(judged) == 1 else math.inf)]
    recordings = [
        {
            "recording": f"{one.recording.corpus} {one.recording.name}",
            "notes": len(one.reference),
            "right_percent": round(_share([one.verdicts]), 1),
            "mistakes": dict(Counter(verdict.kind for verdict in one.verdicts if verdict.kind != RIGHT).most_common()),
        }
        for one in judged
    ]
    return {
        "notes": sum(len(one.reference) for one in judged),
        "kinds": {kind: _per_100(blocks, kind) for kind in (RIGHT, *KINDS)},
        "traits": {trait: _of_trait(blocks, trait) for trait in TRAITS},
        "recordings": sorted(recordings, key=lambda row: float(str(row["right_percent"]))),
    }


def seen_report(judged: Sequence[Judged], onset_curves: Iterable[NDArray[np.float32]]) -> dict[str, dict[str, float]]:
    """Tell the network's mistakes from the decoder's: whether it had seen the onsets that became no note's.

    Parameters
    ----------
    onset_curves : iterable of ndarray, shape (frame,)
        Onset probabilities of each recording, 100 frames a second.

    Returns
    -------
    dict
        For each kind of mistake about onsets: how many labelled onsets it cost, the median of the highest onset
        probability within 50 ms of them, and the share of those where it is at least a half.
    """
    highest: dict[str, list[float]] = {kind: [] for kind in SEEN}
    for one, curve in zip(judged, onset_curves, strict=True):
        for verdict in one.verdicts:
            note, found = verdict.reference, verdict.estimate
            if note is None or verdict.kind not in highest:
                continue
            if verdict.kind == "merged" and found and abs(found.onset - note.onset) <= ONSET_TOLERANCE:
                continue  # the first of the two: its onset was found
            first = max(0, math.floor((note.onset - ONSET_TOLERANCE) * VOICE_STFT.frame_rate))
            last = math.ceil((note.onset + ONSET_TOLERANCE) * VOICE_STFT.frame_rate) + 1
            highest[verdict.kind].append(float(curve[first:last].max(initial=0.0)))
    return {
        kind: {
            "notes": len(values),
            "median": round(float(np.median(values)), 2),
            "seen_percent": round(100 * float(np.mean(np.array(values) >= 0.5)), 1),
        }
        for kind, values in highest.items()
        if values
    }


def _blocks(judged: Judged, window: float) -> list[list[Verdict]]:
    """Divide the verdicts of a recording into what the bootstrap draws."""
    if not math.isfinite(window):
        return [judged.verdicts]
    last = max((one.onset for one in judged.verdicts), default=0.0)
    return [
        [one for one in judged.verdicts if one.onset // window == index] for index in range(1 + int(last // window))
    ]


def _per_100(blocks: Sequence[Sequence[Verdict]], kind: str, trait: str = "") -> dict[str, float]:
    """So many verdicts of a kind to 100 notes of the reference that have the trait, with an interval over blocks."""
    chosen = [[one for one in block if not trait or trait in one.traits] for block in blocks]
    notes = np.array([sum(one.reference is not None for one in block) for block in chosen], dtype=float)
    found = np.array([sum(one.kind == kind for one in block) for block in chosen], dtype=float)
    draws = np.random.default_rng(0).integers(0, len(chosen), size=(RESAMPLINGS, len(chosen)))
    drawn = 100 * found[draws].sum(axis=1) / np.maximum(notes[draws].sum(axis=1), 1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return rounded({"mean": 100 * found.sum() / max(notes.sum(), 1), "low": float(low), "high": float(high)}, 2)


def _of_trait(blocks: Sequence[Sequence[Verdict]], trait: str) -> dict[str, Any]:
    those = [one for block in blocks for one in block if trait in one.traits]
    counted = Counter(one.kind for one in those if one.kind != RIGHT)
    return {
        "notes": len(those),
        "right": _per_100(blocks, RIGHT, trait),
        "mistakes": {kind: round(100 * count / len(those), 2) for kind, count in counted.most_common()},
    }


def _share(blocks: Sequence[Sequence[Verdict]]) -> float:
    notes = [one for block in blocks for one in block if one.reference is not None]
    return 100 * sum(one.kind == RIGHT for one in notes) / max(len(notes), 1)


def worst_excerpts(judged: Sequence[Judged]) -> list[Excerpt]:
    """Choose the excerpts with most mistakes: none overlaps another, and at most two are of one recording."""
    every = [
        Excerpt(one, start)
        for one in judged
        for start in np.arange(0.0, max(_end(one) - SECONDS, 0.0) + STEP, STEP).tolist()
    ]
    ordered = sorted(every, key=lambda one: (-len(one.mistakes), one.judged.recording.name, one.start))
    chosen: list[Excerpt] = []
    for one in ordered:
        same = [other for other in chosen if other.judged is one.judged]
        if len(same) < MOST_OF_ONE and all(abs(other.start - one.start) >= SECONDS for other in same):
            chosen.append(one)
        if len(chosen) == N_WORST:
            break
    return [_centred(one) for one in chosen]


def _centred(excerpt: Excerpt) -> Excerpt:
    """Move an excerpt so that its mistakes stand in its middle, if none is lost by that."""
    onsets = [one.onset for one in excerpt.mistakes]
    start = max(0.0, 0.5 * (min(onsets) + max(onsets)) - 0.5 * SECONDS) if onsets else excerpt.start
    moved = Excerpt(excerpt.judged, start)
    return moved if len(moved.mistakes) >= len(excerpt.mistakes) else excerpt


def _end(judged: Judged) -> float:
    return max((note.offset for note in [*judged.reference, *judged.estimate]), default=0.0)
