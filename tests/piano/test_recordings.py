"""Decoded notes: as much as is needed, kept, and the same whatever was asked for before."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.piano import recordings
from hf_model.piano.mdct_codec import HOP, dequantise, imdct, unpack
from hf_model.piano.recordings import DecodedNotes, PianoSet
from hf_model.piano.sampled import SampledPiano


@pytest.fixture(scope="module")
def piano_set() -> PianoSet:
    return SampledPiano.load().piano_set


class Counting(DecodedNotes):
    """Counts the notes that are decoded."""

    decoded = 0

    def _decode(self, row: int, layer: int, n_samples: int) -> np.ndarray:
        self.decoded += 1
        return super()._decode(row, layer, n_samples)


def test_a_note_is_decoded_once(piano_set: PianoSet) -> None:
    notes = Counting(piano_set, 2)
    first = notes.audio(39, 3, 20000)
    assert notes.audio(39, 3, 10000).shape == (2, 10000)
    np.testing.assert_array_equal(notes.audio(39, 3, 20000), first)
    assert notes.decoded == 1
    first[:] = 0.0
    assert notes.audio(39, 3, 20000).any(), "what is returned may be written to"


@pytest.mark.parametrize("channels", [1, 2])
def test_the_beginning_is_that_of_the_whole(piano_set: PianoSet, channels: int) -> None:
    short = DecodedNotes(piano_set, channels).audio(39, 3, 5000)
    notes = DecodedNotes(piano_set, channels)
    for n_samples in (100, 100 * HOP, 150 * HOP, 10**6):  # as notes of a melody ask for more and more
        longer = notes.audio(39, 3, n_samples)
        np.testing.assert_allclose(longer[:, :5000], short[:, : longer.shape[1]], atol=1e-6)
    assert longer.shape == (channels, int(piano_set.shape[39, 3, 0]) * HOP)


@pytest.mark.parametrize("row", [0, 39, 87])
def test_a_note_is_rounded_to_16_bits_of_its_own_peak(piano_set: PianoSet, row: int) -> None:
    notes = DecodedNotes(piano_set, 2)
    for layer in range(len(piano_set.velocities)):
        stored = piano_set.shape[row, layer], float(piano_set.peak[row, layer])
        exact = np.zeros((int(stored[0][0]), HOP), dtype=np.float32)
        codes = piano_set.codes[piano_set.start[row * 8 + layer] : piano_set.start[row * 8 + layer + 1]]
        exact[:, : stored[0][1]] = dequantise(unpack(codes.tobytes(), *map(int, stored[0])), stored[1])
        both = notes.audio(row, layer, 10**6)
        error = np.abs(both.mean(axis=0)[: len(exact) * HOP - HOP] - imdct(exact)[:-HOP])
        assert error.max() <= 0.51 * np.abs(both).max() / (2**15 - 1), "also where it is not loudest"
        np.testing.assert_array_equal(notes.audio(row, layer, 3000, 0.5), 0.5 * both[:, :3000])


def test_one_channel_is_the_mean_of_two(piano_set: PianoSet) -> None:
    left_right, mean = (DecodedNotes(piano_set, channels).audio(39, 3, 30000) for channels in (2, 1))
    np.testing.assert_allclose(left_right.mean(axis=0), mean[0], atol=np.abs(left_right).max() / 2**15)
    assert np.abs(left_right[0] - left_right[1]).max() > 1e-3


def test_the_notes_kept_take_bounded_memory(piano_set: PianoSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_CACHED_BYTES", 2_000_000)
    notes = Counting(piano_set, 2)
    for row in range(30, 40):
        notes.audio(row, 3, 20000)
    assert sum(note.samples.nbytes for note in notes._cache.values()) <= 2_000_000
    assert notes.decoded == 10
    notes.audio(39, 3, 20000)
    assert notes.decoded == 10, "the last one is kept"
    notes.audio(30, 3, 20000)
    assert notes.decoded == 11, "the first one is not"
