"""The time grid of a band: bars and their beats, and where the eighths and sixteenths lie in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_model.music.accompaniment import Beat, list_beats
from hf_model.music.chords import Chord
from hf_model.music.quantization import STRAIGHT, estimate_swing
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

MIN_LENGTH = 0.06
"""Seconds; shorter notes are left out."""


@dataclass(frozen=True, eq=False)
class Song:
    """A melody with chords and beats: what a band writes its parts for.

    Attributes
    ----------
    melody : sequence of Note
        Piano keys, sorted by onset.
    beats : list of Beat
        Those to be accompanied; the last one ends with the melody.
    tempo : Tempo
    swing : float
        Place in the beat of the second of two eighths.
    loudness : float
        Velocity: median of the melody.
    """

    melody: Sequence[Note]
    beats: list[Beat]
    tempo: Tempo
    swing: float
    loudness: float

    @property
    def end(self) -> float:
        """Seconds: the end of the melody, and of all parts."""
        return self.melody[-1].offset

    @property
    def bars(self) -> list[list[Beat]]:
        """The beats of each bar; the first and the last one may be incomplete."""
        numbers = sorted({beat.bar for beat in self.beats})
        return [[beat for beat in self.beats if beat.bar == number] for number in numbers]

    def note(self, beat: Beat, share: float, length: float, key: int, velocity: float) -> Note | None:
        """Make a note that begins at a share of a beat and lasts a number of beats; None if nothing is left of it.

        ``velocity`` is relative to the melody.
        """
        beat_length = beat.stop - beat.start
        if beat is self.beats[-1]:  # it is longer than a beat, and everything in it is held
            return self._held(beat.start, key, velocity) if share == 0.0 else None
        onset = beat.start + swung(share, self.swing) * beat_length
        offset = min(onset + length * beat_length, self.end)
        if offset - onset < MIN_LENGTH:
            return None
        return Note(onset, offset, float(key), self.velocity(velocity))

    def _held(self, onset: float, key: int, velocity: float) -> Note | None:
        if self.end - onset < MIN_LENGTH:
            return None
        return Note(onset, self.end, float(key), self.velocity(velocity))

    def velocity(self, share: float) -> int:
        """Give a velocity relative to the melody."""
        return int(np.clip(round(share * self.loudness), 1, 127))


def read_song(melody: Sequence[Note], chords: Sequence[Chord], tempo: Tempo) -> Song:
    """Collect what a band needs to know; ``melody`` and ``chords`` must not be empty."""
    end = melody[-1].offset
    beats = list_beats(chords, tempo, melody[0].onset, melody[-1].onset, end)
    swing = STRAIGHT if tempo.is_compound else estimate_swing(melody, tempo)
    return Song(melody, beats, tempo, swing, float(np.median([note.velocity for note in melody])))


def swung(share: float, swing: float) -> float:
    """Move a place in a beat (0-1) so that the second of two eighths is at ``swing``."""
    return float(np.interp(share, (0.0, 0.5, 1.0), (0.0, swing, 1.0)))
