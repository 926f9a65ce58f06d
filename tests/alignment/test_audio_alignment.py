"""Alignment of a voice and a piano recording by dynamic time warping, and the phase vocoder."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hf_model.alignment.audio_alignment import Warp, apply_warp, chroma, find_warp, warping_path
from hf_model.notes.pitch import pitch_to_hz

MELODY = [60, 64, 67, 65, 62, 59, 60, 69, 67, 60]
ONSETS = np.array([0.3, 0.8, 1.2, 2.0, 2.4, 3.0, 3.5, 4.2, 4.6, 5.4])


def piano_times(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map times of the voice to times of the piano: later, slower, with a varying tempo."""
    return 0.5 + 1.15 * times + 0.15 * np.sin(times)


def sung(onsets: NDArray[np.float64], sample_rate: int, transposed: int = 0, bright: int = 4) -> NDArray[np.float32]:
    audio = np.zeros(round((onsets[-1] + 1.5) * sample_rate), dtype=np.float32)
    for pitch, onset in zip(MELODY, onsets, strict=True):
        times = np.arange(round(0.35 * sample_rate)) / sample_rate
        hertz = float(pitch_to_hz(pitch + transposed))
        sound = sum(0.2 / k * np.sin(2 * np.pi * k * hertz * times) for k in range(1, bright))
        start = round(onset * sample_rate)
        audio[start : start + len(times)] += (sound * np.exp(-3 * times)).astype(np.float32)
    return audio


def test_the_time_warp_is_found_and_undone() -> None:
    voice, piano = sung(ONSETS, 16000), sung(piano_times(ONSETS), 44100, bright=7)
    warp = find_warp(voice, 16000, piano, 44100)
    assert warp.quality > 0.5
    assert warp.shift == 0
    assert np.median(np.abs(warp.to_piano(ONSETS) - piano_times(ONSETS))) < 0.04
    np.testing.assert_allclose(warp.to_voice(warp.to_piano(ONSETS)), ONSETS, atol=1e-9)
    n_samples = round(len(voice) * 44100 / 16000)
    played = apply_warp(piano, warp, n_samples)
    assert played.shape == (n_samples,)
    again = find_warp(voice, 16000, played, 44100)
    assert np.median(np.abs(again.to_piano(ONSETS) - ONSETS)) < 0.04


def test_another_key_or_song_has_no_quality() -> None:
    voice = sung(ONSETS, 16000)
    higher = find_warp(voice, 16000, sung(piano_times(ONSETS), 44100, transposed=3), 44100)
    assert (higher.quality, higher.shift) == (0.0, -3)
    noise = np.random.default_rng(0).standard_normal(5 * 16000).astype(np.float32)
    assert find_warp(voice, 16000, noise, 16000).quality < 0.2


def test_equal_times_leave_the_audio_unchanged() -> None:
    piano = sung(ONSETS, 44100)
    same = Warp(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 1.0, 0)
    np.testing.assert_allclose(apply_warp(piano, same, len(piano)), piano, atol=1e-5)
    # also if the voice begins in the middle of the piano's first note
    late = Warp(np.array([0.0, 1.0]), np.array([0.4, 1.4]), 1.0, 0)
    n_samples = len(piano) - 44100
    np.testing.assert_allclose(apply_warp(piano, late, n_samples)[2048:], piano[17640:][2048:n_samples], atol=1e-3)


def test_a_change_of_tempo_keeps_the_pitch() -> None:
    times = np.arange(2 * 44100) / 44100
    tone = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    slow = apply_warp(tone, Warp(np.array([0.0, 3.0]), np.array([0.0, 2.0]), 1.0, 0), 3 * 44100)
    spectrum = np.abs(np.fft.rfft(slow[22050 : 22050 + 88200]))
    assert np.argmax(spectrum) / 2 == pytest.approx(440, abs=1)


def test_the_path_equals_that_of_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    random = np.random.default_rng(0)
    one, other = random.random((40, 12)), random.random((55, 12))
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    path = warping_path(one, other)
    cost = 1.0 - one @ other.T
    total, expected = librosa.sequence.dtw(C=cost, backtrack=True)
    np.testing.assert_array_equal(path[[0, -1]], [[0, 0], [39, 54]])
    assert cost[path[:, 0], path[:, 1]].sum() == pytest.approx(total[-1, -1])
    np.testing.assert_array_equal(path, expected[::-1])


def test_chroma_of_a_tone_is_its_pitch_class() -> None:
    times = np.arange(16000) / 16000
    a = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    assert (np.argmax(chroma(a, 0.02)[10:-10, :12], axis=1) == 9).all()
