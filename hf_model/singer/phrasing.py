"""From a score to what this singer does with it: timing, syllables, loudness, breath, and sounds that are no notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from hf_model.notes.note import Note
from hf_model.singer.phonetics import CONSONANTS, Diction, Syllable
from hf_model.singer.voice import Voice

SHORTEST = 0.09
"""Seconds of voice that every note keeps when a consonant needs its room."""

BREVITY = 0.01
"""Seconds that a consonant keeps where there is no room at all."""


@dataclass(frozen=True)
class Sung:
    """One sound of the voice, mostly a note.

    Attributes
    ----------
    start : float
        Seconds; where the consonant begins (``onset`` without one).
    onset, offset : float
        Seconds; where the vowel begins, and where the voice has faded.
    pitch : float
        MIDI number aimed at, with this singer's error.
    level : float
        Linear strength, about 1.
    syllable : Syllable
    bound : bool
        The voice does not stop between the sound before and this one.
    dip : float
        What remains of the loudness at the onset of a bound note without a consonant, 0-1.
    slide : float
        Semitones that the pitch moves from onset to offset (speech, sirens).
    is_note : bool
        False for speech and sirens, which no one would write down.
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
        """Whether it begins with a consonant through which the voice goes on."""
        return bool(self.syllable.consonant) and CONSONANTS[self.syllable.consonant].sonorant

    @property
    def voice_start(self) -> float:
        """Seconds; where the voice with this note's pitch begins."""
        return self.start if self.sonorant else self.onset


def plan(score: Sequence[Note], voice: Voice, rng: Generator, lead: float, style: str | None = None) -> list[Sung]:
    """Decide how every note is sung; all times move by ``lead`` seconds.

    Returns
    -------
    list of Sung
        One sound a note, in order, without overlaps.
    """
    diction = Diction(rng, float(rng.choice([round(note.pitch) for note in score])), style)
    reattack = rng.uniform(0.0, 1.0)
    melisma = float(rng.choice([0.0, rng.uniform(0.0, 0.5)]))
    clipped = float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.45)]))  # a staccato singer
    sung: list[Sung] = []
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
            syllable = Syllable("", sung[-1].syllable.vowel)
        shift = float(np.clip(rng.normal(0.0, voice.timing), -0.06, 0.06))
        onset = note.onset + lead + (shift if i else 0.0)
        onset = max(onset, sung[-1].onset + SHORTEST + BREVITY) if sung else onset  # room for the one before
        shortest = max(SHORTEST, min(0.7 * note.duration, 0.2))
        offset = max(note.offset + lead + min(shift, 0.0), onset + shortest)
        offset = max(onset + shortest, offset - clipped * (offset - onset) * rng.uniform(0.5, 1.2))
        error = voice.tuning + rng.normal(0.0, voice.error_cents) / 100.0 + voice.tempo_drift_cents * onset / 6000.0
        level = 10.0 ** ((arc + rng.normal(0.0, 0.7 * voice.dynamics_db) + (note.velocity - 80) * 0.25) / 20.0)
        length = _consonant_length(syllable.consonant, note.duration, rng)
        new = Sung(max(onset - length, 0.0), onset, offset, note.pitch + error, level, syllable)
        if sung:
            new = _join(sung, new, repeated, reattack, voice, rng)
        sung.append(new)
    return sung


def _consonant_length(consonant: str, duration: float, rng: Generator) -> float:
    if not consonant:
        return 0.0
    sound = CONSONANTS[consonant]
    return float(min(rng.uniform(sound.low, sound.high), 0.3 * duration + 0.02))


def _join(sung: list[Sung], new: Sung, repeated: bool, reattack: float, voice: Voice, rng: Generator) -> Sung:
    """End the sound before where the new one needs room; return the new one, bound to it or not."""
    before = sung[-1]
    floor = before.onset + max(SHORTEST, 0.65 * (new.onset - before.onset))
    new = replace(new, start=max(new.start, min(floor, new.onset - BREVITY)))
    end = min(before.offset, new.start)
    voiced = not new.syllable.consonant or new.sonorant
    bound = voiced and new.start - end < 0.04
    dip = 1.0
    moves = new.syllable.vowel != (before.syllable.vowel_end or before.syllable.vowel)  # and may be all that is heard
    if bound and not new.syllable.consonant and ((repeated and not moves) or rng.random() > voice.legato):
        if rng.random() < reattack:  # the voice stops for a moment
            bound, end = False, max(floor, end - min(rng.uniform(0.03, 0.12), 0.3 * (end - before.onset)))
        else:  # it only gets softer
            dip = 10.0 ** (rng.uniform(-24.0, -6.0) / 20.0)
    if bound and new.sonorant and rng.random() > voice.legato**0.5:
        bound, end = False, max(floor, end - rng.uniform(0.02, 0.08))
    sung[-1] = replace(before, offset=new.voice_start if bound else end)
    return replace(new, bound=bound, dip=dip)


def babble(start: float, end: float, middle: float, rng: Generator) -> list[Sung]:
    """Speak, or slide like a siren, between two times; ``middle`` is the singer's middle pitch (MIDI number)."""
    if rng.random() < 0.2:
        size = rng.uniform(5.0, 14.0) * rng.choice([-1.0, 1.0])
        length = min(end - start, rng.uniform(0.4, 1.2))
        return [Sung(start, start, start + length, middle - size / 2, 0.7, Syllable(), slide=size, is_note=False)]
    diction = Diction(rng, middle, "words")
    sounds: list[Sung] = []
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
        sounds.append(
            Sung(now, onset, onset + vowel, pitch, strength, syllable, slide=slide, is_note=False, bound=False)
        )
        now = onset + vowel + (rng.uniform(0.1, 0.3) if rng.random() < 0.1 else 0.0)
    return [replace(s, pitch=float(np.clip(s.pitch, middle - 14.0, middle + 10.0))) for s in sounds]
