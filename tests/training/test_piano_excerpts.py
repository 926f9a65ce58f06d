"""Random excerpts: all keys, velocities and durations occur, and notes and spectra are aligned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_model.audio.grid import PIANO_STFT
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.piano.fluidsynth import TICK
from hf_model.training.piano_excerpts import (
    LEAD_SECONDS,
    MAX_CHORD_KEYS,
    ExcerptConfig,
    PianoExcerpts,
    random_notes,
    with_excerpts,
)

EXCERPTS = [random_notes(seed, 2.56) for seed in range(600)]
NOTES = [note for notes in EXCERPTS for note in notes]


def test_all_keys_and_velocities_occur() -> None:
    assert {int(note.pitch) for note in NOTES} == set(range(LOWEST_KEY, HIGHEST_KEY + 1))
    velocities = {note.velocity for note in NOTES}
    assert min(velocities) == 1
    assert max(velocities) == 127
    assert len(velocities) > 120


def test_keys_at_the_ends_are_not_overrepresented() -> None:
    count = [sum(note.pitch == key for note in NOTES) for key in range(LOWEST_KEY, HIGHEST_KEY + 1)]
    assert max(count) < 4 * sum(count) / len(count)


def test_short_long_simultaneous_and_earlier_notes_occur() -> None:
    durations = [note.duration for note in NOTES]
    assert min(durations) < 0.05
    assert max(durations) > 4.0
    assert min(note.onset for note in NOTES) < -0.9 * LEAD_SECONDS
    assert max(note.onset for note in NOTES) > 2.4
    together = [sum(abs(note.onset - other.onset) < 1e-9 for other in EXCERPTS[0]) for note in EXCERPTS[0]]
    assert max(together) <= MAX_CHORD_KEYS


def test_notes_follow_from_the_seed() -> None:
    assert random_notes(5, 2.0) == random_notes(5, 2.0)
    assert random_notes(5, 2.0) != random_notes(6, 2.0)
    assert all(random_notes(seed, 0.5) for seed in range(20))


class Clicks:
    """A piano whose notes are one sample long, on two unequal channels."""

    channels = 2

    def render(self, notes: list[Note], n_samples: int) -> np.ndarray:
        audio = np.zeros((2, n_samples), dtype=np.float32)
        for note in notes:
            sample = note.onset * 44100
            assert abs(sample / TICK - round(sample / TICK)) < 1e-6
            if sample < n_samples:
                audio[0, round(sample)] = 1.0
        return audio


@pytest.fixture
def excerpts(monkeypatch: pytest.MonkeyPatch) -> PianoExcerpts:
    monkeypatch.setattr("hf_model.training.piano_excerpts._load", lambda _: Clicks())
    return PianoExcerpts(ExcerptConfig(excerpts=3), 120, 7)


def test_the_spectrum_rises_at_the_onsets(excerpts: PianoExcerpts) -> None:
    notes, spectrum = excerpts.excerpt(1)
    assert spectrum.shape == (120, PIANO_STFT.n_bins)
    inside = notes[(notes[:, 0] > 0.05) & (notes[:, 0] < 1.1)]
    assert len(inside)
    level = spectrum.abs().mean(dim=1)
    for onset in inside[:, 0].tolist():
        assert level[round(100 * onset)] > 0.2
    away = [frame for frame in range(120) if (notes[:, 0] * 100 - frame).abs().min() > 4]
    assert level[away].max() < 1e-5 if away else True


def test_excerpt_numbers_wrap_around(excerpts: PianoExcerpts) -> None:
    torch.testing.assert_close(excerpts.excerpt(0), excerpts.excerpt(3))
    assert excerpts.excerpt(0)[0].shape != excerpts.excerpt(1)[0].shape or not torch.equal(
        *(excerpts.excerpt(number)[0] for number in (0, 1))
    )


def test_excerpts_replace_the_last_examples(excerpts: PianoExcerpts) -> None:
    batch = {
        "notes": torch.ones(3, 2, 4),
        "piano_stft": torch.ones(3, 100, PIANO_STFT.n_bins, dtype=torch.complex64),
        "n_frames": torch.tensor([100, 90, 80]),
        "tuning": torch.tensor([0.1, 0.2, 0.3]),
    }
    notes, spectrum = excerpts.excerpt(2)
    mixed = with_excerpts(batch, [(notes, spectrum)])
    assert mixed["n_frames"].tolist() == [100, 90, 100]
    assert mixed["tuning"].tolist() == pytest.approx([0.1, 0.2, 0.0])
    torch.testing.assert_close(mixed["piano_stft"][2], spectrum[:100])
    torch.testing.assert_close(mixed["notes"][2, : len(notes)], notes.float())
    assert not mixed["notes"][:2, 2:].any()
    assert batch["n_frames"].tolist() == [100, 90, 80]
    assert with_excerpts(batch, []) is batch
