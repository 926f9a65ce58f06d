"""From what was sung to what the piano plays: which notes, which keys, in which time; instant, without listening again.

Everything is off by default: the piano then plays the performance as it was, and tempo, beats and key are only told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_model.config import check_choice, check_range
from hf_model.key import Key, estimate_key, parse_key
from hf_model.notes import Note, to_keys
from hf_model.pitch import estimate_tuning
from hf_model.quantize import GRIDS, SWINGS, quantize
from hf_model.tempo import FASTEST, METERS, SLOWEST, Tempo, estimate_tempo

MIN_NOTE = 0.05
"""Seconds; shorter notes are left out unless asked for."""

QUANTIZE = ("off", *GRIDS)


@dataclass(frozen=True)
class Arrangement:
    """What to make of the notes that were heard.

    Attributes
    ----------
    simplify : int
        0 every note, 1 without ornaments, 2 at the level of eighths, 3 a skeleton for a beginner's hand.
    quantize : {"off", "1/4", "1/8", "1/16", "1/8t", "1/16t"}
        The grid that notes are put on; "t" are triplets.
    strength : float
        0-1: how far towards the grid.
    swing : {"keep", "straighten"}
        What becomes of swung eighths when quantising.
    snap_key : bool
        Move notes outside the key to a scale tone, if one is within half a semitone of what was sung.
    key : str, optional
        The key as sung, "A minor"; estimated when not given.
    tempo : float, optional
        Beats a minute, 30 to 300; estimated when not given.
    meter : {"2/4", "3/4", "4/4", "6/8"}, optional
        Time signature; estimated when not given.
    transpose : int
        Semitones, -48 to 48.
    legato : bool
        Hold each note to the next onset where the gap is short.
    min_note : float
        Seconds; shorter notes are left out.
    min_confidence : float
        0-1; less certain notes are left out.
    agree_repeats : bool
        Let the repetitions of a phrase vote on its notes.
    accompany : bool
        Add chords for the left hand.

    Raises
    ------
    ConfigError
        For a value outside its range.
    """

    simplify: int = 0
    quantize: str = "off"
    strength: float = 1.0
    swing: str = "keep"
    snap_key: bool = False
    key: str | None = None
    tempo: float | None = None
    meter: str | None = None
    transpose: int = 0
    legato: bool = False
    min_note: float = MIN_NOTE
    min_confidence: float = 0.0
    agree_repeats: bool = False
    accompany: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        check_range("simplify", self.simplify, 0, 3)
        check_choice("quantize", self.quantize, QUANTIZE)
        check_range("strength", self.strength, 0.0, 1.0)
        check_choice("swing", self.swing, SWINGS)
        check_range("transpose", self.transpose, -48, 48)
        check_range("min_note", self.min_note, 0.0, 10.0)
        check_range("min_confidence", self.min_confidence, 0.0, 1.0)
        if self.key is not None:
            parse_key(self.key)
        if self.tempo is not None:
            check_range("tempo", self.tempo, SLOWEST, FASTEST)
        if self.meter is not None:
            check_choice("meter", self.meter, METERS)


@dataclass(frozen=True)
class Arranged:
    """What the piano plays, and what was found on the way.

    Attributes
    ----------
    notes : list of Note
        As sung, those that were kept: one for each of ``piano_notes``.
    piano_notes : list of Note
        The right hand: integer pitches, seconds, within the recording, no overlaps.
    accompaniment : list of Note
        The left hand; empty unless asked for.
    tempo : Tempo
    key : Key
        Of ``piano_notes``: transposed as they are.
    tuning : float
        The singer's offset from 440 Hz in semitones.
    repeats : tuple
        Groups of phrases that are sung more than once.
    remarks : tuple of str
        Sentences about what was found or changed.
    """

    notes: list[Note]
    piano_notes: list[Note]
    accompaniment: list[Note]
    tempo: Tempo
    key: Key
    tuning: float
    repeats: tuple[object, ...] = ()
    remarks: tuple[str, ...] = ()


DEFAULT = Arrangement()


def arrange(
    notes: Sequence[Note], duration: float, arrangement: Arrangement = DEFAULT, *, tuning: float | None = None
) -> Arranged:
    """Make what the piano plays of what was sung.

    Parameters
    ----------
    notes : sequence of Note
        As sung: ``Melody.notes``, or notes that a user has edited.
    duration : float
        Length of the recording in seconds; nothing ends later.
    arrangement : Arrangement
        What to do; nothing by default.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones; estimated from the notes when not given.
    """
    kept = [
        note
        for note in sorted(notes)
        if note.duration >= arrangement.min_note and note.confidence >= arrangement.min_confidence
    ]
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in kept], [note.duration for note in kept])
    tempo = estimate_tempo(kept, duration, bpm=arrangement.tempo, meter=arrangement.meter)
    key = estimate_key(kept, tuning) if arrangement.key is None else parse_key(arrangement.key)
    piano_notes = to_keys(kept, tuning, arrangement.transpose)
    if arrangement.quantize != "off":
        piano_notes = quantize(
            piano_notes,
            tempo,
            arrangement.quantize,
            strength=arrangement.strength,
            swing=arrangement.swing,
            duration=duration,
        )
    return Arranged(kept, piano_notes, [], tempo, key.transposed(arrangement.transpose), tuning)
