"""Transcribed notes to the notes that the piano plays: filtering, keys, timing and accompaniment.

By default the performance is played as it was sung: tempo, beats and key are estimated, but change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.config import check_choice, check_range
from hf_model.music.accompaniment import STYLES, accompany
from hf_model.music.chords import Chord, estimate_chords
from hf_model.music.ensemble.band import write_band
from hf_model.music.intended_keys import with_intended_pitches
from hf_model.music.key import Key, estimate_key, parse_key, snap_to_key
from hf_model.music.meter import METERS
from hf_model.music.quantization import GRIDS, SWINGS, bind, quantize
from hf_model.music.remarks import UNSURE, describe, describe_meant, describe_snapping
from hf_model.music.repetition import Repetition, find_repetitions
from hf_model.music.repetition_voting import agree
from hf_model.music.simplification import simplify
from hf_model.music.tempo import FASTEST, SLOWEST, Tempo, estimate_tempo
from hf_model.notes.note import Note, to_keys
from hf_model.notes.part import Part
from hf_model.notes.pitch import estimate_tuning
from hf_model.notes.velocity import estimate_velocities

MIN_NOTE = 0.05
"""Seconds; by default shorter notes are left out."""

QUANTIZE = ("off", *GRIDS)
KEYS = ("meant", "sung")
ENSEMBLES = ("piano", "band")


@dataclass(frozen=True)
class Arrangement:
    """How transcribed notes are turned into piano notes.

    Attributes
    ----------
    keys : {"meant", "sung"}
        The piano keys that the singer meant, also if out of tune; or those nearest to the sung pitches.
    simplify : int
        0 every note, 1 without ornaments, 2 at the level of eighths, 3 a skeleton for a beginner's hand.
    quantize : {"off", "1/4", "1/8", "1/16", "1/8t", "1/16t"}
        Grid of note values; "t" are triplets.
    strength : float
        0-1: 0 leaves notes where they are, 1 moves them onto the grid.
    swing : {"keep", "straighten"}
        How swung eighths are quantised.
    snap_key : bool
        Move notes outside the key to a scale tone, if one is within half a semitone of the sung pitch.
    key : str, optional
        Key of the singing, before transposing: "A minor"; estimated by default.
    tempo : float, optional
        Beats per minute, 30 to 300; estimated by default.
    meter : {"2/4", "3/4", "4/4", "6/8", "9/8", "12/8"}, optional
        Time signature; estimated by default.
    downbeat : float, optional
        Seconds at which a bar begins, 0 to 36000; estimated by default.
    pickup : float, optional
        Beats from the first note to the first bar line, 0 to 12; estimated by default, and by ``downbeat`` if given.
    transpose : int
        Semitones, -48 to 48.
    legato : bool
        Extend each note to the next onset where the gap is short.
    min_note : float
        Seconds, 0 to 10; shorter notes are left out.
    min_confidence : float
        0-1; notes with less confidence are left out.
    agree_repeats : bool
        Correct single notes of repeated phrases by a vote among the repetitions.
    accompany : bool
        Add an accompaniment.
    ensemble : {"piano", "band"}
        Who accompanies: the left hand, or a band of bass, drums, chords and a second voice.
    style : {"plain", "waltz", "ballad", "arpeggio", "swing", "staccato"}
        What the left hand plays, or the band's chords.

    Raises
    ------
    ConfigError
        For a value outside its range.
    """

    keys: str = "meant"
    simplify: int = 0
    quantize: str = "off"
    strength: float = 1.0
    swing: str = "keep"
    snap_key: bool = False
    key: str | None = None
    tempo: float | None = None
    meter: str | None = None
    downbeat: float | None = None
    pickup: float | None = None
    transpose: int = 0
    legato: bool = False
    min_note: float = MIN_NOTE
    min_confidence: float = 0.0
    agree_repeats: bool = False
    accompany: bool = False
    ensemble: str = "piano"
    style: str = "plain"

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_choice("keys", self.keys, KEYS)
        check_range("simplify", self.simplify, 0, 3)
        check_choice("quantize", self.quantize, QUANTIZE)
        check_range("strength", self.strength, 0.0, 1.0)
        check_choice("swing", self.swing, SWINGS)
        check_choice("ensemble", self.ensemble, ENSEMBLES)
        check_choice("style", self.style, STYLES)
        check_range("transpose", self.transpose, -48, 48)
        check_range("min_note", self.min_note, 0.0, 10.0)
        check_range("min_confidence", self.min_confidence, 0.0, 1.0)
        if self.key is not None:
            parse_key(self.key)
        if self.tempo is not None:
            check_range("tempo", self.tempo, SLOWEST, FASTEST)
        if self.meter is not None:
            check_choice("meter", self.meter, METERS)
        check_range("downbeat", self.downbeat or 0.0, 0.0, 36000.0)
        check_range("pickup", self.pickup or 0.0, 0.0, 12.0)


@dataclass(frozen=True)
class Arranged:
    """The notes that the piano plays, and the estimates that they are based on.

    Attributes
    ----------
    notes : list of Note
        Transcribed notes (float pitch): the source of each of ``piano_notes``.
    piano_notes : list of Note
        The right hand: integer pitches, within the recording, no overlaps.
    accompaniment : list of Note
        The left hand; empty by default, and with a band.
    tempo : Tempo
    key : Key
        Of ``piano_notes``, after transposing.
    tuning : float
        The singer's offset from 440 Hz in semitones.
    repeats : tuple of tuple of (float, float)
        Onset and offset in seconds of each occurrence of each repeated phrase, before quantising; the best match first.
    remarks : tuple of str
        Messages about estimates and changes.
    chords : tuple of Chord
        The song's, or those of the accompaniment.
    band : tuple of Part
        The other instruments: second voice, chords, bass and drums; empty by default.
    opening : float, optional
        Seconds: bars begin as if the first note of the right hand did at this time.
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
    band: tuple[Part, ...] = ()
    opening: float | None = None

    @property
    def both_hands(self) -> list[Note]:
        """All notes that the piano plays, sorted."""
        return sorted([*self.piano_notes, *self.accompaniment])

    @property
    def note_pairs(self) -> tuple[list[Note], list[Note]]:
        """Transcribed and played notes as two lists of one length, by onset; the left hand is in both alike."""
        pairs = [*zip(self.notes, self.piano_notes, strict=True), *((note, note) for note in self.accompaniment)]
        pairs.sort(key=lambda pair: (pair[1].onset, -pair[1].pitch))
        return [sung for sung, _ in pairs], [played for _, played in pairs]


DEFAULT = Arrangement()


def filter_notes(notes: Sequence[Note], min_note: float, min_confidence: float) -> list[Note]:
    """Return the notes that are at least ``min_note`` seconds long and have at least this confidence."""
    return [note for note in notes if note.duration >= min_note and note.confidence >= min_confidence]


def arrange(
    notes: Sequence[Note],
    duration: float,
    arrangement: Arrangement = DEFAULT,
    *,
    tuning: float | None = None,
    voice: NDArray[np.float32] | None = None,
    band_tempo: Tempo | None = None,
    band_chords: Sequence[Chord] = (),
    known_keys: Mapping[float, int] | None = None,
    like: Arranged | None = None,
) -> Arranged:
    """Turn transcribed notes into piano notes.

    Parameters
    ----------
    notes : sequence of Note
        Float pitch; for instance from :func:`hf_model.transcribe`, or edited by a user.
    duration : float
        Length of the recording in seconds; no note ends later.
    arrangement : Arrangement
        By default, notes are played as they were sung.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones; by default estimated from the notes that are played.
    voice : ndarray, shape (sample,), optional
        The recording at 16 kHz. Given, velocities are measured in it, relative to the other notes that are played.
    band_tempo, band_chords : Tempo and sequence of Chord, optional
        Of an accompaniment, not transposed: used instead of estimates from the notes. A tempo or metre of
        ``arrangement`` that contradicts the beats wins.
    known_keys : mapping of float to int, optional
        Piano keys (MIDI numbers, before transposing) that are known, by the onset of their note.
    like : Arranged, optional
        Of the same recording and arrangement before its notes were edited: tempo, metre, key and bars are its.
    """
    kept = filter_notes(sorted(notes), arrangement.min_note, arrangement.min_confidence)
    kept = [note for note in kept if note.onset < duration]
    if voice is not None:
        kept = estimate_velocities(voice, VOICE_STFT.sample_rate, kept)
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in kept], [note.duration for note in kept])
    kept = [replace(note, offset=min(note.offset, duration)) for note in kept]
    meant = list(_find_meant(tuple(kept), tuning, arrangement.keys, _known(known_keys, kept)))
    repetitions = _find_repetitions(tuple(meant), tuning)
    if like is None:
        tempo, key = _estimate(meant, duration, arrangement, tuning, band_tempo)
    else:
        tempo, key = like.tempo, like.key.transposed(-arrangement.transpose)
    played_key = key.transposed(arrangement.transpose)
    remarks = describe(tempo, key, played_key, tuning, len(repetitions)) if kept else []
    if len(kept) < len(notes):
        remarks.append(f"{len(notes) - len(kept)} of {len(notes)} notes were left out")
    remarks += describe_meant(to_keys(kept, tuning), to_keys(meant, tuning))
    voted = meant
    if arrangement.agree_repeats:
        voted, corrections = agree(meant, repetitions, tuning)
        remarks.append(f"{len(corrections)} of {len(kept)} notes were corrected from repetitions")
    played = to_keys(voted, tuning, arrangement.transpose)
    if arrangement.snap_key:
        unsnapped = played
        played = snap_to_key(voted, played, key, tuning)
        remarks.append(describe_snapping(unsnapped, played, played_key))
    complete = played
    played = simplify(played, arrangement.simplify, tempo)
    sources = _sources(played, kept, voted)
    played = _adjust_timing(played, tempo, duration, arrangement, remarks)
    chords = _choose_chords(complete, played_key, tempo, band_chords, arrangement) if played else []
    with_band = arrangement.accompany and arrangement.ensemble == "band"
    band = write_band(played, chords, tempo, played_key, arrangement.style) if with_band else ()
    with_left = arrangement.accompany and not with_band
    left = accompany(played, chords, tempo, arrangement.style) if with_left else []
    phrases = tuple(
        tuple((kept[first].onset, kept[last].offset) for first, last in repetition.phrases)
        for repetition in repetitions
    )
    opening = like.piano_notes[0].onset if like is not None and like.piano_notes else None
    return Arranged(
        sources, played, left, tempo, played_key, tuning, phrases, tuple(remarks), tuple(chords), band, opening
    )


def _known(known_keys: Mapping[float, int] | None, notes: Sequence[Note]) -> tuple[int | None, ...]:
    """Give the key of each note, if it is known."""
    return tuple((known_keys or {}).get(note.onset) for note in notes)


# The next three are cached, because most settings change none of their results.


@lru_cache(maxsize=16)
def _find_meant(notes: tuple[Note, ...], tuning: float, keys: str, known: tuple[int | None, ...]) -> list[Note]:
    """Find the meant pitches."""
    meant = list(notes)
    if keys == "meant" and None in known:
        meant = with_intended_pitches(notes, tuning)
    return [note if key is None else replace(note, pitch=key + tuning) for note, key in zip(meant, known, strict=True)]


@lru_cache(maxsize=16)
def _find_tempo(meant: tuple[Note, ...], duration: float, bpm: float | None, meter: str | None) -> Tempo:
    """Find the beats."""
    return estimate_tempo(meant, duration, bpm=bpm, meter=meter)


@lru_cache(maxsize=16)
def _find_repetitions(meant: tuple[Note, ...], tuning: float) -> list[Repetition]:
    """Find the phrases that come again."""
    return find_repetitions(meant, tuning)


def _estimate(
    meant: Sequence[Note], duration: float, arrangement: Arrangement, tuning: float, band_tempo: Tempo | None
) -> tuple[Tempo, Key]:
    """Estimate tempo, bars and key, unless they are set."""
    tempo = _find_tempo(tuple(meant), duration, arrangement.tempo, arrangement.meter)
    if band_tempo is not None:
        tempo = band_tempo.with_settings(arrangement.tempo, arrangement.meter) or tempo
    key = estimate_key(meant, tuning) if arrangement.key is None else parse_key(arrangement.key)
    return _place_bars(tempo, meant, arrangement), key


def _place_bars(tempo: Tempo, notes: Sequence[Note], arrangement: Arrangement) -> Tempo:
    """Move the bar lines to where they were set."""
    if arrangement.downbeat is not None:
        return tempo.with_downbeat(arrangement.downbeat)
    if arrangement.pickup is not None and notes:
        return tempo.with_downbeat(float(tempo.to_seconds(tempo.to_beats(notes[0].onset) + arrangement.pickup)))
    return tempo


def _choose_chords(
    notes: Sequence[Note], key: Key, tempo: Tempo, of_band: Sequence[Chord], arrangement: Arrangement
) -> list[Chord]:
    """Return the band's chords, transposed, or chords for the melody if a left hand is wanted."""
    if of_band:
        return [replace(chord, root=(chord.root + arrangement.transpose) % 12) for chord in of_band]
    return estimate_chords(notes, key, tempo) if arrangement.accompany else []


def _sources(played: Sequence[Note], kept: Sequence[Note], voted: Sequence[Note]) -> list[Note]:
    """Find the transcribed note with the onset of each played note; notes added by the vote are their own source."""
    by_onset = {note.onset: note for note in (*voted, *kept)}
    return [by_onset[note.onset] for note in played]


def _adjust_timing(
    played: list[Note], tempo: Tempo, duration: float, arrangement: Arrangement, remarks: list[str]
) -> list[Note]:
    """Quantise and apply legato, as configured."""
    if arrangement.quantize != "off" and tempo.is_free:
        remarks.append("without a steady beat, notes are not quantised")
    elif arrangement.quantize != "off" and played:
        if arrangement.tempo is None and tempo.confidence < UNSURE:
            remarks.append("the tempo is uncertain, and so is the quantisation: set the tempo if you know it")
        played = quantize(
            played,
            tempo,
            arrangement.quantize,
            strength=arrangement.strength,
            swing=arrangement.swing,
            duration=duration,
        )
    return bind(played) if arrangement.legato else played
