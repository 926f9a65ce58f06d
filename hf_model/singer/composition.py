"""Melodies to sing: composed from a seed, or cut from an existing song."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from hf_model.notes.note import Note
from hf_model.singer.voice import log_uniform

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "chromatic": tuple(range(12)),
}
_SCALE_WEIGHTS = (0.42, 0.15, 0.08, 0.06, 0.06, 0.12, 0.05, 0.03, 0.03)

_CENTRES = (45.0, 52.0, 57.0, 62.0, 66.0, 70.0, 75.0, 79.0)
_CENTRE_WEIGHTS = (0.07, 0.15, 0.15, 0.2, 0.2, 0.15, 0.05, 0.03)

_RHYTHMS = {
    2: ((1.0, 1.0), (2.0,), (0.5, 0.5, 1.0), (1.0, 0.5, 0.5), (1.5, 0.5), (0.5, 0.5, 0.5, 0.5)),
    3: ((1.0, 1.0, 1.0), (2.0, 1.0), (3.0,), (1.5, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0), (1.0, 0.5, 0.5, 1.0)),
    4: (
        (1.0, 1.0, 1.0, 1.0),
        (2.0, 2.0),
        (1.0, 1.0, 2.0),
        (2.0, 1.0, 1.0),
        (1.5, 0.5, 1.0, 1.0),
        (0.5, 0.5, 1.0, 0.5, 0.5, 1.0),
        (0.5, 0.5, 0.5, 0.5, 1.0, 1.0),
        (1.0, 0.5, 0.5, 1.0, 1.0),
        (4.0,),
        (3.0, 1.0),
        (0.5, 1.0, 0.5, 1.0, 1.0),
        (0.75, 0.25, 0.75, 0.25, 1.0, 1.0),
    ),
    6: ((1.0, 0.5, 1.0, 0.5), (1.5, 1.5), (0.5, 0.5, 0.5, 1.5), (1.0, 0.5, 1.5), (0.5,) * 6, (3.0,)),
}
_MIN_DURATION, _MAX_DURATION = 0.12, 2.5


def draw_centre(rng: Generator) -> float:
    """Draw the centre of a singer's range (MIDI number), from basses to children and sopranos."""
    return float(rng.choice(_CENTRES, p=_CENTRE_WEIGHTS) + rng.uniform(-2.5, 2.5))


def compose(seed: int, n_seconds: float) -> list[Note]:
    """Compose a singable melody.

    Parameters
    ----------
    seed : int
        Determines key, mode, meter, tempo (50-180 bpm), range and every note.
    n_seconds : float
        Maximum duration; the last phrase may end earlier. At least 0.5.

    Returns
    -------
    list of Note
        Monophonic, integer pitches, the first onset at 0.

    Raises
    ------
    ValueError
        If ``n_seconds`` is below 0.5.
    """
    _check_seconds(n_seconds)
    rng = np.random.default_rng([seed, 0x3E10])
    scale = SCALES[str(rng.choice(list(SCALES), p=_SCALE_WEIGHTS))]
    beat = 60.0 / log_uniform(rng, 50.0, 180.0)
    meter = int(rng.choice([2, 3, 4, 6], p=[0.15, 0.25, 0.5, 0.1]))
    centre = draw_centre(rng)
    span = rng.uniform(4.0, 11.0)
    keynote = round(centre) - int(rng.integers(0, 8))
    scale_pitches = [p for p in range(20, 110) if (p - keynote) % 12 in scale and abs(p - centre) <= span]
    repeat, leap = rng.uniform(0.03, 0.35), rng.uniform(0.05, 0.35)
    index = int(np.argmin(np.abs(np.array(scale_pitches) - centre)))
    notes: list[Note] = []
    now, motif = 0.0, None
    rubato = _Rubato(rng)
    while now < n_seconds:
        bars = int(rng.choice([1, 2, 2, 4]))
        if motif is None or rng.random() < 0.6:
            motif = [_RHYTHMS[meter][rng.integers(len(_RHYTHMS[meter]))] for _ in range(bars)]
        for length in (length for bar in motif for length in bar):
            index = _next_index(index, len(scale_pitches), repeat, leap, rng)
            duration = float(np.clip(length * beat * rubato.step(rng), _MIN_DURATION, _MAX_DURATION))
            rest = rng.random() < 0.04
            if not rest:
                notes.append(
                    Note(now, now + duration, float(scale_pitches[index]), int(np.clip(rng.normal(80, 8), 40, 120)))
                )
            now += duration
        if rng.random() < 0.6:
            now += float(rng.choice([0.25, 0.5, 1.0, 2.0])) * beat
    kept = [note for note in notes if note.offset <= n_seconds]
    return _from_zero(kept) or [Note(0.0, min(0.5, n_seconds), float(scale_pitches[index]))]


def _next_index(index: int, n_pitches: int, repeat: float, leap: float, rng: Generator) -> int:
    """Draw the index of the next pitch in the scale."""
    draw = rng.random()
    if draw < repeat:
        return index
    size = int(rng.integers(2, 6)) if draw < repeat + leap else 1
    up = rng.random() < 0.5 + 0.35 * (0.5 - index / max(n_pitches - 1, 1)) * 2.0
    return int(np.clip(index + (size if up else -size), 0, n_pitches - 1))


def phrase_from_song(notes: Sequence[Note], seed: int, n_seconds: float) -> list[Note]:
    """Cut a random excerpt from a song, and adapt range, tempo and timing to a singer.

    Parameters
    ----------
    notes : sequence of Note
        Melody; overlaps are cut.
    seed : int
        Determines excerpt, transposition, tempo and timing.
    n_seconds : float
        Maximum duration. At least 0.5.

    Returns
    -------
    list of Note
        The first onset at 0.

    Raises
    ------
    ValueError
        For an empty melody, or ``n_seconds`` below 0.5.
    """
    _check_seconds(n_seconds)
    if not notes:
        msg = "notes is empty; at least one note is needed"
        raise ValueError(msg)
    rng = np.random.default_rng([seed, 0xB0B])
    melody = sorted(notes)
    stretch = log_uniform(rng, 0.7, 1.6)
    first = int(rng.integers(len(melody)))
    if melody[-1].offset - melody[first].onset < n_seconds / stretch:
        late = [i for i, n in enumerate(melody) if melody[-1].offset - n.onset >= n_seconds / stretch]
        first = int(rng.integers(len(late))) if late else 0
    chosen: list[Note] = []
    now, previous_end = 0.0, melody[first].onset
    rubato = _Rubato(rng)
    for i, note in enumerate(melody[first:], start=first):
        local = stretch * rubato.step(rng)
        pause = min(max(note.onset - previous_end, 0.0) * local, 1.5)
        until = melody[i + 1].onset if i + 1 < len(melody) else note.offset
        end = min(note.offset, max(until, note.onset + 0.02))
        duration = float(np.clip((end - note.onset) * local, _MIN_DURATION, _MAX_DURATION))
        onset = now + pause * (pause > 0.015)
        if onset + duration > n_seconds:
            break
        chosen.append(Note(onset, onset + duration, note.pitch, note.velocity))
        now, previous_end = onset + duration, end
    if not chosen:
        return [Note(0.0, min(0.5, n_seconds), 60.0)]
    middle = float(np.median([note.pitch for note in chosen]))
    shift = round(draw_centre(rng) - middle)
    return _from_zero([Note(n.onset, n.offset, float(np.clip(n.pitch + shift, 34, 90)), n.velocity) for n in chosen])


class _Rubato:
    """Random tempo variation; none for some songs."""

    def __init__(self, rng: Generator) -> None:
        self._size = float(rng.choice([0.0, rng.uniform(0.0, 0.08)]))
        self._state = 0.0

    def step(self, rng: Generator) -> float:
        """Return the factor of the next note's duration."""
        self._state = 0.8 * self._state + 0.6 * rng.normal()
        return float(np.exp(self._size * self._state))


def twinkle(beat: float = 0.55, keynote: int = 62) -> list[Note]:
    """First two lines of "Twinkle, twinkle, little star" (traditional).

    Parameters
    ----------
    beat : float
        Duration of a quarter note, seconds.
    keynote : int
        MIDI number of "do".
    """
    steps = (0, 0, 7, 7, 9, 9, 7, 5, 5, 4, 4, 2, 2, 0)
    beats = (1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2)
    onsets = np.concatenate([[0], np.cumsum(beats)]) * beat
    return [
        Note(float(start), float(end) - (0.3 if length == 2 else 0.0), float(keynote + step))
        for start, end, step, length in zip(onsets, onsets[1:], steps, beats, strict=False)
    ]


def _from_zero(notes: list[Note]) -> list[Note]:
    start = notes[0].onset if notes else 0.0
    return [Note(n.onset - start, n.offset - start, n.pitch, n.velocity) for n in notes]


def _check_seconds(n_seconds: float) -> None:
    if not 0.5 <= n_seconds <= 36000:
        msg = f"n_seconds is {n_seconds}, allowed is 0.5 to 36000"
        raise ValueError(msg)
