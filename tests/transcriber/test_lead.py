"""The lead vocal: soft phrases under a band, notes beside the lead and unlikely notes are left out."""

import numpy as np
import pytest

from hf_model.config import ConfigError
from hf_model.notes.note import Note
from hf_model.notes.velocity import note_levels
from hf_model.transcriber import lead
from hf_model.transcriber.lead import NARROWEST_DB, LeadConfig, not_exceeded, note_widths

RATE = 16000
LEVELS = (0.0, -10.0, -14.0, -30.0)


def voice(*levels: float) -> np.ndarray:
    """Tones of these levels in dB, one a second."""
    tone = np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)
    return np.concatenate([0.5 * 10 ** (level / 20) * tone for level in levels or LEVELS]).astype(np.float32)


def choose_lead(
    found: list[Note], sung: np.ndarray, side: np.ndarray | None = None, backing: float = -120.0
) -> list[Note]:
    """Choose the lead beside a band of this level, in dB below the loudest tone."""
    return lead.choose_lead(found, sung, voice(*[backing] * (len(sung) // RATE)), RATE, side=side)


def notes(confidence: float = 0.9) -> list[Note]:
    return [Note(second + 0.1, second + 0.9, 57.0, confidence=confidence) for second in range(4)]


def test_the_level_of_the_lead_is_that_of_its_loud_notes() -> None:
    loudest = 20 * np.log10(0.5 / np.sqrt(2))
    levels, durations = note_levels(voice(), RATE, notes()), np.array([note.duration for note in notes()])
    assert not_exceeded(levels, durations, 1.0) == pytest.approx(loudest, abs=0.3)
    assert not_exceeded(levels, durations, 0.75) == pytest.approx(loudest - 10.0, abs=0.3)


EVEN, UNEVEN = (0.0, 0.0, 0.0, 0.0, -2.0, -14.0), (0.0, 0.0, 0.0, -6.0, -6.0, -14.0)


def phrases(n_notes: int, rest: float = 0.6) -> list[Note]:
    """One note a second, with so long a rest after each."""
    return [Note(second + 0.1, second + 1.1 - rest, 57.0, confidence=0.9) for second in range(n_notes)]


def test_a_phrase_far_below_the_lead_and_the_band_is_left_out() -> None:
    assert choose_lead(phrases(6), voice(*EVEN), backing=-10.0) == phrases(6)[:5]


def test_soft_singing_over_a_softer_band_stays() -> None:
    assert choose_lead(phrases(6), voice(*EVEN), backing=-18.0) == phrases(6)


def test_an_uneven_lead_may_be_softer() -> None:
    assert choose_lead(phrases(6), voice(*UNEVEN), backing=0.0) == phrases(6)


def test_a_soft_note_in_the_phrase_of_a_loud_one_stays() -> None:
    assert choose_lead(phrases(6, 0.4), voice(*EVEN), backing=0.0) == phrases(6, 0.4)


def test_a_soft_phrase_is_left_out_as_a_whole() -> None:
    sung = voice(0, 0, 0, 0, 0, -120, -14, -12, -16)
    found = [note for note in phrases(9, 0.3) if note.onset != 5.1]
    assert choose_lead(found, sung, backing=0.0) == found[:5]


def test_notes_that_are_left_out_do_not_join_phrases() -> None:
    found = [*phrases(6), Note(4.7, 5.05, 57.0, confidence=0.1)]
    assert choose_lead(sorted(found), voice(*EVEN), backing=0.0) == phrases(6)[:5]


def test_doubtful_notes_must_be_nearer_to_the_lead() -> None:
    found = [Note(note.onset, note.offset, note.pitch, confidence=0.5) for note in phrases(4, 0.3)]
    assert choose_lead(found, voice(0, -6, -10, 0)) == [found[0], found[1], found[3]]
    assert choose_lead(phrases(4, 0.3), voice(0, -6, -10, 0)) == phrases(4, 0.3)


def test_unlikely_notes_are_left_out_at_any_level() -> None:
    assert choose_lead(notes(0.29), voice()) == []


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
    assert choose_lead(notes(), middle, side=side) == kept
    assert choose_lead(notes(), middle, side=np.asarray(side, np.float16)) == kept


def test_a_lead_on_one_side_and_a_mono_song_lose_nothing() -> None:
    middle, side = panned(1.0, 0.9, 1.0, 1.0)
    assert choose_lead(notes(), middle, side=side) == notes()
    assert choose_lead(notes(), middle, side=0 * side) == choose_lead(notes(), middle) == notes()


def test_notes_at_the_ends_and_short_recordings_have_a_width() -> None:
    tone, side = panned(0.5)
    edges = [Note(0.0, 0.05, 57.0), Note(0.99, 1.0, 57.0), Note(0.5, 1.5, 57.0)]
    np.testing.assert_allclose(note_widths(tone, side, RATE, edges), 20 * np.log10(0.5), atol=0.01)
    np.testing.assert_allclose(note_widths(tone[:900], side[:900], RATE, edges[:1]), 20 * np.log10(0.5), atol=0.01)


def test_without_notes_there_is_no_lead() -> None:
    assert choose_lead([], voice()) == []


def test_settings_out_of_range_are_refused() -> None:
    for name in LeadConfig.__dataclass_fields__:
        with pytest.raises(ConfigError, match=name):
            LeadConfig(**{name: 150.0})
