"""The lead vocal: soft notes are left out, loud ones stay, and doubt lowers the limit."""

import numpy as np
import pytest

from hf_model.config import ConfigError
from hf_model.notes.note import Note
from hf_model.transcriber.lead import LeadConfig, choose_lead, lead_level

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
    assert lead_level(notes(), voice(), RATE, 1.0) == pytest.approx(loudest, abs=0.3)
    assert lead_level(notes(), voice(), RATE, 0.75) == pytest.approx(loudest - 10.0, abs=0.3)


def test_notes_far_below_the_lead_are_left_out() -> None:
    config = LeadConfig(loud_share=1.0, max_below_db=18.0, doubtful_db=12.0, min_confidence=0.7)
    assert choose_lead(notes(), voice(), RATE, config) == notes()[:3]


def test_doubtful_notes_must_be_nearer_to_the_lead() -> None:
    config = LeadConfig(loud_share=1.0, max_below_db=18.0, doubtful_db=12.0, min_confidence=0.7)
    assert choose_lead(notes(0.5), voice(), RATE, config) == notes(0.5)[:2]


def test_unlikely_notes_are_left_out_at_any_level() -> None:
    assert choose_lead(notes(0.29), voice(), RATE) == []


def test_without_notes_there_is_no_lead() -> None:
    assert choose_lead([], voice(), RATE) == []


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="loud_share"):
        LeadConfig(loud_share=1.5)
