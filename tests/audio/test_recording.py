import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.audio.reader import BLOCK_SAMPLES, AudioError
from hf_model.audio.recording import as_recording, read_recording
from tests.fakes import tones

MELODY = tones([60, 64, 67], 44100)


def test_file_and_array_give_the_same_recording(tmp_path: Path) -> None:
    stereo = np.stack([MELODY, 0.5 * MELODY])
    soundfile.write(tmp_path / "a.wav", stereo.T, 44100, subtype="FLOAT")
    from_file, from_array = read_recording(tmp_path / "a.wav"), as_recording(stereo, 44100)
    np.testing.assert_array_equal(from_file.voice, from_array.voice)
    assert from_file.n_samples == from_array.n_samples == MELODY.shape[0]
    assert from_file.sample_rate == 44100
    assert from_file.duration == pytest.approx(1.3)
    assert from_file.warnings == ()
    assert from_file.voice.dtype == np.float32


def test_voice_is_the_mean_of_the_channels() -> None:
    audio = np.zeros((8, 16000), dtype=np.float32)
    audio[3] = 0.8
    np.testing.assert_allclose(as_recording(audio, 16000).voice, 0.1, atol=1e-6)


def test_float64_and_lists_are_accepted() -> None:
    assert as_recording([0.0] * 1600, 16000).voice.shape == (1600,)
    assert as_recording(MELODY.astype(np.float64), 44100).voice.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_samples_are_reported_with_their_time(bad: float) -> None:
    audio = np.zeros((2, BLOCK_SAMPLES + 100), dtype=np.float32)
    audio[1, BLOCK_SAMPLES + 7] = bad
    with pytest.raises(AudioError, match=rf"sample {BLOCK_SAMPLES + 7} \(16.384 s\) is not a finite number"):
        as_recording(audio, 16000)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(100, dtype=np.int16), "divide 16-bit samples by 32768"),
        (np.zeros((1000, 2)), r"pass audio\.T"),
        (np.zeros((2, 2, 100)), r"got \(2, 2, 100\)"),
        (np.zeros(0), "audio is empty"),
        (np.zeros((2, 0)), r"pass audio\.T|audio is empty"),
    ],
)
def test_invalid_arrays_are_refused(audio: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        as_recording(audio, 44100)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(16000), "the recording is silent"),
        (MELODY[4410:5410], "0.06 s is too short for a note"),
        (np.clip(20 * MELODY, -1, 1), r"clipped: \d+\.\d % of the samples"),
        (np.stack([MELODY, -MELODY]), "the channels cancel each other"),
    ],
)
def test_problems_of_a_recording_are_reported(audio: np.ndarray, message: str) -> None:
    warnings = as_recording(audio, 16000).warnings
    assert len(warnings) == 1
    assert re.search(message, warnings[0])


def test_loud_recording_without_clipping_has_no_warning() -> None:
    assert as_recording(MELODY / np.abs(MELODY).max(), 44100).warnings == ()


def test_a_few_samples_are_padded() -> None:
    recording = as_recording(np.ones(3), 192000)
    assert (recording.voice.shape, recording.n_samples) == ((1600,), 3)


def test_missing_audio_in_a_file_is_a_warning(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", np.tile(MELODY, 20), 44100)
    content = bytearray((tmp_path / "a.mp3").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    (tmp_path / "a.mp3").write_bytes(content)
    [warning] = read_recording(tmp_path / "a.mp3").warnings
    assert re.fullmatch(r"0\.\d+ s of audio are missing in the file and were replaced by silence", warning)


@pytest.mark.parametrize("sample_rate", [44100, 48000, 16000])
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_the_original_is_read_again_in_stereo(sample_rate: int, n_channels: int) -> None:
    channels = [(0.1 + 0.05 * number) * tones([60, 64], sample_rate) for number in range(n_channels)]
    recording = as_recording(np.stack(channels), sample_rate)
    stereo = np.concatenate(list(recording.stereo_blocks()), axis=1)
    assert stereo.shape == (2, round(0.9 * 44100))
    levels = {1: (0.1, 0.1), 2: (0.1, 0.15), 6: (0.225, 0.225)}[n_channels]
    np.testing.assert_allclose(stereo.std(axis=1), np.multiply(levels, tones([60, 64], 44100).std()), rtol=0.02)


def test_without_the_original_the_voice_is_doubled() -> None:
    recording = replace(as_recording(tones([60], 48000), 48000), reopen=None)
    stereo = np.concatenate(list(recording.stereo_blocks()), axis=1)
    assert stereo.shape == (2, round(0.5 * 44100))
    np.testing.assert_allclose(stereo[0], tones([60], 44100), atol=0.01)
    np.testing.assert_array_equal(stereo[0], stereo[1])
