"""The transcriber of songs that ships: it follows the singer, and not the band that is left beside the voice."""

from functools import cache

import numpy as np
import pytest

from hf_model.audio.resampling import resample
from hf_model.evaluation.note_matching import match_notes
from hf_model.notes.note import Note
from hf_model.piano.sampled import SampledPiano
from hf_model.separator.voice_part import blend
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS

SECONDS = 12


@cache
def model() -> Transcriber:
    return Transcriber.from_pretrained(WEIGHTS / "transcriber_songs")


@cache
def chords() -> np.ndarray:
    """A piano, mono at 16 kHz: a chord every half second and a melody above it, as loud as a singer."""
    notes = [
        Note(0.5 * k, 0.5 * k + 0.45, float(key), 80)
        for k in range(2 * SECONDS)
        for key in (48 + k % 5, 55 + k % 5, 60 + 2 * (k % 7))
    ]
    piano = resample(SampledPiano.load(channels=1).render(notes, SECONDS * 44100).reshape(-1), 44100, 16000)
    return piano * np.float32(0.1 / np.sqrt(np.mean(piano**2)))


def test_a_singer_is_transcribed_beside_a_band() -> None:
    song = sing(compose(21, SECONDS - 1.0), 21, SingerConfig(max_lead=0.2, max_tail=0.2, speech=0.0))
    voice = np.zeros(SECONDS * 16000, np.float32)
    voice[: len(song.audio)] = song.audio[: len(voice)]
    voice *= np.float32(0.1 / np.sqrt(np.mean(voice**2)))
    scores = match_notes(song.notes, model().transcribe(blend(voice, chords()))).f_measures()
    assert scores["con"] > 0.85
    assert scores["conp"] > 0.85


def test_a_band_alone_gives_hardly_any_notes() -> None:
    alone = model().transcribe(blend(np.zeros_like(chords()), chords()))
    assert len([note for note in alone if note.confidence >= 0.3]) <= 2


@pytest.mark.parametrize("n_samples", [0, 1, 1600])
def test_short_recordings_do_not_fail(n_samples: int) -> None:
    assert model().transcribe(np.zeros(n_samples, np.float32)) == []
