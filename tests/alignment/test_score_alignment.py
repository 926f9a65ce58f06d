"""Score alignment: with rests, in another key, on repeated notes."""

from dataclasses import replace

import numpy as np
import pytest

from hf_model.alignment.score_alignment import align_score
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.pitch_tracking import Track, track
from hf_model.notes.note import Note
from tests.melody import melody, tracked_melody


@pytest.fixture(scope="module")
def voice() -> Track:
    return tracked_melody()


def untimed(notes: list[Note]) -> list[Note]:
    """The same pitches, half a second each from 0 on, as a score without timing has them."""
    return [replace(note, onset=0.5 * k, offset=0.5 * k + 0.5) for k, note in enumerate(notes)]


@pytest.mark.parametrize("transposition", [0, 2, -5, 0.4])
def test_every_note_is_found_in_any_key(voice: Track, transposition: float) -> None:
    score = [replace(note, pitch=note.pitch + transposition) for note in untimed(melody())]
    found = align_score(voice, score)
    assert found.transposition == pytest.approx(-transposition, abs=0.05)
    assert found.residual < 0.2
    for one, other in zip(found.notes, melody(), strict=True):
        assert one.onset == pytest.approx(other.onset, abs=0.03)
        assert one.offset == pytest.approx(other.offset, abs=0.04)
        assert one.pitch == pytest.approx(other.pitch, abs=0.05)


def test_the_residual_of_another_song_is_high(voice: Track) -> None:
    rng = np.random.default_rng(1)
    other = [replace(note, pitch=float(rng.integers(50, 70))) for note in untimed(melody())]
    assert align_score(voice, other).residual > 4 * align_score(voice, untimed(melody())).residual


def test_repeated_notes_are_split_at_their_onsets() -> None:
    times = np.arange(2 * VOICE_STFT.sample_rate) / VOICE_STFT.sample_rate
    beat = np.where(times % 0.5 < 0.03, 0.05, 1.0)
    audio = (0.3 * np.sin(2 * np.pi * 220 * times) * beat).astype(np.float32)
    found = align_score(track(audio), [Note(k, k + 1, 57.0) for k in range(4)])
    np.testing.assert_allclose([note.onset for note in found.notes], [0.0, 0.5, 1.0, 1.5], atol=0.05)


def test_invalid_scores_are_errors(voice: Track) -> None:
    with pytest.raises(ValueError, match="score has 0 notes, allowed is 1 to"):
        align_score(voice, [])
    with pytest.raises(ValueError, match="score has 400 notes"):
        align_score(voice, [Note(k, k + 1, 60.0) for k in range(400)])
