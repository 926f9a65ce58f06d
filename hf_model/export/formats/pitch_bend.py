"""Pitch bends for MIDI: the voice's glides and vibrato, for a synthesizer with one monophonic channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hf_model.export.formats.expression import Expression
from hf_model.export.midi_score import BEND_RANGE

SMALLEST = 0.01
"""Semitones; a smaller change needs no event."""

CENTRE = 8192
"""Bends of MIDI are -8192 to 8191."""


def find_bends(expressions: Sequence[Expression]) -> Iterator[tuple[float, int]]:
    """Yield the time in seconds and the value (-8192 to 8191) of each bend; each note begins with its own.

    A deviation of more than two semitones becomes two.
    """
    for one in expressions:
        last = None
        for time, semitones in zip(one.times.tolist(), one.semitones.tolist(), strict=True):
            if last is None or abs(semitones - last) >= SMALLEST:
                last = semitones
                yield time, max(-CENTRE, min(CENTRE - 1, round(semitones / BEND_RANGE * CENTRE)))
