import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.audio.io import read_audio
from hf_model.audio.reader import BLOCK_SAMPLES, AudioError, AudioReader, check_format
from tests.fakes import strongest_hz, tones, write_with_ffmpeg

A4 = tones([69], 44100, duration=0.8)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "w64", "caf"])
def test_lossless_files_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, A4, 44100, subtype="PCM_24")
    audio, sample_rate = read_audio(path)
    assert (audio.shape, sample_rate, audio.dtype) == ((1, A4.shape[0]), 44100, np.float32)
    np.testing.assert_allclose(audio[0], A4, atol=1e-6)


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_files_keep_length_and_pitch(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.stack([A4, A4], axis=1), 44100)
    audio, sample_rate = read_audio(path)
    assert (audio.shape, sample_rate) == ((2, A4.shape[0]), 44100)
    assert strongest_hz(audio[1], 44100) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.webm", "libopus"), ("a.opus", "libopus")])
def test_formats_of_phones_and_browsers(tmp_path: Path, name: str, codec: str) -> None:
    tone = tones([69], 48000, duration=0.8)
    write_with_ffmpeg(tmp_path / name, tone, 48000, codec)
    audio, sample_rate = read_audio(tmp_path / name)
    assert sample_rate == 48000
    assert abs(audio.shape[1] - tone.shape[0]) <= (0 if codec == "aac" else 1000)  # Opus has frames of 20 ms
    assert strongest_hz(audio[0], 48000) == pytest.approx(440, abs=2)


def test_mp3_with_suffix_wav_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", A4, 44100)
    (tmp_path / "a.mp3").rename(tmp_path / "a.wav")
    assert read_audio(tmp_path / "a.wav")[0].shape == (1, A4.shape[0])


def test_8_bit_and_float_files_have_full_scale_1(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes([128, 192, 64, 0]))
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], [[0, 0.5, -0.5, -1]])
    soundfile.write(tmp_path / "b.wav", np.array([0.25, 1.5, -2]), 8000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "b.wav")[0], [[0.25, 1.5, -2]])


def test_long_files_are_read_in_blocks(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * BLOCK_SAMPLES + 5, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, 22050, subtype="FLOAT")
    reader = AudioReader(tmp_path / "a.wav")
    blocks = list(reader)
    assert [block.shape for block in blocks] == [(2, BLOCK_SAMPLES), (2, BLOCK_SAMPLES), (2, 5)]
    assert (reader.sample_rate, reader.n_channels) == (22050, 2)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1).T, noise)


def test_codec_frames_are_joined_to_large_blocks(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", np.tile(A4, 8), 44100)
    assert [block.shape[1] >= BLOCK_SAMPLES for block in AudioReader(tmp_path / "a.mp3")] == [True, False]


@pytest.mark.parametrize("rate", [0, 3999, 768001, 44100.5])
def test_sample_rates_out_of_range_are_refused(rate: float) -> None:
    with pytest.raises(AudioError, match=rf"sample_rate is {rate}.*4000 to 768000 Hz"):
        check_format(rate, 1)


def test_too_many_channels_are_refused() -> None:
    with pytest.raises(AudioError, match="65 channels, allowed is 1 to 64"):
        check_format(44100, 65)


def test_length_estimated_by_ffmpeg_is_ignored(tmp_path: Path) -> None:
    quiet_then_loud = np.zeros(44100 * 8, dtype=np.float32)
    quiet_then_loud[-44100:] = 0.3 * np.random.default_rng(0).standard_normal(44100)
    write_with_ffmpeg(tmp_path / "a.aac", quiet_then_loud, 44100, "aac")
    assert read_audio(tmp_path / "a.aac")[0].shape[1] == pytest.approx(8 * 44100, abs=3000)


def test_one_invalid_packet_in_a_hundred_is_skipped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", np.tile(A4, 20), 44100)
    whole = read_audio(tmp_path / "a.mp3")[0]
    content = bytearray((tmp_path / "a.mp3").read_bytes())
    start = content.index(content[:2], len(content) // 2)  # the sync bytes of a frame
    content[start : start + 60] = b"\xff" * 60
    (tmp_path / "a.mp3").write_bytes(content)
    assert read_audio(tmp_path / "a.mp3")[0].shape[1] == pytest.approx(whole.shape[1], abs=5000)


def test_change_of_sample_rate_within_a_file_is_refused(tmp_path: Path) -> None:
    write_with_ffmpeg(tmp_path / "a.aac", np.tile(A4, 4), 44100, "aac")
    write_with_ffmpeg(tmp_path / "b.aac", np.tile(A4, 4), 22050, "aac")
    (tmp_path / "c.aac").write_bytes((tmp_path / "a.aac").read_bytes() + (tmp_path / "b.aac").read_bytes())
    with pytest.raises(AudioError, match=r"c.aac: the audio is damaged \(sample rate or channels change on the way\)"):
        read_audio(tmp_path / "c.aac")


def test_twelve_channels_through_ffmpeg(tmp_path: Path) -> None:
    tone = tones([69], 48000)
    write_with_ffmpeg(tmp_path / "a.wav", np.tile(tone, (12, 1)), 48000, "pcm_s16le")
    (tmp_path / "a.wav").rename(tmp_path / "a.mp3")  # read with FFmpeg
    audio, _ = read_audio(tmp_path / "a.mp3")
    assert audio.shape == (12, tone.shape[0])
    np.testing.assert_allclose(audio, np.tile(tone, (12, 1)), atol=1e-4)
