"""From what was sung to what the piano plays: which notes, which keys, in which time; instant, without listening again.

Everything is off by default: the piano then plays the performance as it was, and tempo, beats and key are only told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from hf_model.config import check_choice, check_range
from hf_model.music.accompaniment import accompany
from hf_model.music.chords import Chord, estimate_chords
from hf_model.music.key import Key, estimate_key, parse_key, snap_to_key
from hf_model.music.meter import METERS
from hf_model.music.quantization import GRIDS, SWINGS, quantize
from hf_model.music.repetition import Repetition, find_repetitions
from hf_model.music.repetition_voting import agree
from hf_model.music.simplification import simplify
from hf_model.music.tempo import FASTEST, SLOWEST, Tempo, estimate_tempo
from hf_model.notes.note import Note, to_keys
from hf_model.notes.pitch import estimate_tuning

MIN_NOTE = 0.05
"""Seconds; shorter notes are left out unless asked for."""

LEGATO_GAP = 0.3
"""Seconds; a longer silence is a rest."""

UNSURE = 0.5
"""Confidence below which a tempo or key is only a guess."""

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
        As sung: those that ``piano_notes`` were made of, one for each.
    piano_notes : list of Note
        The right hand: integer pitches, seconds, within the recording, no overlaps.
    accompaniment : list of Note
        The left hand; empty unless asked for.
    tempo : Tempo
    key : Key
        Of ``piano_notes``: transposed as they are.
    tuning : float
        The singer's offset from 440 Hz in semitones.
    repeats : tuple of tuple of (float, float)
        For each phrase that is sung more than once, where: onset and offset in seconds, as sung; the best match first.
    remarks : tuple of str
        Sentences about what was found or changed.
    chords : tuple of Chord
        What the left hand plays.
    """

    notes: list[Note]
    piano_notes: list[Note]
    accompaniment: list[Note]
    tempo: Tempo
    key: Key
    tuning: float
    repeats: tuple[tuple[tuple[float, float], ...], ...] = ()
    remarks: tuple[str, ...] = ()
    chords: tuple[Chord, ...] = ()

    @property
    def both_hands(self) -> list[Note]:
        """Everything that the piano plays, in order."""
        return sorted([*self.piano_notes, *self.accompaniment])

    @property
    def side_by_side(self) -> tuple[list[Note], list[Note]]:
        """What was sung and what is played of it, in order of time; what the left hand adds was sung by nobody."""
        pairs = [*zip(self.notes, self.piano_notes, strict=True), *((note, note) for note in self.accompaniment)]
        pairs.sort(key=lambda pair: (pair[1].onset, -pair[1].pitch))
        return [sung for sung, _ in pairs], [played for _, played in pairs]


DEFAULT = Arrangement()

COUNTED_TWICE = 70.0
"""Beats a minute: slower tunes are as well counted twice as fast."""


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
        replace(note, offset=min(note.offset, duration))
        for note in sorted(notes)
        if note.duration >= arrangement.min_note
        and note.confidence >= arrangement.min_confidence
        and note.onset < duration
    ]
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in kept], [note.duration for note in kept])
    tempo, repetitions = _heard_in(tuple(kept), duration, tuning, arrangement.tempo, arrangement.meter)
    key = estimate_key(kept, tuning) if arrangement.key is None else parse_key(arrangement.key)
    remarks = _remarks(tempo, key, tuning, len(repetitions)) if kept else []
    if len(kept) < len(notes):
        remarks.append(f"{len(notes) - len(kept)} of {len(notes)} notes were left out")
    voted = kept
    if arrangement.agree_repeats:
        voted, corrections = agree(kept, repetitions, tuning)
        remarks.append(f"repetitions outvoted {len(corrections)} of {len(kept)} notes")
    played = to_keys(voted, tuning, arrangement.transpose)
    if arrangement.snap_key:
        before = played
        played = snap_to_key(voted, played, key, tuning)
        remarks.append(_on_snapping(before, played, key.transposed(arrangement.transpose)))
    complete = played
    played = simplify(played, arrangement.simplify, tempo)
    sources = _sources(played, kept, voted)
    played = _in_time(played, tempo, duration, arrangement, remarks)
    key = key.transposed(arrangement.transpose)
    chords: list[Chord] = []
    left: list[Note] = []
    if arrangement.accompany and played:
        chords = estimate_chords(complete, key, tempo)
        left = accompany(played, chords, tempo)
    phrases = tuple(
        tuple((kept[first].onset, kept[last].offset) for first, last in repetition.phrases)
        for repetition in repetitions
    )
    return Arranged(sources, played, left, tempo, key, tuning, phrases, tuple(remarks), tuple(chords))


@lru_cache(maxsize=16)
def _heard_in(
    notes: tuple[Note, ...], duration: float, tuning: float, bpm: float | None, meter: str | None
) -> tuple[Tempo, list[Repetition]]:
    """Find beats and repetitions: kept, because most settings change neither."""
    return estimate_tempo(notes, duration, bpm=bpm, meter=meter), find_repetitions(notes, tuning)


def _sources(played: Sequence[Note], kept: Sequence[Note], voted: Sequence[Note]) -> list[Note]:
    """Give the sung note that began when each played one does; what repetitions put in was not sung."""
    begun = {note.onset: note for note in (*voted, *kept)}
    return [begun[note.onset] for note in played]


def _in_time(
    played: list[Note], tempo: Tempo, duration: float, arrangement: Arrangement, remarks: list[str]
) -> list[Note]:
    """Quantise and bind, as asked."""
    if arrangement.quantize != "off" and played:
        if arrangement.tempo is None and tempo.confidence < UNSURE:
            remarks.append("the tempo is a guess, so quantising may go wrong: give the beats a minute if you know them")
        played = quantize(
            played,
            tempo,
            arrangement.quantize,
            strength=arrangement.strength,
            swing=arrangement.swing,
            duration=duration,
        )
    return bind(played) if arrangement.legato else played


def bind(notes: Sequence[Note]) -> list[Note]:
    """Hold each note until the next one where the silence between is short."""
    bound = [
        replace(note, offset=after.onset) if 0 < after.onset - note.offset <= LEGATO_GAP else note
        for note, after in pairwise(notes)
    ]
    return [*bound, *notes[-1:]]


def _remarks(tempo: Tempo, key: Key, tuning: float, n_repetitions: int) -> list[str]:
    """Say what was found, and how sure it is."""
    said = [
        f"{_sureness(tempo.confidence)} {tempo.bpm:.0f} beats a minute{_or_twice(tempo)}, {tempo.meter_name}",
        f"{_sureness(key.confidence)} {key.name}, as sung",
    ]
    if abs(tuning) >= 0.1:
        said.append(f"sung {abs(100 * tuning):.0f} cents {'sharp' if tuning > 0 else 'flat'}, which was put right")
    if n_repetitions:
        said.append(f"{n_repetitions} repeated {'phrase' if n_repetitions == 1 else 'phrases'}")
    return said


def _or_twice(tempo: Tempo) -> str:
    """Name the other way to count a slow tempo that was found: which of the two is meant cannot be heard."""
    return f" (or {2 * tempo.bpm:.0f}, twice as fast)" if tempo.confidence < 1 and tempo.bpm < COUNTED_TWICE else ""


def _sureness(confidence: float) -> str:
    if confidence >= 1:
        return "given:"
    return "surely" if confidence >= 0.9 else "probably" if confidence >= UNSURE else "perhaps"


def _on_snapping(before: Sequence[Note], after: Sequence[Note], key: Key) -> str:
    n_moved = sum(old.pitch != new.pitch for old, new in zip(before, after, strict=True))
    n_left = sum(int(note.pitch) % 12 not in key.scale for note in after)
    return f"{n_moved} notes were moved into {key.name}; {n_left} outside it were sung clearly and stay"
