"""An audit of note labels: whether they fit the recording, and how they differ from it.

Labels are compared with the pitch track of the recording. One number for the whole recording explains most faults: a
constant shift in time, a wrong octave, a transposition. They are searched together, since they occur together. What
remains then are single notes: without a sound, of another pitch, or missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment.labels.correction import note_pitches, share_near
from hf_model.alignment.tracked_voice import TrackedVoice
from hf_model.audio.pitch_tracking import FRAME_RATE, Track
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch

FAULTS = ("octave", "transposition", "shift", "missing notes", "disagreement")
"""Kinds of findings; a recording may have several."""

MAX_SHIFT = 1.5
"""Seconds; shifts of the labels are searched between minus and plus this."""

MIN_SHIFT = 0.12
"""Seconds; smaller ones are corrected by the align stage, and are no fault."""

MAX_TRANSPOSITION = 30
"""Semitones."""

NEAR = 1.0
"""Semitones; a frame within this distance of its label agrees with it."""

MIN_GAIN = 0.1
"""Agreement that a shift or transposition must add to that of the labels as they are."""

MISSED_SECONDS = 0.12
"""Seconds; a voiced stretch of a steady pitch that is longer, without a label, is a missing note."""

MISSED_LEVEL = 15.0
"""dB below the loud parts; a quieter stretch without a label is breath or room."""

MIN_AGREEMENT = 0.45
"""Agreement that a shift and transposition must reach to be believed."""

MIN_TRACKED = 0.5
"""Share of the labelled time with a tracked pitch below which a recording is not judged: breathy voices, whispers,
noise."""

FOREIGN = 14.0
"""Semitones; a stretch that is farther outside the range of the labels is a hiss or a whistle, not a missing note."""

MISSED_SHARE = 0.05
"""Share of the notes that must be missing to be reported."""

DISAGREEMENT_SHARE = 0.12
"""Share of the notes whose pitch must differ to be reported, after a common shift and transposition."""

CERTAIN_SHARE = 0.8
"""Share of a note's frames that must have the measured pitch, to believe an octave error of a single note."""

MIN_NOTES = 4


@dataclass(frozen=True)
class Audit:
    """What was found in the labels of one recording.

    Attributes
    ----------
    name : str
        The recording.
    shift : float
        Seconds by which the labels are late; 0 unless it is a fault.
    transposition : int
        Semitones by which the labels are too high, octaves included.
    missing, disagreeing : list of float
        Onsets (seconds) of sung notes without a label, and of labels whose pitch differs from the voice.
    agreement : float
        0-1: share of the labelled and voiced frames that agree, after shift and transposition.
    n_notes : int
        Number of labels.
    faults : tuple of str
        Of :data:`FAULTS`.
    tracked : float
        0-1: share of the labelled time in which a pitch was tracked. Below :data:`MIN_TRACKED` there are no faults,
        since there is nothing to compare with.
    """

    name: str
    shift: float
    transposition: int
    missing: list[float]
    disagreeing: list[float]
    agreement: float
    n_notes: int
    faults: tuple[str, ...]
    tracked: float = 1.0

    @property
    def is_judged(self) -> bool:
        """Whether enough of the voice could be tracked."""
        return self.tracked >= MIN_TRACKED

    def describe(self) -> str:
        """Describe the findings in one line."""
        if not self.is_judged:
            share = f"{self.tracked:.0%}"
            return f"{self.name}: not judged: a pitch was found in only {share} of the labelled time"
        words = []
        if "octave" in self.faults:
            octaves = "1 octave" if abs(self.transposition) == 12 else f"{abs(self.transposition) // 12} octaves"
            words.append(f"{octaves} too {'high' if self.transposition > 0 else 'low'}")
        if "transposition" in self.faults:
            words.append(f"{abs(self.transposition)} semitones too {'high' if self.transposition > 0 else 'low'}")
        if "shift" in self.faults:
            words.append(f"{1000 * abs(self.shift):.0f} ms too {'late' if self.shift > 0 else 'early'}")
        for fault, onsets in (("missing notes", self.missing), ("disagreement", self.disagreeing)):
            if fault in self.faults:
                places = ", ".join(f"{onset:.1f}" for onset in onsets[:4])
                words.append(f"{fault}: {len(onsets)} (at {places}{' ...' if len(onsets) > 4 else ''} s)")
        doubtful = sorted((*self.missing, *self.disagreeing))
        if not words and doubtful:
            places = ", ".join(f"{onset:.1f}" for onset in doubtful[:4])
            words.append(f"fits; look at {places}{' ...' if len(doubtful) > 4 else ''} s")
        return f"{self.name}: " + ("; ".join(words) or "fits")


def audit_labels(track: Track, notes: Sequence[Note], name: str = "") -> Audit:
    """Compare the labels of one recording with its pitch track.

    Parameters
    ----------
    track : Track
        Of the recording.
    notes : sequence of Note
        Its labels, one voice.
    name : str
        The recording.
    """
    ordered = sorted(notes)
    pitch = np.where(track.voiced, hz_to_pitch(np.maximum(track.f0, 1.0)), np.nan)
    before = _agreement(pitch, ordered, 0, 0)
    shift, transposition, after = _search(pitch, ordered)
    if after - before < MIN_GAIN or after < MIN_AGREEMENT:
        shift, transposition, after = 0, 0, before
    tracked = _tracked(pitch, ordered, shift)
    if tracked < MIN_TRACKED:
        return Audit(name, 0.0, 0, [], [], before, len(ordered), (), tracked)
    seconds = shift / FRAME_RATE
    moved = _moved(ordered, seconds, transposition)
    # labels that would lie outside the recording were perhaps cut where they were shifted: not missing apart from that
    first, last = max(0.0, -seconds), len(pitch) / FRAME_RATE - max(0.0, seconds)
    missing = [onset for onset in _missing(track, pitch, moved) if first <= onset < last]
    disagreeing = _disagreeing(track, moved)
    faults = []
    if transposition:
        faults.append("octave" if transposition % 12 == 0 else "transposition")
    if abs(seconds) >= MIN_SHIFT:
        faults.append("shift")
    enough = len(ordered) >= MIN_NOTES
    if enough and len(missing) >= max(2, MISSED_SHARE * len(ordered)):
        faults.append("missing notes")
    if enough and len(disagreeing) >= max(2, DISAGREEMENT_SHARE * len(ordered)):
        faults.append("disagreement")
    return Audit(
        name,
        seconds if "shift" in faults else 0.0,
        transposition,
        missing,
        [onset + seconds for onset in disagreeing],
        after,
        len(ordered),
        tuple(faults),
        tracked,
    )


def audit_recordings(recordings: Iterable[tuple[str, Path, Sequence[Note]]]) -> list[Audit]:
    """Audit recordings: each a name, an audio file and its labels.

    Raises
    ------
    hf_model.audio.reader.AudioError
        For a recording that cannot be read.
    """
    return [audit_labels(TrackedVoice.read(path).track, notes, name) for name, path, notes in recordings]


def describe(audits: Sequence[Audit]) -> list[str]:
    """Write a report: one line for each recording with a fault or doubtful notes, and a summary."""
    lines = [one.describe() for one in audits if one.faults or one.missing or one.disagreeing or not one.is_judged]
    counts = Counter(fault for one in audits for fault in one.faults)
    found = ", ".join(f"{fault} in {counts[fault]}" for fault in FAULTS if counts[fault]) or "nothing found"
    n_notes = sum(one.n_notes for one in audits)
    count = "1 recording" if len(audits) == 1 else f"{len(audits)} recordings"
    return [*lines, f"{count}, {'1 note' if n_notes == 1 else f'{n_notes} notes'}: {found}"]


def _search(pitch: NDArray[np.float64], notes: Sequence[Note]) -> tuple[int, int, float]:
    """Find the shift (frames) and the transposition (semitones) with the best agreement; small ones are preferred."""
    labels = _label_frames(notes, len(pitch))
    voiced = int(np.isfinite(pitch).sum())
    reach = round(MAX_SHIFT * FRAME_RATE)
    best = (0, 0, -1.0, -1.0)
    for shift in sorted(range(-reach, reach + 1), key=abs):
        # labels that are late by `shift` frames belong `shift` frames earlier
        moved = _shifted(labels, -shift)
        distance = moved - pitch
        both = distance[np.isfinite(distance)]
        if not both.size:
            continue
        total = int(np.isfinite(moved).sum()) + voiced
        semitones = np.round(both).astype(int)
        inside = semitones[np.abs(semitones) <= MAX_TRANSPOSITION]
        counts = np.bincount(inside + MAX_TRANSPOSITION + 1, minlength=2 * MAX_TRANSPOSITION + 3)
        for candidate in np.argsort(counts)[-2:]:
            transposition = int(candidate) - MAX_TRANSPOSITION - 1
            near = int((np.abs(both - transposition) < NEAR).sum())
            agreement = 2.0 * near / total
            score = agreement - 0.02 * abs(shift) / reach - 0.01 * (transposition != 0)
            if score > best[3]:
                best = (shift, transposition, agreement, score)
    return best[0], best[1], max(best[2], 0.0)


def _agreement(pitch: NDArray[np.float64], notes: Sequence[Note], shift: int, transposition: int) -> float:
    moved = _shifted(_label_frames(notes, len(pitch)), -shift) - transposition
    total = int(np.isfinite(moved).sum() + np.isfinite(pitch).sum())
    with np.errstate(invalid="ignore"):
        near = int((np.abs(moved - pitch) < NEAR).sum())
    return 2.0 * near / total if total else 0.0


def _tracked(pitch: NDArray[np.float64], notes: Sequence[Note], shift: int) -> float:
    """Share of the labelled frames, moved earlier by ``shift``, in which a pitch was tracked; 1 without labels."""
    labelled = np.isfinite(_shifted(_label_frames(notes, len(pitch)), -shift))
    return float(np.isfinite(pitch[labelled]).mean()) if labelled.any() else 1.0


def _label_frames(notes: Sequence[Note], n_frames: int) -> NDArray[np.float64]:
    """Pitch of the label of each frame (frame,); NaN where there is none."""
    frames = np.full(n_frames, np.nan)
    for note in notes:
        frames[max(0, round(note.onset * FRAME_RATE)) : max(0, round(note.offset * FRAME_RATE))] = note.pitch
    return frames


def _shifted(frames: NDArray[np.float64], shift: int) -> NDArray[np.float64]:
    moved = np.full_like(frames, np.nan)
    if shift > 0:
        moved[shift:] = frames[:-shift]
    elif shift < 0:
        moved[:shift] = frames[-shift:]
    else:
        moved[:] = frames
    return moved


def _moved(notes: Sequence[Note], seconds: float, transposition: int) -> list[Note]:
    """Undo a shift and a transposition; notes that would begin before the recording are cut."""
    moved = []
    for note in notes:
        onset, offset, pitch = note.onset - seconds, note.offset - seconds, note.pitch - transposition
        if offset > 0.02 and 0 < pitch < 128:
            moved.append(replace(note, onset=max(0.0, onset), offset=offset, pitch=pitch))
    return moved


def _missing(track: Track, pitch: NDArray[np.float64], notes: Sequence[Note]) -> list[float]:
    """Onsets of voiced stretches of a steady pitch without a label; frames next to a label belong to it."""
    margin = round(0.05 * FRAME_RATE)
    covered = np.zeros(len(pitch), dtype=bool)
    for note in notes:
        covered[max(0, round(note.onset * FRAME_RATE) - margin) : round(note.offset * FRAME_RATE) + margin] = True
    free = np.isfinite(pitch) & ~covered
    least = np.percentile(track.level, 95) - MISSED_LEVEL if track.level.size else 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(int)))
    labelled = [note.pitch for note in notes] or [0.0]
    lowest, highest = min(labelled) - FOREIGN, max(labelled) + FOREIGN
    onsets = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        stretch = pitch[start:stop]
        if not lowest < np.median(stretch) < highest:
            continue
        steady = np.abs(stretch - np.median(stretch)) < NEAR
        is_loud = np.median(track.level[start:stop]) > least
        if is_loud and steady.sum() >= MISSED_SECONDS * FRAME_RATE and steady.mean() > 0.5:
            onsets.append(float(start / FRAME_RATE))
    return onsets


def _disagreeing(track: Track, notes: Sequence[Note]) -> list[float]:
    """Onsets of the labels whose pitch the voice does not sing; an octave counts only where the track is certain."""
    onsets = []
    for note, pitch in zip(notes, note_pitches(track, notes), strict=True):
        distance = abs(note.pitch - pitch)
        if not distance > NEAR:  # also where the pitch is not known
            continue
        is_octave = abs(distance - 12 * round(distance / 12)) < NEAR
        if not is_octave or share_near(track, note, pitch) > CERTAIN_SHARE:
            onsets.append(note.onset)
    return onsets
