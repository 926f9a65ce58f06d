"""Spectra of tones, whole and in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.band.spectrum import CHROMA_RATE, FRAME_RATE, SAMPLE_RATE, SpectrumStream


def spectra(audio, sample_rate=SAMPLE_RATE, block=None):
    stream = SpectrumStream(sample_rate)
    for start in range(0, audio.shape[-1], block or audio.shape[-1]):
        stream.push(audio[..., start : start + (block or audio.shape[-1])])
    return stream.finish()


def tone(frequency, seconds=3.0, sample_rate=SAMPLE_RATE):
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    return (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.mark.parametrize(("frequency", "register", "bin_number"), [(440.0, 1, 28), (65.41, 0, 1), (82.41, 0, 13)])
def test_a_tone_is_in_its_register_and_pitch_class(frequency, register, bin_number):
    chroma = spectra(tone(frequency)).chroma[10]
    assert chroma[register].argmax() == bin_number
    assert chroma[register].max() > 3 * chroma[1 - register].max()


def test_blocks_of_any_size_and_stereo_give_the_same():
    audio = np.random.default_rng(0).normal(0, 0.1, 50000).astype(np.float32)
    whole, parts, stereo = spectra(audio), spectra(audio, block=777), spectra(np.stack([audio, audio]))
    for other in (parts, stereo):
        np.testing.assert_allclose(other.mel, whole.mel, atol=1e-4)
        np.testing.assert_allclose(other.chroma, whole.chroma, atol=1e-5)
        assert other.n_samples == whole.n_samples == 50000


def test_frames_cover_the_recording_at_any_sample_rate():
    found = spectra(tone(440.0, 2.5, 44100), 44100)
    assert found.duration == pytest.approx(2.5, abs=1e-3)
    assert len(found.mel) == 1 + int(2.5 * FRAME_RATE)
    assert len(found.chroma) == 1 + int(2.5 * CHROMA_RATE)


def test_a_click_is_in_the_frame_at_its_time():
    audio = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    audio[SAMPLE_RATE : SAMPLE_RATE + 20] = 0.5
    assert spectra(audio).mel.mean(axis=1).argmax() == pytest.approx(FRAME_RATE, abs=1)
