"""Performance plan of a score: timing, syllables, loudness and legato of every note, and speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from hf_model.notes.note import Note
from hf_model.singer.phonetics import CONSONANTS, Diction, Syllable
from hf_model.singer.voice import Voice

MIN_VOWEL = 0.09
"""Seconds; minimum duration of a note's vowel."""

MIN_CONSONANT = 0.01
"""Seconds; minimum duration of a consonant."""


@dataclass(frozen=True)
class PlannedNote:
    """One planned sound of the voice: a note, or a part of speech.

    Attributes
    ----------
    start : float
        Seconds; start of the consonant (``onset`` without one).
    onset, offset : float
        Seconds; start of the vowel, and end of the voice.
    pitch : float
        Target MIDI number, with this singer's error.
    level : float
        Linear strength, about 1.
    syllable : Syllable
    bound : bool
        The voice continues from the sound before (legato).
    dip : float
        Relative loudness at the onset of a bound note without a consonant, 0-1.
    slide : float
        Pitch change from onset to offset, semitones (speech, sirens).
    is_note : bool
        False for speech and sirens, which get no label.
    """

    start: float
    onset: float
    offset: float
    pitch: float
    level: float
    syllable: Syllable
    bound: bool = False
    dip: float = 1.0
    slide: float = 0.0
    is_note: bool = True

    @property
    def sonorant(self) -> bool:
        """Whether it starts with a consonant through which the voice continues."""
        return bool(self.syllable.consonant) and CONSONANTS[self.syllable.consonant].sonorant

    @property
    def voice_start(self) -> float:
        """Seconds; start of the voice with this note's pitch."""
        return self.start if self.sonorant else self.onset


def plan_notes(
    score: Sequence[Note], voice: Voice, rng: Generator, lead: float, style: str | None = None
) -> list[PlannedNote]:
    """Plan how every note is sung, ``lead`` seconds later than in the score.

    Returns
    -------
    list of PlannedNote
        One a note, in order, without overlaps.
    """
    diction = Diction(rng, float(rng.choice([round(note.pitch) for note in score])), style)
    stop_chance = rng.uniform(0.0, 1.0)
    melisma = float(rng.choice([0.0, rng.uniform(0.0, 0.5)]))
    staccato = float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.45)]))
    planned: list[PlannedNote] = []
    arc, arc_end = 0.0, 0.0
    for i, note in enumerate(score):
        gap = note.onset - score[i - 1].offset if i else 1.0
        if gap > 0.25 or i == 0:
            arc, arc_end = rng.normal(0.0, voice.dynamics_db), rng.normal(-1.0, voice.dynamics_db)
        arc += 0.2 * (arc_end - arc)
        repeated = i > 0 and abs(note.pitch - score[i - 1].pitch) < 0.5
        syllable = diction.draw(rng, note.pitch)
        if voice.kind == "whistle":
            syllable = Syllable("", "u")
        elif gap < 0.02 and not repeated and rng.random() < melisma:
            syllable = Syllable("", planned[-1].syllable.vowel)
        shift = float(np.clip(rng.normal(0.0, voice.timing), -0.06, 0.06))
        onset = note.onset + lead + (shift if i else 0.0)
        onset = max(onset, planned[-1].onset + MIN_VOWEL + MIN_CONSONANT) if planned else onset
        shortest = max(MIN_VOWEL, min(0.7 * note.duration, 0.2))
        offset = max(note.offset + lead + min(shift, 0.0), onset + shortest)
        offset = max(onset + shortest, offset - staccato * (offset - onset) * rng.uniform(0.5, 1.2))
        error = voice.tuning + rng.normal(0.0, voice.error_cents) / 100.0 + voice.tempo_drift_cents * onset / 6000.0
        level = 10.0 ** ((arc + rng.normal(0.0, 0.7 * voice.dynamics_db) + (note.velocity - 80) * 0.25) / 20.0)
        length = _consonant_length(syllable.consonant, note.duration, rng)
        new = PlannedNote(max(onset - length, 0.0), onset, offset, note.pitch + error, level, syllable)
        if planned:
            new = _join(planned, new, repeated, stop_chance, voice, rng)
        planned.append(new)
    return planned


def _consonant_length(consonant: str, duration: float, rng: Generator) -> float:
    if not consonant:
        return 0.0
    sound = CONSONANTS[consonant]
    return float(min(rng.uniform(sound.low, sound.high), 0.3 * duration + 0.02))


def _join(
    planned: list[PlannedNote], new: PlannedNote, repeated: bool, stop_chance: float, voice: Voice, rng: Generator
) -> PlannedNote:
    """Shorten the last planned sound to make room for the new one; return the new one, bound to it or not."""
    before = planned[-1]
    floor = before.onset + max(MIN_VOWEL, 0.65 * (new.onset - before.onset))
    new = replace(new, start=max(new.start, min(floor, new.onset - MIN_CONSONANT)))
    end = min(before.offset, new.start)
    voiced = not new.syllable.consonant or new.sonorant
    bound = voiced and new.start - end < 0.04
    dip = 1.0
    # a change of vowel is enough to separate repeated notes
    same_vowel = new.syllable.vowel == (before.syllable.vowel_end or before.syllable.vowel)
    if bound and not new.syllable.consonant and ((repeated and same_vowel) or rng.random() > voice.legato):
        if rng.random() < stop_chance:  # the voice stops briefly
            bound, end = False, max(floor, end - min(rng.uniform(0.03, 0.12), 0.3 * (end - before.onset)))
        else:  # it only becomes softer
            dip = 10.0 ** (rng.uniform(-24.0, -6.0) / 20.0)
    if bound and new.sonorant and rng.random() > voice.legato**0.5:
        bound, end = False, max(floor, end - rng.uniform(0.02, 0.08))
    planned[-1] = replace(before, offset=new.voice_start if bound else end)
    return replace(new, bound=bound, dip=dip)


def plan_speech(start: float, end: float, middle: float, rng: Generator) -> list[PlannedNote]:
    """Plan speech or a siren between two times; ``middle`` is the singer's middle pitch (MIDI number)."""
    if rng.random() < 0.2:
        size = rng.uniform(5.0, 14.0) * rng.choice([-1.0, 1.0])
        length = min(end - start, rng.uniform(0.4, 1.2))
        end = start + length
        return [PlannedNote(start, start, end, middle - size / 2, 0.7, Syllable(), slide=size, is_note=False)]
    diction = Diction(rng, middle, "words")
    sounds: list[PlannedNote] = []
    now, height = start, middle - rng.uniform(0.0, 6.0) + 2.0
    level = 10.0 ** (rng.uniform(-12.0, 0.0) / 20.0)
    while now < end - 0.25:
        syllable = diction.draw_word(rng)
        length = _consonant_length(syllable.consonant, 0.2, rng)
        vowel = rng.uniform(0.05, 0.16)
        slide = rng.normal(-0.5, 3.0)
        pitch = height + rng.normal(0.0, 1.5) - 2.0 * (now - start)
        strength = level * 10.0 ** (rng.normal(0.0, 3.0) / 20.0)
        onset = now + length
        sounds.append(PlannedNote(now, onset, onset + vowel, pitch, strength, syllable, slide=slide, is_note=False))
        now = onset + vowel + (rng.uniform(0.1, 0.3) if rng.random() < 0.1 else 0.0)
    return [replace(s, pitch=float(np.clip(s.pitch, middle - 14.0, middle + 10.0))) for s in sounds]
