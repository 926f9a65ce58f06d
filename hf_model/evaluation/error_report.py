"""Errors counted over recordings: by kind, by trait of the note, by recording, and where they are most frequent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.evaluation.corpus_scores import WINDOW, resamples, rounded, with_interval
from hf_model.evaluation.error_analysis import KINDS, RIGHT, TRAITS, NoteOutcome, classify_errors
from hf_model.evaluation.note_matching import ONSET_TOLERANCE
from hf_model.notes.note import Note

EXCERPT_SECONDS = 6.0
STEP_SECONDS = 0.5
"""From one candidate for an excerpt to the next."""

N_WORST, MAX_PER_RECORDING = 10, 2
"""Excerpts with most errors that are listed, and how many of them may be of one recording."""

ONSET_ERRORS = ("missed", "merged", "onset early", "onset late")


@dataclass(frozen=True)
class Transcription:
    """One recording: labels, and what a transcriber estimated."""

    corpus: str
    name: str
    reference: list[Note]
    estimate: list[Note]

    @cached_property
    def outcomes(self) -> list[NoteOutcome]:
        """Of every note."""
        return classify_errors(self.reference, self.estimate)


@dataclass(frozen=True)
class Excerpt:
    """Six seconds of a recording, from ``start`` seconds on."""

    transcription: Transcription
    start: float

    @property
    def outcomes(self) -> list[NoteOutcome]:
        """Of the notes that begin in it."""
        end = self.start + EXCERPT_SECONDS
        return [one for one in self.transcription.outcomes if self.start <= one.onset < end]

    @property
    def errors(self) -> list[NoteOutcome]:
        """Of the notes that begin in it, those that are not right."""
        return [one for one in self.outcomes if one.kind != RIGHT]


def error_report(transcriptions: Sequence[Transcription]) -> dict[str, Any]:
    """Count kinds of errors.

    Returns
    -------
    dict
        ``kinds``: per 100 notes of the reference, with intervals; ``traits``: for each trait how many notes have it,
        the share of them that is right, and errors per 100 of them; ``recordings``: the worst first.
    """
    window = WINDOW if len(transcriptions) == 1 else math.inf
    blocks = [block for one in transcriptions for block in _blocks(one.outcomes, window)]
    recordings = [
        {
            "recording": f"{one.corpus} {one.name}",
            "notes": len(one.reference),
            "right_percent": round(_right_percent(one.outcomes), 1),
            "mistakes": dict(Counter(outcome.kind for outcome in one.outcomes if outcome.kind != RIGHT).most_common()),
        }
        for one in transcriptions
    ]
    return {
        "notes": sum(len(one.reference) for one in transcriptions),
        "kinds": {kind: _per_100(blocks, kind) for kind in (RIGHT, *KINDS)},
        "traits": {trait: _of_trait(blocks, trait) for trait in TRAITS},
        "recordings": sorted(recordings, key=lambda row: float(str(row["right_percent"]))),
    }


def onset_probabilities(
    transcriptions: Sequence[Transcription], onset_curves: Iterable[NDArray[np.float32]]
) -> dict[str, dict[str, float]]:
    """Separate the network's errors from the decoder's: the network's onset probability at onsets that were not found.

    Parameters
    ----------
    transcriptions : sequence of Transcription
    onset_curves : iterable of ndarray, shape (frame,)
        Onset probabilities of each recording, 100 frames a second.

    Returns
    -------
    dict
        For each kind of onset error: the number of labelled onsets, the median of the maximum of the onset probability
        within 50 ms of them, and the percentage of those where it is at least a half.
    """
    highest: dict[str, list[float]] = {kind: [] for kind in ONSET_ERRORS}
    for one, curve in zip(transcriptions, onset_curves, strict=True):
        for outcome in one.outcomes:
            note, found = outcome.reference, outcome.estimate
            if note is None or outcome.kind not in highest:
                continue
            if outcome.kind == "merged" and found and abs(found.onset - note.onset) <= ONSET_TOLERANCE:
                continue  # the first of the two: its onset was found
            first = max(0, math.floor((note.onset - ONSET_TOLERANCE) * VOICE_STFT.frame_rate))
            last = math.ceil((note.onset + ONSET_TOLERANCE) * VOICE_STFT.frame_rate) + 1
            highest[outcome.kind].append(float(curve[first:last].max(initial=0.0)))
    return {
        kind: {
            "notes": len(values),
            "median": round(float(np.median(values)), 2),
            "seen_percent": round(100 * float(np.mean(np.array(values) >= 0.5)), 1),
        }
        for kind, values in highest.items()
        if values
    }


def worst_excerpts(transcriptions: Sequence[Transcription]) -> list[Excerpt]:
    """Choose the excerpts with most errors: they do not overlap, and at most two are of one recording."""
    candidates = [
        Excerpt(one, start)
        for one in transcriptions
        for start in np.arange(0.0, max(_end(one) - EXCERPT_SECONDS, 0.0) + STEP_SECONDS, STEP_SECONDS).tolist()
    ]
    candidates.sort(key=lambda one: (-len(one.errors), one.transcription.name, one.start))
    chosen: list[Excerpt] = []
    for one in candidates:
        same = [other for other in chosen if other.transcription is one.transcription]
        if len(same) < MAX_PER_RECORDING and all(abs(other.start - one.start) >= EXCERPT_SECONDS for other in same):
            chosen.append(one)
        if len(chosen) == N_WORST:
            break
    return [_centred(one) for one in chosen]


def _blocks(outcomes: Sequence[NoteOutcome], window: float) -> list[Sequence[NoteOutcome]]:
    """Divide the outcomes of a recording into units of the bootstrap."""
    if not math.isfinite(window):
        return [outcomes]
    last = max((one.onset for one in outcomes), default=0.0)
    return [[one for one in outcomes if one.onset // window == index] for index in range(1 + int(last // window))]


def _per_100(blocks: Sequence[Sequence[NoteOutcome]], kind: str, trait: str = "") -> dict[str, float]:
    """Count outcomes of a kind per 100 notes of the reference that have the trait, with an interval over blocks."""
    chosen = [[one for one in block if not trait or trait in one.traits] for block in blocks]
    notes = np.array([sum(one.reference is not None for one in block) for block in chosen], dtype=float)
    found = np.array([sum(one.kind == kind for one in block) for block in chosen], dtype=float)
    draws = resamples(len(chosen))
    drawn = 100 * found[draws].sum(axis=1) / np.maximum(notes[draws].sum(axis=1), 1)
    return rounded(with_interval(100 * found.sum() / max(notes.sum(), 1), drawn), 2)


def _of_trait(blocks: Sequence[Sequence[NoteOutcome]], trait: str) -> dict[str, Any]:
    chosen = [one for block in blocks for one in block if trait in one.traits]
    counted = Counter(one.kind for one in chosen if one.kind != RIGHT)
    return {
        "notes": len(chosen),
        "right": _per_100(blocks, RIGHT, trait),
        "mistakes": {kind: round(100 * count / len(chosen), 2) for kind, count in counted.most_common()},
    }


def _right_percent(outcomes: Sequence[NoteOutcome]) -> float:
    notes = [one for one in outcomes if one.reference is not None]
    return 100 * sum(one.kind == RIGHT for one in notes) / max(len(notes), 1)


def _centred(excerpt: Excerpt) -> Excerpt:
    """Move an excerpt so that its errors lie in its middle, unless that loses one."""
    onsets = [one.onset for one in excerpt.errors]
    start = max(0.0, 0.5 * (min(onsets) + max(onsets)) - 0.5 * EXCERPT_SECONDS) if onsets else excerpt.start
    moved = Excerpt(excerpt.transcription, start)
    return moved if len(moved.errors) >= len(excerpt.errors) else excerpt


def _end(transcription: Transcription) -> float:
    return max((note.offset for note in [*transcription.reference, *transcription.estimate]), default=0.0)
