"""The lead vocal: soft notes are left out, loud ones stay, and doubt lowers the limit."""

import numpy as np
import pytest

from hf_model.config import ConfigError
from hf_model.notes.note import Note
from hf_model.notes.velocity import note_levels
from hf_model.transcriber.lead import NARROWEST_DB, LeadConfig, choose_lead, not_exceeded, note_widths

RATE = 16000
LEVELS = (0.0, -10.0, -14.0, -30.0)


def voice() -> np.ndarray:
    """Four seconds: tones of these levels in dB, one a second."""
    tone = np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)
    return np.concatenate([0.5 * 10 ** (level / 20) * tone for level in LEVELS]).astype(np.float32)


def notes(confidence: float = 0.9) -> list[Note]:
    return [Note(second + 0.1, second + 0.9, 57.0, confidence=confidence) for second in range(4)]


def test_the_level_of_the_lead_is_that_of_its_loud_notes() -> None:
    loudest = 20 * np.log10(0.5 / np.sqrt(2))
    levels, durations = note_levels(voice(), RATE, notes()), np.array([note.duration for note in notes()])
    assert not_exceeded(levels, durations, 1.0) == pytest.approx(loudest, abs=0.3)
    assert not_exceeded(levels, durations, 0.75) == pytest.approx(loudest - 10.0, abs=0.3)


def test_notes_far_below_the_lead_are_left_out() -> None:
    config = LeadConfig(loud_share=1.0, max_below_db=18.0, doubtful_db=12.0, min_confidence=0.7)
    assert choose_lead(notes(), voice(), RATE, config) == notes()[:3]


def test_doubtful_notes_must_be_nearer_to_the_lead() -> None:
    config = LeadConfig(loud_share=1.0, max_below_db=18.0, doubtful_db=12.0, min_confidence=0.7)
    assert choose_lead(notes(0.5), voice(), RATE, config) == notes(0.5)[:2]


def test_unlikely_notes_are_left_out_at_any_level() -> None:
    assert choose_lead(notes(0.29), voice(), RATE) == []


def panned(*sides: float) -> tuple[np.ndarray, np.ndarray]:
    """A second of a tone with partials for each pan, -1 to 1: mean and half the difference of the channels."""
    times = np.arange(RATE) / RATE
    tone = sum(0.2 / k * np.sin(2 * np.pi * 220 * k * times) for k in range(1, 8)).astype(np.float32)
    return np.tile(tone, len(sides)), np.concatenate([side * tone for side in sides])


def test_the_width_of_a_note_follows_from_its_pan() -> None:
    widths = note_widths(*panned(0.0, 0.1, 0.5, 1.0), RATE, notes())
    np.testing.assert_allclose(widths, [NARROWEST_DB, -20.0, 20 * np.log10(0.5), 0.0], atol=0.01)


def test_only_the_partials_of_a_note_count_for_its_width() -> None:
    middle, side = panned(0.0, 0.0, 0.0, 0.0)
    side = side + 0.5 * np.sin(2 * np.pi * 330 * np.arange(len(side)) / RATE)
    assert note_widths(middle, side, RATE, notes()).max() < -25.0


def test_notes_beside_the_lead_are_left_out_at_any_level() -> None:
    middle, side = panned(0.0, 0.05, 0.6, 0.1)
    middle[2 * RATE : 3 * RATE] *= 2.0
    side[2 * RATE : 3 * RATE] *= 2.0
    kept = [notes()[0], notes()[1], notes()[3]]
    assert choose_lead(notes(), middle, RATE, side=side) == kept
    assert choose_lead(notes(), middle, RATE, side=np.asarray(side, np.float16)) == kept


def test_a_lead_on_one_side_and_a_mono_song_lose_nothing() -> None:
    middle, side = panned(1.0, 0.9, 1.0, 1.0)
    assert choose_lead(notes(), middle, RATE, side=side) == notes()
    assert choose_lead(notes(), middle, RATE, side=0 * side) == choose_lead(notes(), middle, RATE) == notes()


def test_notes_at_the_ends_and_short_recordings_have_a_width() -> None:
    tone, side = panned(0.5)
    edges = [Note(0.0, 0.05, 57.0), Note(0.99, 1.0, 57.0), Note(0.5, 1.5, 57.0)]
    np.testing.assert_allclose(note_widths(tone, side, RATE, edges), 20 * np.log10(0.5), atol=0.01)
    np.testing.assert_allclose(note_widths(tone[:900], side[:900], RATE, edges[:1]), 20 * np.log10(0.5), atol=0.01)


def test_without_notes_there_is_no_lead() -> None:
    assert choose_lead([], voice(), RATE) == []


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="loud_share"):
        LeadConfig(loud_share=1.5)
