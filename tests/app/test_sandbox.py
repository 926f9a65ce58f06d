"""Decoding uploads in a separate process with bounded time and memory."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.app.limits import Limits, PageError
from hf_model.app.sandbox import TOO_SLOW, attempt, decode, decode_part
from hf_model.audio.recording import read_recording
from tests.fakes import strongest_hz, tones, write_with_ffmpeg

LIMITS = Limits()


@pytest.fixture
def melody(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "melody", tones([60, 64, 67], 44100), 44100, format="WAV")
    return tmp_path / "melody"


def test_decoding_equals_that_of_the_command_line(melody: Path, tmp_path: Path) -> None:
    decoded, read = decode(melody, tmp_path / "voice.npy", LIMITS), read_recording(melody)
    np.testing.assert_array_equal(decoded.voice, read.voice)
    assert (decoded.n_samples, decoded.sample_rate, decoded.warnings) == (read.n_samples, 44100, ())


def test_decoding_has_a_time_limit(melody: Path, tmp_path: Path) -> None:
    with pytest.raises(PageError, match=TOO_SLOW):
        decode(melody, tmp_path / "voice.npy", dataclasses.replace(LIMITS, decode_seconds=0.0))


def test_a_file_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "wide", np.zeros((300000, 64), dtype=np.float32), 44100, format="WAV")
    with pytest.raises(PageError, match=r"too much memory|cannot be decoded"):
        decode(tmp_path / "wide", tmp_path / "voice.npy", dataclasses.replace(LIMITS, decode_bytes=1 << 20))
    assert not (tmp_path / "voice.npy").exists()


def test_long_files_are_refused_by_header_and_by_content(tmp_path: Path) -> None:
    short = dataclasses.replace(LIMITS, whole_seconds=1.0)
    soundfile.write(tmp_path / "long", np.zeros(32000), 16000, format="WAV")
    write_with_ffmpeg(tmp_path / "untold.aac", np.tile(tones([60]), 5), 16000, "aac")
    for name in ("long", "untold.aac"):
        answer = attempt(tmp_path / name, tmp_path / "voice.npy", short)
        assert answer == {"error": "This file cannot be used: it is longer than 1 seconds."}


def test_errors_contain_no_path(tmp_path: Path) -> None:
    (tmp_path / "song").write_text("la la la")
    answer = attempt(tmp_path / "song", tmp_path / "voice.npy", LIMITS)
    assert answer["error"].startswith("This file cannot be used: no audio can be read from it")
    assert str(tmp_path) not in answer["error"]


@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile '{}'\n", "#EXTM3U\n#EXTINF:1\n{}\n#EXT-X-ENDLIST\n"])
def test_a_playlist_opens_no_files(melody: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text.format(melody.name))
    assert "no audio can be read from it" in str(attempt(tmp_path / "list", tmp_path / "voice.npy", LIMITS)["error"])


def test_a_part_of_a_song_is_decoded_in_stereo(tmp_path: Path) -> None:
    stereo = np.stack([tones([60, 72], 48000), tones([67, 67], 48000)], axis=1)
    soundfile.write(tmp_path / "song", stereo, 48000, format="WAV")
    part = decode_part(tmp_path / "song", tmp_path / "song.pcm", LIMITS, 0.5, 0.8)
    assert (part.shape, part.dtype) == ((round(0.3 * 44100), 2), np.int16)
    assert np.abs(part).max() == pytest.approx(0.4 * 32767, rel=0.02)
    assert [strongest_hz(channel, 44100) for channel in part.T.astype(float)] == pytest.approx([523, 392], rel=0.01)
