"""Made chords: every key and velocity comes, and nothing that a piano could not play."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_model.audio.grid import PIANO_STFT
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.training.piano_excerpts import GRID, HEAD, MOST_KEYS, ChordConfig, Chords, made_chords, with_excerpts

EXCERPTS = [made_chords(seed, 2.56) for seed in range(600)]
NOTES = [note for notes in EXCERPTS for note in notes]


def test_the_whole_keyboard_and_all_loudnesses_come() -> None:
    assert {int(note.pitch) for note in NOTES} == set(range(LOWEST_KEY, HIGHEST_KEY + 1))
    velocities = {note.velocity for note in NOTES}
    assert min(velocities) == 1
    assert max(velocities) == 127
    assert len(velocities) > 120


def test_no_end_of_the_keyboard_is_crowded() -> None:
    count = [sum(note.pitch == key for note in NOTES) for key in range(LOWEST_KEY, HIGHEST_KEY + 1)]
    assert max(count) < 4 * sum(count) / len(count)


def test_short_and_long_notes_chords_and_notes_from_before_come() -> None:
    durations = [note.duration for note in NOTES]
    assert min(durations) < 0.05
    assert max(durations) > 4.0
    assert min(note.onset for note in NOTES) < -0.9 * HEAD
    assert max(note.onset for note in NOTES) > 2.4
    together = [sum(abs(note.onset - other.onset) < 1e-9 for other in EXCERPTS[0]) for note in EXCERPTS[0]]
    assert max(together) <= MOST_KEYS


def test_the_seed_decides() -> None:
    assert made_chords(5, 2.0) == made_chords(5, 2.0)
    assert made_chords(5, 2.0) != made_chords(6, 2.0)
    assert all(made_chords(seed, 0.5) for seed in range(20))


class Clicks:
    """A piano whose notes are one sample long, on two unequal channels."""

    channels = 2

    def render(self, notes: list[Note], n_samples: int) -> np.ndarray:
        audio = np.zeros((2, n_samples), dtype=np.float32)
        for note in notes:
            place = note.onset * 44100
            assert abs(place / GRID - round(place / GRID)) < 1e-6  # where the reference would strike, too
            if place < n_samples:
                audio[0, round(place)] = 1.0
        return audio


@pytest.fixture
def chords(monkeypatch: pytest.MonkeyPatch) -> Chords:
    monkeypatch.setattr("hf_model.training.piano_excerpts._load", lambda _: Clicks())
    return Chords(ChordConfig(excerpts=3), 120, 7)


def test_an_excerpts_sound_lies_where_its_notes_say(chords: Chords) -> None:
    notes, spectrum = chords.excerpt(1)
    assert spectrum.shape == (120, PIANO_STFT.n_bins)
    inside = notes[(notes[:, 0] > 0.05) & (notes[:, 0] < 1.1)]
    assert len(inside)
    level = spectrum.abs().mean(dim=1)
    for onset in inside[:, 0].tolist():
        assert level[round(100 * onset)] > 0.2
    away = [frame for frame in range(120) if (notes[:, 0] * 100 - frame).abs().min() > 4]
    assert level[away].max() < 1e-5 if away else True


def test_excerpts_are_counted_round(chords: Chords) -> None:
    torch.testing.assert_close(chords.excerpt(0), chords.excerpt(3))
    assert chords.excerpt(0)[0].shape != chords.excerpt(1)[0].shape or not torch.equal(
        *(chords.excerpt(number)[0] for number in (0, 1))
    )


def test_excerpts_take_the_place_of_the_last_examples(chords: Chords) -> None:
    batch = {
        "notes": torch.ones(3, 2, 4),
        "piano_stft": torch.ones(3, 100, PIANO_STFT.n_bins, dtype=torch.complex64),
        "n_frames": torch.tensor([100, 90, 80]),
        "tuning": torch.tensor([0.1, 0.2, 0.3]),
    }
    notes, spectrum = chords.excerpt(2)
    mixed = with_excerpts(batch, [(notes, spectrum)])
    assert mixed["n_frames"].tolist() == [100, 90, 100]
    assert mixed["tuning"].tolist() == pytest.approx([0.1, 0.2, 0.0])
    torch.testing.assert_close(mixed["piano_stft"][2], spectrum[:100])
    torch.testing.assert_close(mixed["notes"][2, : len(notes)], notes.float())
    assert not mixed["notes"][:2, 2:].any()
    assert batch["n_frames"].tolist() == [100, 90, 80]
    assert with_excerpts(batch, []) is batch
