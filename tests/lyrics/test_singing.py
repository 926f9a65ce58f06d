"""Lyrics sung on a melody: times of the sounds, notes that are heard, length and level."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model import transcribe
from hf_model.cli.options.commands import LANGUAGES, VOICES
from hf_model.lyrics import pronunciation
from hf_model.lyrics.phonemes import SungSyllable
from hf_model.lyrics.singing import SingingRenderer, sing_lyrics
from hf_model.lyrics.timing import SHARE_OF_NOTE, time_syllables
from hf_model.lyrics.voices import PRESETS, to_range
from hf_model.notes.note import Note, to_arrays
from hf_model.singer.composition import twinkle

WORDS = "Twinkle, twinkle, little star, how I wonder what you are"
STRONG = SungSyllable(("s", "t", "r"), "E", "", ("ng", "k", "th"), "strength")
OPEN = SungSyllable((), "a", "I", (), "I")


def _moved(notes: list[Note], by: float) -> list[Note]:
    return [replace(note, onset=note.onset + by, offset=note.offset + by) for note in notes]


def test_the_options_are_those_of_the_package() -> None:
    assert tuple(PRESETS) == VOICES
    assert pronunciation.LANGUAGES == LANGUAGES


@pytest.mark.parametrize("voice", ["alto", "tenor", "child", "robot"])
def test_the_notes_are_heard(voice: str) -> None:
    score = _moved(twinkle(), 0.5)
    sung = sing_lyrics(score, WORDS, 11 * 44100, voice=voice)
    found = transcribe(sung.audio, 44100, source="voice")
    expected, heard = to_arrays(sung.notes), to_arrays(found)
    scores = mir_eval.transcription.precision_recall_f1_overlap(
        expected[0], _hz(expected[1]), heard[0], _hz(heard[1]), offset_ratio=None
    )
    assert scores[2] >= 0.95
    assert {(a.pitch - b.pitch) % 12 for a, b in zip(sung.notes, score, strict=True)} == {0}
    assert sung.warnings == ()


def _hz(pitches: np.ndarray) -> np.ndarray:
    return 440.0 * 2.0 ** ((pitches - 69.0) / 12.0)


def test_length_level_and_silence() -> None:
    score = [Note(1.0, 1.5, 60), Note(20.0, 20.5, 62)]
    sung = sing_lyrics(score, "la la", 22 * 44100 + 17)
    assert sung.audio.shape == (22 * 44100 + 17,)
    assert np.abs(sung.audio).max() == pytest.approx(0.7)
    assert not np.any(sung.audio[3 * 44100 : 19 * 44100])
    assert np.std(sung.audio[int(1.1 * 44100) : int(1.4 * 44100)]) > 0.05


def test_no_clicks() -> None:
    """A step between samples is never larger than a voice with this peak makes."""
    sung = sing_lyrics(_moved(twinkle(), 0.5), "ah", 11 * 44100)
    quiet = np.abs(sung.audio[: int(0.2 * 44100)])
    assert quiet.max() < 1e-3
    assert np.abs(np.diff(sung.audio)).max() < 0.25


def test_vowels_begin_on_the_note_and_consonants_before_it() -> None:
    notes = [Note(1.0, 1.5, 60), Note(1.5, 2.0, 62), Note(3.0, 3.5, 64)]
    timed = time_syllables(notes, [STRONG, STRONG, OPEN])
    assert [syllable.start for syllable in timed] == [1.0, 1.5, 3.0]
    assert [c.name for c in timed[1].before] == ["s", "t", "r"]
    assert timed[1].before[-1].end == pytest.approx(1.5)
    assert timed[0].after[-1].end == pytest.approx(timed[1].before[0].start)
    assert timed[0].end >= 1.0 + (1 - SHARE_OF_NOTE) * 0.5 - 1e-9
    assert timed[1].after[-1].end == pytest.approx(2.0), "without a following consonant it ends with the note"


def test_a_held_syllable_keeps_its_vowel_and_ends_later() -> None:
    notes = [Note(1.0, 1.5, 60), Note(1.5, 2.0, 62), Note(2.0, 2.5, 64)]
    first, held, last = time_syllables(notes, [SungSyllable(("l",), "a", "I", ("t",)), None, None])
    assert (first.after, held.after, first.vowel_end, held.vowel_end) == ((), (), "", "")
    assert (held.before, held.is_held, last.vowel_end) == ((), True, "I")
    assert [c.name for c in last.after] == ["t"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 0.6), st.floats(0.06, 1.0)), min_size=1, max_size=8),
    st.data(),
)
def test_sounds_follow_each_other(steps: list[tuple[float, float]], data: st.DataObject) -> None:
    notes, now = [], 0.0
    for gap, length in steps:
        notes.append(Note(now + gap, now + gap + length, 60))
        now += gap + length
    choices = st.sampled_from([STRONG, OPEN, None])
    syllables = [STRONG, *(data.draw(choices) for _ in notes[1:])]
    spans = []
    for syllable in time_syllables(notes, syllables):
        spans += [(c.start, c.end) for c in syllable.before]
        spans.append((syllable.start, syllable.end))
        spans += [(c.start, c.end) for c in syllable.after]
    assert spans[0][0] >= 0
    assert all(start <= end + 1e-9 for start, end in spans)
    assert all(first[1] <= second[0] + 1e-6 for first, second in pairwise(spans))


@pytest.mark.parametrize("voice", list(PRESETS))
def test_a_melody_is_moved_by_octaves_into_the_range(voice: str) -> None:
    for pitch in (30, 60, 95):
        moved = to_range([Note(0, 1, pitch), Note(1, 2, pitch + 5)], voice)
        assert moved[1].pitch - moved[0].pitch == 5
        assert (moved[0].pitch - pitch) % 12 == 0
        assert PRESETS[voice].lowest <= moved[0].pitch <= PRESETS[voice].highest + 5


def test_chords_and_overlaps_become_one_voice() -> None:
    notes = [Note(0.5, 2.0, 60), Note(0.5, 2.0, 64), Note(1.0, 1.5, 67), Note(9.0, 9.5, 60)]
    sung = sing_lyrics(notes, "la lo", 5 * 44100)
    assert [(note.onset, note.offset, note.pitch % 12) for note in sung.notes] == [(0.5, 1.0, 4.0), (1.0, 1.5, 7.0)]


def test_nothing_to_sing() -> None:
    sung = sing_lyrics([], "la", 1000)
    assert (sung.audio.shape, sung.warnings) == ((1000,), ("there are no notes to sing",))


def test_renderer_keeps_its_level_and_length() -> None:
    notes = _moved(twinkle(), 0.3)
    renderer = SingingRenderer()
    short, long = (
        renderer.render(notes[:3], 3 * 44100),
        renderer.render(notes[:3] + _moved(notes[:3], 60.0), 70 * 44100),
    )
    assert (short.shape, long.shape) == ((1, 3 * 44100), (1, 70 * 44100))
    np.testing.assert_allclose(long[:, : 2 * 44100], short[:, : 2 * 44100], atol=1e-6)
    assert renderer.render([], 500).shape == (1, 500)
