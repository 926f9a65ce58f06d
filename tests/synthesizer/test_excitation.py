"""The excitation in NumPy and in torch: the same audio, the same noise levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_model.synthesizer.excitation import HOP, MARGIN, Excitation, SoundingNote
from hf_model.synthesizer.partials import PartialTable
from hf_model.synthesizer.trainable_excitation import TrainableExcitation

N_FRAMES = 90


@pytest.fixture(scope="module")
def excitation() -> Excitation:
    return Excitation(PartialTable.load())


@pytest.fixture(scope="module")
def trainable() -> TrainableExcitation:
    return TrainableExcitation()


def drawn_notes() -> np.ndarray:
    """Both recordings of all kinds of keys: before, within and behind the frames, damped within them and before."""
    rng = np.random.default_rng(2)
    onsets = rng.uniform(-4.0, 1.2, 60)
    columns = (onsets, onsets + rng.uniform(0.001, 2.0, 60), rng.integers(21, 109, 60), rng.integers(1, 128, 60))
    return np.stack(columns, axis=1)


def test_both_select_the_same_notes(excitation, trainable):
    notes = drawn_notes()
    ours = excitation.select_notes(notes, N_FRAMES)
    theirs = trainable.select_notes(torch.from_numpy(notes)[None], N_FRAMES)
    assert 20 < len(ours) < 60
    for name in ("start", "held", "key", "velocity", "row"):
        assert [getattr(note, name) for note in ours] == getattr(theirs, name).tolist()
    np.testing.assert_allclose([note.mix for note in ours], theirs.mix)
    assert [note.layers.tolist() for note in ours] == theirs.layers.tolist()


def test_both_render_the_same_audio(excitation, trainable):
    notes = drawn_notes()
    for row in range(len(notes)):  # one by one, so that loud notes do not hide soft ones
        table = torch.from_numpy(notes[row : row + 1])[None]
        expected = trainable(trainable.select_notes(table, N_FRAMES), 1, N_FRAMES)[0].numpy()
        found = excitation.render(excitation.select_notes(notes[row : row + 1], N_FRAMES), N_FRAMES)
        assert found.shape == ((N_FRAMES - 1) * HOP + 2 * MARGIN,)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max() + 1e-9)


def test_both_compute_the_same_noise(excitation, trainable):
    notes = drawn_notes()
    sounding = trainable.select_notes(torch.from_numpy(notes)[None], N_FRAMES)
    expected = trainable.noise_level(sounding, 1, N_FRAMES)[0].numpy()
    found = excitation.noise_level(excitation.select_notes(notes, N_FRAMES), N_FRAMES)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    note = notes[:1] * [0, 0, 1, 1] + [0.3, 0.5, 0, 0]  # alone: the frames before it, and those after its release
    expected = trainable.noise_level(trainable.select_notes(torch.from_numpy(note)[None], N_FRAMES), 1, N_FRAMES)[0]
    found = excitation.noise_level(excitation.select_notes(note, N_FRAMES), N_FRAMES)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4)


def test_a_released_note_is_damped_by_its_rate():
    """60 dB a second, released after half a second: 6 dB less after a further tenth."""
    note = SoundingNote(0, 22050, 40, 80, 60.0, np.array([0, 1]), np.ones(2, np.float32))
    gains = note.damping(np.array([0, 22050, 22050 + 4410]))
    np.testing.assert_allclose(gains, [1.0, 1.0, 10.0**-0.3], rtol=1e-5)
    assert note.silent == 22050 + int(64.0 / 60.0 * 44100)


def test_without_notes_there_is_silence(excitation):
    assert excitation.select_notes(np.zeros((0, 4)), 10) == []
    assert not excitation.render([], 10).any()
    np.testing.assert_allclose(excitation.noise_level([], 10), 1e-6, rtol=1e-5)
