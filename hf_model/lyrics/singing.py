"""Lyrics sung on a melody: notes and words to audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.lyrics.articulation import articulate
from hf_model.lyrics.phonemes import SungSyllable
from hf_model.lyrics.text import HOLD, set_lyrics
from hf_model.lyrics.timing import TimedSyllable, time_syllables
from hf_model.lyrics.voices import make_voice, to_range
from hf_model.notes.midi import skyline
from hf_model.notes.note import Note
from hf_model.singer.vocal_tract import CONTROL_RATE, render
from hf_model.singer.voice import Voice

PEAK = 0.7
"""Largest absolute sample of the loudest part."""

MIN_NOTE = 0.06
"""Seconds: shorter notes are sung as long as that, where there is room."""

PART_SECONDS = 40.0
"""A rest after so many seconds begins a new part, which is computed on its own."""

BEFORE, AFTER = 0.6, 0.3
"""Seconds of a part before its first and after its last note; parts are at least so far apart."""

GAIN = 2.0
"""Brings the voice to the level of the piano."""

SEED = 20

LA = SungSyllable(("l",), "a", text="la")


@dataclass(frozen=True)
class SungMelody:
    """Singing, and what was sung.

    Attributes
    ----------
    audio : ndarray, shape (sample,)
        float32 in [-1, 1] at 44.1 kHz.
    notes : list of Note
        In the octave of the voice.
    syllables : list of str
        The text of each note, with "-" at its end if the word goes on; "_" for a syllable that is held.
    warnings : tuple of str
    """

    audio: NDArray[np.float32]
    notes: list[Note]
    syllables: list[str]
    warnings: tuple[str, ...] = ()


def sing_lyrics(
    notes: Sequence[Note], lyrics: str, n_samples: int, *, voice: str = "alto", language: str = "en"
) -> SungMelody:
    """Sing lyrics on a melody.

    Parameters
    ----------
    notes : sequence of Note
        Of overlapping notes, the later one ends the earlier one.
    lyrics : str
        See :mod:`hf_model.lyrics.text`.
    n_samples : int
        Length of the audio at 44.1 kHz.
    voice : str
        A key of :data:`hf_model.lyrics.voices.PRESETS`. The melody is moved by octaves into its range.
    language : {"en", "pt"}

    Raises
    ------
    hf_model.lyrics.text.LyricsError
        If the lyrics have no words.
    ConfigError
        For another voice or language.
    """
    line = to_range(_one_voice(notes, n_samples / PIANO_SAMPLE_RATE), voice)
    if not line:
        return SungMelody(np.zeros(n_samples, dtype=np.float32), [], [], ("there are no notes to sing",))
    setting = set_lyrics(lyrics, len(line), language)
    timed = time_syllables(line[: len(setting.syllables)], setting.syllables)
    audio = np.concatenate(list(_blocks(timed, make_voice(voice), n_samples)))
    audio *= PEAK / max(float(np.max(np.abs(audio))), 1e-9)
    texts = [_text_of(syllable) for syllable in setting.syllables]
    return SungMelody(audio, line, texts, setting.warnings)


def _text_of(syllable: SungSyllable | None) -> str:
    """Write the syllable of a note as :class:`SungMelody` has it."""
    if syllable is None or not syllable.text:
        return HOLD
    return f"{syllable.text}-" if syllable.goes_on else syllable.text


class SingingRenderer:
    """Sings notes on one syllable where a piano would play them; see :class:`hf_model.piano.rendering.Renderer`.

    The melody stays in its octave.

    Parameters
    ----------
    voice : str
        A key of :data:`hf_model.lyrics.voices.PRESETS`.
    syllable : SungSyllable
    """

    channels = 1

    def __init__(self, voice: str = "alto", syllable: SungSyllable = LA) -> None:
        self._voice, self._syllable = make_voice(voice), syllable

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Render notes as audio (1, n_samples)."""
        return np.concatenate([np.zeros((1, 0), dtype=np.float32), *self.blocks(notes, n_samples)], axis=1)

    def blocks(self, notes: Sequence[Note], n_samples: int) -> Iterator[NDArray[np.float32]]:
        """Render notes in blocks (1, sample), ``n_samples`` together."""
        line = _one_voice(notes, n_samples / PIANO_SAMPLE_RATE)
        timed = time_syllables(line, [self._syllable] * len(line))
        for block in _blocks(timed, self._voice, n_samples):
            yield GAIN * block[None]


def _blocks(timed: Sequence[TimedSyllable], voice: Voice, n_samples: int) -> Iterator[NDArray[np.float32]]:
    """Sing part by part, with silence between the parts: blocks (sample,), ``n_samples`` together."""
    done = 0
    for number, part in enumerate(_parts(timed)):
        begin = max(done, int((part[0].note.onset - BEFORE) * PIANO_SAMPLE_RATE))
        end = min(n_samples, int((part[-1].note.offset + AFTER) * PIANO_SAMPLE_RATE))
        yield np.zeros(begin - done, dtype=np.float32)
        rng = np.random.default_rng([SEED, number])
        n_frames = int((end - begin) / PIANO_SAMPLE_RATE * CONTROL_RATE) + 2
        moved = [_moved(syllable, -begin / PIANO_SAMPLE_RATE) for syllable in part]
        controls = articulate(moved, voice, n_frames, rng)
        yield render(controls, voice, PIANO_SAMPLE_RATE, end - begin, rng).astype(np.float32)
        done = end
    yield np.zeros(n_samples - done, dtype=np.float32)


def _one_voice(notes: Sequence[Note], seconds: float) -> list[Note]:
    """Take the highest note at any time, end each by the next one, and leave out what begins after the end."""
    line: list[Note] = []
    for note in skyline(notes):
        if note.onset >= seconds - MIN_NOTE:
            break
        if line and note.onset - line[-1].onset < MIN_NOTE:
            line.pop()
        if line and line[-1].offset > note.onset:
            line[-1] = replace(line[-1], offset=note.onset)
        line.append(replace(note, offset=min(max(note.offset, note.onset + MIN_NOTE), seconds)))
    return line


def _parts(timed: Sequence[TimedSyllable]) -> list[list[TimedSyllable]]:
    """Divide a song at rests into parts of about ``PART_SECONDS``, so that memory does not grow with its length."""
    parts: list[list[TimedSyllable]] = []
    for syllable in timed:
        if parts:
            part = parts[-1]
            gap = syllable.note.onset - part[-1].note.offset
            is_long = syllable.note.onset - part[0].note.onset > PART_SECONDS
            if not ((gap > 1.0 and is_long) or gap > 5.0):
                part.append(syllable)
                continue
        parts.append([syllable])
    return parts


def _moved(syllable: TimedSyllable, by: float) -> TimedSyllable:
    note = replace(syllable.note, onset=syllable.note.onset + by, offset=syllable.note.offset + by)
    before, after = (
        tuple(replace(consonant, start=consonant.start + by, end=consonant.end + by) for consonant in consonants)
        for consonants in (syllable.before, syllable.after)
    )
    return replace(syllable, note=note, start=syllable.start + by, end=syllable.end + by, before=before, after=after)
