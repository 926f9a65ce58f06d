"""A take beside its score: how far each note is from what is written, what is missing, the range, and the drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.midi import skyline
from hf_model.notes.note import Note
from hf_model.practice.matching import match
from hf_model.practice.smoothing import smooth

IN_TUNE, NEAR, ANOTHER = 20.0, 50.0, 100.0
"""Cents from the written pitch: in tune, nearly so, and from where it is another note."""

ON_TIME = 60.0
"""Milliseconds: a note that is early or late by at most so much is on time."""

OUTSIDE = 3
"""More written notes than these before the first sung one, or after the last, are a part that was not sung."""

DRIFT_REACH = 10.0
"""Seconds to either side over which the drift is averaged."""

DRIFT_POINTS = 60
"""Number of points of the drift's curve."""

MIN_DRIFT_NOTES = 4
"""With fewer sung notes no drift is computed."""


@dataclass(frozen=True)
class ComparedNote:
    """A written note, a sung one, or both.

    Attributes
    ----------
    status : str
        "sung"; "missed" and "outside", written but not sung, the latter before or after the part that was sung; or
        "extra", sung but not written.
    number : int, optional
        Of the written note, from 1.
    written : Note, optional
        As in the score.
    sung : Note, optional
        As in the recording.
    meant : float, optional
        The written pitch in the singer's key and tuning (MIDI number).
    expected : float
        Onset in the recording at the singer's own tempo, in seconds; of an extra note its own.
    cents, milliseconds : float, optional
        By which the note is sharp, and late; negative for flat and early.
    """

    status: str
    number: int | None = None
    written: Note | None = None
    sung: Note | None = None
    meant: float | None = None
    expected: float = 0.0
    cents: float | None = None
    milliseconds: float | None = None


@dataclass(frozen=True)
class Comparison:
    """A take beside its score.

    Attributes
    ----------
    notes : tuple of ComparedNote
        In the order of the score.
    transposition : int
        Semitones by which the singer's key is higher than the score's.
    tuning : float
        The singer's offset from 440 Hz in semitones, -0.5 to 0.5.
    speed : float
        The singer's tempo divided by the score's.
    speed_change : float
        By which the tempo grew from the first to the last quarter: 0.1 for ten per cent faster.
    drift : tuple of (float, float)
        Seconds, and cents by which the singing there is higher than on the whole.
    drift_cents : float
        By which the tuning rose from the beginning to the end.
    """

    notes: tuple[ComparedNote, ...]
    transposition: int
    tuning: float
    speed: float
    speed_change: float
    drift: tuple[tuple[float, float], ...]
    drift_cents: float

    def of_status(self, status: str) -> list[ComparedNote]:
        """List the notes of a status."""
        return [note for note in self.notes if note.status == status]

    @property
    def n_in_tune(self) -> int:
        """Sung notes within ``IN_TUNE`` cents."""
        return sum(note.cents is not None and abs(note.cents) <= IN_TUNE for note in self.notes)

    @property
    def n_on_time(self) -> int:
        """Sung notes within ``ON_TIME`` milliseconds."""
        return sum(note.milliseconds is not None and abs(note.milliseconds) <= ON_TIME for note in self.notes)

    @property
    def lowest(self) -> float:
        """Lowest sung pitch (MIDI number)."""
        return min(note.sung.pitch for note in self.notes if note.sung)

    @property
    def highest(self) -> float:
        """Highest sung pitch."""
        return max(note.sung.pitch for note in self.notes if note.sung)


def compare(sung: Sequence[Note], written: Sequence[Note], *, tuning: float | None = None) -> Comparison:
    """Compare a take with its score.

    The singer may use another key, octave and tempo. Cents are measured from the singer's own key and tuning, and
    milliseconds from the singer's own tempo, smoothed over some seconds: what remains is what a teacher would correct.

    Parameters
    ----------
    sung : sequence of Note
        Float pitch, as transcribed.
    written : sequence of Note
        Of chords, the highest note counts.
    tuning : float, optional
        Offset from 440 Hz in semitones, -1 to 1, from which cents are measured; by default the singer's own.

    Raises
    ------
    PracticeError
        If there is nothing to compare, or the take is not of this score.
    """
    voice, melody = sorted(sung), skyline(written)
    matched = match(voice, melody)
    shift = matched.shift
    transposition = round(shift if tuning is None else shift - tuning)
    own_tuning = shift - transposition
    base = transposition + (own_tuning if tuning is None else tuning)
    partner = {j: i for i, j in matched.pairs}
    places = np.array([note.onset for note in melody])
    i, j = np.array(matched.pairs, dtype=int).T
    expected = smooth(places[j], np.array([voice[k].onset for k in i]), places)
    first, last = matched.pairs[0][1], matched.pairs[-1][1]
    ends = range(first), range(last + 1, len(melody))
    outside = {number for end in ends if len(end) > OUTSIDE for number in end}
    notes = []
    for number, note in enumerate(melody):
        at, meant = float(expected[number]), note.pitch + base
        found = ComparedNote("outside" if number in outside else "missed", number + 1, note, None, meant, at)
        if number in partner:
            own = voice[partner[number]]
            cents, late = 100 * (own.pitch - meant), 1000 * (own.onset - at)
            found = replace(found, status="sung", sung=own, cents=cents, milliseconds=late)
        notes.append(found)
    others = [note for number, note in enumerate(voice) if number not in partner.values()]
    notes += [ComparedNote("extra", sung=note, expected=note.onset) for note in others]
    notes.sort(key=lambda note: note.sung.onset if note.sung else note.expected)
    drift, drift_cents = _find_drift(notes)
    speed, change = _find_speed(places[j], np.array([voice[k].onset for k in i]))
    return Comparison(tuple(notes), transposition, own_tuning, speed, change, drift, drift_cents)


def _find_drift(notes: Sequence[ComparedNote]) -> tuple[tuple[tuple[float, float], ...], float]:
    """Find the slow change of the tuning: its curve, and the cents from the beginning to the end."""
    points = [(note.sung.onset, note.cents) for note in notes if note.sung and note.cents is not None]
    near = np.array([point for point in points if abs(point[1]) < 2 * ANOTHER])
    if len(near) < MIN_DRIFT_NOTES:
        return (), 0.0
    seconds, cents = near.T
    at = np.linspace(seconds[0], seconds[-1], DRIFT_POINTS)
    curve = smooth(seconds, cents, at, DRIFT_REACH)
    straight = smooth(seconds, cents, seconds[[0, -1]], 10 * max(float(np.ptp(seconds)), 1.0))
    rounded = tuple((float(x), float(y)) for x, y in zip(at, curve, strict=True))
    return rounded, float(straight[1] - straight[0])


def _find_speed(places: NDArray[np.float64], onsets: NDArray[np.float64]) -> tuple[float, float]:
    """Find the tempo beside the score's, and by how much it grows."""
    if len(places) < 2 or np.ptp(places) < 1e-6:
        return 1.0, 0.0
    edges = np.quantile(places, [0.0, 0.25, 0.75, 1.0])
    times = smooth(places, onsets, edges)
    total, first, last = (times[3] - times[0]), (times[1] - times[0]), (times[3] - times[2])
    spans = edges[3] - edges[0], edges[1] - edges[0], edges[3] - edges[2]
    speeds = [span / max(float(time), 1e-6) for span, time in zip(spans, (total, first, last), strict=True)]
    change = speeds[2] / speeds[1] - 1.0 if min(spans) > 1.0 else 0.0
    return float(speeds[0]), float(change)
